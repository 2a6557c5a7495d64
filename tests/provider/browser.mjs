#!/usr/bin/env node
// A BROWSER command: real Chromium opens the address, signs in where a page asks, and stays until the
// program's own last page is there. Prints that page's address, title and text as one line of JSON.
//
//   SSO_TEST_CHROMIUM    the browser's program; /usr/bin/chromium by default
//   SSO_TEST_USER        who signs in; what the page suggests by default
//   SSO_TEST_PAGE        a file that gets the line of JSON too
//   SSO_TEST_SCREENSHOT  a path; gets "-light.png" and "-dark.png" appended
//   SSO_TEST_JAVASCRIPT  0 turns scripts off
import { renameSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { FLAGS } from './flags.mjs';

const MOST_PAGES = 5;

const { env } = process;
const address = process.argv[2];
const browser = await chromium.launch({
  executablePath: env.SSO_TEST_CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
  timeout: 60_000,
});
try {
  const context = await browser.newContext({ javaScriptEnabled: env.SSO_TEST_JAVASCRIPT !== '0' });
  const page = await context.newPage();
  await page.goto(address);
  const asked = await signIn(page);
  const seen = {
    asked,
    origin: new URL(page.url()).origin,
    path: new URL(page.url()).pathname,
    title: await page.title(),
    text: await page.innerText('body'),
  };
  await photograph(page);
  const line = `${JSON.stringify(seen)}\n`;
  if (env.SSO_TEST_PAGE) publish(env.SSO_TEST_PAGE, line);
  process.stdout.write(line);
} finally {
  await browser.close();
}

/// Clicks through whatever asks for it, and says at which origins that was.
async function signIn(page) {
  const asked = [];
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const button = page.locator('form button, form input[type=submit]').first();
    if ((await button.count()) === 0) return asked;
    asked.push(new URL(page.url()).origin);
    const name = page.locator('form input[name=user]');
    if (env.SSO_TEST_USER && (await name.count()) > 0) await name.fill(env.SSO_TEST_USER);
    await Promise.all([page.waitForEvent('load'), button.click()]);
  }
  throw new Error(`still asked to sign in after ${MOST_PAGES} pages, now at ${new URL(page.url()).origin}`);
}

async function photograph(page) {
  if (!env.SSO_TEST_SCREENSHOT) return;
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `${env.SSO_TEST_SCREENSHOT}-${colorScheme}.png` });
  }
}

/// Whoever waits for the file finds it whole.
function publish(path, line) {
  writeFileSync(`${path}.part`, line);
  renameSync(`${path}.part`, path);
}
