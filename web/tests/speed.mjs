// How fast the page is with a large fleet, measured in the page: first useful paint, frames while values arrive and while
// somebody scrolls, the heap, and the time from a device's publishing to the painted value. The machine's own noise is in all
// of it: read the figures beside each other.
//
//   npm run build && npm run speed -- [--devices 1000] [--rate 33] [--seconds 20] [--data DIR] [--heap-seconds 20] [--plain]
//
// --data takes a folder that `demo` has filled with so many devices. --plain adds devices without a past and lets `fleet` report
// for them: for more devices than `demo` makes.
//
// Expects openclaw-watch, openclaw-watch-agent and bench's demo in $OPENCLAW_WATCH_PROGRAMS; take a release build.

import { parseArgs } from 'node:util';
import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { launch } from './browser.mjs';
import { cookiesOf, until, workbench } from './real-server.mjs';

const { values } = parseArgs({ options: { devices: { type: 'string', default: '1000' }, rate: { type: 'string', default: '33' }, seconds: { type: 'string', default: '20' }, data: { type: 'string' }, plain: { type: 'boolean', default: false }, 'heap-seconds': { type: 'string', default: '20' } } });
const seconds = Number(values.seconds);
const quantile = (list, q) => { const sorted = [...list].sort((a, b) => a - b); return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]; };
const figures = (list) => ({ n: list.length, p50: Math.round(quantile(list, 0.5)), p99: Math.round(quantile(list, 0.99)), max: Math.round(Math.max(...list)) });
const say = (what, value) => console.log(`${what}: ${JSON.stringify(value)}`);

const bench = await workbench(values.data);
const browser = await launch();
try {
  if (!values.data && !values.plain) await bench.fill('--devices', values.devices, '--days', '2');
  const user = `speed-${process.pid}`;
  await bench.addUser(user, 'admin');
  const server = await bench.serve();
  const cookies = await cookiesOf(server.url, user);
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  const devices = async () => (await fetch(`${server.url}/api/v1/devices`, { headers: { cookie } })).json();
  if (values.plain) {
    const csrf = (await (await fetch(`${server.url}/api/v1/session`, { headers: { cookie } })).json()).csrf;
    const headers = { cookie, 'x-csrf-token': csrf, 'content-type': 'application/json' };
    const keys = [];
    for (let i = 0; i < Number(values.devices); i++) {
      const answer = await fetch(`${server.url}/api/v1/devices`, { method: 'POST', headers, body: JSON.stringify({ name: `node-${i}`, tags: [`site-${i % 40}`] }) });
      if (!answer.ok) throw new Error(await answer.text());
      keys.push((await answer.json()).key);
      if (i % 1000 === 0) console.log(`added ${i}`);
    }
    const file = path.join(bench.folder, 'keys');
    await writeFile(file, keys.join('\n'), { mode: 0o600 });
    bench.start('fleet', ['--server', server.broker, '--keys', file, '--devices', values.devices, '--rate', values.rate, '--seconds', '100000', '--no-live']);
  } else {
    bench.start('demo', ['live', '--data-dir', bench.data, '--server', server.broker, '--rate', values.rate]);
  }
  await until('the fleet is connected', async () => (await devices()).filter((device) => device.online).length > Number(values.devices) * 0.8, 120_000);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en' });
  await context.addCookies(cookies);

  // A cold cache each time: the first visit of somebody.
  const paints = [];
  for (let i = 0; i < 5; i++) {
    const page = await context.newPage();
    await page.addInitScript(() => {
      const look = () => {
        const row = document.querySelector('[data-testid=device-row] .mi b');
        if (row) setTimeout(() => { window.painted = performance.now(); });
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    await page.goto(`${server.url}/`);
    await page.waitForFunction(() => window.painted);
    paints.push(await page.evaluate(() => window.painted));
    await page.close();
  }
  say('first useful paint ms', figures(paints));

  const page = await context.newPage();
  await page.goto(`${server.url}/`);
  await page.waitForSelector('[data-testid=device-row] .mi b');
  const frames = (ms, scroll) => page.evaluate(([duration, scrolls]) => new Promise((done) => {
    const list = [];
    let last = performance.now();
    const end = last + duration;
    const frame = (now) => {
      list.push(now - last);
      last = now;
      if (scrolls) window.scrollBy(0, 37);
      if (now < end) requestAnimationFrame(frame);
      else done(list.slice(1));
    };
    requestAnimationFrame(frame);
  }), [ms, scroll]);
  const rest = await frames(seconds * 500, false);
  say('frame ms while values arrive', { ...figures(rest), fps: Math.round(1000 / quantile(rest, 0.5)) });
  const rolling = await frames(6000, true);
  say('frame ms while scrolling', { ...figures(rolling), fps: Math.round(1000 / quantile(rolling, 0.5)), mean_fps: Math.round((1000 * rolling.length) / rolling.reduce((a, b) => a + b, 0)) });
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.waitForTimeout(1000);

  // Reports carry the time of their measuring, by the same clock: from there to the painted row.
  const latency = await page.evaluate((duration) => new Promise((done) => {
    const found = [];
    const seen = new Map();
    const observer = new MutationObserver((changes) => {
      const rows = new Set(changes.filter((change) => change.attributeName === 'data-at').map((change) => change.target));
      requestAnimationFrame(() => setTimeout(() => {
        const now = Date.now();
        for (const row of rows) {
          const { deviceId, at } = row.dataset;
          if (at && seen.get(deviceId) !== undefined && seen.get(deviceId) !== at) found.push(now - Date.parse(at));
          seen.set(deviceId, at);
        }
      }));
    });
    for (const row of document.querySelectorAll('[data-testid=device-row]')) seen.set(row.dataset.deviceId, row.dataset.at);
    observer.observe(document.querySelector('.rows'), { subtree: true, attributes: true, attributeFilter: ['data-at'] });
    setTimeout(() => { observer.disconnect(); done(found); }, duration);
  }), seconds * 1000);
  if (latency.length > 0) say('publish to painted ms', figures(latency));

  // A real agent is killed under the same load.
  const offline = [];
  for (let i = 0; i < 5; i++) {
    const added = JSON.parse(await bench.run('openclaw-watch', ['device', 'add', `victim-${process.pid}-${i}`, '--json', '--data-dir', bench.data]));
    const state = await mkdtemp(path.join(bench.folder, 'agent-'));
    const home = await mkdtemp(path.join(bench.folder, 'home-'));
    const agent = bench.start('openclaw-watch-agent', ['run', '--server', server.broker, '--key', added.key, ...(added.pin ? ['--pin', added.pin] : []), '--state-dir', state, '--openclaw-home', home]);
    await page.goto(`${server.url}/?q=victim-${process.pid}-${i}&group=none`);
    await page.waitForSelector(`[data-device-id="${added.id}"][data-state=online]`, { timeout: 20_000 });
    await page.waitForTimeout(500);
    await page.evaluate((id) => {
      window.gone = undefined;
      const look = () => {
        if (document.querySelector(`[data-device-id="${id}"][data-state=offline]`)) setTimeout(() => { window.gone = Date.now(); });
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, added.id);
    const killed = Date.now();
    agent.kill('SIGKILL');
    await page.waitForFunction(() => window.gone);
    offline.push((await page.evaluate(() => window.gone)) - killed);
  }
  say('killed to painted offline ms', figures(offline));

  await page.goto(`${server.url}/`);
  await page.waitForSelector('[data-testid=device-row]');
  const session = await context.newCDPSession(page);
  const heap = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return Math.round((await session.send('Runtime.getHeapUsage')).usedSize / 1024);
  };
  await page.waitForTimeout(5000);
  const heaps = [await heap()];
  const heapSeconds = Number(values['heap-seconds']);
  for (let i = 0; i < 10; i++) {
    await page.waitForTimeout(heapSeconds * 100);
    heaps.push(await heap());
  }
  say(`heap KB over ${heapSeconds} s`, heaps);
} finally {
  await browser.close();
  await bench.close();
}
