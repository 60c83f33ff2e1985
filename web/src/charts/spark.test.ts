import { expect, it } from 'vitest';
import { sparkPath } from './spark';

it('draws oldest to newest, ending at the right edge', () => expect(sparkPath([0, 10], 2, 41, 14)).toBe('M0.5 13.0L40.5 1.0'));
it('stays right-aligned while values are still being gathered', () => expect(sparkPath([10, 10], 5, 41, 14)).toBe('M30.5 1.0L40.5 1.0'));
it('breaks at what was not measured', () => expect(sparkPath([1, null, 1], 3, 3, 4)).toBe('M0.5 1.0h.8M2.5 1.0h.8'));
it('is empty without values and flat for zeros', () => {
  expect(sparkPath([], 5, 40, 14)).toBe('');
  expect(sparkPath([0, 0], 2, 3, 4)).toBe('M0.5 3.0L2.5 3.0');
});
