// The certified OpenID provider, mounted where a Databricks workspace has its own, with a stand-in for
// that workspace beside it: one origin, a port of the system's choice. Prints one line of JSON,
// {"url": …, "control": …}, and ends when stdin does, so that no test can leave one behind.
//
// What it does is the package's own; here is only configuration, the sign-in page and the counting.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { control, newState } from './control.mjs';
import { signIn } from './signin.mjs';
import { workspace } from './workspace.mjs';

const CLIENT = 'databricks-cli';
const API_SCOPES = 'all-apis clusters sql';
const OPENID_SCOPES = 'openid offline_access email profile';

const state = newState(process.env);
const server = createServer();
await listening(server);
const url = `http://127.0.0.1:${server.address().port}`;
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(`${url}/oidc`, {
  clients: [{
    client_id: CLIENT,
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    // Databricks registers these for its own client, without a path, and matches them literally.
    redirect_uris: Array.from({ length: 21 }, (_, index) => `http://localhost:${8020 + index}`),
  }],
  routes: {
    authorization: '/v1/authorize',
    token: '/v1/token',
    revocation: '/v1/revoke',
    jwks: '/jwks.json',
  },
  scopes: `${OPENID_SCOPES} ${API_SCOPES}`.split(' '),
  responseTypes: ['code'],
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => url,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: API_SCOPES,
        audience: url,
        accessTokenFormat: 'jwt',
        accessTokenTTL: state.settings.access_token_ttl_s,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  ttl: {
    RefreshToken: () => state.settings.refresh_token_ttl_s,
    AuthorizationCode: 60,
    Grant: 14 * 86400,
    Interaction: 600,
    Session: 86400,
    IdToken: 3600,
  },
  rotateRefreshToken: () => state.settings.rotate,
  issueRefreshToken: () => true,
  expiresWithSession: () => false,
  findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  interactions: { url: (_ctx, interaction) => `/oidc/interaction/${interaction.uid}` },
  loadExistingGrant: consentToAll,
});

/// Signing in is consent enough: the workspace's own client asks no second question.
async function consentToAll(ctx) {
  const known = ctx.oidc.session.grantIdFor(ctx.oidc.client.clientId);
  if (known) return provider.Grant.find(known);
  const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
  grant.addOIDCScope(`${OPENID_SCOPES} ${API_SCOPES}`);
  grant.addResourceScope(url, API_SCOPES);
  await grant.save();
  return grant;
}

provider.on('authorization.success', () => { state.counters.authorizations += 1; });
provider.on('grant.success', (ctx) => state.granted(ctx.oidc.params.grant_type));
provider.on('grant.error', (ctx, error) => state.refused(ctx.oidc?.params?.grant_type, error));
provider.use(async (ctx, next) => {
  if (ctx.method === 'POST' && ctx.path === '/v1/token') await state.exchange(ctx, next);
  else await next();
  if (ctx.path === '/v1/revoke' && ctx.status === 200) state.counters.revocations += 1;
});

const page = signIn(provider);
const api = workspace({ url, key: publicKey, issuer: `${url}/oidc`, counters: state.counters });
const oidc = provider.callback();

server.on('request', (req, res) => {
  const { pathname } = new URL(req.url, url);
  if (pathname.startsWith('/oidc/interaction/')) return page(req, res);
  if (!pathname.startsWith('/oidc/')) return api(req, res, pathname);
  req.originalUrl = req.url;
  req.url = req.url.slice('/oidc'.length);
  return oidc(req, res);
});

const secret = randomBytes(16).toString('hex');
const controls = createServer(control(state, `/${secret}`));
await listening(controls);

// Only the address goes to stdout: nobody may be reading it after that.
console.info = console.warn;
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
process.stdout.write(`${JSON.stringify({ url, control: `http://127.0.0.1:${controls.address().port}/${secret}` })}\n`);

function listening(httpServer) {
  return new Promise((resolve, reject) => {
    httpServer.once('error', reject).listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve);
  });
}
