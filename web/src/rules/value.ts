// The values of a rule as people read and type them. Pure; the words are an argument.

import type { RuleFieldView } from '../api/types';
import { roundCount, whole } from '../format/number';
import type { Messages } from '../i18n/messages';

export type Value = number | string;
type Words = Messages['rules'];
export type SaidIn = (text: { en: string; zh: string }) => string;

const SECONDS: Readonly<Record<string, number>> = { seconds: 1, minutes: 60, hours: 3600, days: 86_400 };
/** The unit counts time: one of its steps in seconds. */
export const secondsOf = (unit: string): number | null => SECONDS[unit] ?? null;

export type TimeUnit = 's' | 'm' | 'h' | 'd';
export const TIME_UNITS: readonly (readonly [TimeUnit, number])[] = [
  ['s', 1],
  ['m', 60],
  ['h', 3600],
  ['d', 86_400],
];

/** A length of time in the largest unit that says it without a rest; a single day is 24 hours. */
export function lengthParts(seconds: number): [number, TimeUnit] {
  if (seconds > 0 && seconds % 86_400 === 0 && seconds > 86_400) return [seconds / 86_400, 'd'];
  if (seconds > 0 && seconds % 3600 === 0) return [seconds / 3600, 'h'];
  if (seconds > 0 && seconds % 60 === 0) return [seconds / 60, 'm'];
  return [seconds, 's'];
}

export function lengthText(seconds: number, t: Words): string {
  const [n, unit] = lengthParts(seconds);
  return t.length[unit](n);
}

const plain = (n: number): string => (Number.isInteger(n) ? whole(n) : String(Number(n.toPrecision(6))));
const large = (n: number): string => (n >= 100_000 && n % 1000 === 0 && roundCount(n).length < 6 ? roundCount(n) : plain(n));

/** A number with its unit. */
export function numberText(unit: string, n: number, t: Words): string {
  const seconds = secondsOf(unit);
  if (seconds !== null) return lengthText(n * seconds, t);
  switch (unit) {
    case 'percent':
      return `${plain(n)}%`;
    case 'usd':
      return `$${plain(n)}`;
    case 'tokens':
      return t.tokens(large(n), n);
    case 'times':
      return t.times(plain(n));
    case 'mib':
      return n >= 1024 && n % 1024 === 0 ? `${plain(n / 1024)} GiB` : `${plain(n)} MiB`;
    default:
      return large(n);
  }
}

/** What a value is called. What is left out is said so. */
export function valueText(field: RuleFieldView, value: Value | null | undefined, t: Words, say: SaidIn): string {
  if (value === null || value === undefined || value === '') return t.notSet;
  if (field.unit === 'word') {
    const known = field.choices.find((choice) => choice.value === value);
    return known?.label ? say(known.label) : String(value);
  }
  return typeof value === 'number' ? numberText(field.unit, value, t) : String(value);
}

/** Reads a number as it is typed: both decimal signs, grouping, and the letters of large counts. Null for what is none. */
export function readNumber(text: string): number | null {
  const typed = text.trim().replace(/[\s_,，](?=\d{3}(\D|$))/g, '').replace(/[,，]/, '.').replace(/[%$×倍]/g, '');
  const found = /^(\d+(?:\.\d+)?)\s*([kKmMbB万亿]?)$/.exec(typed.trim());
  if (!found) return null;
  const factor = { k: 1e3, m: 1e6, b: 1e9, 万: 1e4, 亿: 1e8 }[(found[2] ?? '').toLowerCase()] ?? 1;
  const n = Number(found[1]) * factor;
  return Number.isFinite(n) ? n : null;
}

/** Whether a number may stand in a field. */
export const fits = (n: number | null, min: number, max: number): n is number => n !== null && n >= min && n <= max;
