// Answers that are not the one hoped for, as real hosts have been seen to give them.

/// Answers in the way a setting names, and says whether it did: "json" leaves it to the caller, "html" is
/// a page with 200, "silence" never answers, a number is a status.
export function misbehave(res, how) {
  if (how === 'json') return false;
  if (how === 'silence') return true;
  const status = how === 'html' ? 200 : Number(how);
  res.writeHead(status, { 'content-type': 'text/html' }).end('<!doctype html><title>Databricks</title><div id="root"></div>');
  return true;
}

/// Answers a token request with a fault; see the setting `token_fault`.
export function fail(ctx, fault, form) {
  ctx.status = fault.status ?? 503;
  if (fault.retry_after) ctx.set('Retry-After', fault.retry_after);
  ctx.body = fault.echo ? (fault.body ?? '').replace('ECHO', form) : fault.body ?? 'out of order';
  ctx.type = fault.content_type ?? 'text/plain';
}

/// Answers with JSON.
export function reply(res, status, body) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}
