// The lists of what went wrong and what it cost, against the real server: what is new comes by itself, decisions show at
// once and go back when the server says no, viewers decide nothing, and texts of strangers are text.
//
//   npm run build && npm run lists
//
// Expects the programs in $OPENCLAW_WATCH_PROGRAMS (target/debug by default): openclaw-watch and the demo of bench.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { byId, launch } from './browser.mjs';
import { cookiesOf, until, workbench } from './real-server.mjs';

const bench = await workbench();
let browser;
let server;
let live;
const cookies = {};

before(async () => {
  await bench.fill('--devices', '12', '--days', '9', '--hostile', '--seed', '4');
  for (const [name, role] of [['admin', 'admin'], ['guest', 'viewer']]) await bench.addUser(name, role);
  server = await bench.serve();
  browser = await launch();
  for (const name of ['admin', 'guest']) cookies[name] = await cookiesOf(server.url, name);
  live = bench.start('demo', ['live', '--data-dir', bench.data, '--server', server.broker, '--rate', '10']);
});

after(async () => {
  await browser?.close();
  await bench.close();
});

/** A page of somebody; whatever goes wrong in it fails the test at the end. */
async function open(path, { user = 'admin', allow = /never/, size = { width: 1440, height: 900 } } = {}) {
  const context = await browser.newContext({ viewport: size, locale: 'en', timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce' });
  await context.addCookies(cookies[user]);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(error.stack));
  page.on('dialog', (dialog) => { wrong.push(`a text was run: ${dialog.message()}`); void dialog.dismiss(); });
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type()) && !allow.test(message.text())) wrong.push(message.text()); });
  page.on('request', (request) => { if (!request.url().startsWith(server.url) && !request.url().startsWith('data:')) wrong.push(`asked another host: ${request.url()}`); });
  await page.goto(server.url + path);
  return { page, close: async () => { await context.close(); assert.deepEqual(wrong, []); } };
}

const newestRow = (page) => page.locator(byId('error-row')).first().locator('a').getAttribute('href');

test('a new error comes by itself, and waits above for whoever reads further down', async () => {
  const { page, close } = await open('/errors');
  await page.waitForSelector(byId('error-row'));
  const first = await newestRow(page);
  // One in the whole fleet every 20 seconds or so: the chance of none in this time is small.
  await until('a newer error on top', async () => (await newestRow(page)) !== first, 300_000);
  await page.evaluate(() => window.scrollTo(0, 2_000));
  await page.waitForTimeout(300);
  const seen = await page.locator(byId('error-row')).evaluateAll((rows) => rows.map((row) => [row.getBoundingClientRect().top, row.textContent]).sort((a, b) => a[0] - b[0]).find(([top]) => top > 100)[1]);
  await page.waitForSelector('.er-fresh', { timeout: 300_000 });
  const still = await page.locator(byId('error-row')).evaluateAll((rows) => rows.map((row) => [row.getBoundingClientRect().top, row.textContent]).sort((a, b) => a[0] - b[0]).find(([top]) => top > 100)[1]);
  assert.equal(still, seen, 'nothing moved');
  await page.click('.er-fresh');
  await until('the top', async () => (await page.evaluate(() => window.scrollY)) === 0);
  await close();
});

test('resolving shows at once, is kept, and goes back when the server says no', async () => {
  const { page, close } = await open('/errors?view=groups&sort=count', { allow: /status of 503/ });
  await page.waitForSelector(byId('error-group'));
  const count = () => page.locator(byId('error-group')).count();
  const row = page.locator(byId('error-group')).first();
  await page.route('**/errors/groups/*', (route) => (route.request().method() === 'PATCH' ? route.fulfill({ status: 503, contentType: 'application/json', body: '{"error":{"code":"busy","message":"Not now."}}' }) : route.continue()));
  await row.getByText('Resolve', { exact: true }).click();
  await page.waitForSelector('.er-problem');
  assert.match(await page.textContent('.er-problem'), /Not now\./);
  assert.ok(await row.getByText('Resolve', { exact: true }).isVisible(), 'it is open again');
  await page.unroute('**/errors/groups/*');
  await row.getByText('Ignore', { exact: true }).click();
  await row.getByText('Open again', { exact: true }).waitFor();
  const before = await count();
  await page.reload();
  await page.waitForSelector(byId('error-group'));
  assert.equal(await count(), before - 1, 'the open ones are one less');
  await page.goto(`${server.url}/errors?view=groups&state=ignored`);
  await page.getByText('Open again', { exact: true }).first().click();
  await close();
});

test('a viewer sees all of it and decides nothing', async () => {
  const { page, close } = await open('/errors?view=groups', { user: 'guest' });
  await page.waitForSelector(byId('error-group'));
  assert.equal(await page.getByText('Resolve', { exact: true }).count(), 0);
  await page.goto(`${server.url}/alerts/history`);
  await page.waitForSelector(byId('alert'));
  assert.equal(await page.getByText('Acknowledge', { exact: true }).count(), 0);
  await page.goto(`${server.url}/audit-log`);
  await page.waitForSelector('.page-note');
  await close();
});

test('taking note of an alert is kept, and written down', async () => {
  const { page, close } = await open('/alerts/history');
  await page.waitForSelector(byId('alert'));
  const alert = page.locator(byId('alert')).filter({ has: page.getByText('Acknowledge', { exact: true }) }).first();
  const title = await alert.locator('b').first().textContent();
  const kept = page.waitForResponse((response) => response.request().method() === 'PATCH');
  await alert.getByText('Acknowledge', { exact: true }).click();
  await page.getByText(/acknowledged by admin/).first().waitFor();
  assert.equal((await kept).status(), 200);
  await page.reload();
  await page.getByText(/acknowledged by admin/).first().waitFor();
  await page.goto(`${server.url}/audit-log?action=alert.&actor=admin`);
  await page.waitForSelector(byId('audit-row'));
  assert.match(await page.locator(byId('audit-row')).first().textContent(), new RegExp(title.replace(/[^\w ]/g, '.')));
  await close();
});

test('the spike leads to what is behind it, with the keyboard too', async () => {
  const { page, close } = await open('/cost?range=7d');
  await page.waitForSelector('[data-testid=cost-chart][data-ready=true]');
  await page.focus(byId('cost-chart'));
  for (const key of ['End', 'ArrowLeft', 'ArrowLeft', 'Enter']) await page.keyboard.press(key);
  await page.waitForSelector('[data-testid=cost-behind] .co-br u');
  assert.match(page.url(), /at=\d{4}-\d\d-\d\d/);
  await page.click(`${byId('cost-behind')} .ib`);
  await until('it is closed', async () => !page.url().includes('at='));
  const device = page.locator('.co-x tbody button').first();
  const name = await device.textContent();
  await device.click();
  await page.waitForSelector('.co-only');
  assert.match(page.url(), /device=/);
  assert.ok((await page.textContent('.co-only')).includes(name));
  await close();
});

test('texts of strangers are text everywhere', async () => {
  for (const path of ['/cost?by=agent', '/cost?by=model', '/errors?q=hostile', '/errors?view=groups&q=hostile', '/outages', '/outages?view=uptime', '/security', '/security?view=devices', '/audit-log?action=device.', '/alerts', '/alerts/history', '/alerts/deliveries', '/alerts/channels', '/alerts/quiet']) {
    for (const size of [{ width: 1440, height: 900 }, { width: 390, height: 844 }]) {
      const { page, close } = await open(path, { size });
      await page.waitForTimeout(900);
      if (path === '/errors?q=hostile') {
        await page.locator(`${byId('error-row')} a`).first().click();
        await page.waitForSelector(byId('error-message'));
        assert.match(await page.textContent(byId('error-message')), /<img src=x onerror=alert\(1\)>.*\[U\+202E\]drawkcab/s);
      }
      assert.equal(await page.locator('main img, main script').count(), 0, path);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${path} is ${wide} px too wide at ${size.width}`);
      await close();
    }
  }
});

test('an export is a file of what the filters select', async () => {
  const { page, close } = await open('/errors?level=crash');
  await page.waitForSelector(byId('error-row'));
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByText('CSV', { exact: true }).click()]);
  assert.match(file.suggestedFilename(), /\.csv$/);
  const text = await (await file.createReadStream()).setEncoding('utf8').toArray();
  assert.match(text.join(''), /crash/);
  assert.doesNotMatch(text.join(''), /,warning,/);
  assert.ok(live.exitCode === null, 'the fleet goes on');
  await close();
});
