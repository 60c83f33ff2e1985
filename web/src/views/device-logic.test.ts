import { describe, expect, it } from 'vitest';
import type { UsageGroupView } from '../api/types';
import { modelsOf, uptimeText } from './device-logic';

const group = (key: string, second: string, tokens: number, cost_usd: number | null, flat_rate_usd = 0): UsageGroupView => ({
  key,
  second,
  others: 0,
  usage: { input: tokens, output: 0, cache_read: 0, cache_write: 0, tokens, cost_usd, unpriced_tokens: cost_usd === null ? tokens : 0, estimated_usd: 0, flat_rate_usd, turns: 1, error_turns: 0, unmetered_turns: 0, reasoning: 0 },
});

describe('the device page', () => {
  it('orders the models of today by what they cost or are worth, then by tokens', () => {
    const found = modelsOf([group('2026-11-20', 'a', 10, 1), group('2026-11-20', 'b', 5, null), group('2026-11-20', 'c', 1, 0, 3), group('2026-11-20', 'd', 9, null), group('2026-11-19', 'e', 99, 99)], '2026-11-20');
    expect(found.map((each) => each.second)).toEqual(['c', 'a', 'd', 'b']);
  });

  it.each([
    [null, null],
    [100, '100'],
    [99.999, '99.99'],
    [99.996, '99.99'],
    [98.5, '98.50'],
    [0, '0.0'],
  ])('an uptime of %s is %s', (pct, text) => expect(uptimeText(pct)).toBe(text));
});
