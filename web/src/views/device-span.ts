// Which time the device page shows: a length that ends now, or a span that somebody zoomed to. Both are in the address.

import { computed } from '@preact/signals';
import { ms } from '../format/time';
import { serverNow } from '../state/clock';
import { query, setQuery } from '../state/router';

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
export const RANGES = {
  '15m': { ms: 15 * MINUTE, points: 180 },
  '1h': { ms: 60 * MINUTE, points: 360 },
  '6h': { ms: 360 * MINUTE, points: 600 },
  '24h': { ms: DAY, points: 600 },
  '7d': { ms: 7 * DAY, points: 600 },
  '30d': { ms: 30 * DAY, points: 720 },
  '1y': { ms: 365 * DAY, points: 730 },
} as const;
export type Range = keyof typeof RANGES;
const DEFAULT_RANGE: Range = '24h';
const POINTS = 600;
/** Nothing is measured more often than this, and nothing is kept longer than that. */
const SHORTEST = 5 * MINUTE;
const LONGEST = 730 * DAY;

/** Live: the right edge is now. */
export type Shown = { live: Range } | { live: null; from: number; to: number };

export function parseShown(search: URLSearchParams): Shown {
  const [from, to] = [ms(search.get('from')), ms(search.get('to'))];
  // Longer than anything is kept: its end.
  if (from !== null && to !== null && to - from >= 1000) return { live: null, from: Math.max(from, to - LONGEST), to };
  const range = search.get('range');
  return { live: range !== null && Object.hasOwn(RANGES, range) ? (range as Range) : DEFAULT_RANGE };
}

export const shownSpan = computed<Shown>(() => parseShown(query.value));

export const lengthOf = (shown: Shown): number => (shown.live === null ? shown.to - shown.from : RANGES[shown.live].ms);
export const pointsOf = (shown: Shown): number => (shown.live === null ? POINTS : RANGES[shown.live].points);
export function edges(shown: Shown, now: number): [number, number] {
  return shown.live === null ? [shown.from, shown.to] : [now - RANGES[shown.live].ms, now];
}

const text = (at: number): string => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');

export const showRange = (range: Range): void => setQuery({ range: range === DEFAULT_RANGE ? null : range, from: null, to: null });

/** Shows a span, kept between what makes sense; one that ends in the future ends now. */
export function showSpan(from: number, to: number, now: number): void {
  const wanted = Math.max(SHORTEST, Math.min(LONGEST, to - from));
  const middle = (from + to) / 2;
  let [a, b] = [middle - wanted / 2, middle + wanted / 2];
  if (b > now) [a, b] = [now - wanted, now];
  setQuery({ range: null, from: text(a), to: text(b) });
}

/** Twice as near, or half, around the middle or the right edge of what follows now. */
export function zoom(factor: number): void {
  const now = serverNow();
  const shown = shownSpan.peek();
  const [from, to] = edges(shown, now);
  const size = (to - from) * factor;
  if (shown.live !== null && factor > 1) {
    const wider = (Object.keys(RANGES) as Range[]).find((range) => RANGES[range].ms > RANGES[shown.live].ms);
    if (wider) showRange(wider);
    return;
  }
  const middle = (from + to) / 2;
  if (shown.live !== null) showSpan(to - size, to, now);
  else showSpan(middle - size / 2, middle + size / 2, now);
}

/** Moves by a part of what is shown; to the right of now it follows now again. */
export function pan(part: number): void {
  const now = serverNow();
  const [from, to] = edges(shownSpan.peek(), now);
  const by = (to - from) * part;
  if (to + by > now) {
    if (shownSpan.peek().live !== null) return;
    const range = (Object.keys(RANGES) as Range[]).find((each) => RANGES[each].ms >= to - from);
    showRange(range ?? '1y');
  } else showSpan(from + by, to + by, now);
}
