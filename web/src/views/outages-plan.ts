// What of the outages is asked for, and what days make of longer times. Pure.

import type { UptimeView } from '../api/types';
import { DAY } from '../format/days';

/** Those that can be asked for. */
export const LABELS = ['network_only', 'host_rebooted', 'gateway_crashed', 'agent_restarted', 'machine_slept', 'server_down'] as const;
export type Label = (typeof LABELS)[number] | 'unknown';
export const WITHIN = ['24h', '7d', '30d', 'all'] as const;
export type Within = (typeof WITHIN)[number];
/** Days of which the uptime is told. */
export const WINDOWS = [1, 7, 30, 90] as const;

const LENGTH: Readonly<Record<Within, number | null>> = { '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY, all: null };

export interface Plan {
  uptime: boolean;
  device: string | null;
  label: (typeof LABELS)[number] | null;
  within: Within;
}

export function planOf(query: URLSearchParams): Plan {
  return {
    uptime: query.get('view') === 'uptime',
    device: query.get('device'),
    label: LABELS.find((label) => label === query.get('label')) ?? null,
    within: WITHIN.find((one) => one === query.get('within')) ?? '30d',
  };
}

export function listParams(plan: Plan, now: number): Record<string, string | null> {
  const length = LENGTH[plan.within];
  return { device: plan.device, label: plan.label, from: length === null ? null : new Date(Math.floor((now - length) / 60_000) * 60_000).toISOString() };
}

/** Of the known time of some spans, the percentage that was online; null when nothing is known. */
export function share(spans: readonly UptimeView[]): number | null {
  const online = spans.reduce((sum, one) => sum + one.online_s, 0);
  const known = online + spans.reduce((sum, one) => sum + one.offline_s, 0);
  return known > 0 ? (online * 100) / known : null;
}

/** The uptime of each of the windows: of days, the newest last, and of the last 24 hours. */
export function uptimes(days: readonly UptimeView[], last: readonly UptimeView[]): (number | null)[] {
  return WINDOWS.map((window) => share(window === 1 ? last : days.slice(-window)));
}
