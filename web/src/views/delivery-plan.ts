// What became of deliveries, as shapes and words. Pure; the words are arguments.

import type { DeliveryView } from '../api/types';
import { span } from '../format/time';
import type { Messages } from '../i18n/messages';
import type { Shape } from '../parts/glyph';

export const STATES = ['sent', 'waiting', 'held', 'failed', 'skipped'] as const;
export type State = (typeof STATES)[number];
export const OCCASIONS = ['fired', 'worse', 'changed', 'reminder', 'resolved', 'digest', 'test'] as const;
export type Occasion = (typeof OCCASIONS)[number];

export interface Plan {
  channel: string | null;
  state: State | null;
  occasion: Occasion | null;
  alert: string | null;
}

export function planOf(query: URLSearchParams): Plan {
  const alert = query.get('alert');
  return {
    channel: query.get('channel'),
    state: STATES.find((state) => state === query.get('state')) ?? null,
    occasion: OCCASIONS.find((occasion) => occasion === query.get('occasion')) ?? null,
    alert: alert !== null && /^\d+$/.test(alert) ? alert : null,
  };
}

export const params = (plan: Plan): Record<string, string | null> => ({ ...plan });

export const newestFirst = (a: DeliveryView, b: DeliveryView): number => (a.made_at < b.made_at ? 1 : a.made_at > b.made_at ? -1 : b.no - a.no);

/** Filled is done or wrong, hollow waits. */
export function shapeOf(delivery: DeliveryView): Shape {
  switch (delivery.state) {
    case 'sent':
      return 'online';
    case 'failed':
      return 'error';
    case 'held':
      return 'maint';
    case 'skipped':
      return 'info';
    case 'waiting':
      return delivery.attempts.length > 0 ? 'warning' : 'never';
  }
}

/** A length in seconds as it is said of an answer: `0.4`, `12`. */
export const secondsText = (milliseconds: number): string => (milliseconds < 9950 ? (milliseconds / 1000).toFixed(1) : String(Math.round(milliseconds / 1000)));

/** What became of it, in few words. `clock` says a moment. */
export function stateText(delivery: DeliveryView, now: number, words: Messages, clock: (at: number) => string): string {
  const t = words.deliveries;
  const last = delivery.attempts.at(-1);
  const known: Record<string, string> = t.why;
  const why = delivery.why === null ? null : Object.hasOwn(known, delivery.why) ? (known[delivery.why] ?? null) : delivery.why;
  switch (delivery.state) {
    case 'sent':
      return last ? t.took(secondsText(last.took_ms)) : t.states.sent;
    case 'waiting': {
      if (!last) return t.states.waiting;
      const left = Date.parse(delivery.due_at) - now;
      const nth = delivery.attempts.length + 1;
      return left > 0 ? t.retry(nth, words.span(span(left / 1000))) : t.retrying(nth);
    }
    case 'held':
      return t.heldUntil(clock(Date.parse(delivery.due_at)));
    case 'failed':
    case 'skipped':
      return why === null ? t.states[delivery.state] : t.because(t.states[delivery.state], why);
  }
}
