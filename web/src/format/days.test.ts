import { afterEach, expect, it } from 'vitest';
import { DAY, dayKey, dayStart, HOUR, monthStart, plusDays, weekStart, yearStart } from './days';
import { setZone } from './time';

afterEach(() => setZone(null));

it('knows the days of a zone, also when clocks change', () => {
  setZone('Europe/Berlin');
  const noon = Date.parse('2026-10-25T12:00:00Z');
  const start = dayStart(noon);
  expect(new Date(start).toISOString()).toBe('2026-10-24T22:00:00.000Z');
  expect(plusDays(noon, 1) - start).toBe(25 * HOUR);
  expect(plusDays(noon, 2) - plusDays(noon, 1)).toBe(DAY);
  expect(dayKey(plusDays(noon, 7))).toBe('2026-11-01');
  expect(dayKey(weekStart(noon))).toBe('2026-10-19');
  expect(dayKey(monthStart(noon))).toBe('2026-10-01');
  expect(dayKey(monthStart(noon, 3))).toBe('2027-01-01');
  expect(dayKey(yearStart(noon))).toBe('2026-01-01');
});
