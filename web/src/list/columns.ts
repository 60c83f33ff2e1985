// Which columns of the table fit, and how wide they are. Widths are the same for every row, so that nothing moves. Pure.

export const COLUMNS = ['name', 'state', 'beats', 'openclaw', 'cpu', 'memory', 'disk', 'network', 'tokens', 'cost', 'error', 'agent', 'seen'] as const;
export type Column = (typeof COLUMNS)[number];

/** Those that may be taken out by hand. */
export const OPTIONAL: readonly Column[] = COLUMNS.filter((column) => column !== 'name' && column !== 'state');
/** Shown unless somebody chose otherwise. */
export const USUAL: readonly Column[] = OPTIONAL.filter((column) => column !== 'agent' && column !== 'seen');

const WIDTH: Record<Column, number> = {
  name: 140,
  state: 118,
  beats: 143,
  openclaw: 108,
  cpu: 38,
  memory: 38,
  disk: 38,
  network: 98,
  tokens: 84,
  cost: 58,
  error: 60,
  agent: 56,
  seen: 60,
};
/** The network's sparkline, beside its two numbers. */
const SPARK = 44;
const GAP = 12;
const WIDE_GAP = 20;
/** Glyph before the name, and the menu at the end. */
const MENU = 26;
/** Spaces left and right of a row. */
const EDGES = 10 + 12;

export interface Fit {
  columns: readonly Column[];
  /** There is room for the network's sparkline. */
  spark: boolean;
  gap: number;
  template: string;
}

/** What goes first when there is no room. */
const FIRST_TO_GO: readonly Column[] = ['agent', 'seen', 'network', 'tokens', 'error', 'openclaw', 'disk', 'cost', 'beats', 'memory', 'cpu'];

const needed = (columns: readonly Column[], gap: number): number => EDGES + MENU + columns.reduce((sum, column) => sum + WIDTH[column] + gap, 0);

/** The columns that somebody chose, as far as a width has room for them. */
export function fit(width: number, chosen: readonly Column[]): Fit {
  let columns: readonly Column[] = COLUMNS.filter((column) => column === 'name' || column === 'state' || chosen.includes(column));
  for (const column of FIRST_TO_GO) {
    if (needed(columns, GAP) <= width) break;
    columns = columns.filter((other) => other !== column);
  }
  const spark = columns.includes('network') && needed(columns, GAP) + SPARK <= width;
  const wide = needed(columns, WIDE_GAP) + (spark ? SPARK : 0) <= width;
  const size = (column: Column): string => {
    const px = WIDTH[column] + (column === 'network' && spark ? SPARK : 0);
    // What is left over goes to the names.
    return column === 'name' ? `minmax(0, 1fr)` : `${px}px`;
  };
  return { columns, spark, gap: wide ? WIDE_GAP : GAP, template: [...columns.map(size), `${MENU}px`].join(' ') };
}

/** What a browser has remembered; unknown words of another version are left out. */
export function parseColumns(saved: unknown): readonly Column[] {
  if (!Array.isArray(saved)) return USUAL;
  return OPTIONAL.filter((column) => saved.includes(column));
}
