// The certified OpenID provider as this project needs it: what it does is the package's own; here is only
// configuration and the counting.
import { randomBytes } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { EXCHANGE, resourceServer } from './tokens.mjs';

const OPENID_SCOPES = 'openid offline_access email profile';

// Databricks registers these for its own client, without a path, and matches them literally.
const PORTS = Array.from({ length: 21 }, (_, index) => `http://localhost:${8020 + index}`);

/// An app that a person signs in with.
export function publicClient(client_id) {
  return {
    client_id,
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: PORTS,
  };
}

/// How a client may show its secret; what is first counts where the client does not say.
const AUTH_METHODS = process.env.CLIENT_AUTH?.split(' ') ?? ['client_secret_post', 'client_secret_basic'];

/// A web app, which has its own redirect addresses, and a secret if it is a confidential one.
export function webClient({ client_id, client_secret, redirect_uris, method = AUTH_METHODS[0] }) {
  const own = client_secret && { client_secret, token_endpoint_auth_method: method };
  return { ...publicClient(client_id), redirect_uris, ...own };
}

/// A service principal, with a secret or with tokens of somebody else's.
export function machineClient(client_id, client_secret) {
  return {
    client_id,
    client_secret,
    token_endpoint_auth_method: client_secret ? 'client_secret_basic' : 'none',
    grant_types: client_secret ? ['client_credentials'] : [EXCHANGE],
    response_types: [],
    redirect_uris: [],
  };
}

/// A provider at `issuer`, whose tokens are for `audience` and know the scopes `api`. The package wants an
/// address for what it calls a resource, which Entra's audience is not.
export function openid({ issuer, routes, clients, audience, api, jwk, state, interaction }) {
  const resource = URL.canParse(audience) ? audience : `api://${audience}`;
  const provider = new Provider(issuer, {
    clients,
    routes,
    scopes: `${OPENID_SCOPES} ${api}`.split(' '),
    responseTypes: ['code'],
    clientAuthMethods: ['none', ...AUTH_METHODS],
    clientBasedCORS: () => true,
    jwks: { keys: [jwk] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => resourceServer(audience, api, state),
      },
    },
    ttl: {
      RefreshToken: () => state.settings.refresh_token_ttl_s,
      ClientCredentials: () => state.settings.access_token_ttl_s,
      AuthorizationCode: 60,
      Grant: 14 * 86400,
      Interaction: 600,
      Session: 86400,
      IdToken: 3600,
    },
    rotateRefreshToken: () => state.settings.rotate,
    issueRefreshToken: (_ctx, _client, { codeChallenge }) => !state.settings.offline_only || state.offline.has(codeChallenge),
    expiresWithSession: () => false,
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_ctx, { uid }) => `${interaction}${uid}` },
    loadExistingGrant: consentToAll,
  });

  /// Signing in is consent enough: the workspace's own client asks no second question.
  async function consentToAll({ oidc: { client: { clientId }, session } }) {
    // One that was revoked is still known by its number.
    const number = session.grantIdFor(clientId);
    const known = number && await provider.Grant.find(number);
    if (known) return known;
    const grant = new provider.Grant({ clientId, accountId: session.accountId });
    grant.addOIDCScope(`${OPENID_SCOPES} ${api}`);
    grant.addResourceScope(resource, api);
    await grant.save();
    return grant;
  }

  provider.on('authorization.success', () => { state.counters.authorizations += 1; });
  provider.on('grant.success', (ctx) => state.granted(ctx.oidc.params.grant_type));
  provider.on('grant.error', (ctx, error) => state.refused(ctx.oidc?.params?.grant_type, error));
  provider.use(async (ctx, next) => {
    // The package forgets the scope where nobody is asked for consent, as nobody is here.
    const { scope, code_challenge: challenge } = ctx.query;
    if (scope?.includes('offline_access')) state.offline.add(challenge);
    if (ctx.method === 'POST' && ctx.path === routes.token) await state.exchange(ctx, next);
    else await next();
    if (ctx.path === routes.revocation && ctx.status === 200) state.counters.revocations += 1;
  });
  return provider;
}
