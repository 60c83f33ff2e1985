// The thin edge around `machine.ts`: the only WebSocket and the only timer of the live connection.

import { liveUrl } from '../api/client';
import type { Frame } from '../api/types';
import { parseFrame } from './frame';
import { initial, step, type LiveEvent, type LiveState } from './machine';

/** What a view looks at. */
export interface Watch {
  /** Devices whose every change is wanted at once. */
  devices: readonly string[];
  /** Of all others: their numbers too, gathered for a second, or only what changes their state. */
  others: 'values' | 'state';
}

export interface LiveHooks {
  apply: (frame: Frame) => void;
  changed: (state: LiveState) => void;
  loginEnded: () => void;
}

export interface LiveConnection {
  /** What the view looks at: said now, and again after each reconnection. */
  watch: (wish: Watch) => void;
  /** Ends it and leaves nothing behind. */
  stop: () => void;
}

/** Connects and stays connected. Days are told by `zone`. */
export function startLive(zone: string, hooks: LiveHooks): LiveConnection {
  let state = initial;
  let socket: WebSocket | null = null;
  let timer: number | undefined;
  let wish: Watch | null = null;

  function say(): void {
    if (wish !== null && socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: 'watch', ...wish }));
  }

  function feed(event: LiveEvent): void {
    const next = step(state, event, Date.now());
    const before = state;
    state = next.state;
    for (const effect of next.effects) {
      switch (effect.do) {
        case 'open':
          open(effect.conn);
          break;
        case 'close':
          drop();
          break;
        case 'apply':
          hooks.apply(effect.frame);
          break;
        case 'timer':
          clearTimeout(timer);
          timer = window.setTimeout(() => feed({ type: 'timer', chance: Math.random() }), Math.max(0, effect.at - Date.now()));
          break;
        case 'login-ended':
          hooks.loginEnded();
          break;
      }
    }
    if (state !== before) hooks.changed(state);
  }

  function open(conn: number): void {
    const opened = new WebSocket(liveUrl(zone));
    socket = opened;
    opened.onopen = say;
    opened.onmessage = (message) => feed({ type: 'frame', conn, frame: parseFrame(message.data), chance: Math.random() });
    opened.onclose = (close) => feed({ type: 'closed', conn, code: close.code, chance: Math.random() });
  }

  function drop(): void {
    if (socket === null) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
    socket = null;
  }

  const wake = (): void => {
    if (document.visibilityState === 'visible') feed({ type: 'wake' });
  };
  document.addEventListener('visibilitychange', wake);
  window.addEventListener('online', wake);
  window.addEventListener('pageshow', wake);
  window.addEventListener('focus', wake);
  feed({ type: 'start' });
  const stop = (): void => {
    document.removeEventListener('visibilitychange', wake);
    window.removeEventListener('online', wake);
    window.removeEventListener('pageshow', wake);
    window.removeEventListener('focus', wake);
    feed({ type: 'stop' });
    clearTimeout(timer);
  };
  const watch = (next: Watch): void => {
    wish = next;
    say();
  };
  return { watch, stop };
}
