// Every view against the real server with a simulated fleet: both languages, both themes, desk and phone. Pictures go to
// `artefacts/views`; on each there is no console error, nothing wider than the screen, no request to another host, nothing
// that the CSP refused, and nothing serious that axe finds.
//
//   npm run build && npm run views [-- NAME...]      only views whose name contains one of the words
//
// Expects the programs in $OPENCLAW_WATCH_PROGRAMS (target/debug by default): openclaw-watch and the demo of bench. FEW=2 takes only the
// first two pictures of each view.

import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { launch } from './browser.mjs';
import { cookiesOf, until, workbench } from './real-server.mjs';

const OUT = fileURLToPath(new URL('../artefacts/views', import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = { 1440: { width: 1440, height: 900 }, 390: { width: 390, height: 844 } };
const RUNS = [['1440', 'en', 'light'], ['1440', 'zh-CN', 'dark'], ['390', 'zh-CN', 'light'], ['390', 'en', 'dark'], ['1440', 'zh-CN', 'light'], ['1440', 'en', 'dark'], ['390', 'en', 'light'], ['390', 'zh-CN', 'dark']];
const only = process.argv.slice(2);
const FEW = process.env.FEW ? Number(process.env.FEW) : RUNS.length;
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
  { name: 'overview-tv', path: () => '/?tv=1', ready: '[data-testid=device-row]', desk: true },
];

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
  const world = { fleet, ask, device: (name) => device(fleet, name), serverUrl: server.url };
  for (const view of VIEWS) {
    if (only.length > 0 && !only.some((word) => view.name.includes(word))) continue;
    const path = await view.path(world);
    const runs = RUNS.slice(0, FEW).filter(([size]) => !(view.desk && size === '390'));
    for (let i = 0; i < runs.length; i += 2) await Promise.all(runs.slice(i, i + 2).map((run) => shoot(view, path, server.url, view.user === null ? [] : cookies, ...run)));
    console.log(view.name);
  }
} finally {
  await browser.close();
  await bench.close();
}
for (const trouble of new Set(troubles)) console.error(trouble);
console.log(troubles.length === 0 ? 'no trouble' : `${troubles.length} troubles`);
process.exitCode = troubles.length === 0 ? 0 : 1;

async function shoot(view, path, url, cookies, size, lang, theme) {
  const label = `${view.name}-${theme}-${lang === 'en' ? 'en' : 'zh'}-${size}`;
  const context = await browser.newContext({ viewport: SIZES[size], locale: lang, colorScheme: theme, timezoneId: 'Asia/Shanghai', hasTouch: size === '390', reducedMotion: 'reduce' });
  try {
    await context.addCookies(cookies);
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (error) => troubles.push(`${label}: ${error.stack}`));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') troubles.push(`${label}: console: ${message.text()}`);
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) troubles.push(`${label}: asked another host: ${request.url()}`);
    });
    await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`)));
    await page.goto(url + path);
    await page.waitForSelector(view.ready, { state: 'attached' });
    if (view.go) await view.go(page, size);
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
