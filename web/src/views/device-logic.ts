// What the device page works out of answers. Pure.

import type { UsageGroupView } from '../api/types';

/** Models of today, dearest first; those without a price by their tokens. */
export function modelsOf(groups: readonly UsageGroupView[], today: string): UsageGroupView[] {
  const weight = ({ usage }: UsageGroupView): number => (usage.cost_usd ?? 0) + usage.flat_rate_usd;
  return groups.filter((group) => group.key === today).sort((a, b) => weight(b) - weight(a) || b.usage.tokens - a.usage.tokens);
}

/** A percentage that says 100 only when it is. */
export function uptimeText(pct: number | null): string | null {
  if (pct === null) return null;
  if (pct >= 100) return '100';
  return (Math.floor(pct * 100) / 100).toFixed(pct < 10 ? 1 : 2);
}
