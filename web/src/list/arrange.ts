// From the fleet to the lines of the list: filter, order, groups. Pure.

import type { DeviceView } from '../api/types';
import { ms } from '../format/time';
import { share } from '../format/number';
import { countStates, isProblem, sinceOf, STATES, stateOf, type Counts, type StateWord } from '../state/fleet';
import { matches, parseSearch } from './search';
import { compareVersions } from './versions';

export const SORTS = ['state', 'name', 'openclaw', 'cpu', 'memory', 'disk', 'network', 'tokens', 'cost', 'error', 'agent', 'seen'] as const;
export type SortKey = (typeof SORTS)[number];
export interface Sort {
  key: SortKey;
  descending: boolean;
}
/** Problems first, then by name. */
export const DEFAULT_SORT: Sort = { key: 'state', descending: false };

/** `cpu` or `-cpu` of the address. */
export function parseSort(text: string | null): Sort {
  const descending = text?.startsWith('-') ?? false;
  const key = (descending ? text?.slice(1) : text) as SortKey;
  return SORTS.includes(key) ? { key, descending } : DEFAULT_SORT;
}
export const sortText = (sort: Sort): string | null =>
  sort.key === DEFAULT_SORT.key && sort.descending === DEFAULT_SORT.descending ? null : (sort.descending ? '-' : '') + sort.key;

/** Of these somebody wants to see the largest first; words are read from A. */
const FROM_THE_TOP: readonly SortKey[] = ['cpu', 'memory', 'disk', 'network', 'tokens', 'cost'];
export const firstSort = (key: SortKey): Sort => ({ key, descending: FROM_THE_TOP.includes(key) });

/** A second press turns the order round. */
export const nextSort = (now: Sort, key: SortKey): Sort => (now.key === key ? { key, descending: !now.descending } : firstSort(key));

/** Whether new numbers can change the order (the list then re-sorts at a calm pace). */
export const followsValues = (key: SortKey): boolean => FROM_THE_TOP.includes(key) || key === 'seen';

export interface Wish {
  search: string;
  state: StateWord | null;
  sort: Sort;
  groupByTag: boolean;
  collapsed: ReadonlySet<string>;
  lang: string;
}

export type Line =
  | { kind: 'device'; id: string; problem: boolean }
  | { kind: 'group'; key: string; tag: string | null; count: number; states: Counts; tokens: number; cost: number; open: boolean };

export interface Arranged {
  lines: Line[];
  /** Devices that match, those in closed groups included. */
  matching: number;
}

const RANK = Object.fromEntries(STATES.map((state, rank) => [state, rank])) as Record<StateWord, number>;

function valueOf(device: DeviceView, key: SortKey): number | string | null {
  const latest = device.latest;
  switch (key) {
    case 'state':
      return RANK[stateOf(device)];
    case 'name':
      return null;
    case 'cpu':
      return latest?.cpu_pct ?? null;
    case 'memory':
      return share(latest?.memory_used_bytes, latest?.memory_total_bytes);
    case 'disk':
      return share(latest?.disk_used_bytes, latest?.disk_total_bytes);
    case 'network':
      return latest == null || (latest.network_down_bytes_per_s === null && latest.network_up_bytes_per_s === null) || !device.online
        ? null
        : (latest.network_down_bytes_per_s ?? 0) + (latest.network_up_bytes_per_s ?? 0);
    case 'openclaw':
      return device.openclaw?.version ?? null;
    case 'tokens':
      return device.usage?.today.tokens ?? null;
    case 'cost':
      return device.usage?.today.cost_usd ?? null;
    case 'error': {
      const at = ms(device.last_error_at);
      return at === null ? null : -at;
    }
    case 'agent':
      return device.agent_version;
    case 'seen': {
      const at = ms(device.last_seen_at);
      return at === null ? null : -at;
    }
  }
}

/** How a person of that language sorts names: `pi-2` before `pi-10`. */
const collator = (lang: string): Intl.Collator => new Intl.Collator(lang, { numeric: true, sensitivity: 'base' });

/** The order of devices in a plain list. */
export function byName(lang: string): (a: DeviceView, b: DeviceView) => number {
  const names = collator(lang);
  return (a, b) => names.compare(a.name, b.name) || (a.id < b.id ? -1 : 1);
}

export function arrange(devices: readonly DeviceView[], wish: Wish): Arranged {
  const terms = parseSearch(wish.search);
  const hits = devices.filter((device) => (wish.state === null || stateOf(device) === wish.state) && matches(terms, device));
  const names = collator(wish.lang);
  const sign = wish.sort.descending ? -1 : 1;
  const keyed = hits.map((device) => ({ device, value: valueOf(device, wish.sort.key), since: sinceOf(device) ?? 0 }));
  keyed.sort((a, b) => {
    if (a.value !== b.value) {
      // What was not measured goes last in either direction.
      if (a.value === null) return 1;
      if (b.value === null) return -1;
      const text = typeof a.value === 'string' && typeof b.value === 'string';
      const order = text && wish.sort.key === 'openclaw' ? compareVersions(String(a.value), String(b.value)) : text ? names.compare(String(a.value), String(b.value)) : a.value < b.value ? -1 : 1;
      if (order !== 0) return order * sign;
    }
    // Among problems the newest comes first; everything else reads by name.
    if (wish.sort.key === 'state' && isProblem(a.device) && a.since !== b.since) return b.since - a.since;
    const order = names.compare(a.device.name, b.device.name) * (wish.sort.key === 'name' ? sign : 1);
    return order !== 0 ? order : a.device.id < b.device.id ? -1 : 1;
  });
  const ordered = keyed.map((entry) => entry.device);
  return { lines: wish.groupByTag ? grouped(ordered, wish) : ordered.map(line), matching: hits.length };
}

const line = (device: DeviceView): Line => ({ kind: 'device', id: device.id, problem: isProblem(device) });

/** Problems stand above the groups; each other device stands in one group, that of its commonest tag. */
function grouped(ordered: readonly DeviceView[], wish: Wish): Line[] {
  const lift = wish.sort.key === 'state';
  const lines: Line[] = lift ? ordered.filter(isProblem).map(line) : [];
  const rest = lift ? ordered.filter((device) => !isProblem(device)) : ordered;
  const uses = new Map<string, number>();
  for (const device of rest) for (const tag of new Set(device.tags)) uses.set(tag, (uses.get(tag) ?? 0) + 1);
  const tags = [...uses].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([tag]) => tag);
  const rank = new Map(tags.map((tag, i) => [tag, i]));
  const members = new Map<string | null, DeviceView[]>();
  for (const device of rest) {
    const tag = device.tags.reduce<string | null>((best, next) => (best === null || (rank.get(next) ?? 0) < (rank.get(best) ?? 0) ? next : best), null);
    const list = members.get(tag);
    if (list) list.push(device);
    else members.set(tag, [device]);
  }
  for (const tag of [...tags, null]) {
    const list = members.get(tag);
    if (!list) continue;
    const key = tag === null ? '' : `tag:${tag}`;
    const open = !wish.collapsed.has(key);
    const states = countStates(list);
    let tokens = 0;
    let cost = 0;
    for (const device of list) {
      tokens += device.usage?.today.tokens ?? 0;
      cost += device.usage?.today.cost_usd ?? 0;
    }
    lines.push({ kind: 'group', key, tag, count: list.length, states, tokens, cost, open });
    if (open) lines.push(...list.map(line));
  }
  return lines;
}

/** Cards side by side: a line of the list holds as many as fit. */
export type CardLine = Extract<Line, { kind: 'group' }> | { kind: 'cards'; cards: Extract<Line, { kind: 'device' }>[]; problem: boolean };

export function inRows(lines: readonly Line[], perRow: number): CardLine[] {
  const rows: CardLine[] = [];
  for (const each of lines) {
    if (each.kind === 'group') {
      rows.push(each);
      continue;
    }
    const last = rows.at(-1);
    // Cards with a reason are taller: they stand among themselves.
    if (last?.kind === 'cards' && last.cards.length < perRow && last.problem === each.problem) last.cards.push(each);
    else rows.push({ kind: 'cards', cards: [each], problem: each.problem });
  }
  return rows;
}
