// Which rows of a long list are on the screen. Rows may differ in height, so positions are prefix sums and a place is
// found by binary search. Pure.

/** `tops[i]` is where row i begins; the last entry is the height of everything. */
export type Tops = Float64Array;

export function layout(count: number, heightOf: (index: number) => number): Tops {
  const tops = new Float64Array(count + 1);
  let y = 0;
  for (let i = 0; i < count; i++) {
    tops[i] = y;
    y += heightOf(i);
  }
  tops[count] = y;
  return tops;
}

export const countOf = (tops: Tops): number => tops.length - 1;
export const topOf = (tops: Tops, index: number): number => tops[index] ?? 0;
export const heightOf = (tops: Tops, index: number): number => topOf(tops, index + 1) - topOf(tops, index);
export const fullHeight = (tops: Tops): number => topOf(tops, countOf(tops));

/** The row that covers the place `y`; places outside belong to the first and last row. */
export function indexAt(tops: Tops, y: number): number {
  let low = 0;
  let high = Math.max(0, countOf(tops) - 1);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (topOf(tops, middle) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

export interface Window {
  first: number;
  /** One past the last row. */
  end: number;
}

/** The rows to keep in the page: those that are visible and `spare` more on each side. */
export function windowOf(tops: Tops, scrollTop: number, viewport: number, spare: number): Window {
  const count = countOf(tops);
  if (count === 0) return { first: 0, end: 0 };
  const first = indexAt(tops, scrollTop);
  const last = indexAt(tops, scrollTop + Math.max(0, viewport - 1));
  return { first: Math.max(0, first - spare), end: Math.min(count, last + 1 + spare) };
}

/** Where to scroll so that a row is fully seen below a covered strip of `cover` pixels; the place itself if it already is. */
export function scrollToShow(tops: Tops, index: number, scrollTop: number, viewport: number, cover: number): number {
  const top = topOf(tops, index);
  const bottom = topOf(tops, index + 1);
  if (top < scrollTop + cover) return Math.max(0, top - cover);
  if (bottom > scrollTop + viewport) return bottom - viewport;
  return scrollTop;
}
