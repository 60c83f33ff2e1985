// Starts the real programs for browser tests: the server on a folder of its own, a fleet that reports to it, an account.
// Expects the programs in $OPENCLAW_WATCH_PROGRAMS (target/debug by default).

import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
export const programs = path.resolve(process.env.OPENCLAW_WATCH_PROGRAMS ?? path.join(here, '../../target/debug'));
export const PASSWORD = 'correct horse battery';

export async function until(what, check, limit = 30_000) {
  const begun = Date.now();
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() - begun > limit) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A folder with the programs that were started in it; `close` ends them and removes it. `data` is a folder that was filled before. */
export async function workbench(data = null) {
  const folder = await mkdtemp(path.join(tmpdir(), 'openclaw-watch-'));
  data ??= path.join(folder, 'data');
  const children = new Set();

  function start(program, args, env = {}) {
    const child = spawn(path.join(programs, program), args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    child.text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { child.text = (child.text + chunk).slice(-200_000); });
    child.gone = new Promise((resolve) => child.on('exit', (code) => { children.delete(child); resolve(code); }));
    children.add(child);
    return child;
  }
  async function run(program, args, input) {
    const child = spawn(path.join(programs, program), args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => { out += chunk; });
    child.stderr.on('data', (chunk) => { err += chunk; });
    child.stdin.end(input ?? '');
    const code = await new Promise((resolve) => child.on('exit', resolve));
    if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${code}\n${err}`);
    return out;
  }
  /** Fills the data folder with the past of a simulated fleet. */
  const fill = (...args) => run('demo', ['--data-dir', data, ...args]);
  async function serve({ ports = ['127.0.0.1:0', '127.0.0.1:0'], env = {} } = {}) {
    await rm(path.join(data, 'addresses.json'), { force: true });
    const child = start('openclaw-watch', ['serve', '--data-dir', data], { OPENCLAW_WATCH__DASHBOARD__LISTEN: ports[0], OPENCLAW_WATCH__BROKER__LISTEN: ports[1], OPENCLAW_WATCH__LOCAL_AGENT__ENABLED: 'false', ...env });
    const addresses = await until('the server is up', async () => {
      if (child.exitCode !== null) throw new Error(child.text);
      try {
        return JSON.parse(await readFile(path.join(data, 'addresses.json'), 'utf8'));
      } catch {
        return null;
      }
    });
    return { child, url: `http://${addresses.dashboard}`, broker: addresses.broker, dashboard: addresses.dashboard };
  }
  const addUser = (name, role) => run('openclaw-watch', ['user', 'add', name, '--role', role, '--password-stdin', '--data-dir', data], PASSWORD);
  async function close() {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all([...children].map((child) => child.gone));
    await rm(folder, { recursive: true, force: true });
  }
  return { folder, data, start, run, fill, serve, addUser, close };
}

/** The code of an authenticator app; `steps` half minutes from now. */
export function totp(secret, steps = 0) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const mac = createHmac('sha1', key).update(step).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** Logs in and returns what a browser context needs to be that user. */
export async function cookiesOf(url, name) {
  const answer = await fetch(`${url}/api/v1/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name, password: PASSWORD }) });
  if (!answer.ok) throw new Error(`login: ${answer.status} ${await answer.text()}`);
  return answer.headers.getSetCookie().map((line) => {
    const [pair] = line.split(';');
    const at = pair.indexOf('=');
    return { name: pair.slice(0, at), value: pair.slice(at + 1), url };
  });
}
