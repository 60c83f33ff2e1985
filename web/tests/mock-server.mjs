// A stand-in for the server, for working on the page and for its screenshots: the contract of `src/api/types.ts` over a
// simulated fleet. Never shipped.
//
//   node tests/mock-server.mjs [--port 38888] [--size 40] [--setup] [--login]
//
// Log in as "admin" with "correct horse battery"; the set-up token is "demo-token".

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { mockAlerting } from './mock-alerting.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.txt': 'text/plain; charset=utf-8', '.svg': 'image/svg+xml', '.webmanifest': 'application/manifest+json' };
const GB = 1024 ** 3;

function rng(seed) {
  let s = seed | 0;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const SEEDS = [
  ['hk-edge-01', 'hk prod', 23, 52, 58], ['hk-edge-02', 'hk prod', 34, 97, 61], ['hk-edge-03', 'hk prod', 18, 49, 57], ['tokyo-vps-1', 'tokyo prod', 31, 66, 52],
  ['tokyo-vps-2', 'tokyo prod', 99, 71, 55], ['tokyo-vps-3', 'tokyo prod', 9, 38, 29], ['sgp-prod-1', 'sgp prod', 3, 22, 48], ['sgp-prod-2', 'sgp prod', 14, 47, 49],
  ['fra-hetzner-1', 'fra prod', 27, 59, 68], ['fra-hetzner-2', 'fra prod', 16, 43, 81], ['fra-hetzner-3', 'fra prod', 8, 35, 72, 'shutdown', 2], ['saopaulo-1', 'br prod', 12, 41, 37, 'connection_lost', 14],
  ['lon-vultr-1', 'lon prod', 12, 40, 35], ['ams-ovh-1', 'ams prod', 19, 55, 46], ['nyc-do-1', 'nyc prod', 11, 44, 33], ['nyc-do-2', 'nyc prod', 13, 46, 34],
  ['sfo-fly-1', 'sfo prod', 7, 31, 22], ['syd-linode-1', 'syd prod', 10, 36, 41], ['bom-vps-1', 'bom prod', 15, 50, 63], ['jhb-vps-1', 'jhb prod', 8, 33, 38],
  ['mac-studio-bj', 'office bj', 42, 74, 51], ['mac-mini-sh', 'office', 12, 48, 39], ['mac-mini-sz', 'office', 21, 58, 44], ['win-office-01', 'office', 24, 69, 66],
  ['win-office-02', 'office', 19, 71, 77], ['win-office-03', 'office', 17, 62, 58], ['dev-wsl-chen', 'office dev', 37, 64, 59], ['mbp-lin', 'office dev', 5, 66, 71, 'keep_alive_timeout', 112],
  ['ci-runner-claw', 'office dev', 63, 57, 70], ['书房 NAS', 'home', 9, 61, 84], ['客厅 Mac mini', 'home', 6, 39, 28], ['老家树莓派', 'home edge', 22, 54, 47],
  ['pi-garage', 'home edge', 18, 51, 36], ['pi-greenhouse', 'edge home', 88, 83, 91], ['edge-shop-hz', 'edge', 29, 67, 54], ['edge-shop-cd', 'edge', 26, 63, 52],
  ['edge-boat-7', 'edge', 12, 44, 40, 'server_restart', 1500], ['lab-pi-4', 'edge dev', 4, 29, 31], ['<b>hostile</b> & \u202Eevil', 'edge', 14, 46, 33, 'something_new', 7], ['nas-attic', 'home', null],
];

function fleetOf(size) {
  const now = Date.now();
  return Array.from({ length: size }, (_, k) => {
    const r = rng(k * 977 + 13);
    const [base, tags, cpu, mem, disk, reason, minutes] = SEEDS[k % SEEDS.length];
    const never = cpu === null;
    const rare = k >= SEEDS.length && reason !== undefined && k % 7 !== 0;
    const down = reason !== undefined && !rare;
    const memTotal = [2, 4, 8, 16, 32][Math.floor(r() * 5)] * GB;
    const diskTotal = [32, 64, 256, 512, 1024][Math.floor(r() * 5)] * GB;
    const seen = down ? now - minutes * 60_000 : now - r() * 25_000;
    return {
      id: Array.from({ length: 12 }, () => 'abcdefghijklmnopqrstuvwxyz0123456789'[Math.floor(r() * 36)]).join(''),
      name: k < SEEDS.length ? base : `${base}-${Math.floor(k / SEEDS.length)}`,
      kind: k === 0 ? 'local' : 'agent',
      tags: tags.split(' '),
      online: !never && !down,
      since: never ? null : new Date(down ? seen : now - r() * 12 * 86_400_000).toISOString(),
      last_seen_at: never ? null : new Date(seen).toISOString(),
      reason: down ? reason : null,
      agent_version: never ? null : k % 9 === 4 ? '0.0.9' : '0.1.0',
      created_at: new Date(now - (never ? 2 : 40) * 86_400_000).toISOString(),
      rev: 1,
      latest: never
        ? null
        : {
            at: new Date(seen).toISOString(),
            cpu_pct: cpu,
            memory_used_bytes: Math.round((memTotal * mem) / 100),
            memory_total_bytes: memTotal,
            disk_used_bytes: k === 12 ? null : Math.round((diskTotal * disk) / 100),
            disk_total_bytes: k === 12 ? null : diskTotal,
            network_up_bytes_per_s: Math.round(r() ** 4 * 900_000),
            network_down_bytes_per_s: Math.round(r() ** 3 * 3_000_000),
          },
      openclaw: never ? null : { state: k % 9 === 4 ? 'degraded' : 'running', version: '2026.9.6', restart_for: null, failing: k % 9 === 4 ? ['channel:telegram'] : [], problem: null, exit: null, channels: { up: k % 9 === 4 ? 1 : 2, all: 2 } },
      last_error_at: never || k % 5 !== 0 ? null : new Date(Date.now() - (k + 1) * 420_000).toISOString(),
      clock_skew_s: null,
      usage: never ? null : { today: used(404_544), yesterday: used(1_204_880), total: used(48_215_337) },
    };
  });
}

/** What a device used; the page shows the sum. */
const used = (tokens) => ({
  input: tokens - 4_000, output: 4_000, cache_read: 0, cache_write: 0, tokens, cost_usd: tokens / 1e6, unpriced_tokens: 0, turns: 25, error_turns: 1, unmetered_turns: 0,
});

const wave = (t, period, phase) => Math.sin((t / period) * Math.PI * 2 + phase);
const noise = (t, seed) => { const x = Math.sin(t * 12.9898 + seed * 78.233) * 43758.5453; return x - Math.floor(x); };

function samples(device, from, to, points) {
  const range = (to - from) / 1000;
  const step = Math.max(5, range / Math.min(points, 600));
  const n = Math.max(1, Math.floor(range / step));
  const out = { at: [], step_s: step, rung: 'raw', n: [], late: [], openclaw: [], gaps: [] };
  const seed = device.id.charCodeAt(0) + device.id.charCodeAt(3);
  const memTotal = device.latest?.memory_total_bytes ?? 8 * GB;
  const diskTotal = device.latest?.disk_total_bytes ?? 256 * GB;
  const base = {
    cpu_pct: (t) => 12 + 9 * wave(t, 86_400, 1) + 6 * wave(t, 3100, seed) + 9 * noise(t, seed) + (Math.floor(t / 5400) % 11 === 3 ? 38 : 0),
    memory_used_bytes: (t) => memTotal * (0.52 + 0.04 * wave(t, 40_000, 0) + 0.012 * noise(t, 4)),
    memory_total_bytes: () => memTotal,
    disk_used_bytes: (t) => diskTotal * (0.43 + 0.004 * (((t / 86_400) % 30) / 30)),
    disk_total_bytes: () => diskTotal,
    network_up_bytes_per_s: (t) => 24_000 * (1 + wave(t, 86_400, 1) * 0.6) * (0.4 + noise(t, 9)),
    network_down_bytes_per_s: (t) => 150_000 * (1 + wave(t, 86_400, 1) * 0.7) * (0.3 + noise(t, 5) ** 2 * 2),
  };
  for (const key of Object.keys(base)) out[key] = { min: [], avg: [], max: [] };
  for (let i = 0; i < n; i++) {
    const t = from / 1000 + (i + 0.5) * step;
    out.at.push(new Date(t * 1000).toISOString());
    const share = (t * 1000 - from) / (to - from);
    const gone = device.latest === null || (share > 0.62 && share < 0.66) || (share > 0.3 && share < 0.303) || (!device.online && t * 1000 > Date.parse(device.last_seen_at ?? 0));
    // Reports come every 10 s: finer buckets than that are mostly empty.
    const empty = gone || (step < 10 && Math.floor(t / 10) === Math.floor((t - step) / 10));
    out.n.push(empty ? 0 : 1);
    out.late.push(false);
    out.openclaw.push(empty ? null : 'running');
    for (const [key, f] of Object.entries(base)) {
      const spread = step > 12 && !key.includes('total') ? (key === 'cpu_pct' ? 5 + 9 * noise(t, 2) : key.startsWith('network') ? 0 : 0) : 0;
      const v = Math.max(0, f(t));
      const net = key.startsWith('network') && step > 12 ? 0.35 + noise(t, 7) * 0.6 : 0;
      out[key].min.push(empty ? null : Math.max(0, v - spread * 0.6 - v * net * 0.7));
      out[key].avg.push(empty ? null : v);
      out[key].max.push(empty ? null : key === 'cpu_pct' ? Math.min(100, v + spread) : v + v * net);
    }
  }
  return out;
}

function detail(device) {
  const latest = device.latest;
  if (!latest) return { device, host: null, report: null };
  const r = rng(device.id.charCodeAt(1) * 31 + Math.floor(Date.now() / 5000));
  const total = latest.memory_total_bytes;
  const cores = 8;
  return {
    device,
    host: { os: 'Debian GNU/Linux', os_version: '12', kernel: '6.1.0-28-amd64', arch: 'x86_64', hostname: device.name, cores },
    report: {
      gateways: [],
      at: latest.at,
      uptime_s: 8 * 3600 + 27 * 60 + 11,
      boot_id: 'c0ffee00-0000-4000-8000-000000000000',
      cpu: { pct: latest.cpu_pct, cores: Array.from({ length: cores }, () => Math.min(100, latest.cpu_pct * (0.4 + r() * 1.3))), load1: 0.82, load5: 1.24, load15: 0.97 },
      memory: { used_bytes: latest.memory_used_bytes, total_bytes: total, available_bytes: total - latest.memory_used_bytes, swap_used_bytes: 0.3 * GB, swap_total_bytes: 2 * GB },
      disk: {
        used_bytes: latest.disk_used_bytes,
        total_bytes: latest.disk_total_bytes,
        volumes: [
          { mount: '/', fs: 'ext4', used_bytes: 41 * GB, total_bytes: 98 * GB },
          { mount: '/var/lib/docker', fs: 'xfs', used_bytes: 171 * GB, total_bytes: 200 * GB },
          { mount: '/mnt/archive/with a rather long name that does not fit', fs: 'btrfs', used_bytes: 3.7 * 1024 * GB, total_bytes: 4 * 1024 * GB },
          { mount: '/boot/efi', fs: 'vfat', used_bytes: 0.01 * GB, total_bytes: 0.5 * GB },
        ],
      },
      network: {
        up_bytes_per_s: latest.network_up_bytes_per_s,
        down_bytes_per_s: latest.network_down_bytes_per_s,
        interfaces: [
          { name: 'eth0', up_bytes_per_s: latest.network_up_bytes_per_s, down_bytes_per_s: latest.network_down_bytes_per_s },
          { name: 'wg0', up_bytes_per_s: 0, down_bytes_per_s: 812 },
          { name: 'wlan0', up_bytes_per_s: null, down_bytes_per_s: null },
        ],
      },
      temperatures: [{ label: 'Package id 0', celsius: 58.2 }, { label: 'nvme Composite', celsius: 41 }, { label: 'acpitz', celsius: 83.4 }],
      battery: device.name.startsWith('m') ? { pct: 81, state: 'discharging' } : null,
      top_cpu: [['node', 14.2, 612], ['Google Chrome Helper (Renderer) --type=renderer', 6.8, 1126], ['mds_stores', 3.1, 210], ['ollama runner', 2.4, 3482], ['openclaw-watch-agent', 0.1, 9]].map(([name, cpu_pct, mb], i) => ({ pid: 812 + i * 97, name, cpu_pct, memory_bytes: mb * 1024 ** 2 })),
      top_memory: [['ollama runner', 2.4, 3482], ['Google Chrome Helper (Renderer) --type=renderer', 6.8, 1126], ['node', 14.2, 612], ['mds_stores', 3.1, 210], ['postgres: writer', null, 96]].map(([name, cpu_pct, mb], i) => ({ pid: 712 + i * 97, name, cpu_pct, memory_bytes: mb * 1024 ** 2 })),
    },
  };
}

/** Starts a server on 127.0.0.1; `size` devices, signed in unless `login` or `setup` is asked for. */
export async function startMock({ port = 0, size = 40, alerts = false, login = false, setup = false, perSecond = null, quiet = false, arriveAfterMs = 2500, delayMs = 0 } = {}) {
  const state = { devices: fleetOf(size), rev: 0, setup, user: !login && !setup ? { name: 'admin', role: 'admin' } : null, attempts: 0, silent: false, refuseLive: false, csrf: 'csrf-demo' };
  const sockets = new Set();
  const violations = [];
  const expected = new Set();
  const news = { alerts: 0, alerting: 0, deliveries: 0 };
  const alive = () => ({ type: 'alive', server_time: stamp(), trouble: state.trouble ?? null, newest_error: 0, firing: alerting.firing(), news });
  const alerting = mockAlerting(state, (what) => {
    news[what] += 1;
    send(alive());
  });
  // A page that is not about them has nothing to be distracted by.
  if (!alerts) alerting.alerts.length = 0;
  const byId = (id) => state.devices.find((device) => device.id === id);
  const stamp = () => new Date().toISOString();
  const session = () => ({ setup_needed: state.setup, user: state.user, csrf: state.user ? state.csrf : null, version: '0.1.0', server_time: stamp() });
  const send = (frame) => {
    if (state.silent) return;
    if (frame.type !== 'alive') state.rev += 1;
    const text = JSON.stringify({ ...frame, rev: state.rev });
    for (const socket of sockets) socket.send(text);
  };
  const changed = (...devices) => send({ type: 'devices', newest_error: 0, devices });
  const remove = (id) => {
    state.devices = state.devices.filter((device) => device.id !== id);
    send({ type: 'removed', ids: [id] });
  };

  function move(device, r) {
    const latest = device.latest;
    if (!latest || !device.online) return;
    const at = stamp();
    const drift = (value, spread, low, high) => Math.max(low, Math.min(high, value + (r() - 0.5) * spread));
    device.last_seen_at = at;
    device.latest = {
      ...latest,
      at,
      cpu_pct: drift(latest.cpu_pct, 5, 0, 100),
      memory_used_bytes: drift(latest.memory_used_bytes, latest.memory_total_bytes * 0.006, 0, latest.memory_total_bytes),
      network_up_bytes_per_s: Math.max(0, latest.network_up_bytes_per_s * (0.7 + r() * 0.6)),
      network_down_bytes_per_s: Math.max(0, latest.network_down_bytes_per_s * (0.7 + r() * 0.62)),
    };
  }

  const r = rng(42);
  // Every device reports every 30 s, merged into four frames a second.
  const rate = perSecond ?? Math.max(2, size / 30);
  let owed = 0;
  const timers = [
    setInterval(() => {
      if (quiet || state.devices.length === 0) return;
      owed += rate / 4;
      const batch = new Set();
      while (owed >= 1) {
        owed -= 1;
        const device = state.devices[Math.floor(r() * state.devices.length)];
        if (device?.online) { move(device, r); batch.add(device); }
      }
      if (batch.size > 0) changed(...batch);
    }, 250),
    setInterval(() => send(alive()), 10_000),
  ];

  function json(response, status, value, headers = {}) {
    response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers });
    response.end(value === undefined ? '' : JSON.stringify(value));
  }
  const fail = (response, status, code, message, fields, headers) => json(response, status, { error: { code, message, ...(fields ? { fields } : {}) } }, headers);

  async function body(request) {
    const parts = [];
    for await (const part of request) parts.push(part);
    return JSON.parse(Buffer.concat(parts).toString() || '{}');
  }

  function added(device) {
    const key = `ocw_${device.id}_${randomBytes(32).toString('base64url')}`;
    const server = 'watch.example.net:38889';
    const pin = `sha256:${randomBytes(32).toString('hex')}`;
    const unix = `openclaw-watch-agent run \\\n  --server ${server} \\\n  --key ${key} \\\n  --pin ${pin}`;
    return { id: device.id, name: device.name, key, pin, server, command: unix.replace(/ \\\n {2}/g, ' '), commands: { unix, powershell: `openclaw-watch-agent.exe run --server ${server} --key ${key} --pin ${pin}` } };
  }

  function comeOnline(device, afterMs) {
    expected.add(
      setTimeout(() => {
        const at = stamp();
        Object.assign(device, { online: true, since: at, last_seen_at: at, reason: null, agent_version: '0.1.0' });
        changed(device);
        setTimeout(() => {
          device.latest = { at: stamp(), cpu_pct: 12, memory_used_bytes: 1.6 * GB, memory_total_bytes: 4 * GB, disk_used_bytes: 12 * GB, disk_total_bytes: 32 * GB, network_up_bytes_per_s: 900, network_down_bytes_per_s: 7300 };
          changed(device);
        }, 400);
      }, afterMs),
    );
  }

  async function api(request, response, url) {
    const path = url.pathname.slice('/api/v1'.length);
    const method = request.method;
    if (delayMs > 0) await new Promise((done) => setTimeout(done, delayMs));
    if (path === '/session') return json(response, 200, session());
    if (path === '/setup' && method === 'POST') {
      const form = await body(request);
      if (!state.setup || form.token !== 'demo-token') return fail(response, 403, 'setup_token_invalid', 'this set-up link is not valid any more');
      if (form.name === 'root') return fail(response, 422, 'invalid', 'the form is not valid', { name: 'this name is reserved' });
      state.setup = false;
      state.user = { name: form.name, role: 'admin' };
      return json(response, 200, session());
    }
    if (path === '/login' && method === 'POST') {
      const form = await body(request);
      state.attempts += 1;
      if (state.attempts > 4) return fail(response, 429, 'too_many_attempts', 'too many attempts', undefined, { 'Retry-After': '90' });
      if (!['admin', 'viewer'].includes(form.name) || form.password !== 'correct horse battery') return fail(response, 401, 'bad_credentials', 'name or password is wrong');
      state.user = { name: form.name, role: form.name };
      return json(response, 200, session());
    }
    if (!state.user) return fail(response, 401, 'login_required', 'log in first');
    // Enough of the other resources for a page that is not about them.
    if (['/connection-attempts', '/usage', '/security', '/keys'].includes(path) || /^\/devices\/[^/]+\/(uptime|events)$/.test(path)) return json(response, 200, []);
    if (['/events', '/errors/groups', '/outages'].includes(path)) return json(response, 200, { items: [], next: null });
    if (path === '/usage/summary') {
      const [today, month] = [used(16_000_000), used(300_000_000)];
      return json(response, 200, { tz: 'UTC', today, yesterday: today, this_month: month, last_month: month, total: month, usual_today: null, forecast: null, cache_hit_pct: null });
    }
    if (method !== 'GET' && request.headers['x-csrf-token'] !== state.csrf) return fail(response, 403, 'csrf', 'the CSRF token is missing');
    if (/^\/(rules|rule-kinds|channels|channel-kinds|pauses|alerting|deliveries|alerts)(\/|$)/.test(path)) {
      const answer = alerting.answer(method, path, url.searchParams, method === 'GET' || method === 'DELETE' ? undefined : await body(request));
      return answer === null ? fail(response, 404, 'not_found', 'there is no such path') : json(response, ...answer);
    }
    if (path === '/logout' && method === 'POST') {
      state.user = null;
      for (const socket of sockets) socket.close(4401);
      return json(response, 204);
    }
    if (path === '/devices' && method === 'GET') return json(response, 200, state.devices);
    if (path === '/devices' && method === 'POST') {
      const form = await body(request);
      if (state.devices.some((device) => device.name === form.name)) return fail(response, 409, 'name_taken', 'there is a device of that name already', { name: 'there is a device of that name already' });
      const device = { id: randomBytes(6).toString('hex'), name: form.name, kind: 'agent', tags: form.tags ?? [], online: false, since: null, last_seen_at: null, reason: null, agent_version: null, created_at: stamp(), rev: 1, latest: null, openclaw: null, last_error_at: null, clock_skew_s: null, usage: null };
      state.devices.push(device);
      changed(device);
      if (arriveAfterMs !== null) comeOnline(device, arriveAfterMs);
      return json(response, 201, added(device));
    }
    if (path === '/fleet/trends') {
      const r = rng(7);
      const one = (id) => ({ id, beats: Array.from({ length: 48 }, () => (r() > 0.96 ? 'ewo'[Math.floor(r() * 3)] : '.')).join(''), traffic: Array.from({ length: 30 }, () => 8000 + r() * 40_000), week: Array.from({ length: 7 }, () => Math.round(r() * 3e6)) });
      return json(response, 200, { time: stamp(), devices: url.searchParams.get('devices').split(',').filter(byId).map(one) });
    }
    const match = /^\/devices\/([^/]+)(\/[a-z-]+)?$/.exec(path);
    const device = match ? byId(decodeURIComponent(match[1])) : undefined;
    if (!device) return fail(response, 404, 'not_found', 'there is no such device');
    if (match[2] === '/samples') return json(response, 200, samples(device, Date.parse(url.searchParams.get('from')), Date.parse(url.searchParams.get('to')), Number(url.searchParams.get('points'))));
    if (match[2] === '/rotate-key') {
      if (device.kind === 'local') return fail(response, 409, 'local_device', 'this machine reports without a key');
      if (arriveAfterMs !== null) comeOnline(device, arriveAfterMs);
      return json(response, 200, added(device));
    }
    if (method === 'GET') return json(response, 200, detail(device));
    if (method === 'PATCH') {
      const { rev, ...change } = await body(request);
      if (rev !== undefined && rev !== device.rev) return fail(response, 409, 'conflict', 'somebody else has changed this device meanwhile');
      Object.assign(device, change, { rev: device.rev + 1 });
      changed(device);
      return json(response, 200, device);
    }
    if (method === 'DELETE') {
      remove(device.id);
      return json(response, 204);
    }
    return fail(response, 405, 'method', 'not that way');
  }

  async function file(response, path) {
    const wanted = normalize(path).replace(/^(\.\.[/\\])+/, '');
    const name = extname(wanted) === '' ? '/index.html' : wanted;
    try {
      const content = await readFile(join(DIST, name));
      response.writeHead(200, { 'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-cache' });
      response.end(content);
    } catch {
      response.writeHead(404);
      response.end();
    }
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname.startsWith('/api/v1/')) api(request, response, url).catch((error) => fail(response, 500, 'internal', String(error)));
    else void file(response, url.pathname);
  });
  const live = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    const asked = new URL(request.url, 'http://localhost');
    if (asked.pathname !== '/live' || state.refuseLive) return socket.destroy();
    if (!state.user) return socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    live.handleUpgrade(request, socket, head, (opened) => {
      sockets.add(opened);
      opened.on('close', () => sockets.delete(opened));
      if (!state.silent) opened.send(JSON.stringify({ type: 'snapshot', rev: state.rev, server_time: stamp(), trouble: state.trouble ?? null, zone: asked.searchParams.get('tz') ?? 'UTC', newest_error: 0, firing: alerting.firing(), news, devices: state.devices }));
    });
  });
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    state,
    alerting,
    violations,
    /** Takes a device offline, as the server would tell it. */
    down(id, reason = 'connection_lost') {
      const device = byId(id);
      Object.assign(device, { online: false, since: stamp(), reason });
      changed(device);
    },
    changed,
    remove,
    move: (device) => { move(device, r); changed(device); },
    /** Ends every live connection and refuses new ones, like a server that is gone. */
    cut(refuse = true) {
      state.refuseLive = refuse;
      for (const socket of sockets) socket.terminate();
    },
    endLogins() {
      state.user = null;
      for (const socket of sockets) socket.close(4401);
    },
    async close() {
      timers.forEach(clearInterval);
      expected.forEach(clearTimeout);
      for (const socket of sockets) socket.terminate();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const value = (name, fallback) => { const i = process.argv.indexOf(name); return i === -1 ? fallback : Number(process.argv[i + 1]); };
  const mock = await startMock({ port: value('--port', 38888), size: value('--size', 40), alerts: true, setup: process.argv.includes('--setup'), login: process.argv.includes('--login') });
  console.log(`${mock.url}${mock.state.setup ? '/setup#demo-token' : '/'}`);
}
