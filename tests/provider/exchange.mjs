// Workload identity: somebody else's token for one of ours (RFC 8693). "Somebody else" is a key of this
// process's own; `subject` is what a build server or a cluster would put into a file.
import { errors } from 'oidc-provider';
import { SignJWT, jwtVerify } from 'jose';
import { keyPair } from './keys.mjs';
import { EXCHANGE, resourceServer } from './tokens.mjs';

/// Stands in for the client that an exchange need not name.
export const ANYBODY = 'federation';

const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const { publicKey, privateKey } = keyPair('ec', { namedCurve: 'P-256' });

/// A token of somebody else's that says who its bearer is.
export function subject(user, audience, ttl_s) {
  const until = Math.floor(Date.now() / 1000) + ttl_s;
  return new SignJWT({}).setProtectedHeader({ alg: 'ES256' }).setIssuer('https://runner.example').setSubject(user)
    .setAudience(audience).setExpirationTime(until).sign(privateKey);
}

/// Teaches a provider the grant.
export function exchanges(provider, { audience, api, audiences, state }) {
  provider.registerGrantType(EXCHANGE, async (ctx) => {
    const { params: { subject_token: token, subject_token_type: type, scope = api }, client } = ctx.oidc;
    if (type !== JWT) throw new errors.InvalidRequest(`subject_token_type must be ${JWT}`);
    const { payload } = await jwtVerify(token, publicKey, { audience: audiences }).catch((error) => {
      throw new errors.InvalidGrant(`subject_token: ${error.message}`);
    });
    // What is exchanged ends with what it was exchanged for.
    const ttl = Math.min(state.settings.access_token_ttl_s, payload.exp - Math.floor(Date.now() / 1000));
    const access = new provider.AccessToken({ accountId: payload.sub, client, gty: 'token_exchange' });
    access.resourceServer = new provider.ResourceServer(audience, resourceServer(audience, api, state, ttl));
    access.scope = scope;
    ctx.body = { access_token: await access.save(), token_type: 'Bearer', expires_in: access.expiration, scope };
  }, ['subject_token', 'subject_token_type', 'scope']);
}
