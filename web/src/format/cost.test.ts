import { expect, it } from 'vitest';
import { change, count, dollars, roundCount, usd } from './cost';

it('writes money', () => {
  expect([0, 0.004, 0.01, 47.749, 999.4, 1438.2, -3.5].map(usd)).toEqual(['$0.00', '<$0.01', '$0.01', '$47.75', '$999.40', '$1,438', '−$3.50']);
  expect(dollars(12.5)).toBe('12.50');
});

it('writes counts in three digits', () => {
  expect([0, 7, 950, 999.6, 12_340, 4_560_000, 99_960_000, 1_210_000_000].map(count)).toEqual(['0', '7', '950', '1.00K', '12.3K', '4.56M', '100M', '1.21B']);
});

it('leaves zeros out where they say nothing', () => {
  expect([0, 200, 1000, 1500, 2_250_000, 20_000_000].map(roundCount)).toEqual(['0', '200', '1K', '1.5K', '2.25M', '20M']);
});

it('says how much more', () => {
  expect(change(138, 100)).toBe('+38%');
  expect(change(96, 100)).toBe('−4%');
  expect(change(100, 100)).toBe('0%');
  expect(change(1200, 100)).toBe('×12');
  expect(change(5, 0)).toBeNull();
});
