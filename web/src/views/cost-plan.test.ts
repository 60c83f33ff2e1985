import { afterEach, beforeEach, expect, it } from 'vitest';
import type { UsageGroupView, UsageView } from '../api/types';
import { setZone } from '../format/time';
import { axis, buckets, cacheHit, planOf, spanBefore, spanOf, spike, stacked, STEPS_OF, table, usual, type Range, type Step } from './cost-plan';

beforeEach(() => setZone('Asia/Shanghai'));
afterEach(() => setZone(null));
const NOW = Date.parse('2026-11-20T06:30:00Z');

const use = (cost: number | null, tokens = 1000): UsageView => ({
  input: tokens / 10,
  output: 0,
  cache_read: (tokens * 9) / 10,
  cache_write: 0,
  tokens,
  cost_usd: cost,
  unpriced_tokens: cost === null ? tokens : 0,
  estimated_usd: 0,
  flat_rate_usd: 0,
  turns: 1,
  error_turns: 0,
  unmetered_turns: 0,
  reasoning: 0,
});
const group = (key: string, second: string | null, cost: number | null, tokens?: number): UsageGroupView => ({ key, second, others: second === 'other' ? 3 : 0, usage: use(cost, tokens) });

it('reads the address, and what it does not know is usual', () => {
  expect(planOf(new URLSearchParams(''))).toMatchObject({ range: '30d', stack: 'model', step: 'day', unit: 'usd', device: null, at: null });
  expect(planOf(new URLSearchParams('range=today&per=quarter&by=trigger&unit=tokens&device=abc'))).toMatchObject({ range: 'today', step: 'quarter', stack: 'trigger', unit: 'tokens', device: 'abc' });
  expect(planOf(new URLSearchParams('range=year&per=quarter'))).toMatchObject({ step: 'week' });
});

it('has a bar for each bucket and never more than 500', () => {
  for (const range of Object.keys(STEPS_OF) as Range[]) {
    for (const step of STEPS_OF[range]) {
      const bars = buckets(step, spanOf(range, NOW));
      expect(bars.length).toBeGreaterThan(0);
      expect(bars.length).toBeLessThanOrEqual(500);
      expect(new Set(bars.map((bar) => bar.key)).size).toBe(bars.length);
    }
  }
  expect(buckets('day', spanOf('30d', NOW)).map((b) => b.key).slice(-2)).toEqual(['2026-11-19', '2026-11-20']);
  expect(spanOf('30d', NOW).from - spanBefore('30d', NOW).from).toBe(30 * 86_400_000);
  expect(buckets('hour', spanOf('today', NOW))).toHaveLength(24);
});

it('stacks groups, and hours with an offset find their bar', () => {
  const span = spanOf('today', NOW);
  const groups = [group('2026-11-20T09:00:00+08:00', 'a/b', 2), group('2026-11-20T09:00:00+08:00', 'other', 1), group('2026-11-20T10:00:00+08:00', 'a/c', 5)];
  const { series, bars, total } = stacked(groups, buckets('hour', span), 'hour', 'usd');
  expect(series.map((s) => s.name)).toEqual(['a/c', 'a/b', 'other']);
  expect(series[2]?.others).toBe(3);
  expect(bars[9]?.parts).toEqual([0, 2, 1]);
  expect(bars[10]?.total.usd).toBe(5);
  expect(bars[11]?.total.unknown).toBe(true);
  expect([total.usd, cacheHit(total)]).toEqual([8, 90]);
});

it('finds what is usual and what stands out', () => {
  const span = spanOf('30d', NOW);
  const all = buckets('day', span);
  const known = all.map((bucket, i) => group(bucket.key, null, i === 20 ? 90 : 10 + (i % 3)));
  const usuals = usual(known, span, all, 'day', 'usd', NOW);
  expect(usuals[3]).toBe(11);
  const { bars } = stacked(known.map((one) => ({ ...one, second: 'x' })), all, 'day', 'usd');
  expect(spike(bars, usuals, 'usd')).toBe(20);
  expect(spike(bars.slice(0, 10), usuals, 'usd')).toBeNull();
  // Two days tell nothing.
  expect(usual(known.slice(-2), span, all, 'day' as Step, 'usd', NOW).every((value) => value === null)).toBe(true);
});

it('makes a table of devices by models', () => {
  const groups = [group('d1', 'm1', 5), group('d1', 'm2', null, 700), group('d2', 'm1', 9), group('d2', 'm3', 1), group('other', 'm1', 20)];
  const { models, rows, totals, total } = table(groups, 2, 'usd');
  expect(models).toEqual(['m1', 'm3', 'other']);
  expect(rows.map((row) => row.device)).toEqual(['d2', 'd1', 'other']);
  expect(rows[1]?.cells[2]).toMatchObject({ unknown: true, unpriced: 700 });
  expect([totals[0]?.usd, total.usd]).toEqual([34, 35]);
});

it('has round lines', () => {
  expect(axis(109)).toEqual({ top: 150, lines: [0, 50, 100, 150] });
  expect(axis(0.07).lines.length).toBeGreaterThan(2);
  expect(axis(0)).toEqual({ top: 1, lines: [0, 1] });
  expect(axis(100).top).toBe(100);
});
