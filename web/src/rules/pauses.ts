// Silences and maintenance: when they are, by the clocks of their zone, and what their form says. Pure.

import type { AlertView, NewPause, PauseView, PauseWhen } from '../api/types';

export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();
function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
    formats.set(zone, format);
  }
  return format;
}

/** The wall's time in a zone, as if it were UTC. */
function wallOf(zone: string, at: number): number {
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(new Date(at))) part[type] = Number(value);
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** The moment at which the wall of a zone shows a time (given as if it were UTC). */
export function atWall(zone: string, wall: number): number {
  let at = wall;
  // Twice: the first guess may lie on the other side of a change of the clocks.
  for (let i = 0; i < 2; i++) at += wall - wallOf(zone, at);
  return at;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** For a field of date and time: `2026-11-20T14:30`, by the clocks of a zone. */
export function toField(zone: string, at: number): string {
  const d = new Date(wallOf(zone, at));
  return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}T${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
}

export function fromField(zone: string, text: string): number | null {
  const wall = Date.parse(`${text}Z`);
  return Number.isNaN(wall) ? null : atWall(zone, wall);
}

export const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

export interface Span {
  from: number;
  to: number;
}

/** When it is between two moments, in order. */
export function occurrences(when: PauseWhen, from: number, to: number): Span[] {
  if (when.type === 'once') {
    const span = { from: Date.parse(when.from), to: Date.parse(when.to) };
    return span.from < to && span.to > from ? [span] : [];
  }
  const spans: Span[] = [];
  const length = when.minutes * MINUTE;
  const start = Math.floor(wallOf(when.zone, from) / DAY) * DAY - Math.ceil(length / DAY) * DAY;
  for (let day = start; day <= wallOf(when.zone, to); day += DAY) {
    const weekday = ((new Date(day).getUTCDay() + 6) % 7) + 1;
    if (!when.days.includes(weekday)) continue;
    const begins = atWall(when.zone, day + minutesOf(when.from) * MINUTE);
    if (begins < to && begins + length > from) spans.push({ from: begins, to: begins + length });
  }
  return spans;
}

/** The one that lasts, or the next one within two weeks. */
export const nextOf = (when: PauseWhen, now: number): Span | null => occurrences(when, now, now + (when.type === 'once' ? 400 * DAY : 15 * DAY))[0] ?? null;

/** Until when it lasts, if it does. */
export function activeUntil(when: PauseWhen, now: number): number | null {
  const ends = occurrences(when, now, now + 1).filter((span) => span.from <= now && now < span.to).map((span) => span.to);
  return ends.length === 0 ? null : Math.max(...ends);
}

/** Whether it is about a device: all rules of it, not one of them only. */
export function isOf(pause: Pick<PauseView, 'scope' | 'rules'>, device: { id: string; tags: readonly string[] }): boolean {
  const { devices, tags } = pause.scope;
  return devices.length + tags.length === 0 || devices.includes(device.id) || tags.some((tag) => device.tags.includes(tag));
}

/** The pause of this kind that holds longest for a device now. */
export function pauseOf(pauses: readonly PauseView[], kind: PauseView['kind'], device: { id: string; tags: readonly string[] }, now: number): number | null {
  const ends = pauses.filter((pause) => pause.kind === kind && pause.rules.length === 0 && isOf(pause, device)).flatMap((pause) => activeUntil(pause.when, now) ?? []);
  return ends.length === 0 ? null : Math.max(...ends);
}

/** Everything is silenced until then. */
export function allSilencedUntil(pauses: readonly PauseView[], now: number): number | null {
  const all = pauses.filter((pause) => pause.kind === 'silence' && pause.rules.length === 0 && pause.scope.devices.length + pause.scope.tags.length === 0);
  const ends = all.flatMap((pause) => activeUntil(pause.when, now) ?? []);
  return ends.length === 0 ? null : Math.max(...ends);
}

const once = (from: number, to: number): PauseWhen => ({ type: 'once', from: new Date(from).toISOString(), to: new Date(to).toISOString() });

/** A silence of what an alert is about: its rule on its device or devices. */
export function silenceOf(alert: Pick<AlertView, 'device' | 'members' | 'rule_no'>, now: number, hours: number): NewPause {
  const devices = alert.members.length > 0 ? alert.members.map((member) => member.id) : alert.device === null ? [] : [alert.device];
  return { kind: 'silence', scope: { devices, tags: [] }, rules: alert.rule_no === null ? [] : [alert.rule_no], when: once(now, now + hours * HOUR), note: '' };
}

/** A silence of everything. */
export const silenceAll = (now: number, hours: number): NewPause => ({ kind: 'silence', scope: { devices: [], tags: [] }, rules: [], when: once(now, now + hours * HOUR), note: '' });

/** One that begins now and takes two hours, of a device or of all. */
export function pauseFor(kind: PauseView['kind'], now: number, device: string | null): NewPause {
  const from = Math.floor(now / MINUTE) * MINUTE;
  return { kind, scope: { devices: device === null ? [] : [device], tags: [] }, rules: [], when: once(from, from + 2 * HOUR), note: '' };
}

export interface Bar {
  /** 0 is the first day that is shown. */
  day: number;
  /** Of the day, from 0 to 1. */
  from: number;
  to: number;
}

/** A span as parts of days that begin at these moments; the last one ends the last day. */
export function bars(span: Span, starts: readonly number[]): Bar[] {
  return starts.slice(0, -1).flatMap((start, day) => {
    const end = starts[day + 1] ?? start;
    const [from, to] = [Math.max(span.from, start), Math.min(span.to, end)];
    return from < to ? [{ day, from: (from - start) / (end - start), to: (to - start) / (end - start) }] : [];
  });
}

/** The beginnings of a zone's days from today on, one more than are shown. */
export function dayStarts(zone: string, now: number, days: number): number[] {
  const today = Math.floor(wallOf(zone, now) / DAY) * DAY;
  return Array.from({ length: days + 1 }, (_, i) => atWall(zone, today + i * DAY));
}
