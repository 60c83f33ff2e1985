import { describe, expect, it } from 'vitest';
import { compareVersions, countVersions } from './versions';

describe('versions', () => {
  it.each([
    ['2026.9.6', '2026.9.10', -1],
    ['2026.10.1', '2026.9.30', 1],
    ['2026.9', '2026.9.0', 0],
    ['v2026.9.6', '2026.9.6', 0],
    ['2026.9.6-beta.2', '2026.9.6', -1],
    ['2026.9.6-beta.2', '2026.9.6-beta.1', 1],
    ['nonsense', '2026.1.1', -1],
  ])('%s against %s', (a, b, sign) => expect(Math.sign(compareVersions(a, b))).toBe(sign));

  it('are counted from the newest', () =>
    expect(countVersions(['2026.9.5', '2026.9.10', null, '2026.9.5', undefined])).toEqual([
      { version: '2026.9.10', devices: 1, behind: 0 },
      { version: '2026.9.5', devices: 2, behind: 1 },
    ]));
});
