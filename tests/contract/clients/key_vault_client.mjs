// @azure/keyvault-secrets for Node, unmodified: one course of calls per run. The answer is the last line,
// as JSON.
//   node key_vault_client.mjs read | every-operation | errors
// The environment has the simulator's addresses.

import { createRequire } from "node:module";

const env = process.env;
const require = createRequire(`${env.NODE_PACKAGES}/`);
const { ClientSecretCredential } = require("@azure/identity");
const { SecretClient } = require("@azure/keyvault-secrets");

const options = { authorityHost: env.AUTHORITY_HOST, disableInstanceDiscovery: true };
const credential = new ClientSecretCredential(env.TENANT, env.CLIENT_ID, env.CLIENT_SECRET, options);
const vault = new SecretClient(env.VAULT_URL, credential, {
  disableChallengeResourceVerification: true,
  retryOptions: { maxRetries: 0 },
});

async function all(pages) {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
}

async function codeOf(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { status: error.statusCode, code: error.code };
  }
}

const courses = {
  read: async () => {
    const made = await vault.setSecret("postroom-a", "v1");
    const found = await vault.getSecret("postroom-a");
    return { value: found.value, same: found.properties.version === made.properties.version };
  },

  "every-operation": async () => {
    const first = await vault.setSecret("a", "v1", { tags: { kind: "x" } });
    await vault.setSecret("a", "v2", { contentType: "text/plain" });
    await vault.updateSecretProperties("a", first.properties.version, { enabled: false });
    const names = (await all(vault.listPropertiesOfSecrets())).map((one) => one.name);
    const versions = (await all(vault.listPropertiesOfSecretVersions("a"))).length;
    const backup = await vault.backupSecret("a");
    await (await vault.beginDeleteSecret("a", { intervalInMs: 20 })).pollUntilDone();
    const deleted = (await all(vault.listDeletedSecrets())).map((one) => one.name);
    await (await vault.beginRecoverDeletedSecret("a", { intervalInMs: 20 })).pollUntilDone();
    await (await vault.beginDeleteSecret("a", { intervalInMs: 20 })).pollUntilDone();
    await vault.getDeletedSecret("a");
    await vault.purgeDeletedSecret("a");
    await vault.restoreSecretBackup(backup);
    const { value } = await vault.getSecret("a");
    return { names, versions, deleted, value };
  },

  errors: async () => ({
    unknown: await codeOf(() => vault.getSecret("a")),
    version: await codeOf(() => vault.getSecret("a", { version: "latest" })),
    backup: await codeOf(() => vault.restoreSecretBackup(new Uint8Array(4728))),
  }),
};

console.log(JSON.stringify(await courses[process.argv[2]]()));
