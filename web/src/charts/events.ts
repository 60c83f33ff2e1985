// Where events stand above the charts, and which of them have room for their words. Pure.

export interface Marked<T> {
  event: T;
  at: number;
  text: string;
  /** Of several on one spot the heaviest gives its words. */
  weight: number;
}

export interface Placed<T> {
  /** Several that stand on one spot, newest first. */
  events: T[];
  /** Pixels from the left edge. */
  x: number;
  row: 0 | 1;
  /** The words, and on which side of the mark they stand; null where there is no room. */
  text: string | null;
  side: 'right' | 'left';
}

const MARK = 6;
const GAP = 6;
/** Marks closer than this are one. */
const TOGETHER = 9;

/** The width of a text at 11.5 px, by its letters: good enough to keep words apart. */
export const textWidth = (text: string): number => [...text].reduce((sum, letter) => sum + (letter > '\u2e80' ? 11.5 : 6), 0);

interface Cluster<T> {
  x: number;
  members: Marked<T>[];
}

/** Events that stand on one spot, from left to right. */
function clusters<T>(events: readonly Marked<T>[], from: number, to: number, width: number): Cluster<T>[] {
  const found: Cluster<T>[] = [];
  for (const member of [...events].filter(({ at }) => at >= from && at <= to).sort((a, b) => a.at - b.at)) {
    const x = Math.max(MARK, Math.min(width - MARK, ((member.at - from) / (to - from)) * width));
    const last = found.at(-1);
    if (last && x - last.x < TOGETHER) last.members.push(member);
    else found.push({ x, members: [member] });
  }
  return found;
}

/** Lays events out in two rows, newest first: when there is little room, the latest keep their words. */
export function layoutEvents<T>(events: readonly Marked<T>[], from: number, to: number, width: number, wordless: boolean): Placed<T>[] {
  const used: [number, number][][] = [[], []];
  const placed: Placed<T>[] = [];
  const free = (row: number, a: number, b: number): boolean => a >= 0 && b <= width && (used[row] ?? []).every(([c, d]) => b < c - GAP || a > d + GAP);
  for (const { x, members } of clusters(events, from, to, width).reverse()) {
    const newest = [...members].reverse();
    const heaviest = newest.reduce((best, each) => (each.weight > best.weight ? each : best));
    const length = textWidth(heaviest.text) + (members.length > 1 ? 34 : 10);
    const spots: readonly [0 | 1, 'right' | 'left'][] = [
      [0, 'right'],
      [1, 'right'],
      [0, 'left'],
      [1, 'left'],
    ];
    const box = (side: 'right' | 'left', words: number): [number, number] => (side === 'left' ? [x - MARK - words, x + MARK] : [x - MARK, x + MARK + words]);
    const spot = wordless ? undefined : spots.find(([row, side]) => free(row, ...box(side, length)));
    const bare = spot === undefined ? (wordless ? ([0] as const) : ([0, 1] as const)).find((row) => free(row, ...box('right', 0))) : undefined;
    const [row, side] = spot ?? [bare, 'right' as const];
    if (row === undefined) {
      // No room even for the mark: it joins its neighbour, which tells of both.
      const nearest = placed.reduce<Placed<T> | null>((best, each) => (best === null || Math.abs(each.x - x) < Math.abs(best.x - x) ? each : best), null);
      nearest?.events.push(...newest.map((each) => each.event));
      continue;
    }
    used[row]?.push(box(side, spot === undefined ? 0 : length));
    placed.push({ events: newest.map((each) => each.event), x, row, text: spot === undefined ? null : heaviest.text, side });
  }
  return placed;
}
