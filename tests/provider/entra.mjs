// What an Azure workspace has beside its own provider: signposts to Entra, and an Entra that lets
// single-page apps redeem only with an `Origin`.
import { AZURE_APP, TENANT } from './shapes.mjs';
import { openid, publicClient } from './openid.mjs';

export const MOUNT = `/login.microsoftonline.com/${TENANT}`;
const CLIENT = '6128a518-99a9-425b-8333-4cc94f04cacd';
const ROUTES = {
  authorization: '/oauth2/v2.0/authorize',
  token: '/oauth2/v2.0/token',
  revocation: '/oauth2/v2.0/revoke',
  jwks: '/discovery/v2.0/keys',
};

const SPA = {
  error: 'invalid_request',
  error_description: "AADSTS9002327: Tokens issued for the 'Single-Page Application' client-type may only be "
    + 'redeemed via cross-origin requests.',
};

/// Entra, for the tenant that this workspace belongs to.
export function entra({ url, jwk, state, interaction }) {
  const provider = openid({
    issuer: `${url}${MOUNT}`,
    routes: ROUTES,
    clients: [publicClient(CLIENT)],
    audience: AZURE_APP,
    api: `${AZURE_APP}/user_impersonation`,
    jwk,
    state,
    interaction,
  });
  provider.use(async (ctx, next) => {
    const redeems = ctx.method === 'POST' && ctx.path === ROUTES.token;
    if (!redeems || !state.settings.spa || ctx.get('origin')) return next();
    state.counters.origin_missing += 1;
    Object.assign(ctx, { status: 400, body: SPA });
  });
  return provider;
}

/// Where the workspace points to, for a path that is a signpost.
export function signpost(url, path) {
  if (path === '/oidc/oauth2/v2.0/authorize') return `${url}${MOUNT}${ROUTES.authorization}`;
  if (path === '/aad/auth') return `${url}/${TENANT}/oauth2/authorize?resource=${AZURE_APP}`;
  return null;
}
