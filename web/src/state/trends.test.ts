import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TrendView } from '../api/types';
import { Trends } from './trends';

const picture = (id: string): TrendView => ({ id, beats: '.', traffic: [], week: [] });

describe('small pictures', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('are asked for together, once, and again when they are old', async () => {
    const asked: string[][] = [];
    const trends = new Trends(async (ids) => {
      asked.push(ids);
      return ids.map(picture);
    });
    trends.want(['a'], null);
    trends.want(['a', 'b'], null);
    await vi.advanceTimersByTimeAsync(100);
    expect(asked).toEqual([['a', 'b']]);
    expect(trends.picture('b').value?.beats).toBe('.');
    trends.want(['a', 'b'], null);
    await vi.advanceTimersByTimeAsync(100);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(200_000);
    trends.want(['b'], null);
    await vi.advanceTimersByTimeAsync(100);
    expect(asked[1]).toEqual(['b']);
  });

  it('of many come in portions, and only of what is still in sight', async () => {
    const asked: string[][] = [];
    const trends = new Trends(async (ids) => {
      asked.push(ids);
      return ids.map(picture);
    });
    trends.want(Array.from({ length: 100 }, (_, i) => `d${i}`), null);
    trends.want(Array.from({ length: 70 }, (_, i) => `e${i}`), null);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked.map((ids) => ids.length)).toEqual([60, 10]);
    expect(asked[0]?.[0]).toBe('e0');
  });

  it('survive a server that does not answer', async () => {
    let tries = 0;
    const trends = new Trends(async (ids) => {
      tries += 1;
      if (tries === 1) throw new Error('gone');
      return ids.map(picture);
    });
    trends.want(['a'], null);
    await vi.advanceTimersByTimeAsync(1000);
    expect(trends.picture('a').value).toBeNull();
    await vi.advanceTimersByTimeAsync(11_000);
    expect(trends.picture('a').value?.id).toBe('a');
  });
});
