// MSAL for Node, unmodified: one flow per run. The answer is the last line, as JSON.
//   node msal_node_client.mjs FLOW
// The environment has the simulator's addresses and, for some flows, what the flow needs.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const env = process.env;
const require = createRequire(`${env.NODE_PACKAGES}/`);
const msal = require("@azure/msal-node");

const authority = `${env.AUTHORITY_HOST}/${env.TENANT}`;
const application = { clientId: env.CLIENT_ID, authority, knownAuthorities: [new URL(authority).host] };
const scopes = (env.SCOPES ?? "").split(" ");

const confidential = (credential = { clientSecret: env.CLIENT_SECRET }) =>
  new msal.ConfidentialClientApplication({ auth: { ...application, ...credential } });
const anonymous = () => new msal.PublicClientApplication({ auth: application });

const flows = {
  "client-secret": () => confidential().acquireTokenByClientCredential({ scopes }),

  "client-certificate": () => {
    const clientCertificate = {
      thumbprintSha256: env.THUMBPRINT_SHA256,
      privateKey: readFileSync(env.PRIVATE_KEY_FILE, "utf8"),
    };
    return confidential({ clientCertificate }).acquireTokenByClientCredential({ scopes });
  },

  "client-assertion": () =>
    confidential({ clientAssertion: env.ASSERTION }).acquireTokenByClientCredential({ scopes }),

  "code-link": async () => {
    const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
    const proof = env.PKCE === "yes" ? { codeChallenge: challenge, codeChallengeMethod: "S256" } : {};
    const url = await confidential().getAuthCodeUrl({ scopes, redirectUri: env.REDIRECT_URI, ...proof });
    return { url, verifier: env.PKCE === "yes" ? verifier : null };
  },

  code: () =>
    confidential().acquireTokenByCode({
      scopes,
      code: env.CODE,
      redirectUri: env.REDIRECT_URI,
      codeVerifier: env.VERIFIER || undefined,
    }),

  "code-and-silent": async () => {
    const client = confidential();
    const { account } = await client.acquireTokenByCode({
      scopes,
      code: env.CODE,
      redirectUri: env.REDIRECT_URI,
      codeVerifier: env.VERIFIER || undefined,
    });
    return client.acquireTokenSilent({ scopes, account, forceRefresh: true });
  },

  refresh: () => confidential().acquireTokenByRefreshToken({ scopes, refreshToken: env.REFRESH_TOKEN }),

  "device-code": () =>
    anonymous().acquireTokenByDeviceCode({
      scopes,
      deviceCodeCallback: (code) =>
        console.log(JSON.stringify({ verification_uri: code.verificationUri, user_code: code.userCode })),
    }),

  password: () =>
    anonymous().acquireTokenByUsernamePassword({ scopes, username: env.USERNAME, password: "not-it" }),

  "on-behalf-of": () =>
    confidential().acquireTokenOnBehalfOf({ scopes, oboAssertion: env.ASSERTION }),

  "managed-identity": () =>
    new msal.ManagedIdentityApplication({
      managedIdentityIdParams: { userAssignedClientId: env.IDENTITY_CLIENT_ID },
    }).acquireToken({ resource: env.RESOURCE }),
};

function answer(result) {
  const address = result.account?.username;
  return result.accessToken
    ? { access_token: result.accessToken, scopes: result.scopes, address }
    : result;
}

try {
  console.log(JSON.stringify(answer(await flows[process.argv[2]]())));
} catch (error) {
  const { errorCode, errorNo, errorMessage, message } = error;
  console.log(JSON.stringify({ error: errorCode ?? error.name, number: errorNo, message: errorMessage ?? message }));
}
