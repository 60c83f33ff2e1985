// The 24-hour bar: calm half hours are low ticks, trouble sticks out, absence is a hollow box. Told by height and fill,
// not by colour alone. Pure.

export type Beat = 'ok' | 'warn' | 'error' | 'offline' | 'server' | 'none';

const OF: Record<string, Beat> = { '.': 'ok', w: 'warn', e: 'error', o: 'offline', s: 'server', n: 'none' };

export interface Run {
  beat: Beat;
  from: number;
  length: number;
}

/** Half hours that are alike, together. */
export function runs(letters: string): Run[] {
  const out: Run[] = [];
  [...letters].forEach((letter, i) => {
    const beat = OF[letter] ?? 'none';
    const last = out.at(-1);
    if (last?.beat === beat) last.length += 1;
    else out.push({ beat, from: i, length: 1 });
  });
  return out;
}

const TICK = 2;
const STEP = 3;
export const BEATS_HEIGHT = 18;
export const beatsWidth = (count: number): number => count * STEP - 1;

const ticks = (run: Run, height: number): string =>
  Array.from({ length: run.length }, (_, i) => `M${(run.from + i) * STEP} ${BEATS_HEIGHT - height}h${TICK}v${height}h-${TICK}z`).join('');

/** One path for each kind, so that a bar is a handful of elements however long it is. */
export function beatPaths(letters: string): Partial<Record<Beat, string>> {
  const paths: Partial<Record<Beat, string>> = {};
  for (const run of runs(letters)) {
    const x = run.from * STEP;
    const width = run.length * STEP - 1;
    const path = {
      ok: () => ticks(run, 8),
      warn: () => ticks(run, 13),
      error: () => ticks(run, BEATS_HEIGHT),
      offline: () => `M${x + 0.5} 2.5h${Math.max(1, width - 1)}v15h-${Math.max(1, width - 1)}z`,
      server: () => ticks(run, 4),
      none: () => ticks(run, 2),
    }[run.beat]();
    paths[run.beat] = (paths[run.beat] ?? '') + path;
  }
  return paths;
}

/** How many half hours were not well, by kind. */
export function countBeats(letters: string): Record<Beat, number> {
  const counts: Record<Beat, number> = { ok: 0, warn: 0, error: 0, offline: 0, server: 0, none: 0 };
  for (const run of runs(letters)) counts[run.beat] += run.length;
  return counts;
}
