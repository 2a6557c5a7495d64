// What a test may read and change while the provider runs: counters and settings, over a port of its own
// and under an unguessable path. GET reads both; POST merges a JSON object into the settings;
// POST with {"reset": true} also sets the counters to zero. Under it, /secrets lists every value that
// nobody but the agent and the provider should ever have seen, for a test to look for elsewhere.
import { setTimeout as pause } from 'node:timers/promises';

const COUNTERS = {
  authorizations: 0,
  code_exchanges: 0,
  refreshes: 0,
  refresh_errors: 0,
  replays: 0,
  revocations: 0,
  token_requests: 0,
  token_faults: 0,
  max_inflight: 0,
  api_calls: 0,
  api_refused: 0,
};

export function newState(env) {
  const counters = { ...COUNTERS };
  const settings = {
    access_token_ttl_s: Number(env.ACCESS_TOKEN_TTL_S ?? 3600),
    refresh_token_ttl_s: Number(env.REFRESH_TOKEN_TTL_S ?? 14 * 86400),
    rotate: env.ROTATE !== '0',
    // Time between the provider's decision and its answer: the window in which a kill loses a rotation.
    token_delay_ms: Number(env.TOKEN_DELAY_MS ?? 0),
    // {"status": 503, "body": "…", "content_type": "text/html", "retry_after": "1", "times": 2}, or
    // {"cut": true, "times": 1} to drop the connection after the provider has decided. "echo" makes the
    // answer repeat the whole request, as careless servers do.
    token_fault: null,
  };
  const secrets = new Set();
  let inflight = 0;

  return {
    counters,
    settings,
    secrets,
    granted(grant) {
      if (grant === 'refresh_token') counters.refreshes += 1;
      else counters.code_exchanges += 1;
    },
    refused(grant, error) {
      if (grant === 'refresh_token') counters.refresh_errors += 1;
      if (error.error_detail === 'refresh token already used') counters.replays += 1;
    },
    async exchange(ctx, next) {
      counters.token_requests += 1;
      inflight += 1;
      counters.max_inflight = Math.max(counters.max_inflight, inflight);
      try {
        const fault = this.takeFault();
        if (fault && !fault.cut) return await answer(ctx, fault);
        await next();
        this.keep(ctx);
        if (settings.token_delay_ms > 0) await pause(settings.token_delay_ms);
        if (fault?.cut) ctx.req.socket.destroy();
      } finally {
        inflight -= 1;
      }
    },
    keep(ctx) {
      const { code, code_verifier: verifier, refresh_token: spent } = ctx.oidc?.params ?? {};
      const { refresh_token: fresh, id_token: identity } = ctx.body ?? {};
      for (const secret of [code, verifier, spent, fresh, identity]) if (secret) secrets.add(secret);
    },
    takeFault() {
      const fault = settings.token_fault;
      if (!fault) return null;
      counters.token_faults += 1;
      fault.times = (fault.times ?? Infinity) - 1;
      if (fault.times <= 0) settings.token_fault = null;
      return fault;
    },
  };
}

async function answer(ctx, fault) {
  ctx.status = fault.status ?? 503;
  if (fault.retry_after) ctx.set('Retry-After', fault.retry_after);
  ctx.body = fault.echo ? (fault.body ?? '').replace('ECHO', await text(ctx.req)) : fault.body ?? 'out of order';
  ctx.type = fault.content_type ?? 'text/plain';
}

export function control(state, path) {
  return async (req, res) => {
    if (req.url === `${path}/secrets`) return res.end(JSON.stringify([...state.secrets]));
    if (req.url !== path) return res.writeHead(404).end();
    if (req.method === 'POST') {
      try {
        apply(state, JSON.parse(await text(req)));
      } catch (error) {
        return res.writeHead(400).end(String(error));
      }
    }
    res.setHeader('content-type', 'application/json');
    return res.end(JSON.stringify({ counters: state.counters, settings: state.settings }));
  };
}

function apply(state, { reset, ...changes }) {
  const unknown = Object.keys(changes).filter((name) => !(name in state.settings));
  if (unknown.length > 0) throw new TypeError(`no such setting: ${unknown}`);
  Object.assign(state.settings, changes);
  if (reset) Object.assign(state.counters, COUNTERS);
}

export async function text(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
