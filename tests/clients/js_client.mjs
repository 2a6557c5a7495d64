// A program that uses the Databricks SDK for JavaScript as anybody's would. Prints the same line of JSON as
// python_client.py does; NODE_PATH or the working folder says where the SDK is.
import { createRequire } from 'node:module';

const require = createRequire(`${process.cwd()}/`);
const SDK = '@databricks/sdk-experimental';
const { AccountClient, WorkspaceClient } = require(SDK);
const { version } = require(`${SDK}/package.json`);
const { DatabricksCliCredentials } = require(`${SDK}/dist/config/DatabricksCliCredentials.js`);
const { MetadataServiceCredentials } = require(`${SDK}/dist/config/MetadataServiceCredentials.js`);

// The name of an account's host begins with `accounts.`, unless the program says what it is.
const forAccount = process.argv[2] === 'account';
const client = forAccount ? new AccountClient({ experimentalIsUnifiedHost: true }) : new WorkspaceClient({});
const names = [];
if (forAccount) {
  // A list, which this SDK makes an object of.
  for (const { workspace_name: name } of Object.values(await client.workspaces.list())) names.push(name);
} else {
  for await (const cluster of client.clusters.list({})) names.push(cluster.cluster_name);
}
const { config } = client;
const headers = new Headers();
await config.authenticate(headers);
const way = await howItSignedIn();
const { sub } = claimsOf(headers.get('Authorization').replace('Bearer ', ''));
process.stdout.write(`${JSON.stringify({
  client: `sdk-experimental ${version} (JS)`, user: sub, auth_type: way.name, names, ...(await lifetimes(way)),
})}\n`);

/// The SDK says "default" for its chain; the first class of it that gives a token is the one that it used.
async function howItSignedIn() {
  if (config.token) return { name: 'pat' };
  const ways = [
    { name: 'databricks-cli', source: () => new DatabricksCliCredentials().getTokenSource(config) },
    {
      name: 'metadata-service',
      source: () => new MetadataServiceCredentials().getTokenSource(config, new URL(config.metadataServiceUrl)),
    },
  ];
  const asked = process.env.DATABRICKS_AUTH_TYPE;
  for (const one of ways.filter(({ name }) => !asked || asked === name)) {
    try {
      return { name: one.name, token: await one.source()() };
    } catch { /* not this way */ }
  }
  return { name: config.authType };
}

async function lifetimes({ token }) {
  if (!token) return { believed_s: null, true_s: null };
  const now = Date.now() / 1000;
  return { believed_s: token.expiry / 1000 - now, true_s: claimsOf(token.accessToken).exp - now };
}

function claimsOf(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
}
