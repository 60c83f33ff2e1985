import { describe, expect, it } from 'vitest';
import { fullHeight, heightOf, indexAt, layout, scrollToShow, topOf, windowOf } from './window';

// Two tall problem rows, then a head, then 9,997 ordinary rows.
const height = (i: number) => (i < 2 ? 42 : 28);
const tops = layout(10_000, height);

describe('the window of a long list', () => {
  it('adds heights up', () => {
    expect(topOf(tops, 0)).toBe(0);
    expect(topOf(tops, 2)).toBe(84);
    expect(heightOf(tops, 1)).toBe(42);
    expect(fullHeight(tops)).toBe(84 + 9_998 * 28);
  });

  it('finds the row at every place', () => {
    for (let i = 0; i < 10_000; i += 7) {
      expect(indexAt(tops, topOf(tops, i))).toBe(i);
      expect(indexAt(tops, topOf(tops, i + 1) - 0.5)).toBe(i);
    }
    expect(indexAt(tops, -50)).toBe(0);
    expect(indexAt(tops, 1e9)).toBe(9_999);
  });

  it('keeps only what is seen, and a few more', () => {
    expect(windowOf(tops, 0, 600, 4)).toEqual({ first: 0, end: 25 });
    const { first, end } = windowOf(tops, 100_000, 800, 4);
    expect(end - first).toBeLessThan(40);
    expect(topOf(tops, first + 4)).toBeLessThanOrEqual(100_000);
    expect(topOf(tops, end - 4)).toBeGreaterThanOrEqual(100_800);
  });

  it('stays inside an empty or short list', () => {
    expect(windowOf(layout(0, height), 500, 800, 4)).toEqual({ first: 0, end: 0 });
    expect(windowOf(layout(3, height), 500, 800, 4)).toEqual({ first: 0, end: 3 });
  });

  it('scrolls no further than needed to show a row', () => {
    expect(scrollToShow(tops, 5, 0, 600, 0)).toBe(0);
    expect(scrollToShow(tops, 30, 0, 600, 0)).toBe(topOf(tops, 31) - 600);
    expect(scrollToShow(tops, 30, 2_000, 600, 112)).toBe(topOf(tops, 30) - 112);
    expect(scrollToShow(tops, 0, 2_000, 600, 112)).toBe(0);
  });
});
