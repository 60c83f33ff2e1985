import { expect, it } from 'vitest';
import { merge } from './pages';

interface Row {
  no: number;
  at: number;
  text?: string;
}
const put = (known: Row[], told: Row[]): Row[] => merge(known, told, (row) => row.no, (a, b) => b.at - a.at || b.no - a.no);

it('keeps each row once, in order, as it was told last', () => {
  const known = [{ no: 3, at: 30 }, { no: 2, at: 20 }, { no: 1, at: 10 }];
  expect(put(known, [{ no: 4, at: 40 }, { no: 3, at: 30, text: 'new' }]).map((row) => [row.no, row.text])).toEqual([[4, undefined], [3, 'new'], [2, undefined], [1, undefined]]);
  // What was told late has its place in the past.
  expect(put(known, [{ no: 5, at: 15 }]).map((row) => row.no)).toEqual([3, 2, 5, 1]);
  expect(put([], known)).toEqual(known);
});
