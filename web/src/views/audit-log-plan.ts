// What of the audit log is asked for, and what a change says in few words. Pure.

import { DAY } from '../format/days';

/** Beginnings of actions: what belongs together. */
export const KINDS = ['login', 'user.', 'device.', 'key.', 'token.', 'error_group.', 'alert.', 'backup', 'two_factor.', 'status_page.'] as const;
export const WITHIN = ['24h', '7d', '30d', 'all'] as const;
export type Within = (typeof WITHIN)[number];
const LENGTH: Readonly<Record<Within, number | null>> = { '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY, all: null };

export interface Plan {
  actor: string;
  subject: string;
  /** An action, or the beginning of some. */
  action: string | null;
  within: Within;
}

export function planOf(query: URLSearchParams): Plan {
  return {
    actor: query.get('actor') ?? '',
    subject: query.get('subject') ?? '',
    action: query.get('action'),
    within: WITHIN.find((one) => one === query.get('within')) ?? 'all',
  };
}

export function params(plan: Plan, now: number): Record<string, string | null> {
  const length = LENGTH[plan.within];
  // All that has to do with logins begins with that word and a dot.
  const action = plan.action === 'login' ? 'login.' : plan.action;
  return { actor: plan.actor.trim() || null, subject: plan.subject.trim() || null, action, from: length === null ? null : new Date(Math.floor((now - length) / 60_000) * 60_000).toISOString() };
}

const LONG = 60;

function text(value: unknown): string {
  if (value === null || value === undefined) return '';
  const all = typeof value === 'string' ? value : Array.isArray(value) ? value.map(text).join(' ') : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return all.length > LONG ? `${all.slice(0, LONG)}…` : all;
}

export interface Difference {
  field: string;
  before: string;
  after: string;
}

/** Which fields have changed, and how. Fields that stayed are left out. */
export function differences(before: unknown, after: unknown): Difference[] {
  const fields = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : value === null || value === undefined ? {} : { '': value });
  const [old, now] = [fields(before), fields(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .map((field) => ({ field, before: text(old[field]), after: text(now[field]) }))
    .filter((change) => change.before !== change.after);
}
