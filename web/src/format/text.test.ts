import { expect, it } from 'vitest';
import { oneLine, visible } from './text';

it('shows what hides', () => {
  expect(visible('a\0b\u0007\u001b[31m')).toBe('a\u2400b\u2407\u241b[31m');
  expect(visible('\u202egnp.exe\u202c')).toBe('[U+202E]gnp.exe[U+202C]');
  expect(visible('line\n\ttab 🦞 שלום 中文')).toBe('line\n\ttab 🦞 שלום 中文');
  expect(oneLine('  a\n\n b\tc ')).toBe('a b c');
});
