// Every view against the real server with a simulated fleet: both languages, both themes, desk and phone. Pictures go to
// `artefacts/views`; on each there is no console error, nothing wider than the screen, no request to another host, nothing
// that the CSP refused, and nothing serious that axe finds.
//
//   npm run build && npm run views [-- NAME...]      only views whose name contains one of the words
//
// Expects the programs in $OPENCLAW_WATCH_PROGRAMS (target/debug by default): openclaw-watch and the demo of bench. Each view is
// taken four times, so that every language, theme and width is seen; ALL=1 takes all eight, FEW=2 only two.

import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { byId, launch } from './browser.mjs';
import { cookiesOf, PASSWORD, totp, until, workbench } from './real-server.mjs';

const OUT = fileURLToPath(new URL('../artefacts/views', import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = { 1440: { width: 1440, height: 900 }, 390: { width: 390, height: 844 } };
const RUNS = [['1440', 'en', 'light'], ['1440', 'zh-CN', 'dark'], ['390', 'zh-CN', 'light'], ['390', 'en', 'dark'], ['1440', 'zh-CN', 'light'], ['1440', 'en', 'dark'], ['390', 'en', 'light'], ['390', 'zh-CN', 'dark']];
const only = process.argv.slice(2);
const FEW = process.env.FEW ? Number(process.env.FEW) : process.env.ALL ? RUNS.length : 4;
const troubles = [];

const DAY = 86_400_000;
const iso = (ms) => new Date(ms).toISOString();
const device = (fleet, name) => fleet.find((each) => each.name === name)?.id;

/** Name, address, and what must be there before the picture. `user: null` sees it without a login. */
const VIEWS = [
  { name: 'overview', path: () => '/', ready: '[data-testid=device-row] .hb .b-ok[d^=M]' },
  { name: 'overview-list', path: () => '/?group=none&sort=-cpu', ready: '[data-testid=device-row]' },
  { name: 'overview-search', path: () => '/?q=version:<2026.9.6', ready: '[data-testid=device-row]' },
  { name: 'overview-past', path: () => `/?t=${iso(Date.now() - 2 * DAY)}`, ready: '.past [type=range]' },
  { name: 'overview-cards', path: () => '/?view=cards', ready: '[data-testid=device-row] .hb .b-ok[d^=M]', desk: true },
  { name: 'overview-tv', path: () => '/?tv=1', ready: '[data-testid=device-row]', desk: true },
  { name: 'settings-display', path: () => '/settings', ready: '#zone' },
  { name: 'settings-account', path: () => '/settings/account', ready: byId('two-factor-on') },
  { name: 'settings-account-scan', path: () => '/settings/account', ready: byId('two-factor-on'), go: (page) => steps(page, [byId('two-factor-on')], '.qr') },
  { name: 'settings-account-on', user: 'second', path: () => '/settings/account', ready: '.acts' },
  { name: 'settings-devices', path: () => '/settings/devices', ready: '.set .t tbody tr' },
  { name: 'settings-keys', path: () => '/settings/keys', ready: '.set .t tbody tr' },
  { name: 'settings-key-form', path: () => '/settings/keys', ready: '.set .t tbody tr', go: (page) => steps(page, [byId('key-add'), '.seg.wrap >> nth=1 >> button >> nth=1'], '.dlist label') },
  { name: 'settings-key-new', path: () => '/settings/keys', ready: '.set .t tbody tr', go: (page) => steps(page, [byId('key-add'), [byId('key-name'), 'home'], '.dlg button[type=submit]'], byId('key-text')) },
  { name: 'settings-users', path: () => '/settings/users', ready: '.set .t tbody tr' },
  { name: 'settings-user-form', path: () => '/settings/users', ready: '.set .t tbody tr', go: (page) => steps(page, [byId('user-add')], byId('user-password')) },
  { name: 'settings-tokens', path: () => '/settings/tokens', ready: '.set .t tbody tr' },
  { name: 'settings-token-new', path: () => '/settings/tokens', ready: byId('token-add'), go: (page) => steps(page, [byId('token-add'), [byId('token-name'), 'grafana'], '.dlg button[type=submit]'], byId('token-text')) },
  { name: 'settings-prices', path: () => '/settings/prices', ready: '.set .t tbody tr', go: (page) => page.click('button[aria-expanded=false] >> nth=0', { timeout: 1000 }).catch(() => {}) },
  { name: 'settings-retention', path: () => '/settings/retention', ready: '.verdict' },
  { name: 'settings-backups', path: async ({ change }) => { await change('POST', '/backups'); return '/settings/backups'; }, ready: '.set .t tbody tr' },
  { name: 'settings-status-page', path: () => '/settings/status-page', ready: byId('status-save') },
  { name: 'settings-viewer', user: 'second', path: () => '/settings', ready: '#zone' },
  { name: 'status', user: null, path: async ({ change, fleet }) => { await change('PUT', '/status-page', statusPage(fleet)); return '/status'; }, ready: '.st-days', whole: true },
  { name: 'login-code', user: null, refused: '401', path: () => '/login', ready: byId('login-name'), go: (page) => steps(page, [[byId('login-name'), 'second'], [byId('login-password'), PASSWORD], byId('login-submit')], byId('login-code')) },
  { name: 'add-device', path: () => '/', ready: '[data-testid=device-row]', go: (page) => steps(page, [byId('add-device-open'), [byId('add-device-name'), 'pi-kitchen']], '.ost') },
  { name: 'add-device-waiting', path: () => '/', ready: '[data-testid=device-row]', go: (page, label, { broker }) => waiting(page, label, broker) },
  { name: 'edit-conflict', refused: '409', path: ({ fleet }) => `/devices/${fleet[2].id}`, ready: byId('device-menu'), go: (page, label, { change, fleet }) => conflict(page, label, change, fleet[2].id) },
  { name: 'rotate', path: ({ fleet }) => `/devices/${fleet[3].id}`, ready: byId('device-menu'), go: (page) => steps(page, [byId('device-menu'), '[role=menuitem] >> nth=2', '.seg.wrap button >> nth=2'], '.dlg .hint') },
  { name: 'cost', path: () => '/cost', ready: '[data-testid=cost-chart][data-ready=true]', whole: true },
  { name: 'cost-behind', path: () => `/cost?by=device&at=${iso(Date.now() - 5 * DAY).slice(0, 10)}`, ready: '[data-testid=cost-behind] .co-br u' },
  { name: 'cost-hours', path: () => '/cost?range=7d&per=hour&by=trigger&unit=tokens', ready: '[data-testid=cost-chart][data-ready=true]' },
  { name: 'cost-unpriced', path: (w) => `/cost?device=${w.device('bom-vps-1')}`, ready: '.co-none' },
  { name: 'cost-device', path: (w) => `/cost?device=${w.device('bom-vps-1')}&unit=tokens`, ready: '[data-testid=cost-chart][data-ready=true]' },
  { name: 'errors', path: () => '/errors', ready: byId('error-row') },
  { name: 'errors-crash', path: () => '/errors?level=crash', ready: byId('error-row'), go: async (page) => { await page.locator('[data-testid=error-row] a').first().click(); await page.waitForSelector(byId('error-context')); } },
  { name: 'errors-none', path: () => '/errors?q=nothinglikeit', ready: '.empty' },
  { name: 'errors-groups', path: () => '/errors?view=groups&state=all', ready: byId('error-group') },
  { name: 'errors-group', path: () => '/errors?view=groups', ready: byId('error-group'), go: async (page) => { await page.locator('[data-testid=error-group] .er-gt').first().click(); await page.waitForSelector('.er-bars.wide'); } },
  { name: 'errors-viewer', user: 'second', path: () => '/errors?view=groups', ready: byId('error-group') },
  { name: 'outages', path: () => '/outages', ready: byId('outage-row') },
  { name: 'outages-uptime', path: () => '/outages?view=uptime', ready: '.ou-days rect' },
  { name: 'security', path: () => '/security', ready: byId('security-check'), go: (page) => page.locator('summary').first().click(), whole: true },
  { name: 'security-devices', path: () => '/security?view=devices&severity=critical', ready: '.se-finding' },
  { name: 'audit-log', path: () => '/audit-log', ready: byId('audit-row') },
  { name: 'audit-log-viewer', user: 'second', path: () => '/audit-log', ready: '.page-note' },
  { name: 'alerts', path: () => '/alerts', ready: byId('rule'), go: async (page) => { await page.locator(byId('dry-strip')).first().scrollIntoViewIfNeeded(); await page.waitForSelector('[data-testid=dry-strip][data-count]'); } },
  { name: 'alerts-rule', path: () => '/alerts', ready: '[data-testid=rule][data-kind=memory]', go: (page) => steps(page, ['[data-testid=rule][data-kind=memory] [data-slot="field:level"]', '.popover .re-c button >> nth=2'], '[data-testid=dry-panel][data-count]') },
  { name: 'alerts-history', path: () => '/alerts/history', ready: byId('alert') },
  { name: 'alerts-deliveries', path: () => '/alerts/deliveries', ready: byId('delivery') },
  { name: 'alerts-channels', path: () => '/alerts/channels', ready: byId('channel') },
  { name: 'alerts-channel-form', path: () => '/alerts/channels', ready: byId('channel-add'), go: (page) => steps(page, [byId('channel-add'), '[data-kind=telegram]'], byId('channel-save')) },
  { name: 'alerts-quiet', path: () => '/alerts/quiet', ready: '.wk' },
  { name: 'device', path: (w) => `/devices/${w.device('mac-mini-sz')}`, ready: '[data-ready=true]', whole: true },
  { name: 'device-7d', path: (w) => `/devices/${w.device('tokyo-vps-2')}?range=7d&more=1`, ready: '[data-ready=true]' },
  { name: 'device-year', path: (w) => `/devices/${w.device('bom-vps-1')}?range=1y`, ready: '[data-ready=true]' },
  { name: 'device-zoom', path: (w) => `/devices/${w.device('hk-edge-02')}?from=${iso(Date.now() - 9 * DAY)}&to=${iso(Date.now() - 8 * DAY)}`, ready: '[data-ready=true]' },
  { name: 'device-offline', path: (w) => `/devices/${w.device('saopaulo-1')}`, ready: '[data-ready=true]' },
  { name: 'device-never', path: (w) => `/devices/${w.device('nas-attic')}`, ready: '[data-ready=true]' },
];

/** Clicks what is named and fills what is named with its text, in that order, until something is there. */
async function steps(page, all, then) {
  for (const step of all) {
    if (typeof step === 'string') await page.click(step);
    else await page.fill(step[0], step[1]);
  }
  await page.waitForSelector(then);
}

const statusPage = (fleet) => ({ enabled: true, title: 'Our lobsters', note: 'Questions? ops@example.net', devices: fleet.slice(0, 12).map((each) => each.id), show_uptime: true, show_reason: true });

/** Adds a device and knocks at the device port as one that has copied half of its key. */
async function waiting(page, label, broker) {
  await steps(page, [byId('add-device-open'), [byId('add-device-name'), label.slice(-40)], byId('add-device-submit')], byId('add-device-key'));
  const key = (await page.textContent(byId('add-device-key'))).trim();
  for (const text of [key.slice(0, 40), `${key.slice(0, -4)}aaaa`]) await knock(broker, text);
  await fetch(`http://${broker}/`).catch(() => {});
  await page.waitForSelector('.saw div:nth-of-type(2)');
}

function knock(broker, key) {
  const field = (text) => Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), Buffer.from(text)]);
  const body = Buffer.concat([field('MQTT'), Buffer.from([4, 0xc2, 0, 60]), field('x'), field('any'), field(key)]);
  const [host, port] = broker.split(':');
  return new Promise((resolve) => {
    const socket = connect(Number(port), host, () => socket.write(Buffer.concat([Buffer.from([0x10, body.length]), body])));
    socket.on('close', resolve).on('error', resolve).resume();
  });
}

/** Two rename the same device; the second is told. */
async function conflict(page, label, change, id) {
  await steps(page, [byId('device-menu'), '[role=menuitem] >> nth=0'], '#rename');
  await change('PATCH', `/devices/${id}`, { name: `theirs ${label.slice(-30)}` });
  await steps(page, [['#rename', `mine ${label.slice(-30)}`], '.dlg button[type=submit]'], byId('conflict-mine'));
}

const bench = await workbench();
const browser = await launch();
await mkdir(OUT, { recursive: true });
try {
  await bench.fill('--devices', '40', '--days', '40');
  await bench.addUser('admin', 'admin');
  const server = await bench.serve();
  bench.start('demo', ['live', '--data-dir', bench.data, '--server', server.broker]);
  const cookies = await cookiesOf(server.url, 'admin');
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  const ask = async (path) => (await fetch(`${server.url}/api/v1${path}`, { headers: { cookie } })).json();
  const fleet = await until('the fleet reports', async () => {
    const devices = await ask('/devices');
    return devices.filter((each) => each.online).length > 30 ? devices : null;
  });
  const asSomebody = (cookies) => {
    const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
    return async (method, path, body) => {
      const { csrf } = await (await fetch(`${server.url}/api/v1/session`, { headers: { cookie } })).json();
      const headers = { cookie, 'x-csrf-token': csrf, 'content-type': 'application/json' };
      const answer = await fetch(`${server.url}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
      return answer.status === 204 ? null : answer.json();
    };
  };
  const change = asSomebody(cookies);
  // Somebody who may only look, with a second factor.
  await bench.addUser('second', 'viewer');
  const others = { second: await cookiesOf(server.url, 'second') };
  const second = asSomebody(others.second);
  const { secret } = await second('POST', '/me/two-factor');
  await second('PUT', '/me/two-factor', { code: totp(secret) });
  const world = { change, broker: server.broker, fleet, ask, device: (name) => device(fleet, name), serverUrl: server.url };
  for (const view of VIEWS) {
    if (only.length > 0 && !only.some((word) => view.name.includes(word))) continue;
    const path = await view.path(world);
    const runs = RUNS.slice(0, FEW).filter(([size]) => !(view.desk && size === '390'));
    for (let i = 0; i < runs.length; i += 2) await Promise.all(runs.slice(i, i + 2).map((run) => shoot(view, path, world, view.user === null ? [] : (others[view.user] ?? cookies), ...run)));
    console.log(view.name);
  }
} finally {
  await browser.close();
  await bench.close();
}
for (const trouble of new Set(troubles)) console.error(trouble);
console.log(troubles.length === 0 ? 'no trouble' : `${troubles.length} troubles`);
process.exitCode = troubles.length === 0 ? 0 : 1;

async function shoot(view, path, world, cookies, size, lang, theme) {
  const url = world.serverUrl;
  const label = `${view.name}-${theme}-${lang === 'en' ? 'en' : 'zh'}-${size}`;
  const context = await browser.newContext({ viewport: SIZES[size], locale: lang, colorScheme: theme, timezoneId: 'Asia/Shanghai', hasTouch: size === '390', reducedMotion: 'reduce' });
  try {
    await context.addCookies(cookies);
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (error) => troubles.push(`${label}: ${error.stack}`));
    page.on('console', (message) => {
      // The browser's own word for an answer that is meant to refuse.
      if (view.refused && message.text().includes(`status of ${view.refused}`)) return;
      if (message.type() === 'error' || message.type() === 'warning') troubles.push(`${label}: console: ${message.text()}`);
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) troubles.push(`${label}: asked another host: ${request.url()}`);
    });
    await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`)));
    await page.goto(url + path);
    await page.waitForSelector(view.ready, { state: 'attached' });
    if (view.go) await view.go(page, label, world);
    await page.waitForTimeout(700);
    await page.screenshot({ path: `${OUT}/${label}.png`, fullPage: view.whole === true });
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
  }
}
