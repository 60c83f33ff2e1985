// Pictures of every view and state, into `artefacts/shots`: both languages, both themes, desk and phone. Along the way: no
// console error, no CSP violation, no request to another host, and axe finds nothing serious. Fails if any of that happens.
//
//   npm run build && npm run shots [-- NAME...]      only states whose name contains one of the words
//
// CHROMIUM names the browser; `/usr/bin/chromium` otherwise.

import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { byId, launch } from './browser.mjs';
import { startMock } from './mock-server.mjs';

const OUT = fileURLToPath(new URL('../artefacts/shots', import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = { 1440: { width: 1440, height: 900 }, 390: { width: 390, height: 844 } };
const only = process.argv.slice(2);
const troubles = [];

const chartReady = (page) => page.waitForSelector('[data-testid=chart-ready][data-ready=true]');
const rows = (page) => page.waitForSelector('[data-testid=device-row]');
const deviceNamed = (mock, name) => mock.state.devices.find((device) => device.name === name);

const ALERTS = { alerts: true, quiet: true };

/** Each state: how its server starts, and how to get there. `expect401` etc.: console errors that belong to the state. */
const STATES = [
  { name: 'overview', mock: { perSecond: 200 }, go: async (page) => { await rows(page); await page.waitForTimeout(6000); } },
  { name: 'overview-groups', path: '/?group=tag', go: rows },
  { name: 'overview-search', path: '/?q=tag:prod+offline', go: rows },
  { name: 'overview-nomatch', path: '/?q=nothing-like-it', go: (page) => page.waitForSelector('.empty') },
  { name: 'overview-fine', mock: { size: 8 }, go: rows },
  { name: 'overview-empty', mock: { size: 0 }, go: (page) => page.waitForSelector('.e0') },
  { name: 'overview-10000', mock: { size: 10_000 }, go: async (page) => { await rows(page); await page.evaluate(() => scrollTo(0, 120_000)); await page.waitForTimeout(400); } },
  { name: 'overview-menu', go: async (page) => { await rows(page); await page.locator(byId('row-menu')).nth(2).click(); await page.waitForSelector('[role=menu]'); } },
  { name: 'overview-keys', desk: true, go: async (page) => { await rows(page); for (const key of ['j', 'j', 'j']) await page.keyboard.press(key); } },
  { name: 'overview-loading', mock: { delayMs: 60_000 }, go: (page) => page.waitForSelector('.sk') },
  { name: 'overview-lost', errors: true, go: async (page, mock) => { await rows(page); mock.cut(); await page.waitForSelector('[data-live=reconnecting]'); } },
  { name: 'overview-trouble', errors: true, go: async (page, mock) => { await rows(page); mock.state.trouble = 'disk_low'; mock.cut(false); await page.waitForSelector('[role=alert]'); await page.waitForSelector('[data-live=live]'); } },
  { name: 'device', path: (mock) => `/devices/${deviceNamed(mock, 'mac-mini-sz').id}`, go: chartReady },
  { name: 'device-alerts', mock: ALERTS, path: (mock) => `/devices/${deviceNamed(mock, 'hk-edge-02').id}?range=1h`, go: chartReady },
  { name: 'device-24h', path: (mock) => `/devices/${deviceNamed(mock, 'hk-edge-02').id}?range=24h`, go: chartReady },
  { name: 'device-7d', path: (mock) => `/devices/${deviceNamed(mock, 'ci-runner-claw').id}?range=7d`, go: chartReady },
  { name: 'device-cursor', desk: true, path: (mock) => `/devices/${deviceNamed(mock, 'hk-edge-02').id}?range=6h`, go: async (page) => { await chartReady(page); const [lane] = await page.locator('canvas').all(); const box = await lane.boundingBox(); const y = box.y + box.height / 4; await page.mouse.move(600, y); await page.mouse.move(620, y); await page.waitForSelector('.tip'); } },
  { name: 'device-offline', path: (mock) => `/devices/${deviceNamed(mock, 'saopaulo-1').id}`, go: chartReady },
  { name: 'device-never', path: (mock) => `/devices/${deviceNamed(mock, 'nas-attic').id}`, go: chartReady },
  { name: 'device-missing', path: '/devices/000000000000', errors: true, go: (page) => page.waitForSelector('.page-note') },
  { name: 'add-1', go: async (page) => { await rows(page); await page.click(byId('add-device-open')); await page.fill(byId('add-device-name'), 'pi-kitchen'); await page.fill('#add-tags', 'home edge '); } },
  { name: 'add-2', mock: { arriveAfterMs: null }, go: async (page) => { await rows(page); await page.click(byId('add-device-open')); await page.fill(byId('add-device-name'), 'pi-kitchen'); await page.click(byId('add-device-submit')); await page.waitForSelector(byId('add-device-key')); await page.waitForTimeout(1500); } },
  { name: 'add-3', mock: { arriveAfterMs: 300 }, go: async (page) => { await rows(page); await page.click(byId('add-device-open')); await page.fill(byId('add-device-name'), 'pi-kitchen'); await page.click(byId('add-device-submit')); await page.waitForSelector('.nums'); } },
  { name: 'add-taken', errors: true, go: async (page) => { await rows(page); await page.click(byId('add-device-open')); await page.fill(byId('add-device-name'), 'hk-edge-01'); await page.click(byId('add-device-submit')); await page.waitForSelector('.bad'); } },
  { name: 'edit-rename', go: (page) => menu(page, 1) },
  { name: 'edit-tags', go: (page) => menu(page, 2) },
  { name: 'edit-rotate', go: (page) => menu(page, 3) },
  { name: 'edit-maintenance', go: (page) => menu(page, 5) },
  { name: 'edit-remove', go: (page) => menu(page, 6) },
  { name: 'keys', desk: true, go: async (page) => { await rows(page); await page.keyboard.press('?'); await page.waitForSelector('.keys'); } },
  { name: 'alerts', mock: ALERTS, path: '/alerts', go: rules },
  { name: 'alerts-edit', mock: ALERTS, path: '/alerts', go: async (page) => { await rules(page); await rule(page, 'memory').locator('[data-slot="field:level"]').click(); await page.waitForSelector('[data-testid=dry-panel]'); await page.waitForTimeout(500); } },
  { name: 'alerts-scope', mock: ALERTS, path: '/alerts', go: async (page) => { await rules(page); await rule(page, 'offline').locator('[data-slot=scope]').click(); await page.waitForSelector('[data-testid=slot-editor]'); } },
  { name: 'alerts-dry', mock: ALERTS, path: '/alerts', go: async (page) => { await rules(page); await rule(page, 'memory').locator('[data-slot="field:level"]').click(); await page.keyboard.press('Escape'); await page.waitForSelector('[data-testid=dry-panel]'); await page.waitForTimeout(500); await rule(page, 'memory').evaluate((element) => element.scrollIntoView({ block: 'center' })); } },
  { name: 'alerts-new', mock: ALERTS, path: '/alerts', go: async (page) => { await rules(page); await page.click(byId('rule-add')); await page.waitForSelector('dialog[open]'); } },
  { name: 'alerts-members', mock: ALERTS, path: '/alerts', go: async (page) => { await rules(page); await page.locator('.al-m .lk').first().click(); } },
  { name: 'alerts-empty', mock: ALERTS, path: '/alerts/channels', go: async (page, mock) => { mock.alerting.clear(); await page.goto(`${mock.url}/alerts`); await page.waitForSelector('.fa-none'); } },
  { name: 'alerts-history', mock: ALERTS, path: '/alerts/history', go: (page) => page.waitForSelector(byId('alert')) },
  { name: 'alerts-deliveries', mock: ALERTS, path: '/alerts/deliveries', go: async (page) => { await page.waitForSelector(byId('delivery')); await page.locator('[data-testid=delivery][data-state=waiting] .dl-b').click(); } },
  { name: 'alerts-channels', mock: ALERTS, path: '/alerts/channels', go: async (page) => { await page.waitForSelector(byId('channel')); await page.locator(byId('channel-test')).first().click(); await page.waitForSelector(byId('tried')); } },
  { name: 'alerts-channel-form', mock: ALERTS, path: '/alerts/channels', go: async (page) => { await page.waitForSelector(byId('channel')); await page.click(byId('channel-add')); await page.click('[data-kind=webhook]'); await page.fill(byId('channel-name'), 'ops'); await page.fill(byId('channel-url'), 'https://refuses.example.org'); await page.click(byId('channel-try')); await page.waitForSelector(byId('tried')); } },
  { name: 'alerts-quiet', mock: ALERTS, path: '/alerts/quiet', go: (page) => page.waitForSelector(byId('pause')) },
  { name: 'alerts-maintenance', mock: ALERTS, path: '/alerts/quiet', go: async (page) => { await page.waitForSelector(byId('pause')); await page.click(byId('maintenance-add')); await page.waitForSelector('dialog[open]'); await page.locator('dialog .seg.wrap button').nth(1).click(); } },
  { name: 'settings', path: '/settings', go: (page) => page.waitForSelector('.settings') },
  { name: 'login', mock: { login: true }, path: '/', go: (page) => page.waitForSelector(byId('login-name')) },
  { name: 'login-ended', path: '/?q=hk', go: async (page, mock) => { await rows(page); mock.endLogins(); await page.waitForSelector(byId('login-name')); } },
  { name: 'login-wrong', mock: { login: true }, path: '/login', errors: true, go: async (page) => { await logIn(page, 1); await page.waitForSelector('.problem'); } },
  { name: 'login-wait', mock: { login: true }, path: '/login', errors: true, go: async (page) => { await logIn(page, 5); await page.waitForSelector('button:disabled'); } },
  { name: 'setup', mock: { setup: true }, path: '/setup#demo-token', go: (page) => page.waitForSelector(byId('setup-name')) },
  { name: 'setup-problems', mock: { setup: true }, path: '/setup#demo-token', go: async (page) => { await page.fill(byId('setup-password'), 'short'); await page.click(byId('setup-submit')); await page.waitForSelector('.bad'); } },
  { name: 'setup-expired', mock: { setup: true }, path: '/setup#old-token', errors: true, go: async (page) => { await page.fill(byId('setup-name'), 'lin'); await page.fill(byId('setup-password'), 'correct horse'); await page.fill(byId('setup-password2'), 'correct horse'); await page.click(byId('setup-submit')); await page.waitForSelector('.problem'); } },
];

const rule = (page, kind) => page.locator(`[data-testid=rule][data-kind=${kind}]`);
/** They are there, and so is what they would have done. */
async function rules(page) {
  await page.waitForSelector(byId('rule'));
  await page.waitForSelector(byId('delivery'));
  await page.locator(byId('dry-strip')).first().scrollIntoViewIfNeeded();
  await page.waitForSelector('[data-testid=dry-strip][data-count]');
}

async function menu(page, item) {
  await rows(page);
  await page.locator(byId('row-menu')).nth(2).click();
  await page.locator('[role=menuitem]').nth(item).click();
  await page.waitForSelector('dialog[open]');
}
async function logIn(page, times) {
  for (let i = 0; i < times; i++) {
    await page.fill(byId('login-name'), 'admin');
    await page.fill(byId('login-password'), 'wrong wrong wrong');
    const answered = page.waitForResponse('**/api/v1/login');
    await page.click(byId('login-submit'));
    await answered;
    await page.waitForTimeout(50);
  }
}

const browser = await launch();
await mkdir(OUT, { recursive: true });

async function shoot(state, size, lang, theme) {
  const label = `${state.name}-${theme}-${lang === 'en' ? 'en' : 'zh'}-${size}`;
  const mock = await startMock(state.mock);
  const context = await browser.newContext({ viewport: SIZES[size], locale: lang, colorScheme: theme, timezoneId: 'Asia/Shanghai', hasTouch: size === '390', reducedMotion: 'reduce' });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.on('pageerror', (error) => troubles.push(`${label}: ${error.stack}`));
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return;
      const failedRequest = /Failed to load resource|WebSocket connection/.test(message.text());
      if (!(state.errors && failedRequest)) troubles.push(`${label}: console: ${message.text()}`);
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(mock.url) && !request.url().startsWith('data:')) troubles.push(`${label}: asked another host: ${request.url()}`);
    });
    const path = typeof state.path === 'function' ? state.path(mock) : (state.path ?? '/');
    await page.goto(mock.url + path);
    await state.go(page, mock);
    await page.waitForTimeout(150);
    await page.screenshot({ path: `${OUT}/${label}.png` });
    if (/^(device|alerts)/.test(state.name) && size === '390') await page.screenshot({ path: `${OUT}/${label}-full.png`, fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) troubles.push(`${label}: ${wide} px wider than the screen`);
    // The CSP (rightly) refuses injected scripts; the debugger's own world does not care.
    const session = await context.newCDPSession(page);
    await session.send('Page.setBypassCSP', { enabled: true });
    await session.send('Runtime.evaluate', { expression: AXE });
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    for (const violation of found.violations) {
      const line = `${label}: axe ${violation.impact}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? node.all[0]?.message ?? ''}`).join(' | ')}`;
      if (violation.impact === 'serious' || violation.impact === 'critical') troubles.push(line);
      else console.log(`  (${line})`);
    }
  } catch (error) {
    troubles.push(`${label}: ${error.message}`);
  } finally {
    await context.close();
    await mock.close();
  }
}

for (const state of STATES) {
  if (only.length > 0 && !only.some((word) => state.name.includes(word))) continue;
  const runs = [['1440', 'en', 'light'], ['1440', 'zh-CN', 'dark'], ['390', 'zh-CN', 'light'], ['390', 'en', 'dark']];
  await Promise.all(runs.filter(([size]) => !(state.desk && size === '390')).map((run) => shoot(state, ...run)));
  console.log(state.name);
}
await browser.close();
for (const trouble of new Set(troubles)) console.error(trouble);
console.log(troubles.length === 0 ? 'no trouble' : `${troubles.length} troubles`);
process.exitCode = troubles.length === 0 ? 0 : 1;
