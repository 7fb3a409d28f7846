// @azure/identity for Node, unmodified: one credential per run. The answer is the last line, as JSON.
//   node azure_identity_client.mjs FLOW
// The environment has the simulator's addresses and, for some flows, what the flow needs.

import { createRequire } from "node:module";

const env = process.env;
const require = createRequire(`${env.NODE_PACKAGES}/`);
const identity = require("@azure/identity");

const options = { authorityHost: env.AUTHORITY_HOST, disableInstanceDiscovery: true };
const scopes = (env.SCOPES ?? "").split(" ");

const credentials = {
  "client-secret": () =>
    new identity.ClientSecretCredential(env.TENANT, env.CLIENT_ID, env.CLIENT_SECRET, options),

  "client-certificate": () =>
    new identity.ClientCertificateCredential(
      env.TENANT,
      env.CLIENT_ID,
      { certificatePath: env.CERTIFICATE_FILE },
      options,
    ),

  "client-assertion": () =>
    new identity.ClientAssertionCredential(env.TENANT, env.CLIENT_ID, async () => env.ASSERTION, options),

  environment: () => new identity.EnvironmentCredential(options),

  code: () =>
    new identity.AuthorizationCodeCredential(
      env.TENANT,
      env.CLIENT_ID,
      env.CLIENT_SECRET,
      env.CODE,
      env.REDIRECT_URI,
      options,
    ),

  "device-code": () =>
    new identity.DeviceCodeCredential({
      ...options,
      tenantId: env.TENANT,
      clientId: env.CLIENT_ID,
      userPromptCallback: (code) =>
        console.log(JSON.stringify({ verification_uri: code.verificationUri, user_code: code.userCode })),
    }),

  password: () =>
    new identity.UsernamePasswordCredential(env.TENANT, env.CLIENT_ID, env.USERNAME, "not-it", options),

  "on-behalf-of": () =>
    new identity.OnBehalfOfCredential({
      ...options,
      tenantId: env.TENANT,
      clientId: env.CLIENT_ID,
      clientSecret: env.CLIENT_SECRET,
      userAssertionToken: env.ASSERTION,
    }),

  "managed-identity": () => new identity.ManagedIdentityCredential({ clientId: env.IDENTITY_CLIENT_ID }),
};

try {
  const token = await credentials[process.argv[2]]().getToken(scopes);
  const lasts = Math.round((token.expiresOnTimestamp - Date.now()) / 1000);
  console.log(JSON.stringify({ access_token: token.token, lasts }));
} catch (error) {
  console.log(JSON.stringify({ error: error.name, message: error.message }));
}
