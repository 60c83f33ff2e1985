import { describe, expect, it } from 'vitest';
import { edges, lengthOf, parseShown } from './device-span';

describe('the time that is shown', () => {
  const parse = (text: string) => parseShown(new URLSearchParams(text));
  it.each([
    ['', { live: '24h' }],
    ['range=7d', { live: '7d' }],
    ['range=nonsense', { live: '24h' }],
    ['from=2026-11-20T06:00:00Z&to=2026-11-20T07:00:00Z', { live: null, from: Date.UTC(2026, 10, 20, 6), to: Date.UTC(2026, 10, 20, 7) }],
    ['from=1999-11-20T06:00:00Z&to=2026-11-20T06:00:00Z', { live: null, from: Date.UTC(2024, 10, 20, 6), to: Date.UTC(2026, 10, 20, 6) }],
    ['from=2026-11-20T07:00:00Z&to=2026-11-20T06:00:00Z', { live: '24h' }],
  ])('%s', (text, want) => expect(parse(text)).toEqual(want));

  it('ends now, or where somebody said', () => {
    expect(edges({ live: '1h' }, 10_000_000)).toEqual([6_400_000, 10_000_000]);
    expect(edges({ live: null, from: 1, to: 5 }, 10)).toEqual([1, 5]);
    expect(lengthOf({ live: null, from: 1, to: 5 })).toBe(4);
  });
});
