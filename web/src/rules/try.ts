// Asks what a rule would have done: one question at a time, each answer kept until it is old. Whoever scrolls past thirty rules
// asks thirty questions of the same disk.

import { dryRun } from '../api/client';
import type { DryRunView, RuleBodyView } from '../api/types';

const KEEP_MS = 10 * 60_000;
const MOST = 100;

const known = new Map<string, { run: DryRunView; at: number }>();
let last: Promise<unknown> = Promise.resolve();

/** What judging does not depend on is left out: another channel is no other past. */
export function keyOf(kind: string, body: RuleBodyView, days: number): string {
  const { scope, values, for_s, severity, steps, late } = body;
  return JSON.stringify([kind, days, scope, Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)), for_s, severity, steps, late]);
}

/** What is known already. */
export function knownRun(kind: string, body: RuleBodyView, days: number, now = Date.now()): DryRunView | null {
  const found = known.get(keyOf(kind, body, days));
  return found && now - found.at < KEEP_MS ? found.run : null;
}

/** Asks after those that asked before, unless it is known meanwhile or nobody wants to know any more. */
export function tryRule(kind: string, body: RuleBodyView, days: number, signal: AbortSignal): Promise<DryRunView> {
  const mine = last.then(async () => {
    signal.throwIfAborted();
    const before = knownRun(kind, body, days);
    if (before) return before;
    const run = await dryRun({ kind, body, days }, signal);
    if (known.size >= MOST) known.delete(known.keys().next().value ?? '');
    known.set(keyOf(kind, body, days), { run, at: Date.now() });
    return run;
  });
  last = mine.catch(() => undefined);
  return mine;
}
