import { expect, it } from 'vitest';
import { momentOf } from './past';

it.each([
  ['', null],
  ['t=garbage', null],
  ['t=2026-11-20T06:00:00Z', Date.UTC(2026, 10, 20, 6)],
  // To come: the present.
  ['t=2026-11-22T06:00:00Z', null],
])('%s', (text, want) => expect(momentOf(new URLSearchParams(text), Date.UTC(2026, 10, 21))).toBe(want));
