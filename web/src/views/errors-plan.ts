// What of the errors is asked for, from the address. Pure.

import type { ErrorGroupView, ErrorRowView } from '../api/types';
import { DAY } from '../format/days';
import { compareVersions } from '../list/versions';

export const LEVELS = ['crash', 'exception', 'error', 'warning', 'unknown'] as const;
export type Level = (typeof LEVELS)[number];
export { LEVEL_SHAPE as SHAPE_OF } from '../parts/glyph';
export const WITHIN = ['24h', '7d', '30d', 'all'] as const;
export type Within = (typeof WITHIN)[number];
export const SHOWN_STATES = ['open', 'resolved', 'ignored', 'all'] as const;
export type ShownState = (typeof SHOWN_STATES)[number];
export const SORTS = ['last_seen', 'first_seen', 'count'] as const;
export type Sort = (typeof SORTS)[number];
export type State = ErrorGroupView['state'];

const LENGTH: Readonly<Record<Within, number | null>> = { '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY, all: null };
const among = <T extends string>(list: readonly T[], text: string | null, usual: T): T => list.find((one) => one === text) ?? usual;

export interface Plan {
  groups: boolean;
  q: string;
  /** Empty: all. */
  levels: readonly Level[];
  device: string | null;
  fingerprint: string | null;
  within: Within;
  state: ShownState;
  sort: Sort;
  /** The group that is looked into. */
  group: string | null;
}

export function planOf(query: URLSearchParams): Plan {
  const asked = (query.get('level') ?? '').split(',');
  return {
    groups: query.get('view') === 'groups',
    q: query.get('q') ?? '',
    levels: LEVELS.filter((level) => asked.includes(level)),
    device: query.get('device'),
    fingerprint: query.get('fingerprint'),
    within: among(WITHIN, query.get('within'), 'all'),
    state: among(SHOWN_STATES, query.get('state'), 'open'),
    sort: among(SORTS, query.get('sort'), 'last_seen'),
    group: query.get('group'),
  };
}

/** What the list is asked with. A whole minute, so that asking twice asks the same. */
export function listParams(plan: Plan, now: number): Record<string, string | null> {
  const length = LENGTH[plan.within];
  const minute = Math.floor(now / 60_000) * 60_000;
  return {
    q: plan.q.trim() || null,
    level: plan.levels.join(',') || null,
    device: plan.device,
    fingerprint: plan.fingerprint,
    from: length === null ? null : new Date(minute - length).toISOString(),
  };
}

export function groupParams(plan: Plan, now: number): Record<string, string | null> {
  const { fingerprint: _, ...rest } = listParams(plan, now);
  return { ...rest, state: plan.state === 'all' ? null : plan.state, sort: plan.sort };
}

export const newestFirst = (a: ErrorRowView, b: ErrorRowView): number => (a.at < b.at ? 1 : a.at > b.at ? -1 : b.no - a.no);

export function bySort(sort: Sort): (a: ErrorGroupView, b: ErrorGroupView) => number {
  const value = (group: ErrorGroupView): number => (sort === 'count' ? group.count : Date.parse(sort === 'first_seen' ? group.first_seen_at : group.last_seen_at));
  return (a, b) => value(b) - value(a) || (a.fingerprint < b.fingerprint ? 1 : -1);
}

/** The newest version that runs anywhere, if more than one does or did. */
export function newest(versions: Iterable<string | null | undefined>): string | null {
  let best: string | null = null;
  for (const version of versions) if (version && (best === null || compareVersions(version, best) > 0)) best = version;
  return best;
}

/** The version since which a group happens: it was seen under the fleet's newest version only. */
export function newSince(group: ErrorGroupView, newestVersion: string | null): string | null {
  const [only] = group.versions;
  return group.versions.length === 1 && only !== undefined && only === newestVersion ? only : null;
}
