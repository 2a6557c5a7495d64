// A stand-in for the API of an account: custom OAuth apps, published ones, and the enrolment of old.
//
// It is as strict as it can be: a field that the API does not have, a value of another type, a lifetime out of
// range or a page token that it did not give is refused. It writes down every request, as it came, so that two
// clients can be compared. Settings (see control.mjs): `passwords` takes admin@example.com with "password",
// `admin` says whether callers are account admins, `enrollment` brings enrolment back, `app_answer: "lost"`
// drops the connection once an app has been created, and `app_delay_ms` is the time between that and the answer.
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { reply } from './answers.mjs';
import { ACCOUNT } from './shapes.mjs';
import { text } from './text.mjs';

export const ROOT = `/api/2.0/accounts/${ACCOUNT}/oauth2/`;

const ADMIN = `Basic ${Buffer.from('admin@example.com:password').toString('base64')}`;
const PUBLISHED = ['power-bi', 'tableau-deskop', 'databricks-dbt-adapter'].map((app_id, index) => ({
  app_id,
  client_id: `published-${index}`,
  description: `What ${app_id} signs in with`,
  is_confidential_client: false,
  name: app_id.replaceAll('-', ' '),
  redirect_urls: ['http://localhost'],
  scopes: ['all-apis', 'offline_access'],
}));

const list = (value) => Array.isArray(value) && value.every((one) => typeof one === 'string');
const minutes = (most) => (value) => Number.isInteger(value) && value >= 5 && value <= most;
const POLICY = {
  access_token_ttl_in_minutes: minutes(1440),
  refresh_token_ttl_in_minutes: minutes(129600),
  absolute_session_lifetime_in_minutes: (value) => Number.isInteger(value) && value > 0,
  enable_single_use_refresh_tokens: (value) => typeof value === 'boolean',
};
const policy = (value) => value !== null && typeof value === 'object' && !Array.isArray(value) && fits(value, POLICY) === null;
const CHANGES = { redirect_urls: list, scopes: list, user_authorized_scopes: list, token_access_policy: policy };
const CREATE = { ...CHANGES, name: (value) => typeof value === 'string' && value !== '', confidential: (value) => typeof value === 'boolean' };
const PUBLISH = { app_id: (value) => PUBLISHED.some((app) => app.app_id === value), token_access_policy: policy };

/// Why a body is not one that the API takes, if it is not.
function fits(body, fields) {
  for (const [name, value] of Object.entries(body)) {
    if (!fields[name]) return `unknown field ${name}`;
    if (!fields[name](value)) return `${name} is not valid`;
  }
  const { scopes, user_authorized_scopes: authorized } = body;
  if (authorized && scopes && authorized.some((scope) => !scopes.includes(scope))) return 'user_authorized_scopes must be a subset of scopes';
  return null;
}

class Refusal extends Error {
  constructor(status, error_code, message) {
    super(message);
    Object.assign(this, { status, error_code });
  }
}
const invalid = (message) => new Refusal(400, 'INVALID_PARAMETER_VALUE', message);

/// `identify` says who a bearer token is of; `register` makes an app one that people can sign in with.
export function accountApi({ state, identify, register }) {
  const custom = new Map();
  const published = new Map();
  const { settings } = state;

  async function caller(authorization) {
    if (settings.passwords && authorization === ADMIN) return 'admin@example.com';
    if (authorization.startsWith('Basic ')) {
      throw new Refusal(401, 'UNAUTHENTICATED', 'Basic authentication with a password has reached its end of life');
    }
    const user = await identify(authorization).catch(() => {
      throw new Refusal(401, 'UNAUTHENTICATED', 'invalid token');
    });
    if (!settings.admin) throw new Refusal(403, 'PERMISSION_DENIED', `${user} is not an account admin`);
    return user;
  }

  function checked(body, fields, required) {
    const why = body === null || typeof body !== 'object' ? 'the body is no object' : fits(body, fields);
    const missing = required.find((name) => !(name in (body ?? {})));
    if (why || missing) throw invalid(why ?? `${missing} is required`);
    return body;
  }

  function created(body, user) {
    const { name, redirect_urls, confidential = false, scopes = ['all-apis'], ...rest } = checked(body, CREATE, ['name', 'redirect_urls']);
    const app = {
      integration_id: randomUUID(), client_id: randomUUID(), name, redirect_urls, confidential, scopes, ...rest,
      create_time: new Date().toISOString(), created_by: 7, creator_username: user,
    };
    const secret = confidential ? `dose${randomBytes(16).toString('hex')}` : undefined;
    custom.set(app.integration_id, app);
    register(app, secret);
    if (secret) state.secrets.add(secret);
    return { integration_id: app.integration_id, client_id: app.client_id, client_secret: secret };
  }

  function enabled(body) {
    const { app_id, token_access_policy } = checked(body, PUBLISH, ['app_id']);
    if ([...published.values()].some((one) => one.app_id === app_id)) throw new Refusal(409, 'ALREADY_EXISTS', `${app_id} is enabled already`);
    const integration_id = randomUUID();
    const { name } = PUBLISHED.find((app) => app.app_id === app_id);
    published.set(integration_id, { app_id, create_time: new Date().toISOString(), created_by: 7, integration_id, name, token_access_policy });
    return { integration_id };
  }

  function enrollment(method, body) {
    if (!settings.enrollment) throw new Refusal(404, 'ENDPOINT_NOT_FOUND', 'No API found for \'/oauth2/enrollment\'');
    if (method === 'GET') return { is_enabled: true };
    checked(body, { enable_all_published_apps: (value) => typeof value === 'boolean' }, []);
    return null;
  }

  /// What a request is answered with; nothing for 204.
  function answer({ method, body, query }, [kind, id, ...more], user) {
    const things = { 'custom-app-integrations': custom, 'published-app-integrations': published }[kind];
    if (more.length > 0) throw new Refusal(404, 'ENDPOINT_NOT_FOUND', 'No API found');
    if (kind === 'enrollment' && !id && ['GET', 'POST'].includes(method)) return enrollment(method, body);
    if (kind === 'published-apps' && !id && method === 'GET') return page(PUBLISHED, query);
    if (!things) throw new Refusal(404, 'ENDPOINT_NOT_FOUND', 'No API found');
    if (!id && method === 'GET') return page([...things.values()], query, things === custom);
    if (!id && method === 'POST') return things === custom ? created(body, user) : enabled(body);
    const thing = things.get(id);
    if (!thing) throw new Refusal(404, 'NOT_FOUND', `OAuth app integration ${id} does not exist`);
    if (method === 'GET') return thing;
    if (method === 'DELETE') things.delete(id);
    else if (method === 'PATCH') Object.assign(thing, checked(body, things === custom ? CHANGES : { token_access_policy: policy }, []));
    else throw new Refusal(404, 'ENDPOINT_NOT_FOUND', `No API found for ${method}`);
    return {};
  }

  return async (req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://account');
    const raw = await text(req);
    const authorization = req.headers.authorization ?? '';
    const request = {
      method: req.method,
      path: pathname,
      query: [...searchParams],
      body: raw === '' ? null : JSON.parse(raw),
      scheme: authorization.split(' ')[0],
      accept: req.headers.accept,
      content_type: req.headers['content-type'] ?? null,
    };
    state.requests.push(request);
    try {
      const user = await caller(authorization);
      const said = answer(request, pathname.slice(ROOT.length).split('/'), user);
      if (said?.client_id && request.method === 'POST') {
        await pause(settings.app_delay_ms);
        if (settings.app_answer === 'lost') return req.socket.destroy();
      }
      if (said === null) return res.writeHead(204).end();
      return reply(res, 200, said);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return reply(res, error.status, { error_code: error.error_code, message: error.message, details: [] });
    }
  };
}

function page(things, query, named = false) {
  const known = named ? ['include_creator_username', 'page_size', 'page_token'] : ['page_size', 'page_token'];
  const unknown = query.find(([name], index) => !known.includes(name) || query.findIndex(([other]) => other === name) !== index);
  if (unknown) throw invalid(`unknown or repeated parameter ${unknown[0]}`);
  const { page_size: size = '100', page_token: token, include_creator_username: creator = 'false' } = Object.fromEntries(query);
  if (!/^[1-9][0-9]{0,3}$/.test(size)) throw invalid('page_size is not valid');
  if (!['true', 'false'].includes(creator)) throw invalid('include_creator_username is not valid');
  const from = token === undefined ? 0 : Number(/^after-(\d+)=$/.exec(token)?.[1] ?? NaN);
  if (Number.isNaN(from)) throw invalid('page_token is not valid');
  const until = from + Number(size);
  const apps = things.slice(from, until).map(({ creator_username, ...thing }) => (named && creator === 'true' ? { ...thing, creator_username } : thing));
  return { apps, ...(until < things.length && { next_page_token: `after-${until}=` }) };
}
