// What is asked for, drawn and listed, from the address. Pure, but for the zone.

import type { UsageGroupView, UsageView } from '../api/types';
import { DAY, dayKey, dayStart, HOUR, monthKey, monthStart, plusDays, weekStart, yearStart } from '../format/days';
import { wall } from '../format/time';

export const RANGES = ['today', '7d', '30d', 'month', 'year'] as const;
export type Range = (typeof RANGES)[number];
export const STACKS = ['model', 'device', 'agent', 'trigger'] as const;
export type Stack = (typeof STACKS)[number];
export const STEPS = ['quarter', 'hour', 'day', 'week', 'month'] as const;
export type Step = (typeof STEPS)[number];
export const UNITS = ['usd', 'tokens'] as const;
export type Unit = (typeof UNITS)[number];

/** The steps that make sense of a range, the usual one first; never more than 500 bars. */
export const STEPS_OF: Readonly<Record<Range, readonly Step[]>> = {
  today: ['hour', 'quarter'],
  '7d': ['day', 'hour'],
  '30d': ['day', 'week'],
  month: ['day', 'week'],
  year: ['week', 'month', 'day'],
};

const among = <T extends string>(list: readonly T[], text: string | null, usual: T): T => list.find((one) => one === text) ?? usual;

export interface Plan {
  range: Range;
  stack: Stack;
  step: Step;
  unit: Unit;
  device: string | null;
  model: string | null;
  /** The bar that is looked into. */
  at: string | null;
}

export function planOf(query: URLSearchParams): Plan {
  const range = among(RANGES, query.get('range'), '30d');
  const steps = STEPS_OF[range];
  return {
    range,
    stack: among(STACKS, query.get('by'), 'model'),
    step: among(steps, query.get('per'), steps[0] ?? 'day'),
    unit: among(UNITS, query.get('unit'), 'usd'),
    device: query.get('device'),
    model: query.get('model'),
    at: query.get('at'),
  };
}

export interface Span {
  from: number;
  to: number;
}

/** From when to when a range is. It ends with the day that is not over yet. */
export function spanOf(range: Range, now: number): Span {
  const to = plusDays(now, 1);
  switch (range) {
    case 'today':
      return { from: dayStart(now), to };
    case '7d':
      return { from: plusDays(now, -6), to };
    case '30d':
      return { from: plusDays(now, -29), to };
    case 'month':
      return { from: monthStart(now), to };
    case 'year':
      return { from: yearStart(now), to };
  }
}

/** The same length before it. */
export function spanBefore(range: Range, now: number): Span {
  const { from } = spanOf(range, now);
  // As far as the present one has come.
  const length = now - from;
  const begin = range === 'today' ? plusDays(now, -1) : range === '7d' ? plusDays(now, -13) : range === '30d' ? plusDays(now, -59) : range === 'month' ? monthStart(now, -1) : yearStart(from - DAY);
  return { from: begin, to: Math.min(begin + length, from) };
}

/** How much of the past tells what is usual. */
export function baselineFrom(step: Step, from: number): number {
  if (step === 'quarter' || step === 'hour') return plusDays(from, -7);
  if (step === 'day') return plusDays(from, -28);
  return step === 'week' ? plusDays(from, -70) : monthStart(from, -6);
}

/** A bar. */
export interface Bucket extends Span {
  key: string;
}

/** The end of the bucket that begins at a moment. */
function next(step: Step, from: number): number {
  switch (step) {
    case 'quarter':
      return from + HOUR / 4;
    case 'hour':
      return from + HOUR;
    case 'day':
      return plusDays(from, 1);
    case 'week':
      return plusDays(from, 7);
    case 'month':
      return monthStart(from, 1);
  }
}

const keyOf = (step: Step, from: number): string => (step === 'month' ? monthKey(from) : step === 'day' || step === 'week' ? dayKey(from) : new Date(from).toISOString());

/** All bars of a span, those of which nothing is known too. */
export function buckets(step: Step, { from, to }: Span): Bucket[] {
  const all: Bucket[] = [];
  let at = step === 'week' ? weekStart(from) : step === 'month' ? monthStart(from) : from;
  while (at < to) {
    const end = next(step, at);
    all.push({ key: keyOf(step, at), from: at, to: end });
    at = end;
  }
  return all;
}

/** A group's key as ours: hours and quarters come with an offset. */
const sameKey = (step: Step, key: string): string => (step === 'quarter' || step === 'hour' ? new Date(Date.parse(key)).toISOString() : key);

/** Added up. */
export interface Sum {
  usd: number;
  tokens: number;
  /** Nothing of it has a price. */
  unknown: boolean;
  unpriced: number;
  flatUsd: number;
  estimatedUsd: number;
  turns: number;
  unmetered: number;
  read: number;
  cached: number;
}

export const nothing = (): Sum => ({ usd: 0, tokens: 0, unknown: true, unpriced: 0, flatUsd: 0, estimatedUsd: 0, turns: 0, unmetered: 0, read: 0, cached: 0 });

export function add(sum: Sum, usage: UsageView): void {
  sum.usd += usage.cost_usd ?? 0;
  sum.unknown &&= usage.cost_usd === null;
  sum.tokens += usage.tokens;
  sum.unpriced += usage.unpriced_tokens;
  sum.flatUsd += usage.flat_rate_usd;
  sum.estimatedUsd += usage.estimated_usd;
  sum.turns += usage.turns;
  sum.unmetered += usage.unmetered_turns;
  sum.read += usage.input + usage.cache_read + usage.cache_write;
  sum.cached += usage.cache_read;
}

export const valueOf = (sum: Sum, unit: Unit): number => (unit === 'usd' ? sum.usd : sum.tokens);
/** Of what models read, the percentage that came from a cache; null when nothing was read. */
export const cacheHit = (sum: Sum): number | null => (sum.read > 0 ? (sum.cached / sum.read) * 100 : null);

export const OTHER = 'other';

export interface Bar extends Bucket {
  total: Sum;
  /** In the order of the series. */
  parts: number[];
}

export interface Stacked {
  /** Names and sums, the greatest first, `other` last. */
  series: { name: string; others: number; sum: Sum }[];
  bars: Bar[];
  total: Sum;
}

/** The answer to `by=STEP,STACK`, with a bar for each bucket. */
export function stacked(groups: readonly UsageGroupView[], all: readonly Bucket[], step: Step, unit: Unit): Stacked {
  const series = new Map<string, { name: string; others: number; sum: Sum }>();
  const total = nothing();
  for (const group of groups) {
    const name = group.second ?? OTHER;
    const one = series.get(name) ?? { name, others: 0, sum: nothing() };
    one.others = Math.max(one.others, name === OTHER ? group.others : 0);
    add(one.sum, group.usage);
    add(total, group.usage);
    series.set(name, one);
  }
  const list = [...series.values()].sort((a, b) => Number(a.name === OTHER) - Number(b.name === OTHER) || valueOf(b.sum, unit) - valueOf(a.sum, unit));
  const place = new Map(list.map((one, i) => [one.name, i]));
  const bars = new Map(all.map((bucket) => [bucket.key, { ...bucket, total: nothing(), parts: list.map(() => 0) }]));
  for (const group of groups) {
    const bar = bars.get(sameKey(step, group.key));
    if (!bar) continue;
    add(bar.total, group.usage);
    const i = place.get(group.second ?? OTHER) ?? 0;
    bar.parts[i] = (bar.parts[i] ?? 0) + (unit === 'usd' ? (group.usage.cost_usd ?? 0) : group.usage.tokens);
  }
  return { series: list, bars: [...bars.values()], total };
}

/** What a bar is compared with: the same hour of other days, working days with working days. */
function kind(step: Step, from: number): string {
  const w = wall(from);
  if (step === 'hour') return String(w.hour);
  if (step === 'quarter') return `${w.hour}:${w.minute}`;
  return step === 'day' ? String(w.weekday === 0 || w.weekday === 6) : '';
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? 0) + high) / 2;
}

/** At least so many of a kind tell what is usual. */
const ENOUGH = 3;

/** What is usual for each bar: the median of the bars of its kind that are over; null where too few are known. */
export function usual(known: readonly UsageGroupView[], span: Span, shown: readonly Bucket[], step: Step, unit: Unit, now: number): (number | null)[] {
  const values = new Map<string, number>();
  for (const group of known) values.set(sameKey(step, group.key), unit === 'usd' ? (group.usage.cost_usd ?? 0) : group.usage.tokens);
  const all = buckets(step, span).filter((bucket) => bucket.to <= now);
  // Before the first use there was nothing to be used.
  const first = all.findIndex((bucket) => values.has(bucket.key));
  const kinds = new Map<string, number[]>();
  for (const bucket of first === -1 ? [] : all.slice(first)) {
    const list = kinds.get(kind(step, bucket.from)) ?? [];
    list.push(values.get(bucket.key) ?? 0);
    kinds.set(kind(step, bucket.from), list);
  }
  const medians = new Map([...kinds].map(([name, list]) => [name, list.length >= ENOUGH ? median(list) : null]));
  const begin = all[first]?.from ?? Infinity;
  return shown.map((bucket) => (bucket.to > begin ? (medians.get(kind(step, bucket.from)) ?? null) : null));
}

/** From so many times the usual on a bar stands out. */
const SPIKE = 1.8;

/** The bar that stands out most, if one does. */
export function spike(bars: readonly Bar[], usuals: readonly (number | null)[], unit: Unit): number | null {
  let best: number | null = null;
  let most = 0;
  bars.forEach((bar, i) => {
    const expected = usuals[i] ?? null;
    const value = valueOf(bar.total, unit);
    if (expected === null || expected <= 0 || value < expected * SPIKE) return;
    if (value - expected > most) {
      most = value - expected;
      best = i;
    }
  });
  return best;
}

export interface Row {
  device: string;
  cells: Sum[];
  total: Sum;
}

/** The answer to `by=device,model` as a table of so many columns; models beyond are one. */
export function table(groups: readonly UsageGroupView[], columns: number, unit: Unit): { models: string[]; rows: Row[]; totals: Sum[]; total: Sum } {
  const byModel = new Map<string, Sum>();
  for (const group of groups) {
    const model = group.second ?? OTHER;
    const sum = byModel.get(model) ?? nothing();
    add(sum, group.usage);
    byModel.set(model, sum);
  }
  const sorted = [...byModel].filter(([model]) => model !== OTHER).sort((a, b) => valueOf(b[1], unit) - valueOf(a[1], unit) || b[1].tokens - a[1].tokens);
  const models = sorted.slice(0, columns).map(([model]) => model);
  const folded = byModel.size > models.length;
  if (folded) models.push(OTHER);
  const place = (model: string): number => {
    const i = models.indexOf(model);
    return i === -1 ? models.length - 1 : i;
  };
  const rows = new Map<string, Row>();
  const totals = models.map(nothing);
  const total = nothing();
  for (const group of groups) {
    const row = rows.get(group.key) ?? { device: group.key, cells: models.map(nothing), total: nothing() };
    rows.set(group.key, row);
    const i = place(group.second ?? OTHER);
    for (const sum of [row.cells[i], row.total, totals[i], total]) if (sum) add(sum, group.usage);
  }
  const list = [...rows.values()].sort((a, b) => Number(a.device === OTHER) - Number(b.device === OTHER) || valueOf(b.total, unit) - valueOf(a.total, unit) || b.total.tokens - a.total.tokens);
  return { models, rows: list, totals, total };
}

/** A round number at or above a value, and the lines below it: 1, 2, 2.5 or 5 of a power of ten. */
export function axis(most: number): { top: number; lines: number[] } {
  if (!(most > 0)) return { top: 1, lines: [0, 1] };
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((n) => n * power >= rough) ?? 10) * power;
  const count = Math.ceil(most / step - 1e-9);
  return { top: step * count, lines: Array.from({ length: count + 1 }, (_, i) => i * step) };
}
