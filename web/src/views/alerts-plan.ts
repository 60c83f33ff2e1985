// Which alerts are asked for, and how their past is grouped. Pure, but for the zone.

import type { AlertView } from '../api/types';
import { dayKey, plusDays } from '../format/days';
import type { Shape } from '../parts/glyph';

export const SEVERITIES = ['critical', 'error', 'warning', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];
export const SHAPE_OF: Readonly<Record<Severity, Shape>> = { critical: 'critical', error: 'error', warning: 'warning', info: 'info' };

export interface Plan {
  severities: readonly Severity[];
  device: string | null;
}

export function planOf(query: URLSearchParams): Plan {
  const asked = (query.get('severity') ?? '').split(',');
  return { severities: SEVERITIES.filter((one) => asked.includes(one)), device: query.get('device') };
}

export const params = (plan: Plan): Record<string, string | null> => ({ severity: plan.severities.join(',') || null, device: plan.device });

export const newestFirst = (a: AlertView, b: AlertView): number => (a.fired_at < b.fired_at ? 1 : a.fired_at > b.fired_at ? -1 : b.no - a.no);

/** What needs somebody first: not acknowledged, then grave, then new. */
export function urgentFirst(a: AlertView, b: AlertView): number {
  const known = Number(a.acknowledged_at !== null) - Number(b.acknowledged_at !== null);
  return known || SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || newestFirst(a, b);
}

export interface Day {
  key: string;
  when: 'today' | 'yesterday' | null;
  alerts: AlertView[];
}

/** By the day on which they fired, the newest first. */
export function days(alerts: readonly AlertView[], now: number): Day[] {
  const [today, yesterday] = [dayKey(now), dayKey(plusDays(now, -1))];
  const all = new Map<string, Day>();
  for (const alert of alerts) {
    const key = dayKey(Date.parse(alert.fired_at));
    const day = all.get(key) ?? { key, when: key === today ? 'today' : key === yesterday ? 'yesterday' : null, alerts: [] };
    day.alerts.push(alert);
    all.set(key, day);
  }
  return [...all.values()];
}
