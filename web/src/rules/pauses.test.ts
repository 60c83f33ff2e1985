import { expect, it } from 'vitest';
import type { PauseView, PauseWhen } from '../api/types';
import { activeUntil, allSilencedUntil, atWall, bars, dayStarts, fromField, nextOf, occurrences, pauseOf, silenceOf, toField } from './pauses';

const t = (text: string): number => Date.parse(text);
const iso = (at: number): string => new Date(at).toISOString();
const nights: PauseWhen = { type: 'weekly', days: [6, 7], from: '23:00', minutes: 180, zone: 'Asia/Shanghai' };
const pause = (change: Partial<PauseView>): PauseView => ({ no: 1, kind: 'silence', scope: { devices: [], tags: [] }, rules: [], when: { type: 'once', from: '2026-11-20T00:00:00Z', to: '2026-11-21T00:00:00Z' }, note: '', made_by: 'a', made_at: '', rev: 1, active_until: null, ...change });

it('is every week by the clocks of its zone, over midnight too', () => {
  // 2026-11-21 is a Saturday.
  expect(occurrences(nights, t('2026-11-20T00:00:00Z'), t('2026-11-24T00:00:00Z')).map((span) => iso(span.from))).toEqual(['2026-11-21T15:00:00.000Z', '2026-11-22T15:00:00.000Z']);
  expect(activeUntil(nights, t('2026-11-22T16:30:00Z'))).toBe(t('2026-11-22T18:00:00Z'));
  expect(activeUntil(nights, t('2026-11-22T18:00:00Z'))).toBeNull();
  expect(nextOf(nights, t('2026-11-23T00:00:00Z'))?.from).toBe(t('2026-11-28T15:00:00Z'));
});

it('follows a change of the clocks', () => {
  expect(iso(atWall('Europe/Berlin', t('2026-03-29T03:30:00Z')))).toBe('2026-03-29T01:30:00.000Z');
  expect(iso(atWall('Europe/Berlin', t('2026-03-28T03:30:00Z')))).toBe('2026-03-28T02:30:00.000Z');
  expect(dayStarts('Europe/Berlin', t('2026-03-28T12:00:00Z'), 2).map(iso)).toEqual(['2026-03-27T23:00:00.000Z', '2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z']);
});

it('stands in a field by the clocks of the viewer', () => {
  expect(toField('Asia/Shanghai', t('2026-11-20T06:30:00Z'))).toBe('2026-11-20T14:30');
  expect(fromField('Asia/Shanghai', '2026-11-20T14:30')).toBe(t('2026-11-20T06:30:00Z'));
  expect(fromField('UTC', '')).toBeNull();
});

it('holds for a device by its name, its tag, or all', () => {
  const now = t('2026-11-20T12:00:00Z');
  const device = { id: 'd', tags: ['lab'] };
  const holds = (change: Partial<PauseView>): boolean => pauseOf([pause(change)], 'silence', device, now) !== null;
  expect(holds({})).toBe(true);
  expect(holds({ scope: { devices: ['d'], tags: [] } })).toBe(true);
  expect(holds({ scope: { devices: [], tags: ['lab'] } })).toBe(true);
  expect(holds({ scope: { devices: ['x'], tags: ['y'] } })).toBe(false);
  expect(holds({ rules: [3] })).toBe(false);
  expect(holds({ kind: 'maintenance' })).toBe(false);
  expect(allSilencedUntil([pause({})], now)).toBe(t('2026-11-21T00:00:00Z'));
  expect(allSilencedUntil([pause({ scope: { devices: ['d'], tags: [] } })], now)).toBeNull();
});

it('silences the rule of an alert on its devices', () => {
  const now = t('2026-11-20T12:00:00Z');
  const alert = { device: null, rule_no: 4, members: [{ id: 'a', name: 'a' }, { id: 'b', name: 'b' }] };
  expect(silenceOf(alert, now, 8)).toMatchObject({ scope: { devices: ['a', 'b'] }, rules: [4], when: { type: 'once', to: '2026-11-20T20:00:00.000Z' } });
});

it('is drawn on each day that it touches', () => {
  const starts = [0, 100, 200];
  expect(bars({ from: 50, to: 150 }, starts)).toEqual([{ day: 0, from: 0.5, to: 1 }, { day: 1, from: 0, to: 0.5 }]);
  expect(bars({ from: 250, to: 300 }, starts)).toEqual([]);
});
