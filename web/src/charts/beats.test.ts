import { describe, expect, it } from 'vitest';
import { beatPaths, beatsWidth, countBeats, runs } from './beats';

describe('the 24-hour bar', () => {
  it('joins what is alike', () =>
    expect(runs('..ooe?')).toEqual([
      { beat: 'ok', from: 0, length: 2 },
      { beat: 'offline', from: 2, length: 2 },
      { beat: 'error', from: 4, length: 1 },
      { beat: 'none', from: 5, length: 1 },
    ]));

  it('draws ticks that stand out by their height, and absence as one box', () => {
    const paths = beatPaths('.ewoo');
    expect(paths.ok).toBe('M0 10h2v8h-2z');
    expect(paths.error).toBe('M3 0h2v18h-2z');
    expect(paths.warn).toBe('M6 5h2v13h-2z');
    expect(paths.offline).toBe('M9.5 2.5h4v15h-4z');
    expect(paths.server).toBeUndefined();
  });

  it('counts and measures', () => {
    expect(countBeats('..e.o')).toMatchObject({ ok: 3, error: 1, offline: 1, warn: 0 });
    expect(beatsWidth(48)).toBe(143);
  });
});
