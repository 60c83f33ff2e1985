// What the overview shows, derived from the fleet and the address.

import { computed, signal } from '@preact/signals';
import { arrange, followsValues, parseSort, type Arranged } from '../list/arrange';
import { fleet, STATES } from '../state/fleet';
import { tick } from '../state/clock';
import { prefs } from '../state/prefs';
import { query } from '../state/router';

export const sort = computed(() => parseSort(query.value.get('sort')));
export const groupByTag = computed(() => query.value.get('group') === 'tag');
export const collapsed = signal<ReadonlySet<string>>(new Set());
/** The device that the keyboard is on. */
export const active = signal<string | null>(null);

/** Sorted by a number, the list is put in order again at this pace only: rows must not jump under the hand. */
const RESORT_S = 3;
const slow = computed(() => Math.floor(tick.value / (RESORT_S * 1000)));

export const arranged = computed<Arranged>(() => {
  fleet.shape.value;
  if (followsValues(sort.value.key)) slow.value;
  const state = query.value.get('state');
  return arrange(fleet.all(), {
    search: query.value.get('q') ?? '',
    state: STATES.find((known) => known === state) ?? null,
    sort: sort.value,
    groupByTag: groupByTag.value,
    collapsed: collapsed.value,
    lang: prefs.value.lang,
  });
});

export function toggleGroup(key: string): void {
  const next = new Set(collapsed.peek());
  if (!next.delete(key)) next.add(key);
  collapsed.value = next;
}
