// Days, weeks and months by the clock of the chosen zone. Pure, but for the zone.

import { offsetMinutes, wall } from './time';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** The moment at which a clock on the wall shows this. Where clocks jump over it, the moment of the jump. */
function moment(year: number, month: number, day: number): number {
  const plain = Date.UTC(year, month - 1, day);
  const guess = plain - offsetMinutes(plain) * 60_000;
  return plain - offsetMinutes(guess) * 60_000;
}

/** The midnight before a moment. */
export function dayStart(at: number): number {
  const w = wall(at);
  return moment(w.year, w.month, w.day);
}

/** The midnight so many days after (or before) the one before a moment. */
export function plusDays(at: number, days: number): number {
  const w = wall(at);
  return moment(w.year, w.month, w.day + days);
}

/** The midnight at which the week began: Monday's. */
export function weekStart(at: number): number {
  return plusDays(at, -((wall(at).weekday + 6) % 7));
}

/** The midnight at which the month began that lies `months` after a moment's. */
export function monthStart(at: number, months = 0): number {
  const w = wall(at);
  return moment(w.year, w.month + months, 1);
}

/** The midnight at which the year began. */
export function yearStart(at: number): number {
  return moment(wall(at).year, 1, 1);
}

const two = (n: number): string => String(n).padStart(2, '0');

/** `2026-11-20` */
export function dayKey(at: number): string {
  const w = wall(at);
  return `${w.year}-${two(w.month)}-${two(w.day)}`;
}

/** `2026-11` */
export const monthKey = (at: number): string => dayKey(at).slice(0, 7);
