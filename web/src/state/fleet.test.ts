import { effect } from '@preact/signals';
import { describe, expect, it } from 'vitest';
import type { DeviceView } from '../api/types';
import { Fleet, stateOf } from './fleet';
import { readPrefs } from './prefs';

export function device(id: string, change: Partial<DeviceView> = {}): DeviceView {
  return {
    id, name: id, kind: 'agent', tags: [], online: true, since: '2026-11-20T06:00:00.000Z', last_seen_at: '2026-11-20T06:00:00.000Z',
    reason: null, agent_version: '0.1.0', rev: 1, created_at: '2026-11-20T05:00:00.000Z', latest: null, openclaw: null,
  last_error_at: null, clock_skew_s: null, usage: null, ...change,
  };
}
const latest = (at: string, down: number | null): DeviceView['latest'] => ({
  at, cpu_pct: 1, memory_used_bytes: null, memory_total_bytes: null, disk_used_bytes: null, disk_total_bytes: null, network_up_bytes_per_s: down === null ? null : 0, network_down_bytes_per_s: down,
});

function fleetOf(...devices: DeviceView[]): Fleet {
  const fleet = new Fleet();
  fleet.apply({ type: 'snapshot', devices });
  fleet.flush();
  return fleet;
}

describe('the fleet', () => {
  it('counts by state', () => {
    const fleet = fleetOf(device('a'), device('b', { online: false }), device('c', { online: false, since: null, last_seen_at: null }));
    expect(fleet.counts.value).toMatchObject({ all: 3, problems: 1, online: 1, offline: 1, never: 1, gwdown: 0 });
  });

  it('keeps "never" apart from "offline"', () => {
    expect(stateOf(device('a', { online: false, since: null, last_seen_at: null }))).toBe('never');
    expect(stateOf(device('a', { online: false }))).toBe('offline');
  });

  it('does not rearrange the list for a new number, only for what can move a row', () => {
    const fleet = fleetOf(device('a'), device('b'));
    const before = fleet.shape.value;
    fleet.apply({ type: 'devices', devices: [device('a', { latest: latest('1', 5) })] });
    fleet.flush();
    expect(fleet.shape.value).toBe(before);
    expect(fleet.get('a')?.view.value.latest?.network_down_bytes_per_s).toBe(5);
    for (const change of [{ online: false }, { name: 'z' }, { tags: ['x'] }]) {
      const was = fleet.shape.value;
      fleet.apply({ type: 'devices', devices: [device('b', change)] });
      fleet.flush();
      expect(fleet.shape.value).toBe(was + 1);
    }
  });

  it('merges frames that come between two flushes and wakes only the device concerned', () => {
    const fleet = fleetOf(device('a'), device('b'));
    const seen: string[] = [];
    effect(() => void seen.push(`a ${fleet.get('a')!.view.value.latest?.at}`));
    effect(() => void seen.push(`b ${fleet.get('b')!.view.value.latest?.at}`));
    seen.length = 0;
    fleet.apply({ type: 'devices', devices: [device('a', { latest: latest('1', 5) })] });
    fleet.apply({ type: 'devices', devices: [device('a', { latest: latest('2', 6) })] });
    expect(seen).toEqual([]);
    fleet.flush();
    expect(seen).toEqual(['a 2']);
  });

  it('forgets removed devices, also those missing from a later snapshot', () => {
    const fleet = fleetOf(device('a'), device('b'), device('c'));
    fleet.apply({ type: 'removed', ids: ['a'] });
    fleet.apply({ type: 'snapshot', devices: [device('c')] });
    fleet.flush();
    expect(fleet.all().map((d) => d.id)).toEqual(['c']);
    expect(fleet.counts.value.all).toBe(1);
  });
});

describe('preferences', () => {
  it.each([
    [null, 'zh-TW', { lang: 'zh-CN', theme: 'auto', zone: null }],
    [null, 'de-DE', { lang: 'en', theme: 'auto', zone: null }],
    ['{"lang":"en","theme":"dark"}', 'zh-CN', { lang: 'en', theme: 'dark', zone: null }],
    ['{"lang":"xx","theme":7}', 'en-GB', { lang: 'en', theme: 'auto', zone: null }],
    ['not json', 'en', { lang: 'en', theme: 'auto', zone: null }],
    ['{"zone":"Asia/Tokyo"}', 'en', { lang: 'en', theme: 'auto', zone: 'Asia/Tokyo' }],
    ['{"zone":"Nowhere/Land"}', 'en', { lang: 'en', theme: 'auto', zone: null }],
    ['null', 'en', { lang: 'en', theme: 'auto', zone: null }],
  ])('reads %s with %s', (text, lang, want) => expect(readPrefs(text, lang)).toMatchObject(want));
});
