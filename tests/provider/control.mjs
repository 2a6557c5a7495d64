// What a test may read and change while the provider runs: counters and settings, over a port of its own
// and under an unguessable path. GET reads both; POST merges a JSON object into the settings;
// POST with {"reset": true} also sets the counters to zero, with {"clients": […]} adds web apps: see
// `webClient`. Under it, /secrets lists every value that nobody but the agent and the provider should ever
// have seen, for a test to look for elsewhere, /subject?user=U&ttl=S gives a token of somebody else's to
// exchange, and /requests lists what the API of the account was asked since the last reset.
import { setTimeout as pause } from 'node:timers/promises';
import { fail } from './answers.mjs';
import { ANYBODY, subject } from './exchange.mjs';
import { text } from './text.mjs';
import { EXCHANGE } from './tokens.mjs';

/// What each grant is counted as; each also has a `max_inflight_` of its own.
const GRANTS = {
  authorization_code: 'code_exchanges',
  refresh_token: 'refreshes',
  client_credentials: 'client_credentials',
  [EXCHANGE]: 'token_exchanges',
};

const COUNTERS = {
  authorizations: 0,
  ...Object.fromEntries(Object.values(GRANTS).flatMap((name) => [[name, 0], [`max_inflight_${name}`, 0]])),
  refresh_errors: 0,
  grant_errors: 0,
  narrowings: 0,
  origin_missing: 0,
  replays: 0,
  revocations: 0,
  token_requests: 0,
  token_faults: 0,
  max_inflight: 0,
  config_fetches: 0,
  document_fetches: 0,
  api_calls: 0,
  api_refused: 0,
};

export function newState(env) {
  const counters = { ...COUNTERS };
  const settings = {
    access_token_ttl_s: Number(env.ACCESS_TOKEN_TTL_S ?? 3600),
    refresh_token_ttl_s: Number(env.REFRESH_TOKEN_TTL_S ?? 14 * 86400),
    rotate: env.ROTATE !== '0',
    // Whether a refresh may ask for less than was granted.
    narrow: true,
    // Whether Entra asks for an Origin.
    spa: true,
    // Whether only who asks for offline_access gets a refresh token.
    offline_only: false,
    // So many calls of the API are turned down, whatever their token.
    refuse_calls: 0,
    // What becomes of a request for databricks-config, and for a discovery document: see `misbehave`.
    config_answer: env.CONFIG_ANSWER ?? 'json',
    document_answer: env.DOCUMENT_ANSWER ?? 'json',
    // Laid over what databricks-config says; null takes a field away.
    config: {},
    // Time between the provider's decision and its answer: the window in which a kill loses a rotation.
    token_delay_ms: Number(env.TOKEN_DELAY_MS ?? 0),
    // {"status": 503, "body": "…", "content_type": "text/html", "retry_after": "1", "times": 2}, or
    // {"cut": true, "times": 1} to drop the connection after the provider has decided. "echo" makes the
    // answer repeat the whole request, as careless servers do.
    token_fault: null,
    // The API of an account: see account_api.mjs.
    passwords: false,
    admin: true,
    enrollment: false,
    app_answer: 'json',
    app_delay_ms: 0,
  };
  const secrets = new Set();
  // The challenges of those who asked for offline_access.
  const offline = new Set();
  const callers = {};
  const requests = [];
  const inflight = {};
  const enter = (name) => {
    inflight[name] = (inflight[name] ?? 0) + 1;
    counters[name] = Math.max(counters[name], inflight[name]);
  };

  return {
    counters,
    settings,
    secrets,
    offline,
    callers,
    requests,
    granted(grant) {
      counters[GRANTS[grant]] += 1;
    },
    refused(grant, error) {
      counters[grant === 'refresh_token' ? 'refresh_errors' : 'grant_errors'] += 1;
      if (error.error_detail === 'refresh token already used') counters.replays += 1;
    },
    called(user) {
      callers[user] = (callers[user] ?? 0) + 1;
    },
    async exchange(ctx, next) {
      const form = await text(ctx.req);
      const fields = new URLSearchParams(form);
      const grant = fields.get('grant_type');
      if (grant === EXCHANGE && !fields.has('client_id')) fields.set('client_id', ANYBODY);
      ctx.req.body = fields.toString();
      const levels = ['max_inflight', ...(GRANTS[grant] ? [`max_inflight_${GRANTS[grant]}`] : [])];
      counters.token_requests += 1;
      levels.forEach(enter);
      try {
        const fault = this.takeFault() ?? this.narrowed(grant, fields);
        if (fault && !fault.cut) return fail(ctx, fault, form);
        await next();
        this.keep(ctx);
        if (settings.token_delay_ms > 0) await pause(settings.token_delay_ms);
        if (fault?.cut) ctx.req.socket.destroy();
      } finally {
        levels.forEach((name) => { inflight[name] -= 1; });
      }
    },
    narrowed(grant, fields) {
      if (grant !== 'refresh_token' || !fields.has('scope')) return null;
      counters.narrowings += 1;
      const body = '{"error":"invalid_scope","error_description":"a refresh may not change the scope"}';
      return settings.narrow ? null : { status: 400, content_type: 'application/json', body };
    },
    keep(ctx) {
      const { code, code_verifier: verifier, refresh_token: spent, client_secret: secret, subject_token: other } =
        ctx.oidc?.params ?? {};
      const { refresh_token: fresh, id_token: identity } = ctx.body ?? {};
      for (const one of [code, verifier, spent, fresh, identity, secret, other]) if (one) secrets.add(one);
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

/// `register` makes a client known to the provider.
export function control(state, path, audience, register) {
  return async (req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://control');
    if (pathname === `${path}/secrets`) return res.end(JSON.stringify([...state.secrets]));
    if (pathname === `${path}/requests`) return res.end(JSON.stringify(state.requests));
    if (pathname === `${path}/subject`) {
      const token = await subject(searchParams.get('user'), audience, Number(searchParams.get('ttl') ?? 3600));
      state.secrets.add(token);
      return res.end(token);
    }
    if (pathname !== path) return res.writeHead(404).end();
    if (req.method === 'POST') {
      try {
        const { clients = [], ...changes } = JSON.parse(await text(req));
        apply(state, changes);
        for (const client of clients) {
          if (client.client_secret) state.secrets.add(client.client_secret);
          await register(client);
        }
      } catch (error) {
        return res.writeHead(400).end(String(error));
      }
    }
    res.setHeader('content-type', 'application/json');
    const { counters, settings, callers } = state;
    return res.end(JSON.stringify({ counters, settings, callers }));
  };
}

function apply(state, { reset, ...changes }) {
  const unknown = Object.keys(changes).filter((name) => !(name in state.settings));
  if (unknown.length > 0) throw new TypeError(`no such setting: ${unknown}`);
  Object.assign(state.settings, changes);
  if (!reset) return;
  Object.assign(state.counters, COUNTERS);
  state.requests.length = 0;
  for (const user of Object.keys(state.callers)) delete state.callers[user];
}
