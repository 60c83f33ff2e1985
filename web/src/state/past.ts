// The time machine: `?t=` of the address shows the whole overview as it was. The live fleet goes on beneath it.

import { computed, effect, signal } from '@preact/signals';
import { ApiError, getFleetAt } from '../api/client';
import { ms } from '../format/time';
import { serverNow, tick } from './clock';
import { Fleet, fleet } from './fleet';
import { viewerZone } from './prefs';
import { query, setQuery } from './router';

/** The moment that an address names; null is the present. What is to come is not known: of it, the present is shown. */
export function momentOf(search: URLSearchParams, now: number): number | null {
  const at = ms(search.get('t'));
  return at !== null && at < now ? at : null;
}

/** The moment that is looked at; null is the present. */
export const pastAt = computed<number | null>(() => momentOf(query.value, serverNow()));

export const past = new Fleet();

export interface PastInfo {
  loading: boolean;
  problem: ApiError | null;
  /** Nothing is known of that very moment: the server was down. */
  serverDown: boolean;
  rung: 'raw' | '5m' | '1h' | null;
}
const NOTHING: PastInfo = { loading: false, problem: null, serverDown: false, rung: null };
export const pastInfo = signal<PastInfo>(NOTHING);

/** The fleet that the overview shows. */
export const shown = computed<Fleet>(() => (pastAt.value === null ? fleet : past));
/** The time by which ages are told: of the moment that is shown. */
export const shownNow = computed(() => pastAt.value ?? tick.value);

/** Goes to a moment, or back to the present. */
export const lookAt = (at: number | null): void => setQuery({ t: at === null ? null : new Date(at).toISOString().replace(/\.\d+Z$/, 'Z') });

/** While a slider is pulled, only where it rests is asked for. */
const REST_MS = 120;

export function followPast(): () => void {
  return effect(() => {
    const at = pastAt.value;
    const zone = viewerZone.value;
    if (at === null) {
      past.clear();
      pastInfo.value = NOTHING;
      return;
    }
    const request = new AbortController();
    pastInfo.value = { ...pastInfo.peek(), loading: true, problem: null };
    const timer = setTimeout(() => {
      getFleetAt(new Date(at), zone, request.signal).then(
        (view) => {
          past.apply({ type: 'snapshot', devices: view.devices });
          past.flush();
          pastInfo.value = { loading: false, problem: null, serverDown: view.server_down, rung: view.rung };
        },
        (error: unknown) => {
          if (!request.signal.aborted) pastInfo.value = { ...NOTHING, problem: error instanceof ApiError ? error : new ApiError(0, 'network', String(error)) };
        },
      );
    }, REST_MS);
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  });
}
