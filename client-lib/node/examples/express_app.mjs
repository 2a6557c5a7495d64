// A web app in which each user lists clusters as themselves; the refresh tokens stay with sso-agent, and the
// web session has a handle instead.
//
//   npm ci && DATABRICKS_HOST=… SSO_EXAMPLE_CLIENT_ID=… node express_app.mjs
//
//   DATABRICKS_HOST             the workspace
//   SSO_EXAMPLE_CLIENT_ID       of the OAuth app
//   SSO_EXAMPLE_CLIENT_SECRET   if that is a confidential one
//   SSO_EXAMPLE_APP             instead of both: the name of an app that the agent keeps
//   SSO_EXAMPLE_SCOPES          what to ask for; "all-apis offline_access" when not said
//   SSO_EXAMPLE_REDIRECT_URL    as it is registered; http://localhost:PORT/callback when not said
//   PORT                        5000 when not said; 0 for any that is free
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';
import express from 'express';
import session from 'express-session';
import { AgentError, ask } from './agent.mjs';

const { env } = process;
if (!env.DATABRICKS_HOST) throw new Error('set DATABRICKS_HOST to the workspace');
const workspace = new URL(env.DATABRICKS_HOST.includes('://') ? env.DATABRICKS_HOST : `https://${env.DATABRICKS_HOST}`);

const app = express();
const server = app.listen(Number(env.PORT || 5000), '127.0.0.1');
await once(server, 'listening');
const address = `http://localhost:${server.address().port}`;

const client = {
  host: env.DATABRICKS_HOST,
  client_id: env.SSO_EXAMPLE_CLIENT_ID || undefined,
  client_secret: env.SSO_EXAMPLE_CLIENT_SECRET || undefined,
  app: env.SSO_EXAMPLE_APP || undefined,
  redirect_url: env.SSO_EXAMPLE_REDIRECT_URL || `${address}/callback`,
  scopes: (env.SSO_EXAMPLE_SCOPES || 'all-apis offline_access').split(/\s+/).filter(Boolean),
};
const https = client.redirect_url.startsWith('https:');

app.disable('x-powered-by');
app.use((_req, res, next) => {
  res.set({
    'Content-Security-Policy': "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  });
  next();
});
// Kept in memory: a restart of this app signs its users out.
app.use(session({
  name: 'express-demo',
  secret: randomBytes(32).toString('hex'),
  resave: false,
  saveUninitialized: false,
  // With https there is a proxy before this, which has to say so: X-Forwarded-Proto.
  proxy: https,
  cookie: { httpOnly: true, sameSite: 'lax', secure: https },
}));

app.get('/callback', async (req, res) => {
  const { handle } = await ask('consent.finish', { consent: req.session.consent ?? '', params: req.query });
  // Under another id, so that nobody can have planted this one.
  await promisify(req.session.regenerate).call(req.session);
  req.session.handle = handle;
  res.redirect('/');
});

app.get('/', async (req, res) => {
  const { handle } = req.session;
  if (!handle) return signIn(req, res);
  try {
    const { userName } = await databricks(handle, '/api/2.0/preview/scim/v2/Me');
    const { clusters = [] } = await databricks(handle, '/api/2.1/clusters/list');
    return res.send(page(html`<h1>Clusters of ${userName}</h1>
<ul>${clusters.map(({ cluster_name, state }) => html`
<li>${cluster_name} is ${state}</li>`)}
</ul>
<form method="post" action="/logout"><button>Sign out</button></form>`));
  } catch (error) {
    if (error.kind !== 'login_required') throw error;
    // The session is over at the agent: the user signs in again.
    delete req.session.handle;
    return signIn(req, res);
  }
});

app.post('/logout', async (req, res) => {
  const { handle } = req.session;
  if (handle) await ask('consent.end', { handle });
  await promisify(req.session.destroy).call(req.session);
  res.clearCookie('express-demo').redirect('/signed-out');
});

app.get('/signed-out', (_req, res) => {
  res.send(page(html`<h1>Signed out</h1>
<a href="/">Sign in again</a>`));
});

app.use((error, _req, res, _next) => {
  if (error instanceof AgentError) {
    return res.status(error.advice === 'retry' ? 503 : 403).send(page(html`<h1>Sign-in failed</h1>
<p>${error.message}</p>
<p>${error.hint}</p>
<a href="/">Start over</a>`));
  }
  console.error(error.message);
  return res.status(error.status ?? 500).send(page(html`<h1>Something went wrong</h1>
<a href="/">Try again</a>`));
});

console.log(`listening on ${address}`);

async function signIn(req, res) {
  const { authorization_url, consent } = await ask('consent.start', client);
  req.session.consent = consent;
  res.redirect(authorization_url);
}

/// Calls the workspace as the user whose handle it is.
async function databricks(handle, path) {
  const call = ({ access_token }) => fetch(new URL(path, workspace), {
    headers: { authorization: `Bearer ${access_token}` },
    redirect: 'error',
  });
  const token = await ask('token.get', { handle });
  let answer = await call(token);
  // The workspace no longer takes the token, though its time is not up: another one, please.
  if (answer.status === 401) answer = await call(await ask('token.get', { handle, refused: token.token_id }));
  if (!answer.ok) throw new Error(`the workspace answered ${path} with ${answer.status}`);
  return answer.json();
}

function page(body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Clusters</title>
${body}
</html>`;
}

/// HTML in which all that is put in is escaped, unless it is such HTML itself.
function html(texts, ...values) {
  const safe = (value) => [value].flat().map((one) => one?.html ?? escape(one)).join('');
  const text = String.raw({ raw: texts }, ...values.map(safe));
  return { html: text, toString: () => text };
}

function escape(value) {
  return String(value).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
