import { expect, it } from 'vitest';
import type { UptimeView } from '../api/types';
import { listParams, planOf, share, uptimes } from './outages-plan';

const day = (online_s: number, offline_s: number): UptimeView => ({ online_s, offline_s, uptime_pct: null, from: '', to: '' });

it('reads the address', () => {
  expect(planOf(new URLSearchParams('view=uptime&device=d&label=network_only&within=7d'))).toEqual({ uptime: true, device: 'd', label: 'network_only', within: '7d' });
  const plan = planOf(new URLSearchParams('label=nonsense&within=all'));
  expect(plan.label).toBeNull();
  expect(listParams(plan, 0).from).toBeNull();
});

it('adds up days, and what is unknown counts neither way', () => {
  expect(share([])).toBeNull();
  expect(share([day(0, 0), day(90, 10)])).toBe(90);
  const days = [...Array.from({ length: 89 }, () => day(100, 0)), day(50, 50)];
  expect(uptimes(days, [day(99, 1)])).toEqual([99, (650 * 100) / 700, (2950 * 100) / 3000, (8950 * 100) / 9000]);
});
