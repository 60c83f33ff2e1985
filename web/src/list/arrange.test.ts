import { describe, expect, it } from 'vitest';
import type { DeviceView } from '../api/types';
import { arrange, byName, DEFAULT_SORT, nextSort, parseSort, sortText, type Wish, inRows } from './arrange';
import { matches, parseSearch } from './search';

function device(name: string, change: Partial<DeviceView> = {}): DeviceView {
  return {
    id: name, name, kind: 'agent', tags: [], online: true, since: '2026-11-20T06:00:00.000Z', last_seen_at: '2026-11-20T06:00:00.000Z',
    reason: null, agent_version: '0.1.0', rev: 1, created_at: '2026-11-20T05:00:00.000Z', latest: null, openclaw: null,
  last_error_at: null, clock_skew_s: null, usage: null, ...change,
  };
}
const cpu = (pct: number | null): DeviceView['latest'] => ({
  at: '', cpu_pct: pct, memory_used_bytes: 1, memory_total_bytes: 2, disk_used_bytes: null, disk_total_bytes: null, network_up_bytes_per_s: 1, network_down_bytes_per_s: null,
});
const down = (since: string) => ({ online: false, since });
const never = { online: false, since: null, last_seen_at: null };
const wish = (change: Partial<Wish> = {}): Wish => ({ search: '', state: null, sort: DEFAULT_SORT, groupByTag: false, collapsed: new Set(), lang: 'en', ...change });
const names = (devices: DeviceView[], change: Partial<Wish> = {}) =>
  arrange(devices, wish(change)).lines.map((line) => (line.kind === 'device' ? line.id : `[${line.tag ?? ''} ${line.count}${line.open ? '' : ' closed'}]`));

const FLEET = [
  device('pi-10', { tags: ['edge', 'home'] }),
  device('pi-2', { tags: ['edge'] }),
  device('hk-1', { tags: ['prod', 'hk'], latest: cpu(40) }),
  device('hk-2', { tags: ['prod', 'hk'], latest: cpu(7), ...down('2026-11-20T06:10:00.000Z') }),
  device('sgp', { tags: ['prod'], latest: cpu(90), ...down('2026-11-20T06:20:00.000Z') }),
  device('书房 NAS', { tags: [], ...never }),
];

describe('the order', () => {
  it('puts problems on top, newest first, then names as people count', () => expect(names(FLEET)).toEqual(['sgp', 'hk-2', 'hk-1', 'pi-2', 'pi-10', '书房 NAS']));
  it('marks problem lines', () => expect(arrange(FLEET, wish()).lines.filter((line) => line.kind === 'device' && line.problem)).toHaveLength(2));
  it('sorts by a value with unknown last both ways', () => {
    expect(names(FLEET, { sort: { key: 'cpu', descending: true } }).slice(0, 3)).toEqual(['sgp', 'hk-1', 'hk-2']);
    expect(names(FLEET, { sort: { key: 'cpu', descending: false } }).slice(0, 3)).toEqual(['hk-2', 'hk-1', 'sgp']);
  });
  it('sorts names backwards', () => expect(names(FLEET, { sort: { key: 'name', descending: true } }).indexOf('pi-10')).toBeLessThan(names(FLEET, { sort: { key: 'name', descending: true } }).indexOf('pi-2')));
  it('groups by the commonest tag, each device once, problems above', () =>
    expect(names(FLEET, { groupByTag: true })).toEqual(['sgp', 'hk-2', '[edge 2]', 'pi-2', 'pi-10', '[hk 1]', 'hk-1', '[ 1]', '书房 NAS']));
  it('closes groups', () => expect(names(FLEET, { groupByTag: true, collapsed: new Set(['tag:edge', '']) })).toEqual(['sgp', 'hk-2', '[edge 2 closed]', '[hk 1]', 'hk-1', '[ 1 closed]']));
  it('counts matches', () => expect(arrange(FLEET, wish({ state: 'offline' })).matching).toBe(2));
  it('orders 10,000 devices fast enough to do it on every change of state', () => {
    const many = Array.from({ length: 10_000 }, (_, i) => device(`node-${(i * 7919) % 10_000}`, { tags: [`t${i % 40}`], ...(i % 50 ? {} : down('2026-11-20T06:10:00.000Z')) }));
    const began = performance.now();
    expect(arrange(many, wish({ groupByTag: true })).matching).toBe(10_000);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe('sorting in the address', () => {
  it.each([
    [null, DEFAULT_SORT],
    ['-cpu', { key: 'cpu', descending: true }],
    ['name', { key: 'name', descending: false }],
    ['drop table', DEFAULT_SORT],
  ])('%s', (text, want) => expect(parseSort(text)).toEqual(want));
  it('is written back', () => expect([sortText(DEFAULT_SORT), sortText({ key: 'cpu', descending: true })]).toEqual([null, '-cpu']));
  it('turns round on the second press', () => expect([nextSort(DEFAULT_SORT, 'cpu').descending, nextSort({ key: 'cpu', descending: true }, 'cpu').descending]).toEqual([true, false]));
});

describe('the search', () => {
  const found = (text: string) => FLEET.filter((d) => matches(parseSearch(text), d)).map((d) => d.name);
  it.each([
    ['', ['pi-10', 'pi-2', 'hk-1', 'hk-2', 'sgp', '书房 NAS']],
    ['HK', ['hk-1', 'hk-2']],
    ['offline', ['hk-2', 'sgp']],
    ['离线 tag:hk', ['hk-2']],
    ['标签：prod 在线', ['hk-1']],
    ['never', ['书房 NAS']],
    ['书房', ['书房 NAS']],
    ['home', ['pi-10']],
    ['agent:0.1 pi', ['pi-10', 'pi-2']],
    ['nothing-like-it', []],
  ])('%s', (text, want) => expect(found(text)).toEqual(want));
});

describe('cards side by side', () => {
  const card = (id: string, problem = false) => ({ kind: 'device' as const, id, problem });
  it('fill their lines, problems and groups apart', () => {
    const rows = inRows([card('a', true), card('b'), card('c'), card('d'), card('e')], 3);
    expect(rows.map((row) => (row.kind === 'cards' ? row.cards.map((each) => each.id).join('') : '-'))).toEqual(['a', 'bcd', 'e']);
  });
});

it('sorts plain lists as people read names', () => {
  const list = ['pi-10', 'Attic', 'pi-2', 'barn'].map((name) => ({ id: name, name }) as DeviceView);
  expect(list.sort(byName('en')).map(({ name }) => name)).toEqual(['Attic', 'barn', 'pi-2', 'pi-10']);
});
