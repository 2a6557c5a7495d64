// What access tokens here have in common.

/// The grant of token exchange (RFC 8693).
export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/// Whom access tokens are for, and what they look like: JWTs.
export function resourceServer(audience, scope, { settings }, ttl = settings.access_token_ttl_s) {
  return { scope, audience, accessTokenFormat: 'jwt', accessTokenTTL: ttl, jwt: { sign: { alg: 'RS256' } } };
}
