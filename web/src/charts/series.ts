// History of one device as the charts need it: the server's buckets, with live values appended. Pure, apart from `append` and
// `trim`, which change the history they are given.
//
// Buckets are evenly spaced and may be finer than the device reports, so most can be empty without anything being
// wrong. A gap is therefore judged by the device's own rhythm: the time between two measured points is a gap when it
// is much longer than usual.

import type { Metric } from '../api/client';
import type { LatestView, SamplesView, SeriesView } from '../api/types';

export interface Band {
  min: (number | null)[];
  avg: (number | null)[];
  max: (number | null)[];
}

export const BANDS = ['cpu', 'memory', 'down', 'up', 'disk', 'gatewayRss', 'gatewayLoop', 'gatewayCpu', 'load', 'temperature', 'swap'] as const;
export type BandKey = (typeof BANDS)[number];

export interface History {
  stepMs: number;
  /** Times at which anything was measured, growing. */
  at: number[];
  /** CPU, gateway CPU, memory and disk in percent, network in bytes per second, delays in ms, temperature in °C, the rest in bytes. */
  bands: Record<BandKey, Band>;
  /** Which points hold something that was back-filled. */
  late: boolean[];
  /** The worst state of OpenClaw at each point. */
  openclaw: (string | null)[];
  /** When the device or the server was away, and why, as the server knows it. */
  away: Away[];
}

export interface Away {
  from: number;
  /** Null while it lasts. */
  to: number | null;
  reason: string;
}

const NO_SERIES: SeriesView = { min: [], avg: [], max: [] };

/** One metric's columns of an answer; empty when the server does not know it. */
function column(view: SamplesView, metric: Metric): SeriesView {
  const found: unknown = view[metric];
  return typeof found === 'object' && found !== null && 'avg' in found ? (found as SeriesView) : NO_SERIES;
}
const WHICH = ['min', 'avg', 'max'] as const;

export function emptyHistory(stepMs: number): History {
  const band = (): Band => ({ min: [], avg: [], max: [] });
  const bands = Object.fromEntries(BANDS.map((key) => [key, band()])) as Record<BandKey, Band>;
  return { stepMs, at: [], bands, late: [], openclaw: [], away: [] };
}

const ratio = (part: number | null | undefined, whole: number | null | undefined): number | null =>
  part == null || whole == null || whole <= 0 ? null : (part / whole) * 100;

export function fromSamples(view: SamplesView): History {
  const history = emptyHistory(view.step_s * 1000);
  const columns = {
    cpu: column(view, 'cpu_pct'),
    memoryUsed: column(view, 'memory_used_bytes'),
    memoryTotal: column(view, 'memory_total_bytes'),
    down: column(view, 'network_down_bytes_per_s'),
    up: column(view, 'network_up_bytes_per_s'),
    diskUsed: column(view, 'disk_used_bytes'),
    diskTotal: column(view, 'disk_total_bytes'),
    gatewayRss: column(view, 'gateway_rss_bytes'),
    gatewayLoop: column(view, 'gateway_event_loop_ms'),
    gatewayCpu: column(view, 'gateway_cpu_pct'),
    load: column(view, 'load1'),
    temperature: column(view, 'temperature_celsius'),
    swap: column(view, 'swap_used_bytes'),
  };
  history.away = view.gaps.map(({ from, to, reason }) => ({ from: Date.parse(from), to: to === null ? null : Date.parse(to), reason }));
  const of = (name: keyof typeof columns, which: (typeof WHICH)[number], i: number): number | null => columns[name][which][i] ?? null;
  view.at.forEach((text, i) => {
    const at = Date.parse(text);
    const last = history.at[history.at.length - 1];
    if (Number.isNaN(at) || (last !== undefined && at <= last)) return;
    const memoryTotal = of('memoryTotal', 'avg', i);
    const diskTotal = of('diskTotal', 'avg', i);
    const values = WHICH.map((which) => ({
      cpu: of('cpu', which, i),
      memory: ratio(of('memoryUsed', which, i), memoryTotal),
      down: of('down', which, i),
      up: of('up', which, i),
      disk: ratio(of('diskUsed', which, i), diskTotal),
      gatewayRss: of('gatewayRss', which, i),
      gatewayLoop: of('gatewayLoop', which, i),
      gatewayCpu: of('gatewayCpu', which, i),
      load: of('load', which, i),
      temperature: of('temperature', which, i),
      swap: of('swap', which, i),
    }));
    if (values.every((value) => BANDS.every((key) => value[key] === null))) return;
    history.at.push(at);
    history.late.push(view.late[i] ?? false);
    history.openclaw.push(view.openclaw[i] ?? null);
    WHICH.forEach((which, w) => {
      for (const key of BANDS) history.bands[key][which].push(values[w]?.[key] ?? null);
    });
  });
  return history;
}

/** Adds a live value at the right edge; what only whole reports tell follows with the next renewal. Within one step of a coarse history it widens the last point instead. */
export function append(history: History, latest: LatestView, openclaw: string | null = null): boolean {
  const at = Date.parse(latest.at);
  const last = history.at.length - 1;
  const lastAt = history.at[last];
  if (Number.isNaN(at) || (lastAt !== undefined && at <= lastAt)) return false;
  const value: Partial<Record<BandKey, number | null>> = {
    cpu: latest.cpu_pct,
    memory: ratio(latest.memory_used_bytes, latest.memory_total_bytes),
    down: latest.network_down_bytes_per_s,
    up: latest.network_up_bytes_per_s,
    disk: ratio(latest.disk_used_bytes, latest.disk_total_bytes),
  };
  if (lastAt !== undefined && at - lastAt < history.stepMs / 2) {
    for (const key of BANDS) {
      const band = history.bands[key];
      const now = value[key] ?? null;
      if (now === null) continue;
      const min = band.min[last];
      const max = band.max[last];
      band.min[last] = min == null ? now : Math.min(min, now);
      band.max[last] = max == null ? now : Math.max(max, now);
      band.avg[last] = now;
    }
    return true;
  }
  history.at.push(at);
  history.late.push(false);
  history.openclaw.push(openclaw);
  for (const key of BANDS) for (const which of WHICH) history.bands[key][which].push(value[key] ?? null);
  return true;
}

/** Forgets what has left the left edge. */
export function trim(history: History, from: number): void {
  let drop = 0;
  // One point before the edge is kept, so that the line enters from outside.
  while ((history.at[drop + 1] ?? Infinity) < from) drop += 1;
  if (drop === 0) return;
  history.at.splice(0, drop);
  history.late.splice(0, drop);
  history.openclaw.splice(0, drop);
  for (const key of BANDS) for (const which of WHICH) history.bands[key][which].splice(0, drop);
}

/** The longest time between two points that is not yet a gap. */
export function gapLimit(history: History): number {
  const between: number[] = [];
  for (let i = 1; i < history.at.length; i++) between.push((history.at[i] ?? 0) - (history.at[i - 1] ?? 0));
  between.sort((a, b) => a - b);
  // The lower of the two middles: with few points, one gap among them must not pass for the rhythm.
  const usual = between[(between.length - 1) >> 1] ?? history.stepMs;
  return Math.max(history.stepMs * 2.5, usual * 3.5);
}

/** Spans without any value: between points, and from the last point to `until`. Before the first point nothing was expected. */
export function gaps(history: History, until: number): [number, number][] {
  const limit = gapLimit(history);
  const found: [number, number][] = [];
  for (let i = 1; i <= history.at.length; i++) {
    const from = history.at[i - 1] ?? 0;
    const to = history.at[i] ?? until;
    if (to - from > limit) found.push([from, to]);
  }
  return found;
}

export type Point = [time: number, value: number | null];

export interface Line {
  avg: Point[];
  /** Lower edge of the min–max band, and its height; empty when there is nothing between them. */
  low: Point[];
  height: Point[];
  /** Indices in `avg` of points that have no neighbour to draw a line to. */
  alone: Set<number>;
}

/** One band as points, broken at gaps and where this value alone was not measured. */
export function line(history: History, key: BandKey): Line {
  const band = history.bands[key];
  const limit = gapLimit(history);
  const made: Line = { avg: [], low: [], height: [], alone: new Set() };
  let banded = false;
  history.at.forEach((at, i) => {
    const before = history.at[i - 1];
    if (before !== undefined && at - before > limit) {
      // A break stands just after the last point before the gap.
      for (const points of [made.avg, made.low, made.height]) points.push([before + 1, null]);
    }
    const min = band.min[i] ?? null;
    const max = band.max[i] ?? null;
    made.avg.push([at, band.avg[i] ?? null]);
    made.low.push([at, min]);
    made.height.push([at, min === null || max === null ? null : max - min]);
    if (min !== null && max !== null && max > min) banded = true;
  });
  if (!banded) {
    made.low = [];
    made.height = [];
  }
  made.avg.forEach((point, i) => {
    if (point[1] !== null && (made.avg[i - 1]?.[1] ?? null) === null && (made.avg[i + 1]?.[1] ?? null) === null) made.alone.add(i);
  });
  return made;
}

/** The point nearest in time, if it is near enough to speak for that time. */
export function nearest(history: History, time: number): number | null {
  let low = 0;
  let high = history.at.length - 1;
  if (high < 0) return null;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((history.at[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  const after = history.at[low] ?? 0;
  const before = history.at[low - 1];
  const best = before !== undefined && time - before < Math.abs(after - time) ? low - 1 : low;
  return Math.abs((history.at[best] ?? 0) - time) <= gapLimit(history) / 2 ? best : null;
}

/** The largest value of bands, for the top of their axis. */
export function peak(history: History, keys: readonly BandKey[]): number {
  let top = 0;
  for (const key of keys) for (const value of history.bands[key].max) if (value !== null && value > top) top = value;
  return top;
}

/** Whether anything of a band was ever measured. */
export const has = (history: History, key: BandKey): boolean => history.bands[key].avg.some((value) => value !== null);

/** Spans that were back-filled. A point stands for the time since the one before it. */
export function lateSpans(history: History): [number, number][] {
  const limit = gapLimit(history);
  const spans: [number, number][] = [];
  history.late.forEach((late, i) => {
    if (!late) return;
    const at = history.at[i] ?? 0;
    const before = history.at[i - 1];
    const from = before !== undefined && at - before <= limit ? before : at - history.stepMs;
    const last = spans.at(-1);
    if (last && last[1] >= from) last[1] = at;
    else spans.push([from, at]);
  });
  return spans;
}

export type StateKind = 'ok' | 'warn' | 'error' | 'offline' | 'server' | 'none';
export interface StateSpan {
  kind: StateKind;
  from: number;
  to: number;
  /** Why it was away, or what OpenClaw was. */
  reason: string | null;
}

const KIND: Record<string, StateKind> = { stopped: 'error', hung: 'error', degraded: 'warn' };

/** How the device was, from `from` to `to`, without overlap: what was measured, and over it what is known of absences. */
export function ribbon(history: History, from: number, to: number): StateSpan[] {
  const limit = gapLimit(history);
  const spans: StateSpan[] = [];
  const put = (kind: StateKind, a: number, b: number, reason: string | null): void => {
    const [start, end] = [Math.max(a, from), Math.min(b, to)];
    if (end <= start) return;
    const last = spans.at(-1);
    if (last && last.kind === kind && last.reason === reason && start - last.to < 1) last.to = end;
    else spans.push({ kind, from: start, to: end, reason });
  };
  history.at.forEach((at, i) => {
    const next = history.at[i + 1] ?? Math.min(to, at + limit);
    const state = history.openclaw[i] ?? null;
    const kind = state === null ? 'ok' : (KIND[state] ?? 'ok');
    put(kind, at, next - at > limit ? at + history.stepMs : next, kind === 'ok' ? null : state);
  });
  // Absences are cut out of what was measured: an agent goes on measuring while its connection is gone.
  const away = history.away.map((each) => ({ ...each, to: Math.min(each.to ?? to, to), from: Math.max(each.from, from) })).filter((each) => each.to > each.from);
  const kept = spans.flatMap((span) => {
    let parts: StateSpan[] = [span];
    for (const hole of away) {
      if (hole.reason === 'server_down') continue;
      parts = parts.flatMap((part) => {
        if (hole.to <= part.from || hole.from >= part.to) return [part];
        return [{ ...part, to: hole.from }, { ...part, from: hole.to }].filter((piece) => piece.to > piece.from);
      });
    }
    return parts;
  });
  for (const { from: a, to: b, reason } of away) kept.push({ kind: reason === 'server_down' ? 'server' : 'offline', from: a, to: b, reason });
  return kept.sort((a, b) => a.from - b.from);
}

/** Why nothing was measured in a span, where the server knows it. */
export function reasonOf(history: History, span: readonly [number, number]): string | null {
  let best: Away | null = null;
  let most = 0;
  for (const away of history.away) {
    const shared = Math.min(away.to ?? Infinity, span[1]) - Math.max(away.from, span[0]);
    if (shared > most) {
      most = shared;
      best = away;
    }
  }
  return best?.reason ?? null;
}
