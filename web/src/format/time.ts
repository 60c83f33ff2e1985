// Ages and clock times. Pure: the present is an argument.

export type AgeUnit = 's' | 'm' | 'h' | 'd';
export interface Age {
  n: number;
  unit: AgeUnit;
}

/** How long ago, in one unit, rounded down. The future (a clock ahead of ours) counts as now. */
export function age(then: number, now: number): Age {
  const s = Math.max(0, Math.floor((now - then) / 1000));
  if (s < 60) return { n: s, unit: 's' };
  if (s < 3600) return { n: Math.floor(s / 60), unit: 'm' };
  if (s < 86_400) return { n: Math.floor(s / 3600), unit: 'h' };
  return { n: Math.floor(s / 86_400), unit: 'd' };
}

/** A length of time in its two largest units: `[["d", 3], ["h", 4]]`. */
export function span(seconds: number): [AgeUnit, number][] {
  const s = Math.max(0, Math.floor(seconds));
  const parts: [AgeUnit, number][] = [
    ['d', Math.floor(s / 86_400)],
    ['h', Math.floor(s / 3600) % 24],
    ['m', Math.floor(s / 60) % 60],
    ['s', s % 60],
  ];
  const first = parts.findIndex(([, n]) => n > 0);
  if (first === -1) return [['s', 0]];
  return parts.slice(first, first + 2).filter(([, n], i) => i === 0 || n > 0);
}

const two = (n: number): string => String(n).padStart(2, '0');

/** The browser's own time zone. */
export const browserZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** A moment as a clock and a calendar on the wall show it. */
export interface Wall {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  /** 0 is Sunday. */
  weekday: number;
}

const wallIn = (zone: string): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });

let chosen: Intl.DateTimeFormat | null = null;

/** Chooses the zone of every time below; null is the browser's own. */
export function setZone(zone: string | null): void {
  chosen = zone === null || zone === browserZone() ? null : wallIn(zone);
}

/** The wall's time at a moment, in the chosen zone. */
export function wall(at: number): Wall {
  const d = new Date(at);
  if (chosen === null) {
    return { year: d.getFullYear(), month: d.getMonth() + 1, day: d.getDate(), hour: d.getHours(), minute: d.getMinutes(), second: d.getSeconds(), weekday: d.getDay() };
  }
  const part: Record<string, number> = {};
  for (const { type, value } of chosen.formatToParts(d)) part[type] = Number(value);
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return { year, month, day, hour, minute, second, weekday: new Date(Date.UTC(year, month - 1, day)).getUTCDay() };
}

/** By how many minutes the chosen zone is ahead of UTC at a moment. */
export function offsetMinutes(at: number): number {
  const w = wall(at);
  return Math.round((Date.UTC(w.year, w.month - 1, w.day, w.hour, w.minute, w.second) - Math.floor(at / 1000) * 1000) / 60_000);
}

/** Clock time, always 24 hours: `14:02:11`. */
export function clock(at: number): string {
  const w = wall(at);
  return `${two(w.hour)}:${two(w.minute)}:${two(w.second)}`;
}

/** Clock time without seconds; with the day (month-day) in front when it is not today's, with the year when it is not this one's. */
export function clockShort(at: number, now: number): string {
  const w = wall(at);
  const n = wall(now);
  const time = `${two(w.hour)}:${two(w.minute)}`;
  if (w.year !== n.year) return `${w.year}-${two(w.month)}-${two(w.day)} ${time}`;
  return w.month === n.month && w.day === n.day ? time : `${two(w.month)}-${two(w.day)} ${time}`;
}

/** A whole date and time to the second: `2026-11-20 14:02:11`. */
export function dateTime(at: number): string {
  const w = wall(at);
  return `${w.year}-${two(w.month)}-${two(w.day)} ${clock(at)}`;
}

/** A date: `2026-11-20`. */
export function date(at: number): string {
  return dateTime(at).slice(0, 10);
}

/** Minutes and seconds of a stopwatch: `0:48`, `12:05`. */
export function stopwatch(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** The zone's distance from UTC, the same in every language: `UTC+8`, `UTC+5:30`. */
export function zone(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'UTC';
  const abs = Math.abs(offsetMinutes);
  return `UTC${offsetMinutes < 0 ? '−' : '+'}${Math.floor(abs / 60)}${abs % 60 ? `:${two(abs % 60)}` : ''}`;
}

/** Milliseconds of an RFC 3339 time, or null for absent or unreadable ones. */
export function ms(text: string | null | undefined): number | null {
  if (text == null) return null;
  const value = Date.parse(text);
  return Number.isNaN(value) ? null : value;
}
