// The life of the live connection as a pure function: `step(state, event, now)` gives the next state and what to do.
//
// One connection at a time, numbered by `conn`; an event that carries an older number comes from a socket that we
// have given up and is ignored. On a connection the first frame must be a snapshot; then `rev` grows by exactly one per
// frame that changes something. Anything else means that we missed something, and the cure is always the
// same: a new connection, which begins with a fresh snapshot. Values already shown stay where they are meanwhile.
//
// The server speaks at least every 10 s ("alive"), so 30 s of silence is a dead connection however alive TCP believes
// it is. After a sleep the clock has jumped: `wake` does not wait for that timer.

import type { Frame } from '../api/types';

/** No frame for this long: the connection is dead. */
export const SILENCE_MS = 30_000;
/** On waking, a connection that has been silent longer than one "alive" interval is not trusted. */
export const WAKE_DOUBT_MS = 12_000;
/** A connection attempt that has not delivered its snapshot by then has failed. */
export const CONNECT_MS = 15_000;
/** The close code of the server for "the login has ended". */
export const CLOSE_LOGIN_ENDED = 4401;

const BACKOFF_FIRST_MS = 500;
const BACKOFF_LIMIT_MS = 20_000;

export type LiveState =
  | { phase: 'stopped'; conn: number; heardAt: number | null }
  | { phase: 'connecting'; conn: number; heardAt: number | null; since: number; failures: number }
  | { phase: 'live'; conn: number; heardAt: number; rev: number }
  | { phase: 'waiting'; conn: number; heardAt: number | null; until: number; failures: number };

export type LiveEvent =
  | { type: 'start' }
  | { type: 'stop' }
  | { type: 'frame'; conn: number; frame: Frame | null; chance: number }
  | { type: 'closed'; conn: number; code: number; chance: number }
  | { type: 'timer'; chance: number }
  | { type: 'wake' };

export type LiveEffect =
  | { do: 'open'; conn: number }
  | { do: 'close' }
  | { do: 'apply'; frame: Frame }
  | { do: 'timer'; at: number }
  | { do: 'login-ended' };

export interface Step {
  state: LiveState;
  effects: LiveEffect[];
}

export const initial: LiveState = { phase: 'stopped', conn: 0, heardAt: null };

/** How long to wait before attempt number `failures`: doubling, with up to half of it taken off by chance (0 to 1). */
export function backoff(failures: number, chance: number): number {
  const full = Math.min(BACKOFF_LIMIT_MS, BACKOFF_FIRST_MS * 2 ** Math.max(0, failures - 1));
  return Math.round(full * (1 - chance / 2));
}

export function step(state: LiveState, event: LiveEvent, now: number): Step {
  switch (event.type) {
    case 'start':
      return state.phase === 'stopped' ? connect(state, now, 0) : same(state);
    case 'stop':
      return state.phase === 'stopped' ? same(state) : { state: { phase: 'stopped', conn: state.conn, heardAt: state.heardAt }, effects: [{ do: 'close' }] };
    case 'frame':
      return event.conn === state.conn ? onFrame(state, event.frame, event.chance, now) : same(state);
    case 'closed':
      return event.conn === state.conn ? onClosed(state, event.code, event.chance, now) : same(state);
    case 'timer':
      return onTimer(state, event.chance, now);
    case 'wake':
      return onWake(state, now);
  }
}

function same(state: LiveState): Step {
  return { state, effects: [] };
}

function connect(state: LiveState, now: number, failures: number): Step {
  const conn = state.conn + 1;
  return {
    state: { phase: 'connecting', conn, heardAt: state.heardAt, since: now, failures },
    effects: [{ do: 'close' }, { do: 'open', conn }, { do: 'timer', at: now + CONNECT_MS }],
  };
}

function giveUp(state: LiveState, failures: number, chance: number, now: number): Step {
  const until = now + backoff(failures, chance);
  // The number grows so that nothing the dying socket still says is heard.
  return {
    state: { phase: 'waiting', conn: state.conn + 1, heardAt: state.heardAt, until, failures },
    effects: [{ do: 'close' }, { do: 'timer', at: until }],
  };
}

function onFrame(state: LiveState, frame: Frame | null, chance: number, now: number): Step {
  if (state.phase === 'connecting') {
    if (frame?.type !== 'snapshot') return giveUp(state, state.failures + 1, chance, now);
    return {
      state: { phase: 'live', conn: state.conn, heardAt: now, rev: frame.rev },
      effects: [{ do: 'apply', frame }, { do: 'timer', at: now + SILENCE_MS }],
    };
  }
  if (state.phase !== 'live') return same(state);
  // A frame we cannot read is a frame we have missed.
  if (frame === null) return connect(state, now, 1);
  // The timer is not set again for each frame: when it fires, `onTimer` looks at `heardAt`.
  if (frame.type === 'alive') {
    return frame.rev === state.rev ? { state: { ...state, heardAt: now }, effects: [{ do: 'apply', frame }] } : connect(state, now, 1);
  }
  if (frame.rev !== state.rev + 1) return connect(state, now, 1);
  return { state: { ...state, heardAt: now, rev: frame.rev }, effects: [{ do: 'apply', frame }] };
}

function onClosed(state: LiveState, code: number, chance: number, now: number): Step {
  if (state.phase === 'stopped' || state.phase === 'waiting') return same(state);
  if (code === CLOSE_LOGIN_ENDED) {
    return { state: { phase: 'stopped', conn: state.conn + 1, heardAt: state.heardAt }, effects: [{ do: 'close' }, { do: 'login-ended' }] };
  }
  return giveUp(state, state.phase === 'connecting' ? state.failures + 1 : 1, chance, now);
}

function onTimer(state: LiveState, chance: number, now: number): Step {
  switch (state.phase) {
    case 'stopped':
      return same(state);
    case 'waiting':
      return now >= state.until ? connect(state, now, state.failures) : { state, effects: [{ do: 'timer', at: state.until }] };
    case 'connecting': {
      const deadline = state.since + CONNECT_MS;
      return now >= deadline ? giveUp(state, state.failures + 1, chance, now) : { state, effects: [{ do: 'timer', at: deadline }] };
    }
    case 'live': {
      const deadline = state.heardAt + SILENCE_MS;
      return now >= deadline ? connect(state, now, 1) : { state, effects: [{ do: 'timer', at: deadline }] };
    }
  }
}

function onWake(state: LiveState, now: number): Step {
  if (state.phase === 'waiting') return connect(state, now, 0);
  if (state.phase === 'connecting' && now - state.since > WAKE_DOUBT_MS) return connect(state, now, 0);
  if (state.phase === 'live' && now - state.heardAt > WAKE_DOUBT_MS) return connect(state, now, 0);
  return same(state);
}

/** What the page says about the connection. */
export type LiveWord = 'connecting' | 'live' | 'reconnecting';

export function liveWord(state: LiveState): LiveWord {
  if (state.phase === 'live') return 'live';
  return state.heardAt === null ? 'connecting' : 'reconnecting';
}
