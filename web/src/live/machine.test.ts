import { describe, expect, it } from 'vitest';
import type { Frame } from '../api/types';
import { backoff, CLOSE_LOGIN_ENDED, CONNECT_MS, initial, liveWord, SILENCE_MS, step, WAKE_DOUBT_MS, type LiveEvent, type LiveState } from './machine';

const snapshot = (rev: number): Frame => ({ type: 'snapshot', rev, newest_error: 0, firing: { critical: 0, error: 0, warning: 0, info: 0 }, news: { alerts: 0, alerting: 0, deliveries: 0 }, server_time: '2026-11-20T06:53:06.123Z', trouble: null, zone: 'UTC', devices: [] });
const delta = (rev: number): Frame => ({ type: 'devices', rev, newest_error: 0, devices: [] });
const alive = (rev: number): Frame => ({ type: 'alive', rev, newest_error: 0, firing: { critical: 0, error: 0, warning: 0, info: 0 }, news: { alerts: 0, alerting: 0, deliveries: 0 }, server_time: '2026-11-20T06:53:06.123Z', trouble: null });

function run(from: LiveState, events: [number, LiveEvent][]) {
  let state = from;
  let effects: ReturnType<typeof step>['effects'] = [];
  for (const [now, event] of events) ({ state, effects } = step(state, event, now));
  return { state, effects, does: effects.map((effect) => effect.do) };
}
const frame = (conn: number, value: Frame | null): LiveEvent => ({ type: 'frame', conn, frame: value, chance: 0 });
const closed = (conn: number, code = 1006): LiveEvent => ({ type: 'closed', conn, code, chance: 0 });
const timer: LiveEvent = { type: 'timer', chance: 0 };
const live = (rev = 7, now = 1000) => run(initial, [[now, { type: 'start' }], [now, frame(1, snapshot(rev))]]).state;

describe('the live connection', () => {
  it('opens, takes the snapshot and is live', () => {
    const first = run(initial, [[0, { type: 'start' }]]);
    expect(first.state).toMatchObject({ phase: 'connecting', conn: 1 });
    expect(first.effects).toContainEqual({ do: 'open', conn: 1 });
    expect(liveWord(first.state)).toBe('connecting');
    const second = run(first.state, [[10, frame(1, snapshot(7))]]);
    expect(second.state).toEqual({ phase: 'live', conn: 1, heardAt: 10, rev: 7 });
    expect(second.does).toEqual(['apply', 'timer']);
    expect(liveWord(second.state)).toBe('live');
  });

  it('applies deltas whose rev grows by one, and "alive" with the same rev', () => {
    const { state, does } = run(live(7), [[1100, frame(1, delta(8))], [1200, frame(1, delta(9))], [1300, frame(1, alive(9))]]);
    expect(state).toMatchObject({ phase: 'live', rev: 9, heardAt: 1300 });
    expect(does).toEqual(['apply']);
  });

  it.each([
    ['a gap', delta(9)],
    ['a repeated frame', delta(7)],
    ['an "alive" that knows more than we do', alive(8)],
    ['a second snapshot out of order', snapshot(3)],
    ['an unreadable frame', null],
  ])('asks for a fresh snapshot after %s, without applying it', (_, bad) => {
    const { state, does } = run(live(7), [[1100, frame(1, bad)]]);
    expect(state).toMatchObject({ phase: 'connecting', conn: 2, heardAt: 1000 });
    expect(does).toEqual(['close', 'open', 'timer']);
    expect(liveWord(state)).toBe('reconnecting');
  });

  it('does not accept anything before the snapshot', () => {
    const { state } = run(initial, [[0, { type: 'start' }], [5, frame(1, delta(1))]]);
    expect(state).toMatchObject({ phase: 'waiting', failures: 1 });
  });

  it('waits longer after each failure, and starts again short after a success', () => {
    const waits: number[] = [];
    let state = run(initial, [[0, { type: 'start' }]]).state;
    let now = 0;
    for (let i = 0; i < 8; i++) {
      state = step(state, closed(state.conn), now).state;
      if (state.phase !== 'waiting') throw new Error('must wait');
      waits.push(state.until - now);
      now = state.until;
      state = step(state, timer, now).state;
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
    state = step(state, frame(state.conn, snapshot(1)), now).state;
    state = step(state, closed(state.conn), now).state;
    expect(state).toMatchObject({ phase: 'waiting', until: now + 500 });
  });

  it('spreads reconnects by chance, never below half', () => {
    expect(backoff(1, 0)).toBe(500);
    expect(backoff(1, 1)).toBe(250);
    expect(backoff(50, 0.5)).toBe(15_000);
  });

  it('declares a silent connection dead after 30 s and no sooner', () => {
    expect(run(live(7, 0), [[SILENCE_MS - 1, timer]]).does).toEqual(['timer']);
    const heard = run(live(7, 0), [[20_000, frame(1, alive(7))], [SILENCE_MS, timer]]);
    expect(heard.effects).toEqual([{ do: 'timer', at: 20_000 + SILENCE_MS }]);
    expect(run(live(7, 0), [[SILENCE_MS, timer]]).state).toMatchObject({ phase: 'connecting', conn: 2 });
  });

  it('gives up an attempt that never answers', () => {
    expect(run(initial, [[0, { type: 'start' }], [CONNECT_MS, timer]]).state).toMatchObject({ phase: 'waiting', failures: 1 });
  });

  it('is right at once when the machine wakes from sleep', () => {
    expect(run(live(7, 0), [[WAKE_DOUBT_MS + 1, { type: 'wake' }]]).does).toEqual(['close', 'open', 'timer']);
    expect(run(live(7, 0), [[5000, { type: 'wake' }]]).does).toEqual([]);
    const waiting = run(live(7, 0), [[100, closed(1)]]).state;
    expect(run(waiting, [[150, { type: 'wake' }]]).does).toEqual(['close', 'open', 'timer']);
  });

  it('ignores what a socket that was given up still says', () => {
    const { state } = run(live(7), [[1100, frame(1, delta(9))]]);
    expect(run(state, [[1200, frame(1, delta(8))]])).toMatchObject({ state, effects: [] });
    expect(run(state, [[1200, closed(1)]])).toMatchObject({ state, effects: [] });
  });

  it('goes to the login when the server says so, and does not try again', () => {
    const { state, does } = run(live(7), [[1100, closed(1, CLOSE_LOGIN_ENDED)]]);
    expect(state.phase).toBe('stopped');
    expect(does).toContain('login-ended');
    expect(run(state, [[99_000, timer], [99_000, { type: 'wake' }]]).does).toEqual([]);
  });

  it('remembers when it last heard something, so that the page can say "values of"', () => {
    const { state } = run(live(7, 0), [[4000, frame(1, delta(8))], [9000, closed(1)]]);
    expect(state.heardAt).toBe(4000);
    expect(liveWord(state)).toBe('reconnecting');
  });

  it('stops and starts again', () => {
    const stopped = run(live(7), [[1100, { type: 'stop' }]]);
    expect(stopped.does).toEqual(['close']);
    expect(run(stopped.state, [[1200, { type: 'start' }]]).effects).toContainEqual({ do: 'open', conn: 2 });
  });
});
