// What the page does, in a real browser against the simulated server.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { byId, launch } from './browser.mjs';
import { startMock } from './mock-server.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** Opens the page against a server of its own; whatever the browser complains about fails the test. */
async function visit(run, { path = '/', mock: options, size = { width: 1440, height: 1800 }, lang = 'en', allow = /^$/ } = {}) {
  const mock = await startMock({ quiet: true, ...options });
  const context = await browser.newContext({ viewport: size, locale: lang });
  const page = await context.newPage();
  page.setDefaultTimeout(8000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !allow.test(message.text())) complaints.push(message.text());
  });
  try {
    await page.goto(mock.url + path);
    await run(page, mock, context);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
    await mock.close();
  }
}
const row = (id) => `${byId('device-row')}[data-device-id="${id}"]`;
const named = (mock, name) => mock.state.devices.find((device) => device.name === name);
const REFUSED = /Failed to load resource|WebSocket/;

test('the set-up link makes the account and its token leaves the address', () =>
  visit(
    async (page, mock) => {
      await page.waitForSelector(byId('setup-name'));
      assert.equal(new URL(page.url()).hash, '');
      await page.fill(byId('setup-name'), 'lin');
      await page.fill(byId('setup-password'), 'correct horse battery');
      await page.fill(byId('setup-password2'), 'correct horse batterx');
      await page.click(byId('setup-submit'));
      await page.waitForSelector('#setup-password2-note');
      await page.fill(byId('setup-password2'), 'correct horse battery');
      await page.click(byId('setup-submit'));
      await page.waitForSelector(byId('device-row'));
      assert.equal(mock.state.user.name, 'lin');
      assert.equal(new URL(page.url()).pathname, '/');
    },
    { path: '/setup#demo-token', mock: { setup: true } },
  ));

test('the set-up link also works in a tab that shows the set-up, and as text in the token field', () =>
  visit(
    async (page, mock) => {
      await page.waitForSelector(`${byId('setup-token')}:focus`);
      await page.evaluate(() => { location.hash = '#old-token'; });
      await page.waitForSelector(`${byId('setup-name')}:focus`);
      assert.equal(await page.locator(byId('setup-token')).count(), 0);
      assert.equal(new URL(page.url()).hash, '');
      await page.fill(byId('setup-name'), 'lin');
      await page.fill(byId('setup-password'), 'correct horse battery');
      await page.fill(byId('setup-password2'), 'correct horse battery');
      await page.click(byId('setup-submit'));
      await page.fill(byId('setup-token'), ` ${mock.url}/setup#demo-token `);
      await page.click(byId('setup-submit'));
      await page.waitForSelector(byId('device-row'));
    },
    { path: '/setup', mock: { setup: true }, allow: REFUSED },
  ));

test('a page without a login takes the one that another tab made', () =>
  visit(
    async (page, mock) => {
      await page.waitForSelector(byId('device-row'));
      mock.endLogins();
      await page.waitForSelector('text=Your login has ended');
      await page.waitForSelector(`${byId('login-name')}:focus`);
      mock.state.user = { name: 'admin', role: 'admin' };
      await page.evaluate(() => window.dispatchEvent(new Event('focus')));
      await page.waitForSelector(byId('device-row'));
      assert.equal(new URL(page.url()).search, '?q=hk');
    },
    { path: '/?q=hk', allow: REFUSED },
  ));

test('who could not be logged out is told so', () =>
  visit(
    async (page, mock) => {
      await page.route('**/api/v1/logout', (route) => route.abort());
      await page.click(byId('logout'));
      await page.waitForSelector('text=the login is still valid');
      assert.equal(new URL(page.url()).pathname, '/settings');
      await page.unroute('**/api/v1/logout');
      mock.state.user = null;
      await page.click(byId('logout'));
      await page.waitForSelector(byId('login-name'));
    },
    { path: '/settings', allow: REFUSED },
  ));

test('a login returns to where one was going, and a login that ends comes back too', () =>
  visit(
    async (page, mock) => {
      const enter = async () => {
        await page.fill(byId('login-name'), 'admin');
        await page.fill(byId('login-password'), 'correct horse battery');
        await page.click(byId('login-submit'));
        await page.waitForSelector(byId('device-row'));
        assert.equal(new URL(page.url()).search, '?q=hk');
      };
      await page.waitForSelector(byId('login-name'));
      await enter();
      mock.endLogins();
      await page.waitForSelector(byId('login-name'));
      await enter();
      await page.waitForSelector('[data-live=live]');
      await page.goto(`${mock.url}/settings`);
      await page.click(byId('logout'));
      await page.waitForSelector(byId('login-name'));
    },
    { path: '/?q=hk', mock: { login: true }, allow: REFUSED },
  ));

test('numbers move, and a device that goes offline moves to the top with its reason', () =>
  visit(async (page, mock) => {
    const device = named(mock, 'pi-garage');
    await page.waitForSelector(row(device.id));
    device.latest = { ...device.latest, at: new Date().toISOString(), cpu_pct: 77 };
    mock.changed(device);
    await page.waitForFunction((at) => document.querySelector(at)?.textContent === '77%', `${row(device.id)} ${byId('device-cpu')}`);
    const began = Date.now();
    mock.down(device.id, 'keep_alive_timeout');
    await page.waitForSelector(`${row(device.id)}[data-state=offline]`);
    assert.ok(Date.now() - began < 1000);
    assert.match(await page.textContent(row(device.id)), /Fell silent/);
    assert.equal(await page.locator(byId('device-row')).first().getAttribute('data-device-id'), device.id);
    assert.match(await page.title(), /^\(10\) /);
  }));

test('a lost connection keeps the values and says so; it comes back by itself', () =>
  visit(
    async (page, mock) => {
      const device = named(mock, 'pi-garage');
      await page.waitForSelector(row(device.id));
      const shown = await page.textContent(`${row(device.id)} ${byId('device-cpu')}`);
      mock.cut();
      await page.waitForSelector('[data-live=reconnecting]');
      assert.equal(await page.textContent(`${row(device.id)} ${byId('device-cpu')}`), shown);
      device.latest = { ...device.latest, cpu_pct: 55 };
      mock.state.refuseLive = false;
      await page.waitForSelector('[data-live=live]');
      await page.waitForFunction((at) => document.querySelector(at)?.textContent === '55%', `${row(device.id)} ${byId('device-cpu')}`);
    },
    { allow: REFUSED },
  ));

test('a missed frame leads to a fresh snapshot', () =>
  visit(async (page, mock) => {
    await page.waitForSelector(byId('device-row'));
    const device = named(mock, 'pi-garage');
    device.latest = { ...device.latest, cpu_pct: 66 };
    mock.state.rev += 3;
    mock.changed(named(mock, 'pi-balcony') ?? mock.state.devices[0]);
    await page.waitForFunction((at) => document.querySelector(at)?.textContent === '66%', `${row(device.id)} ${byId('device-cpu')}`);
  }));

test('adding a device shows the key once and turns green', () =>
  visit(
    async (page, mock) => {
      await page.waitForSelector(byId('device-row'));
      await page.click(byId('add-device-open'));
      await page.fill(byId('add-device-name'), 'pi-kitchen');
      await page.fill('#add-tags', 'home edge');
      await page.click(byId('add-device-submit'));
      const key = await page.textContent(byId('add-device-key'));
      assert.match(key, /^ocw_/);
      assert.ok((await page.textContent(byId('add-device-command'))).includes(key));
      await page.waitForSelector(byId('add-device-online'));
      await page.waitForSelector('.nums');
      assert.deepEqual(named(mock, 'pi-kitchen').tags, ['home', 'edge']);
      assert.ok(!(await page.content()).includes(key));
    },
    { mock: { arriveAfterMs: 900 } },
  ));

test('a closed dialog keeps waiting, can be opened again, and tells when the device arrives', () =>
  visit(
    async (page) => {
      await page.waitForSelector(byId('device-row'));
      await page.click(byId('add-device-open'));
      await page.fill(byId('add-device-name'), 'pi-kitchen');
      await page.click(byId('add-device-submit'));
      const key = await page.textContent(byId('add-device-key'));
      await page.keyboard.press('Escape');
      await page.click('text=Waiting for pi-kitchen');
      assert.equal(await page.textContent(byId('add-device-key')), key);
      await page.click('text=Close and keep waiting');
      await page.waitForSelector('.toast >> text=pi-kitchen is online');
      await page.click('.toast >> text=Open');
      await page.waitForSelector(byId('device-page'));
    },
    { mock: { arriveAfterMs: 2500 } },
  ));

test('a login that ends takes the keys it made with it', () =>
  visit(
    async (page) => {
      await page.waitForSelector(byId('device-row'));
      await page.click(byId('add-device-open'));
      await page.fill(byId('add-device-name'), 'pi-kitchen');
      await page.click(byId('add-device-submit'));
      const key = await page.textContent(byId('add-device-key'));
      await page.keyboard.press('Escape');
      await page.waitForSelector('text=Waiting for pi-kitchen');
      for (const name of ['viewer', 'admin']) {
        await page.click('nav a[href="/settings"]');
        await page.click(byId('logout'));
        await page.waitForSelector(byId('login-name'));
        await page.fill(byId('login-name'), name);
        await page.fill(byId('login-password'), 'correct horse battery');
        await page.click(byId('login-submit'));
        await page.waitForSelector(byId('device-row'));
        assert.ok(!(await page.content()).includes(key));
        assert.equal(await page.locator('text=Waiting for').count(), 0);
        assert.equal(await page.locator('dialog').count(), 0);
      }
    },
    { mock: { arriveAfterMs: null }, allow: REFUSED },
  ));

test('a phone reaches a device that is waited for, until it is removed elsewhere', () =>
  visit(
    async (page, mock) => {
      await page.waitForSelector(byId('device-row'));
      await page.click(byId('add-device-open'));
      await page.fill(byId('add-device-name'), `pi-${'kitchen'.repeat(8)}`);
      await page.click(byId('add-device-submit'));
      await page.click('text=Close and keep waiting');
      await page.click('text=Waiting for pi-kitchen');
      await page.waitForSelector(byId('add-device-key'));
      await page.keyboard.press('Escape');
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      mock.remove(named(mock, `pi-${'kitchen'.repeat(8)}`).id);
      await page.waitForSelector('text=Waiting for', { state: 'detached' });
    },
    { mock: { arriveAfterMs: null }, size: { width: 390, height: 844 } },
  ));

test('rename, tags and remove', () =>
  visit(async (page, mock) => {
    const device = named(mock, 'pi-garage');
    const pick = async (item) => {
      await page.click(`${row(device.id)} ${byId('row-menu')}`);
      await page.click(`[role=menuitem]:has-text("${item}")`);
      await page.waitForSelector('dialog[open]');
    };
    await page.waitForSelector(row(device.id));
    await pick('Rename');
    await page.fill('#rename', 'pi-shed');
    await page.keyboard.press('Enter');
    await page.waitForSelector(`${row(device.id)} >> text=pi-shed`);
    await pick('Edit tags');
    await page.keyboard.type('cold ');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog', { state: 'detached' });
    assert.deepEqual(device.tags, ['home', 'edge', 'cold']);
    await pick('Remove');
    await page.click('text=Remove for good');
    await page.waitForSelector(row(device.id), { state: 'detached' });
    assert.equal(named(mock, 'pi-shed'), undefined);
  }));

test('the key of this machine cannot be rotated', () =>
  visit(async (page, mock) => {
    for (const [kind, count] of [['local', 0], ['agent', 1]]) {
      const device = mock.state.devices.find((each) => each.kind === kind);
      await page.goto(`${mock.url}/?q=${device.name}`);
      await page.click(`${row(device.id)} ${byId('row-menu')}`);
      assert.equal(await page.locator('[role=menuitem]:has-text("Rotate key")').count(), count);
      await page.goto(`${mock.url}/devices/${device.id}`);
      await page.click(byId('device-menu'));
      assert.equal(await page.locator('[role=menuitem]:has-text("Rotate key")').count(), count);
    }
  }));

test('the keyboard alone is enough', () =>
  visit(async (page) => {
    await page.waitForSelector(byId('device-row'));
    await page.keyboard.press('/');
    await page.keyboard.type('tag:prod tokyo');
    await page.waitForFunction(() => document.querySelectorAll('[data-testid=device-row]').length === 3);
    assert.match(page.url(), /\?q=tag:prod\+tokyo$/);
    await page.keyboard.press('Enter');
    await page.keyboard.press('j');
    const at = await page.getAttribute('[role=grid]', 'aria-activedescendant');
    assert.equal(await page.getAttribute(`#${at}`, 'aria-rowindex'), '4');
    await page.keyboard.press('.');
    await page.waitForSelector('[role=menu]');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Escape');
    await page.waitForSelector('[role=menu]', { state: 'detached' });
    await page.focus('[role=grid]');
    await page.keyboard.press('Enter');
    await page.waitForSelector(byId('device-page'));
    await page.keyboard.press('g');
    await page.keyboard.press('o');
    await page.waitForSelector('[role=grid]');
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open]');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog', { state: 'detached' });
  }));

test('the device page draws, follows live values, and keeps its range in the address', () =>
  visit(async (page, mock) => {
    const device = named(mock, 'hk-edge-02');
    await page.waitForSelector(row(device.id));
    await page.click(`${row(device.id)} .name`);
    await page.waitForSelector(`${byId('chart-ready')}[data-ready=true]`);
    await page.click('text=6 h');
    await page.waitForSelector(`${byId('chart-ready')}[data-ready=true]`);
    assert.match(page.url(), /range=6h/);
    device.latest = { ...device.latest, at: new Date(Date.now() + 500).toISOString(), cpu_pct: 71 };
    mock.changed(device);
    await page.waitForFunction(() => document.querySelector('.ln .now')?.textContent === '71%');
    mock.down(device.id, 'shutdown');
    await page.waitForSelector(`${byId('device-page')}[data-state=offline]`);
    await page.goBack();
    await page.waitForSelector('[role=grid]');
  }));

test('hostile names are text', () =>
  visit(
    async (page, mock) => {
      const device = mock.state.devices[0];
      Object.assign(device, { name: `<img src=x onerror=alert(1)>\u202E${'🦞'.repeat(300)}\0`, tags: ['<script>', 'x'.repeat(400)] });
      mock.changed(device);
      await page.waitForFunction(() => [...document.querySelectorAll('.name')].some((name) => name.textContent.startsWith('<img src=x')));
      assert.equal(await page.locator('img').count(), 0);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      await page.goto(`${mock.url}/devices/${device.id}`);
      await page.waitForSelector('h1 >> text=<img');
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    },
    { mock: { size: 3 } },
  ));

test('language and theme are remembered', () =>
  visit(
    async (page, mock) => {
      await page.waitForSelector('text=总览');
      await page.click('.lang button[lang=en]');
      await page.click('.ib[aria-label="Theme: Dark"]');
      await page.goto(`${mock.url}/settings`);
      await page.waitForSelector('text=Appearance');
      assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme]), ['en', 'dark']);
    },
    { lang: 'zh-CN' },
  ));

test('a login that ended while the connection was down leads to the login, not to endless trying', () =>
  visit(
    async (page, mock) => {
      await page.waitForSelector(byId('device-row'));
      mock.state.user = null;
      mock.cut(false);
      await page.waitForSelector(byId('login-name'));
    },
    { allow: REFUSED },
  ));

test('where no live connection can be made, the page still shows the devices', () =>
  visit(
    async (page, mock) => {
      mock.state.refuseLive = true;
      await page.reload();
      await page.waitForSelector(byId('device-row'));
      await page.waitForSelector('[data-live=connecting]');
    },
    { allow: REFUSED },
  ));

test('a server that can record nothing says so, until it can again', () =>
  visit(
    async (page, mock) => {
      mock.state.trouble = 'disk_low';
      mock.cut(false);
      await page.waitForSelector('[role=alert] >> text=its disk is almost full');
      mock.state.trouble = null;
      mock.cut(false);
      await page.waitForSelector('[role=alert]', { state: 'detached' });
    },
    { allow: REFUSED },
  ));

test('an old CSRF token is renewed without anybody noticing', () =>
  visit(
    async (page, mock) => {
      const device = named(mock, 'pi-garage');
      await page.waitForSelector(row(device.id));
      mock.state.csrf = 'csrf-renewed';
      await page.click(`${row(device.id)} ${byId('row-menu')}`);
      await page.click('[role=menuitem]:has-text("Rename")');
      await page.fill('#rename', 'pi-shed');
      await page.keyboard.press('Enter');
      await page.waitForSelector(`${row(device.id)} >> text=pi-shed`);
    },
    { allow: REFUSED },
  ));

test('the shell stays below 60 KB and the charts below 180 KB, compressed', async () => {
  const size = async (...names) => {
    let sum = 0;
    for (const name of names) sum += brotliCompressSync(await readFile(new URL(`../dist/${name}`, import.meta.url))).length;
    return sum / 1024;
  };
  const shell = await size('index.html', 'assets/boot.js', 'assets/core.js', 'assets/app.js', 'assets/app.css', 'assets/zh-CN.js');
  const charts = await size('assets/echarts.js');
  console.log(`# shell ${shell.toFixed(1)} KB, charts ${charts.toFixed(1)} KB`);
  assert.ok(shell < 60 && charts < 180);
});

test('10,000 devices scroll, and only what is seen is in the page', () =>
  visit(
    async (page) => {
      await page.waitForSelector(byId('device-row'));
      const result = await page.evaluate(async () => {
        const times = [];
        let last = performance.now();
        for (let i = 0; i < 180; i++) {
          window.scrollBy(0, 90);
          const now = await new Promise(requestAnimationFrame);
          times.push(now - last);
          last = now;
        }
        times.sort((a, b) => a - b);
        return { rows: document.querySelectorAll('[data-testid=device-row]').length, median: times[90], worst: times[179], height: document.documentElement.scrollHeight };
      });
      assert.ok(result.rows < 80, `rows ${result.rows}`);
      assert.ok(result.height > 270_000);
      assert.ok(result.median < 25, `median frame ${result.median} ms`);
      console.log(`# scrolling 10,000: median frame ${result.median.toFixed(1)} ms, worst ${result.worst.toFixed(0)} ms, ${result.rows} rows in the page`);
    },
    { mock: { size: 10_000, quiet: false }, size: { width: 1440, height: 900 } },
  ));
