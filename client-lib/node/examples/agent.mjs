// Asks sso-agent by its http.sock: `await ask('consent.start', { … })`. A failure is an `AgentError`.
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';

const { SSO_AGENT_HTTP_SOCK, XDG_RUNTIME_DIR = '/nowhere' } = process.env;
const socketPath = SSO_AGENT_HTTP_SOCK ?? join(XDG_RUNTIME_DIR, 'sso-agent', 'http.sock');
const PATIENCE_MS = 60_000;

const START_OVER = ['login_required', 'denied', 'cancelled'];
const RETRY = ['issuer_unavailable', 'timeout', 'locked', 'agent_unreachable'];
/// What an issuer says when another sign-in may end better; all else it says of the client.
const ANOTHER_SIGN_IN = [
  'access_denied', 'account_selection_required', 'consent_required', 'interaction_required', 'invalid_grant',
  'login_required', 'server_error', 'temporarily_unavailable',
];

/// `kind` is what went wrong, `hint` what to do next, `advice` the same for a program: to `start_over` with
/// the sign-in, to `retry` the same call, or to `give_up` until somebody mends something.
export class AgentError extends Error {
  constructor({ kind, message, hint, oauth_error }, method) {
    super(message);
    const late = kind === 'timeout' && method === 'consent.finish';
    const again = kind === 'issuer_rejected' && ANOTHER_SIGN_IN.includes(oauth_error);
    const advice = late || again || START_OVER.includes(kind) ? 'start_over' : RETRY.includes(kind) ? 'retry' : 'give_up';
    Object.assign(this, { kind, hint, advice });
  }
}

export async function ask(method, params) {
  try {
    mine(dirname(socketPath));
    const { status, body } = await post(`/v1/${method}`, JSON.stringify(params));
    if (status === 200) return JSON.parse(body);
    throw new AgentError(JSON.parse(body).error, method);
  } catch (error) {
    if (error instanceof AgentError) throw error;
    const hint = 'start the agent with `sso agent start`';
    throw new AgentError({ kind: 'agent_unreachable', message: `the agent does not answer: ${error.message}`, hint });
  }
}

/// Whoever can write to the folder could be taken for the agent.
function mine(folder) {
  const { uid, mode } = statSync(folder);
  if (uid !== process.getuid() || (mode & 0o022) !== 0) throw new Error(`${folder} is not ours alone`);
}

function post(path, text) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const ends = AbortSignal.timeout(PATIENCE_MS);
    const asked = request({ socketPath, path, method: 'POST', headers, agent: false, signal: ends }, async (answer) => {
      const parts = await answer.toArray().catch(reject);
      if (parts) resolve({ status: answer.statusCode, body: Buffer.concat(parts).toString() });
    });
    asked.once('error', reject).end(text);
  });
}
