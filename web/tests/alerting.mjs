// Alerting against the real server: a rule is made by clicking its words and tried on the past, a channel is set up and tried
// against a receiver of our own, what fires is told to it, and silence and maintenance are seen where devices are.
//
//   npm run build && node --test tests/alerting.mjs
//
// Expects the programs in $OPENCLAW_WATCH_PROGRAMS (target/debug by default): openclaw-watch and the demo of bench.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { byId, launch } from './browser.mjs';
import { cookiesOf, until, workbench } from './real-server.mjs';

const bench = await workbench();
let browser;
let server;
let receiver;
const cookies = {};
/** What came to our address, and how it is answered. */
const got = [];
let answer = 200;

before(async () => {
  await bench.fill('--devices', '12', '--days', '9', '--seed', '4');
  for (const [name, role] of [['admin', 'admin'], ['guest', 'viewer']]) await bench.addUser(name, role);
  // Our receiver is on this machine.
  server = await bench.serve({ env: { OPENCLAW_WATCH__ALERTING__ALLOW_PRIVATE_ADDRESSES: 'true' } });
  receiver = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => { text += part; });
    request.on('end', () => {
      got.push({ path: request.url, headers: request.headers, text });
      response.writeHead(answer, { 'content-type': 'text/plain' });
      response.end(answer === 200 ? 'taken, thank you' : 'not today');
    });
  });
  await new Promise((done) => receiver.listen(0, '127.0.0.1', done));
  browser = await launch();
  for (const name of ['admin', 'guest']) cookies[name] = await cookiesOf(server.url, name);
  bench.start('demo', ['live', '--data-dir', bench.data, '--server', server.broker, '--rate', '10']);
});

after(async () => {
  await browser?.close();
  receiver?.close();
  await bench.close();
});

/** A page of somebody; whatever goes wrong in it fails the test at the end. */
async function open(path, { user = 'admin', locale = 'en', size = { width: 1440, height: 900 } } = {}) {
  const context = await browser.newContext({ viewport: size, locale, timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce' });
  await context.addCookies(cookies[user]);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(error.stack));
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) wrong.push(message.text()); });
  await page.goto(server.url + path);
  return { page, close: async () => { await context.close(); assert.deepEqual(wrong, []); } };
}

const ruleOf = (page, kind) => page.locator(`[data-testid=rule][data-kind=${kind}]`);
const saved = (page, method) => page.waitForResponse((response) => response.request().method() === method && response.url().includes('/api/v1/'));

test('a channel is tried before it is saved, and its real answer is shown', async () => {
  const { page, close } = await open('/alerts/channels');
  await page.click(byId('channel-add'));
  await page.click('[data-kind=webhook]');
  await page.fill(byId('channel-name'), 'our hook');
  await page.fill(byId('channel-url'), `http://127.0.0.1:${receiver.address().port}/alerts`);
  await page.click(byId('channel-try'));
  const first = page.locator(byId('tried'));
  await page.waitForSelector('[data-testid=tried][data-ok=true]');
  assert.match(await first.textContent(), /taken, thank you|200/);
  assert.equal(got.length, 1);
  answer = 503;
  await page.click(byId('channel-try'));
  await page.waitForSelector('[data-testid=tried][data-ok=false]');
  assert.match(await first.textContent(), /503/);
  answer = 200;
  await page.locator('.dlg label.check').filter({ hasText: 'Takes every rule' }).locator('input').check();
  const kept = saved(page, 'POST');
  await page.click(byId('channel-save'));
  assert.equal((await kept).status(), 201);
  await page.locator(byId('channel')).filter({ hasText: 'our hook' }).waitFor();
  await close();
});

test('a rule is made by clicking its words, and the past says what it would have done', async () => {
  const { page, close } = await open('/alerts');
  await ruleOf(page, 'memory').waitFor();
  await page.click(byId('rule-add'));
  await page.fill('.dlg input[type=search]', 'memory');
  await page.click('.kinds [data-kind=memory]');
  const rule = page.locator(byId('rule')).first();
  await rule.locator('[data-slot="field:level"]').click();
  await page.locator('.popover').getByText('Other...', { exact: true }).click();
  await page.keyboard.type('55');
  await page.keyboard.press('Enter');
  // The focus is where it was, and the word is the new one.
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), '55%');
  await rule.locator('[data-slot="field:clear"]').click();
  await page.locator('.popover').getByText('Other...', { exact: true }).click();
  await page.keyboard.type('50');
  await page.keyboard.press('Enter');
  await rule.locator('[data-slot=for]').click();
  await page.locator('.popover').getByText('1 min', { exact: true }).click();
  const panel = rule.locator(byId('dry-panel'));
  await until('the past is asked', async () => Number(await panel.getAttribute('data-count').catch(() => 0)) > 0);
  assert.match(await panel.textContent(), /would have fired .* in the last 7 days/);
  assert.equal(await panel.locator('polyline').count() > 0, true, 'what was measured is drawn');
  // Escape closes the editor and gives the focus back.
  await rule.locator('[data-slot=severity]').click();
  await page.waitForSelector('.popover');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.popover').count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('data-slot')), 'severity');
  const kept = saved(page, 'POST');
  await rule.locator(byId('rule-save')).click();
  assert.equal((await kept).status(), 201);
  const made = ruleOf(page, 'memory').filter({ hasText: '55%' });
  await made.waitFor();
  assert.match(await made.locator('.sen').textContent(), /When the memory of any device stays above 55% for 1 min, raise Warning and tell the default channels/);
  await close();
});

test('what fires is told to the channel, and the page shows that it was', async () => {
  const { page, close } = await open('/alerts/deliveries?state=sent');
  await page.waitForSelector(byId('delivery'), { timeout: 120_000 });
  const row = page.locator(byId('delivery')).filter({ hasText: 'our hook' }).first();
  await row.waitFor({ timeout: 120_000 });
  await row.locator('.dl-b').click();
  assert.match(await row.locator('.dl-o').textContent(), /taken, thank you|200/);
  assert.ok(got.length > 2, 'it came to our address');
  await close();
});

test('another page that is open shows a change by itself, and a change of what was changed is refused', async () => {
  const { page, close } = await open('/alerts');
  const other = await open('/alerts', { locale: 'zh-CN' });
  await ruleOf(page, 'gateway_hung').waitFor();
  await ruleOf(other.page, 'gateway_hung').waitFor();
  assert.match(await ruleOf(other.page, 'gateway_hung').locator('.sen').textContent(), /全部设备的网关仍在运行但无响应超过 30 秒，按错误级别告警，通知默认渠道；30 分钟未恢复升级为紧急。/);
  await ruleOf(page, 'gateway_hung').locator('.sw2').click();
  await until('it is off there, too', async () => (await ruleOf(other.page, 'gateway_hung').locator('.sw2').getAttribute('aria-checked')) === 'false');
  await other.close();
  // The words of another language come while the page is open.
  await page.locator('.lang button').first().click();
  await ruleOf(page, 'gateway_hung').filter({ hasText: '全部设备的网关' }).waitFor();
  await page.locator('.lang button').last().click();
  await ruleOf(page, 'gateway_hung').filter({ hasText: 'When the gateway of any device' }).waitFor();
  await close();
});

test('a silence and a maintenance are seen where devices are', async () => {
  const { page, close } = await open('/alerts/quiet');
  await page.click(byId('maintenance-add'));
  await page.locator('.dlg').getByText('By name', { exact: true }).click();
  const device = (await page.locator('.dlg .dlist label').first().textContent()).trim();
  await page.locator('.dlg .dlist label').first().click();
  await page.fill('#pf-note', 'new disks');
  const kept = saved(page, 'POST');
  await page.click('.dlg button[type=submit]');
  assert.equal((await kept).status(), 201);
  await page.locator('[data-testid=pause][data-kind=maintenance][data-active=true]').filter({ hasText: device }).waitFor();
  await page.goto(`${server.url}/?group=none&q=${encodeURIComponent(device)}`);
  const row = page.locator(byId('device-row')).filter({ hasText: device }).first();
  await row.filter({ hasText: 'Maintenance' }).waitFor();
  await row.locator('a.name').click();
  await page.waitForSelector(byId('paused'));
  assert.match(await page.locator(byId('paused')).textContent(), /In maintenance until/);
  // Silence everything from the head, and end it again.
  await page.goto(`${server.url}/alerts`);
  await page.locator('.ah').getByText('Silence all', { exact: true }).click();
  await page.locator('[role=menuitem]').first().click();
  await page.getByText(/Everything is silenced until/).waitFor();
  await page.locator('.fa .chip').filter({ hasText: 'silenced' }).first().waitFor();
  await page.goto(`${server.url}/alerts/quiet`);
  const silence = page.locator('[data-testid=pause][data-kind=silence]');
  await silence.locator('.ib').click();
  await page.locator('[role=menuitem]').filter({ hasText: 'End now' }).click();
  await page.click('.dlg button[type=submit]');
  await until('it is over', async () => (await silence.count()) === 0);
  await close();
});

test('a viewer sees all of it and changes nothing', async () => {
  const { page, close } = await open('/alerts', { user: 'guest' });
  await ruleOf(page, 'memory').first().waitFor();
  for (const [path, hook] of [['/alerts', 'rule-add'], ['/alerts/channels', 'channel-add'], ['/alerts/channels', 'channel-test'], ['/alerts/quiet', 'silence-add'], ['/alerts/quiet', 'alerting-save']]) {
    await page.goto(server.url + path);
    await page.waitForSelector('.panel h2');
    assert.equal(await page.locator(byId(hook)).count(), 0, hook);
  }
  await page.goto(`${server.url}/alerts`);
  await ruleOf(page, 'memory').first().waitFor();
  assert.equal(await page.locator('.sen .tk').count(), 0);
  assert.equal(await page.locator('.sw2:not(:disabled)').count(), 0);
  const refused = await page.evaluate(async () => (await fetch('/api/v1/rules/1', { method: 'DELETE', headers: { 'X-CSRF-Token': (await (await fetch('/api/v1/session')).json()).csrf } })).status);
  assert.equal(refused, 403);
  await page.reload();
  await ruleOf(page, 'memory').first().waitFor();
  await page.context().close();
});
