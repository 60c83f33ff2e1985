// Asks what a rule would have done: one question at a time, each answer kept until it is old. Whoever scrolls past thirty rules
// asks thirty questions of the same disk.

import { dryRun } from '../api/client';
import type { DryRunView, RuleBodyView } from '../api/types';

const KEEP_MS = 10 * 60_000;
const MOST = 100;

const known = new Map<string, { run: DryRunView; at: number }>();
const waiting: (() => Promise<void>)[] = [];
let busy = false;

async function work(): Promise<void> {
  if (busy) return;
  busy = true;
  for (let job = waiting.shift(); job; job = waiting.shift()) await job();
  busy = false;
}

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

async function ask(kind: string, body: RuleBodyView, days: number, signal: AbortSignal): Promise<DryRunView> {
  signal.throwIfAborted();
  const before = knownRun(kind, body, days);
  if (before) return before;
  const run = await dryRun({ kind, body, days }, signal);
  if (known.size >= MOST) known.delete(known.keys().next().value ?? '');
  known.set(keyOf(kind, body, days), { run, at: Date.now() });
  return run;
}

/** Asks when it is its turn, unless it is known by then or nobody wants to know any more. What somebody waits for goes first. */
export function tryRule(kind: string, body: RuleBodyView, days: number, signal: AbortSignal, first: boolean): Promise<DryRunView> {
  return new Promise((resolve, reject) => {
    const job = (): Promise<void> => ask(kind, body, days, signal).then(resolve, reject);
    if (first) waiting.unshift(job);
    else waiting.push(job);
    void work();
  });
}
