import { afterEach, beforeEach, expect, it } from 'vitest';
import type { UsageGroupView, UsageView } from '../api/types';
import { setZone } from '../format/time';
import { curveOf } from './changes';

const usage = (tokens: number, cost_usd: number | null): UsageView => ({ input: tokens, output: 0, cache_read: 0, cache_write: 0, tokens, cost_usd, unpriced_tokens: 0, estimated_usd: 0, flat_rate_usd: 0, turns: 1, error_turns: 0, unmetered_turns: 0, reasoning: 0 });
const hour = (key: string, tokens: number, cost: number | null): UsageGroupView => ({ key, second: null, others: 0, usage: usage(tokens, cost) });

beforeEach(() => setZone('Asia/Shanghai'));
afterEach(() => setZone(null));

it('adds today up to now, and yesterday whole', () => {
  const now = Date.parse('2026-11-20T02:30:00+08:00');
  const { today, yesterday } = curveOf([hour('2026-11-19T23:00:00+08:00', 9, 4), hour('2026-11-20T00:00:00+08:00', 5, 1), hour('2026-11-20T02:00:00+08:00', 5, 2), hour('2026-11-18T05:00:00+08:00', 5, 50)], now);
  expect(today).toEqual([1, 1, 3]);
  expect(yesterday).toEqual([...Array<number>(23).fill(0), 4]);
});

it('counts tokens where nothing has a price', () => {
  const now = Date.parse('2026-11-20T01:30:00+08:00');
  expect(curveOf([hour('2026-11-20T01:00:00+08:00', 700, null)], now).today).toEqual([0, 700]);
});
