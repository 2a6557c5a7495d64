// A stand-in for the workspace: discovery and three API calls, for tokens of this provider alone that
// have not expired, to the second.
import { jwtVerify } from 'jose';

const CLUSTERS = ['shared-autoscaling', 'nightly-jobs'].map((name, index) => ({
  cluster_id: `1123-${index}-abcdefgh`,
  cluster_name: name,
  state: index === 0 ? 'RUNNING' : 'TERMINATED',
  spark_version: '17.3.x-scala2.13',
}));

export function workspace({ url, key, issuer, counters }) {
  const config = {
    oidc_endpoint: issuer,
    workspace_id: '4242424242424242',
    account_id: '00000000-0000-0000-0000-000000000042',
    cloud: 'AWS',
    host_type: 'workspace',
    token_federation_default_oidc_audiences: [`${issuer}/v1/token`],
  };
  const calls = {
    '/api/2.0/clusters/list': () => ({ clusters: CLUSTERS }),
    '/api/2.1/clusters/list': () => ({ clusters: CLUSTERS }),
    '/api/2.0/preview/scim/v2/Me': (claims) => ({ id: '7', userName: claims.sub, active: true }),
  };

  return async (req, res, path) => {
    if (path === '/.well-known/databricks-config') return reply(res, 200, config);
    const call = calls[path];
    if (!call || req.method !== 'GET') {
      return reply(res, 404, { error_code: 'ENDPOINT_NOT_FOUND', message: `No API found for '${req.method} ${path}'` });
    }
    counters.api_calls += 1;
    try {
      const token = /^Bearer (\S+)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
      const { payload } = await jwtVerify(token, key, { issuer, audience: url, requiredClaims: ['exp', 'sub'] });
      return reply(res, 200, call(payload));
    } catch (error) {
      counters.api_refused += 1;
      return reply(res, 401, { error_code: 'UNAUTHENTICATED', message: error.code ?? 'invalid token' });
    }
  };
}

function reply(res, status, body) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}
