// Joins the live connection to the fleet: frames in, one flush per animation frame out.

import { computed, effect, signal } from '@preact/signals';
import { getDevices } from '../api/client';
import type { Frame } from '../api/types';
import { initial, liveWord, type LiveState } from '../live/machine';
import { startLive, type LiveConnection, type Watch } from '../live/socket';
import { setServerTime } from './clock';
import { fleet } from './fleet';
import { firing, newestError, news } from './fleet-news';
import { viewerZone } from './prefs';

type Trouble = Extract<Frame, { type: 'alive' }>['trouble'];

const HIDDEN_FLUSH_MS = 250;

export const liveState = signal<LiveState>(initial);
export const liveNow = computed(() => liveWord(liveState.value));
/** Grows with each snapshot: whoever keeps history of its own asks again for what it missed. */
export const snapshots = signal(0);
/** Why the server can record nothing now. */
export const trouble = signal<Trouble>(null);

/** What the view on the screen looks at. A hidden page looks at nothing, and only counts problems. */
const watched = signal<Watch>({ devices: [], others: 'values' });
const hidden = signal(false);

/** A view says what it looks at. */
export function watch(wish: Watch): void {
  const now = watched.peek();
  if (now.others === wish.others && now.devices.length === wish.devices.length && now.devices.every((id, i) => id === wish.devices[i])) return;
  watched.value = wish;
}

export function connectFleet(loginEnded: () => void): () => void {
  let planned: number | null = null;
  let timer: number | undefined;
  const flush = (): void => {
    if (planned !== null) cancelAnimationFrame(planned);
    clearTimeout(timer);
    planned = null;
    fleet.flush();
  };
  const apply = (frame: Frame): void => {
    if (frame.type === 'snapshot' || frame.type === 'alive') {
      setServerTime(frame.server_time);
      trouble.value = frame.trouble;
    }
    if (frame.type !== 'removed') newestError.value = frame.newest_error;
    if (frame.type === 'snapshot' || frame.type === 'alive') {
      firing.value = frame.firing;
      news.value = frame.news;
    }
    if (frame.type === 'snapshot') {
      snapshots.value += 1;
    }
    if (!fleet.apply(frame) || planned !== null) return;
    planned = requestAnimationFrame(flush);
    // A hidden tab gets no animation frames, but its title must still count problems.
    timer = window.setTimeout(flush, HIDDEN_FLUSH_MS);
  };
  // Where the live connection cannot be made at all (a proxy in between), the page still shows what REST says.
  const fallback = async (): Promise<void> => {
    const devices = await getDevices(viewerZone.peek());
    // Live meanwhile, or the login that asked has ended.
    if (['live', 'stopped'].includes(liveState.peek().phase)) return;
    fleet.apply({ type: 'snapshot', devices });
    flush();
  };
  const changed = (state: LiveState): void => {
    liveState.value = state;
    if (state.phase === 'waiting' && state.failures > 1) fallback().catch(() => {});
  };
  const seen = (): void => {
    hidden.value = document.hidden;
  };
  document.addEventListener('visibilitychange', seen);
  let connection: LiveConnection | null = null;
  // Another zone has other days: everything is told anew.
  const endZone = effect(() => {
    const made = startLive(viewerZone.value, { apply, changed, loginEnded });
    connection = made;
    made.watch(wished());
    return made.stop;
  });
  const endWatch = effect(() => {
    const wish = hidden.value ? NOTHING : watched.value;
    connection?.watch(wish);
  });
  return () => {
    document.removeEventListener('visibilitychange', seen);
    endWatch();
    endZone();
  };
}

const NOTHING: Watch = { devices: [], others: 'state' };
const wished = (): Watch => (hidden.peek() ? NOTHING : watched.peek());
