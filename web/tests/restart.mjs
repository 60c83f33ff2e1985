// A server that is replaced under an open page, and under its login.
// Expects the programs in $OPENCLAW_WATCH_PROGRAMS (target/debug by default).

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { byId, launch } from './browser.mjs';
import { cookiesOf, until, workbench } from './real-server.mjs';

let browser;
let bench;
before(async () => {
  browser = await launch();
  bench = await workbench();
  await bench.fill('--devices', '20', '--days', '2');
  await bench.addUser('ann', 'admin');
});
after(async () => {
  await browser.close();
  await bench.close();
});

test('a page lives through a restart of the server: nothing wrong meanwhile, no reload after', { timeout: 120_000 }, async () => {
  let server = await bench.serve();
  bench.start('demo', ['live', '--data-dir', bench.data, '--server', server.broker]);
  const context = await browser.newContext({ locale: 'en', viewport: { width: 1440, height: 900 } });
  await context.addCookies(await cookiesOf(server.url, 'ann'));
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(`${server.url}/`);
  const online = () => page.locator('[data-testid=device-row][data-state=online]').count();
  await until('the fleet is there', async () => (await online()) >= 8);
  await page.evaluate(() => { window.unreloaded = true; });
  const before = await page.locator('.z-broken .head [role=status]').innerText();
  const rows = await page.locator('[data-testid=device-row]').count();
  const names = await page.locator('[data-testid=device-row] .name').allInnerTexts();

  server.child.kill('SIGKILL');
  await server.child.gone;
  await page.waitForSelector('[data-live=reconnecting]');
  // The last values stay, and nobody is called offline because we cannot hear.
  assert.equal(await page.locator('[data-testid=device-row]').count(), rows);
  assert.equal(await page.locator('.z-broken .head [role=status]').innerText(), before);
  assert.match(await page.locator(byId('live-state')).innerText(), /Reconnecting, values of/);
  // Another view, opened meanwhile, says that the server does not answer, and how to go on.
  await page.keyboard.press('g');
  await page.keyboard.press('u');
  await page.waitForSelector('text=No answer from the server');
  await page.keyboard.press('g');
  await page.keyboard.press('o');

  server = await bench.serve({ ports: [server.dashboard, server.broker] });
  await page.waitForSelector('[data-live=live]', { timeout: 40_000 });
  await until('the fleet is back', async () => (await online()) >= 8, 40_000);
  assert.equal(await page.evaluate(() => window.unreloaded), true, 'without a reload');
  assert.deepEqual((await page.locator('[data-testid=device-row] .name').allInnerTexts()).sort(), names.sort());
  // Values move again.
  const row = page.locator('[data-testid=device-row][data-state=online]').first();
  const at = await row.getAttribute('data-at');
  await until('a value moves', async () => (await row.getAttribute('data-at')) !== at);
  assert.deepEqual(errors, []);
  await context.close();
});
