// The thin edge around `machine.ts`: the only WebSocket and the only timer of the live connection.

import { liveUrl } from '../api/client';
import type { Frame } from '../api/types';
import { parseFrame } from './frame';
import { initial, step, type LiveEvent, type LiveState } from './machine';

export interface LiveHooks {
  apply: (frame: Frame) => void;
  changed: (state: LiveState) => void;
  loginEnded: () => void;
}

/** Connects and stays connected; the function given back ends it and leaves nothing behind. */
export function startLive(hooks: LiveHooks): () => void {
  let state = initial;
  let socket: WebSocket | null = null;
  let timer: number | undefined;

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
    const opened = new WebSocket(liveUrl());
    socket = opened;
    opened.onmessage = (message) => feed({ type: 'frame', conn, frame: parseFrame(message.data), chance: Math.random() });
    opened.onclose = (close) => feed({ type: 'closed', conn, code: close.code, chance: Math.random() });
  }

  function drop(): void {
    if (socket === null) return;
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
  return () => {
    document.removeEventListener('visibilitychange', wake);
    window.removeEventListener('online', wake);
    window.removeEventListener('pageshow', wake);
    window.removeEventListener('focus', wake);
    feed({ type: 'stop' });
    clearTimeout(timer);
  };
}
