// People and keys in a real browser, against the real server and the real agent.
// Expects the programs in $OPENCLAW_WATCH_PROGRAMS (target/debug by default).

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { byId, launch } from './browser.mjs';
import { cookiesOf, PASSWORD, totp, workbench } from './real-server.mjs';

let browser;
let bench;
let server;
before(async () => {
  browser = await launch();
  bench = await workbench();
  await bench.addUser('ann', 'admin');
  await bench.addUser('bob', 'admin');
  server = await bench.serve();
});
after(async () => {
  await browser.close();
  await bench.close();
});

/** A page, signed in as somebody. Refusals that are meant are no trouble. */
async function open(name, refused = /^$/) {
  const context = await browser.newContext({ locale: 'en', viewport: { width: 1440, height: 900 } });
  if (name !== null) await context.addCookies(await cookiesOf(server.url, name));
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.trouble = [];
  page.on('pageerror', (error) => page.trouble.push(String(error.stack)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !refused.test(message.text())) page.trouble.push(message.text());
  });
  return page;
}

async function logIn(page, code) {
  await page.goto(`${server.url}/login`);
  await page.fill(byId('login-name'), 'ann');
  await page.fill(byId('login-password'), PASSWORD);
  await page.click(byId('login-submit'));
  await page.fill(byId('login-code'), code);
  await page.click(byId('login-submit'));
}

test('a second factor is turned on, asked for, and replaced by a recovery code', async () => {
  const page = await open('ann');
  await page.goto(`${server.url}/settings/account`);
  await page.click(byId('two-factor-on'));
  const secret = (await page.textContent(byId('two-factor-secret'))).replace(/\s/g, '');
  await page.fill(byId('two-factor-code'), totp(secret, -1));
  await page.click('.dlg button[type=submit]');
  await page.waitForSelector('.codes li');
  const codes = await page.locator('.codes li').allTextContents();
  assert.equal(codes.length, 10);
  await page.click(byId('codes-kept'));
  await page.waitForSelector('text=10 recovery codes are left');
  assert.deepEqual(page.trouble, []);

  const other = await open(null, /401/);
  await logIn(other, '000000');
  await other.waitForSelector('text=This code is wrong');
  await other.fill(byId('login-code'), totp(secret));
  await other.click(byId('login-submit'));
  await other.waitForSelector(byId('add-device-open'));
  const third = await open(null, /401/);
  await logIn(third, codes[0].toUpperCase());
  await third.waitForSelector(byId('add-device-open'));
  await third.goto(`${server.url}/settings/account`);
  await third.waitForSelector('text=9 recovery codes are left');
  assert.deepEqual([...other.trouble, ...third.trouble], []);
  for (const each of [page, other, third]) await each.context().close();
});

test('who waits for a device is told why it does not come, and then that it is there', { timeout: 60_000 }, async () => {
  const page = await open('bob');
  await page.goto(server.url);
  await page.click(byId('add-device-open'));
  await page.fill(byId('add-device-name'), 'pi-kitchen');
  await page.click(byId('add-device-submit'));
  const key = (await page.textContent(byId('add-device-key'))).trim();
  const command = await page.textContent(byId('add-device-command'));
  const pin = /--pin (sha256:[0-9a-f]{64})/.exec(command)[1];
  const run = (theKey, thePin) =>
    bench.start('openclaw-watch-agent', [
      'run', '--server', server.broker, '--key', theKey, '--pin', thePin, '--interval', '1s',
      '--state-dir', path.join(bench.folder, `agent-${theKey.length}-${thePin.slice(-4)}`), '--openclaw-home', path.join(bench.folder, 'no-openclaw'),
    ]);
  const stranger = run(key, `sha256:${'0'.repeat(64)}`);
  await page.waitForSelector('text=does not trust this server');
  stranger.kill('SIGKILL');
  const mistyped = run(`${key.slice(0, -4)}aaaa`, pin);
  await page.waitForSelector('text=refused: a wrong key');
  mistyped.kill('SIGKILL');
  run(key, pin);
  await page.waitForSelector(byId('add-device-online'));
  await page.waitForSelector('.nums');
  await mkdir('artefacts/real', { recursive: true });
  await page.screenshot({ path: 'artefacts/real/add-device-online.png' });
  assert.deepEqual(page.trouble, []);
  await page.context().close();
});

test('of two who edit at once nobody loses anything unseen', async () => {
  const [one, two] = [await open('bob'), await open('bob', /409/)];
  for (const page of [one, two]) {
    await page.goto(server.url);
    await page.click(`${byId('device-row')} ${byId('row-menu')}`);
    await page.click('[role=menuitem]:has-text("Rename")');
  }
  const save = async (page, name) => {
    await page.fill('#rename', name);
    await page.click('.dlg button[type=submit]');
  };
  await save(one, 'by one');
  await one.waitForSelector('.dlg', { state: 'detached' });
  await save(two, 'by two');
  await two.waitForSelector('text=Somebody else has changed');
  assert.deepEqual(await two.locator('.versus dd').allTextContents(), ['by one', 'by two']);
  // Behind the dialog stands what is true.
  await two.waitForSelector(`${byId('device-row')}:has-text("by one")`);
  await two.click(byId('conflict-mine'));
  for (const page of [one, two]) await page.waitForSelector(`${byId('device-row')}:has-text("by two")`);
  assert.deepEqual([...one.trouble, ...two.trouble], []);
  for (const page of [one, two]) await page.context().close();
});

test('whose account is removed is out at once, and the last admin stays', async () => {
  await bench.addUser('eve', 'viewer');
  const hers = await open('eve', /401/);
  await hers.goto(server.url);
  await hers.waitForSelector('[data-live=live]');
  const page = await open('bob');
  await page.goto(`${server.url}/settings/users`);
  const menuOf = (name) => page.click(`[aria-label="Actions for ${name}"]`);
  await menuOf('eve');
  await page.click('[role=menuitem]:has-text("Remove user")');
  await page.click('.dlg button[type=submit]');
  // Sooner than its next sign of life, after which it would find out by itself.
  await hers.waitForSelector(byId('login-name'), { timeout: 8000 });
  await page.waitForSelector('[aria-label="Actions for eve"]', { state: 'detached' });
  assert.deepEqual([...hers.trouble, ...page.trouble], []);
  for (const each of [hers, page]) await each.context().close();
});

test('everybody sees the status page, and only while it is on', async () => {
  const [page, visitor] = [await open('bob'), await open(null, /404/)];
  await visitor.goto(`${server.url}/status`);
  await visitor.waitForSelector('text=There is no status page here');
  await page.goto(`${server.url}/settings/status-page`);
  await page.click(byId('status-on'));
  await page.check('.dlist input >> nth=0');
  await page.fill('#status-title', '<b>Our</b> fleet');
  await page.click(byId('status-save'));
  await page.waitForSelector('text=Saved. The page shows it at once.');
  await visitor.reload();
  await visitor.waitForSelector('text=<b>Our</b> fleet');
  assert.equal(await visitor.locator('.st-list li').count(), 1);
  assert.deepEqual([...page.trouble, ...visitor.trouble], []);
  for (const each of [page, visitor]) await each.context().close();
});
