// The certified OpenID provider, mounted where a Databricks host has its own, with a stand-in for that
// host beside it: one origin, a port of the system's choice. Prints one line of JSON,
// {"url": …, "control": …}, and ends when stdin does, so that no test can leave one behind.
//
//   SHAPE         what kind of host it is: workspace (the default), gcp, azure, account or unified
//   CLIENT_AUTH   how a client may show its secret: client_secret_post, client_secret_basic; both by default
//
// The rest can be changed while it runs: see control.mjs.
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { misbehave } from './answers.mjs';
import { control, newState } from './control.mjs';
import { MOUNT, entra, signpost } from './entra.mjs';
import { ANYBODY, exchanges } from './exchange.mjs';
import { keyPair } from './keys.mjs';
import { machineClient, openid, publicClient, webClient } from './openid.mjs';
import { AZURE_APP, shapeOf } from './shapes.mjs';
import { signIn } from './signin.mjs';
import { workspace } from './workspace.mjs';

const API_SCOPES = 'all-apis clusters sql';
const ROUTES = { authorization: '/v1/authorize', token: '/v1/token', revocation: '/v1/revoke', jwks: '/jwks.json' };

const state = newState(process.env);
const server = createServer();
await listening(server);
const url = `http://127.0.0.1:${server.address().port}`;
const shape = shapeOf(process.env.SHAPE ?? 'workspace', url);
const { publicKey, privateKey } = keyPair('rsa', { modulusLength: 2048 });
const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' };

const provider = openid({
  issuer: shape.issuer,
  routes: ROUTES,
  clients: [
    publicClient('databricks-cli'),
    machineClient('sp-client', 'dose-sp-secret'),
    machineClient('sp-federated'),
    machineClient(ANYBODY),
  ],
  audience: url,
  api: API_SCOPES,
  jwk,
  state,
  interaction: '/oidc/interaction/',
});
exchanges(provider, { audience: url, api: API_SCOPES, audiences: shape.audiences, state });

/// Prefixes of paths, and who answers there; the first that fits.
const mounts = [['/oidc/interaction/', signIn(provider)], [`${shape.root}/`, under(shape.root, provider)]];
if (shape.entra) {
  const tenant = entra({ url, jwk, state, interaction: '/microsoft/interaction/' });
  mounts.unshift(['/microsoft/interaction/', signIn(tenant)], [`${MOUNT}/`, under(MOUNT, tenant)]);
}
const host = workspace({
  url,
  shape,
  accepts: { key: publicKey, issuer: [shape.issuer, `${url}${MOUNT}`], audience: [url, AZURE_APP] },
  state,
  register: ({ client_id, redirect_urls }, client_secret) => register({ client_id, client_secret, redirect_uris: redirect_urls }),
});

server.on('request', (req, res) => {
  const { pathname } = new URL(req.url, url);
  const elsewhere = shape.entra && signpost(url, pathname);
  if (elsewhere) return res.writeHead(302, { location: elsewhere }).end();
  if (pathname.includes('/.well-known/o')) {
    state.counters.document_fetches += 1;
    if (misbehave(res, state.settings.document_answer)) return undefined;
  }
  const mount = mounts.find(([prefix]) => pathname.startsWith(prefix));
  return mount ? mount[1](req, res) : host(req, res, pathname);
});

const secret = randomBytes(16).toString('hex');
const register = (client) => provider.Client.adapter.upsert(client.client_id, webClient(client));
const controls = createServer(control(state, `/${secret}`, shape.audiences[0], register));
await listening(controls);

// Only the address goes to stdout: nobody may be reading it after that.
console.info = console.warn;
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
process.stdout.write(`${JSON.stringify({ url, control: `http://127.0.0.1:${controls.address().port}/${secret}` })}\n`);

/// A provider that believes to be alone at its address.
function under(root, inner) {
  const callback = inner.callback();
  return (req, res) => {
    req.originalUrl = req.url;
    req.url = req.url.slice(root.length);
    return callback(req, res);
  };
}

function listening(httpServer) {
  return new Promise((resolve, reject) => {
    httpServer.once('error', reject).listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve);
  });
}
