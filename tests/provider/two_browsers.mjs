// Real Chromium for several people at once, each with a profile of their own. Reads steps from stdin, one
// JSON object a line, and after each prints what there is to see:
//
//   {"who": "ada", "visit": URL, "name": "ada@example.com"}   opens it; signs in by that name where a page
//                                                             asks for one, or with none stays there
//   {"who": "ada", "press": "Sign out"}                       presses that button, or follows that link
//
//   {"url", "status", "headers", "html", "text", "asked", "urls", "cookies"}
//
// Argument: a folder for the profiles. SSO_TEST_CHROMIUM: the browser's program.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { FLAGS } from './flags.mjs';

const people = {};

for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  const seen = await take(step).catch((error) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify(seen)}\n`);
}
await Promise.all(Object.values(people).map(({ context }) => context.close()));

async function take({ who, visit, press, name }) {
  const person = (people[who] ??= await open(who));
  const { page, context } = person;
  Object.assign(person, { urls: [], last: null });
  if (visit) await page.goto(visit);
  else await arrives(page, page.getByRole('button', { name: press }).or(page.getByRole('link', { name: press })));
  let asked = 0;
  const field = page.locator('form input[name=user]');
  for (; name && (await field.count()) > 0; asked += 1) {
    if (asked === 3) throw new Error('still asked to sign in');
    await field.fill(name);
    await arrives(page, page.locator('form button'));
  }
  return {
    url: page.url(),
    status: person.last?.status(),
    headers: await person.last?.allHeaders(),
    html: await page.content(),
    text: await page.innerText('body'),
    asked,
    urls: person.urls,
    cookies: await context.cookies(),
  };
}

async function arrives(page, button) {
  await Promise.all([page.waitForEvent('load'), button.click()]);
}

async function open(who) {
  const context = await chromium.launchPersistentContext(join(process.argv[2], who), {
    executablePath: process.env.SSO_TEST_CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
    timeout: 60_000,
  });
  const person = { context, page: context.pages()[0] ?? (await context.newPage()), urls: [], last: null };
  context.on('request', (request) => person.urls.push(request.url()));
  context.on('response', (response) => {
    if (response.request().isNavigationRequest()) person.last = response;
  });
  return person;
}
