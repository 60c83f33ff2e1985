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

/** Clock time in the browser's zone, always 24 hours: `14:02:11`. */
export function clock(at: number): string {
  const d = new Date(at);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** Clock time without seconds; with the day (month-day) in front when it is not today's. */
export function clockShort(at: number, now: number): string {
  const d = new Date(at);
  const n = new Date(now);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}`;
  const today = d.getFullYear() === n.getFullYear() && d.getMonth() === n.getMonth() && d.getDate() === n.getDate();
  return today ? time : `${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
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
