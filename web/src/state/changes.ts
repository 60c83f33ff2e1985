// What the overview says besides the devices: spend against usual, new error groups, upgrades. Asked for while somebody looks.

import { effect, signal } from '@preact/signals';
import { getErrorGroups, getEvents, getUsage, getUsageSummary } from '../api/client';
import type { ErrorGroupView, FleetEventView, UsageGroupView, UsageSummaryView } from '../api/types';
import { date, ms, wall } from '../format/time';
import { serverNow } from './clock';
import { newestError } from './fleet-news';
import { pastAt } from './past';
import { viewerZone } from './prefs';

export const DAY_MS = 86_400_000;
const SPEND_MS = 60_000;
const EVENTS_MS = 60_000;
/** Errors come in bursts: the lists are renewed at this pace at most. */
const ERRORS_MS = 5_000;
const LATEST = 12;

/** What today and yesterday had come to by each hour, from the first on: dollars, or tokens where nothing has a price. */
export interface SpendCurve {
  today: readonly number[];
  yesterday: readonly number[];
}
export const spendCurve = signal<SpendCurve | null>(null);
export const summary = signal<UsageSummaryView | null>(null);
/** The groups that were seen last, ignored ones left out; null until they are known. */
export const latestGroups = signal<readonly ErrorGroupView[] | null>(null);
/** Groups that appeared within a day and that nobody has dealt with. */
export const newGroups = signal<number | null>(null);
export const upgrades = signal<readonly FleetEventView[] | null>(null);

export const isNew = (group: ErrorGroupView, now: number): boolean => now - (ms(group.first_seen_at) ?? 0) < DAY_MS;

/** Adds the hours of today and yesterday up. Hours are told by the viewer's clock, so their text says which day they are of. */
export function curveOf(hours: readonly UsageGroupView[], now: number): SpendCurve {
  const priced = hours.some((hour) => hour.usage.cost_usd !== null);
  const sums = (day: string, hoursOfDay: number): number[] => {
    let sum = 0;
    return Array.from({ length: hoursOfDay }, (_, hour) => {
      const prefix = `${day}T${String(hour).padStart(2, '0')}`;
      for (const { key, usage } of hours) if (key.startsWith(prefix)) sum += priced ? (usage.cost_usd ?? 0) : usage.tokens;
      return sum;
    });
  };
  return { today: sums(date(now), wall(now).hour + 1), yesterday: sums(date(now - DAY_MS), 24) };
}

/** Renews something now and then while the page can be seen; the function given back stops it. */
export function every(pause: number, ask: () => Promise<void>): () => void {
  let timer: number | undefined;
  let stopped = false;
  const round = async (): Promise<void> => {
    clearTimeout(timer);
    if (!document.hidden) await ask().catch(() => {});
    if (!stopped) timer = window.setTimeout(() => void round(), pause);
  };
  const seen = (): void => {
    if (!document.hidden) void round();
  };
  document.addEventListener('visibilitychange', seen);
  void round();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}

export function followChanges(): () => void {
  const endSpend = effect(() => {
    const zone = viewerZone.value;
    return every(SPEND_MS, async () => {
      const from = new Date(serverNow() - 2 * DAY_MS);
      const [now, hours] = await Promise.all([getUsageSummary(zone), getUsage({ by: 'hour', from: from.toISOString() }, zone)]);
      summary.value = now;
      spendCurve.value = curveOf(hours, serverNow());
    });
  });
  const endEvents = effect(() => {
    const at = pastAt.value;
    return every(EVENTS_MS, async () => {
      const to = at ?? serverNow();
      const span = { from: new Date(to - DAY_MS).toISOString(), ...(at === null ? {} : { to: new Date(at).toISOString() }) };
      upgrades.value = (await getEvents({ kind: 'gateway_upgraded', limit: '1000', ...span })).items;
    });
  });
  const groups = async (): Promise<void> => {
    const [latest, first] = await Promise.all([
      getErrorGroups({ state: 'open', limit: String(LATEST) }),
      getErrorGroups({ state: 'open', sort: 'first_seen', limit: '100' }),
    ]);
    latestGroups.value = latest.items;
    const now = serverNow();
    newGroups.value = first.items.filter((group) => isNew(group, now)).length;
  };
  let askedAt = 0;
  let timer: number | undefined;
  const endErrors = effect(() => {
    newestError.value;
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      askedAt = Date.now();
      groups().catch(() => {});
    }, Math.max(0, askedAt + ERRORS_MS - Date.now()));
  });
  return () => {
    endSpend();
    endEvents();
    endErrors();
    clearTimeout(timer);
  };
}
