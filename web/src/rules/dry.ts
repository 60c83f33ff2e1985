// What a rule would have done, as shapes and figures. Pure.

import type { DryRunView } from '../api/types';

export interface Mark {
  /** Of the width, from 0 to 1. */
  from: number;
  to: number;
}

const THIN = 0.008;

/** The spans in which it would have fired, as parts of the width; what touches is one. */
export function marks(run: Pick<DryRunView, 'from' | 'to' | 'moments'>): Mark[] {
  const [start, end] = [Date.parse(run.from), Date.parse(run.to)];
  const length = end - start;
  if (!(length > 0)) return [];
  const spans = run.moments
    .map((moment) => {
      const from = Math.max(0, (Date.parse(moment.from) - start) / length);
      const to = Math.min(1, ((moment.to === null ? end : Date.parse(moment.to)) - start) / length);
      // A short one must still be seen, the last one too.
      const at = Math.min(from, 1 - THIN);
      return { from: at, to: Math.max(to, at + THIN) };
    })
    .filter((span) => span.from < 1 && span.to > 0)
    .sort((a, b) => a.from - b.from);
  const out: Mark[] = [];
  for (const span of spans) {
    const before = out.at(-1);
    if (before && span.from <= before.to) before.to = Math.max(before.to, span.to);
    else out.push({ ...span });
  }
  return out;
}

export interface Plot {
  /** Pieces of the line without gaps, each as `x,y` pairs of a box that is 1000 wide and 100 high. */
  lines: string[];
  /** Heights of levels in that box, from the top. */
  y: (value: number) => number;
}

const WIDTH = 1000;
const HEIGHT = 100;

/** The measured line with room for its levels. Null where nothing was measured. */
export function plot(run: Pick<DryRunView, 'from' | 'to' | 'series'>, levels: readonly number[], percent: boolean): Plot | null {
  const series = run.series;
  const known = series?.values.filter((value): value is number => value !== null) ?? [];
  if (!series || known.length === 0) return null;
  const all = [...known, ...levels];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = Math.max((high - low) * 0.12, Math.abs(high) * 0.02, 1e-9);
  const bottom = percent ? Math.max(0, low - room) : low - room;
  const top = percent ? Math.min(Math.max(100, high), high + room) : high + room;
  const y = (value: number): number => Math.round((1 - (value - bottom) / (top - bottom)) * HEIGHT * 10) / 10;
  const [start, end] = [Date.parse(run.from), Date.parse(run.to)];
  const lines: string[] = [];
  let piece: string[] = [];
  const close = (): void => {
    // A single point is a dot of a line.
    if (piece.length === 1 && piece[0] !== undefined) piece.push(piece[0]);
    if (piece.length > 0) lines.push(piece.join(' '));
    piece = [];
  };
  for (const [i, value] of series.values.entries()) {
    const at = Date.parse(series.at[i] ?? '');
    if (value === null || Number.isNaN(at)) {
      close();
      continue;
    }
    piece.push(`${Math.round(((at - start) / (end - start)) * WIDTH * 10) / 10},${y(value)}`);
  }
  close();
  return { lines, y };
}

/** The starts of days within a span, as parts of the width: where midnight is, by an offset from UTC in minutes. */
export function dayStarts(from: number, to: number, offsetMinutes: number): { at: number; share: number }[] {
  const day = 86_400_000;
  const shift = offsetMinutes * 60_000;
  const out: { at: number; share: number }[] = [];
  for (let at = Math.ceil((from + shift) / day) * day - shift; at < to; at += day) out.push({ at, share: (at - from) / (to - from) });
  return out;
}
