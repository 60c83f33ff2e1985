// What the overview shows, derived from the fleet and the address.

import { computed, signal } from '@preact/signals';
import { arrange, followsValues, parseSort, type Arranged } from '../list/arrange';
import { countVersions } from '../list/versions';
import { STATES, type StateWord } from '../state/fleet';
import { shown } from '../state/past';
import { tick } from '../state/clock';
import { prefs } from '../state/prefs';
import { query } from '../state/router';

export const sort = computed(() => parseSort(query.value.get('sort')));
/** By tag, unless somebody wants one list. */
export const groupByTag = computed(() => query.value.get('group') !== 'none');
export const collapsed = signal<ReadonlySet<string>>(new Set());
/** The state that the list is narrowed to. */
export const picked = computed<StateWord | null>(() => STATES.find((state) => state === query.value.get('state')) ?? null);
/** The device that the keyboard is on. */
export const active = signal<string | null>(null);

/** Sorted by a number, the list is put in order again at this pace only: rows must not jump under the hand. */
const RESORT_S = 3;
const slow = computed(() => Math.floor(tick.value / (RESORT_S * 1000)));

export const arranged = computed<Arranged>(() => {
  const fleet = shown.value;
  fleet.shape.value;
  if (followsValues(sort.value.key)) slow.value;
  return arrange(fleet.all(), {
    search: query.value.get('q') ?? '',
    state: picked.value,
    sort: sort.value,
    groupByTag: groupByTag.value,
    collapsed: collapsed.value,
    lang: prefs.value.lang,
  });
});

/** OpenClaw's versions over the fleet, the newest first. */
export const versions = computed(() => {
  shown.value.shape.value;
  return countVersions(shown.value.all().map((device) => device.openclaw?.version));
});
/** By how many versions each is behind. */
export const behind = computed(() => new Map(versions.value.map((each) => [each.version, each.behind])));

export function toggleGroup(key: string): void {
  const next = new Set(collapsed.peek());
  if (!next.delete(key)) next.add(key);
  collapsed.value = next;
}
