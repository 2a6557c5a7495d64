// The page on which a person signs in: a name and a button. Any name will do.
import { text } from './text.mjs';

export function signIn(provider) {
  return async (req, res) => {
    try {
      const details = await provider.interactionDetails(req, res);
      if (req.method !== 'POST') return show(res, details);
      const user = new URLSearchParams(await text(req)).get('user')?.trim();
      const result = user ? { login: { accountId: user }, consent: {} } : { error: 'access_denied' };
      return await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
    } catch (error) {
      return res.writeHead(400, { 'content-type': 'text/plain' }).end(`this sign-in is over: ${error.message}`);
    }
  };
}

function show(res, { params }) {
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title>
<style>:root{color-scheme:light dark}body{font:1rem system-ui;max-width:22rem;margin:15vh auto;padding:1rem}input,button{font:inherit;padding:.5rem}</style>
<h1>Sign in</h1>
<p>to let <b>${escape(params.client_id)}</b> use this workspace</p>
<form method="post">
<label>User name <input name="user" value="ada@example.com" autofocus required></label>
<button>Sign in</button>
</form>
</html>`);
}

function escape(value) {
  return String(value).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
