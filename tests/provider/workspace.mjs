// A stand-in for the host itself: what it says of itself, and a few API calls, for tokens of its own
// providers that have not expired, to the second.
import { jwtVerify } from 'jose';
import { ROOT, accountApi } from './account_api.mjs';
import { misbehave, reply } from './answers.mjs';
import { subject } from './exchange.mjs';
import { ACCOUNT } from './shapes.mjs';

const CLUSTERS = ['shared-autoscaling', 'nightly-jobs'].map((name, index) => ({
  cluster_id: `1123-${index}-abcdefgh`,
  cluster_name: name,
  state: index === 0 ? 'RUNNING' : 'TERMINATED',
  spark_version: '17.3.x-scala2.13',
}));
const WORKSPACES = [{ workspace_id: 4242424242424242, workspace_name: 'main', account_id: ACCOUNT, workspace_status: 'RUNNING' }];
/// What a build server gives to its jobs, so that they may ask it who they are.
const RUNNER = 'bearer runner-token';

const me = ({ sub }) => ({ id: '7', userName: sub, active: true });
const CALLS = {
  '/api/2.0/clusters/list': () => ({ clusters: CLUSTERS }),
  '/api/2.1/clusters/list': () => ({ clusters: CLUSTERS }),
  '/api/2.0/preview/scim/v2/Me': me,
  [`/api/2.0/accounts/${ACCOUNT}/scim/v2/Me`]: me,
  [`/api/2.0/accounts/${ACCOUNT}/workspaces`]: () => WORKSPACES,
};

/// `shape` says what it is; `accepts` whose tokens it takes: `issuer`, `audience` and `key`; `register` makes an
/// app of the account one that people can sign in with.
export function workspace({ url, shape, accepts: { key, ...claims }, state, register }) {
  const { counters, settings } = state;
  const verified = async (authorization) => {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? '';
    return (await jwtVerify(token, key, { ...claims, requiredClaims: ['exp', 'sub'] })).payload;
  };
  const account = accountApi({ state, register, identify: async (authorization) => (await verified(authorization)).sub });
  return async (req, res, path) => {
    if (path === '/.well-known/databricks-config') {
      counters.config_fetches += 1;
      return misbehave(res, settings.config_answer) || reply(res, 200, without(null, { ...shape.config, ...settings.config }));
    }
    if (path === '/github-oidc' && req.headers.authorization?.toLowerCase() === RUNNER) {
      const audience = new URL(req.url, url).searchParams.get('audience') ?? shape.audiences[0];
      return reply(res, 200, { value: await subject('repo:octo/app', audience, 600) });
    }
    if (shape.config.host_type !== 'workspace' && path.startsWith(ROOT)) return account(req, res);
    const call = CALLS[path];
    if (!call || req.method !== 'GET') {
      return reply(res, 404, { error_code: 'ENDPOINT_NOT_FOUND', message: `No API found for '${req.method} ${path}'` });
    }
    counters.api_calls += 1;
    try {
      if (settings.refuse_calls > 0) {
        settings.refuse_calls -= 1;
        throw new Error('refused as a test wants it');
      }
      const payload = await verified(req.headers.authorization);
      state.called(payload.sub);
      return reply(res, 200, call(payload));
    } catch (error) {
      counters.api_refused += 1;
      return reply(res, 401, { error_code: 'UNAUTHENTICATED', message: error.code ?? 'invalid token' });
    }
  };
}

function without(value, object) {
  return Object.fromEntries(Object.entries(object).filter(([, found]) => found !== value));
}
