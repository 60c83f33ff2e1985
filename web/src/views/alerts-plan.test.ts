import { afterEach, expect, it } from 'vitest';
import type { AlertView } from '../api/types';
import { setZone } from '../format/time';
import { days, params, planOf, urgentFirst } from './alerts-plan';

afterEach(() => setZone(null));
const alert = (no: number, severity: AlertView['severity'], fired_at: string, acknowledged_at: string | null = null): AlertView => ({ no, severity, fired_at, acknowledged_at }) as AlertView;

it('reads the address', () => {
  expect(params(planOf(new URLSearchParams('severity=info,critical,x&device=d')))).toEqual({ severity: 'critical,info', device: 'd' });
  expect(params(planOf(new URLSearchParams('')))).toEqual({ severity: null, device: null });
});

it('puts first what needs somebody', () => {
  const list = [alert(1, 'critical', '2026-11-20T01:00:00Z', '2026-11-20T02:00:00Z'), alert(2, 'warning', '2026-11-20T03:00:00Z'), alert(3, 'critical', '2026-11-19T01:00:00Z'), alert(4, 'warning', '2026-11-20T04:00:00Z')];
  expect([...list].sort(urgentFirst).map((one) => one.no)).toEqual([3, 4, 2, 1]);
});

it('groups by day of the zone', () => {
  setZone('Asia/Shanghai');
  const now = Date.parse('2026-11-20T06:00:00Z');
  const grouped = days([alert(3, 'info', '2026-11-19T17:00:00Z'), alert(2, 'info', '2026-11-19T15:00:00Z'), alert(1, 'info', '2026-11-01T00:00:00Z')], now);
  expect(grouped.map((day) => [day.key, day.when, day.alerts.length])).toEqual([['2026-11-20', 'today', 1], ['2026-11-19', 'yesterday', 1], ['2026-11-01', null, 1]]);
});
