import { describe, expect, it } from 'vitest';
import type { AttemptView, KeyView, RetentionView } from '../api/types';
import { aboutWaiting, fingerprint, isSection, keysByDevice, lines, outlook, priceSnippet } from './settings-logic';

const attempt = (change: Partial<AttemptView>): AttemptView => ({
  at: '2026-11-20T08:00:00.000Z', address: '192.0.2.1', outcome: 'unknown_key', device: null, device_name: null, detail: null, client: 'tcp', count: 1, ...change,
});

describe('settings', () => {
  it('know their sections', () => {
    expect(isSection('keys')).toBe(true);
    expect(isSection('constructor')).toBe(false);
  });

  it('write a pin as openssl does', () => expect(fingerprint('sha256:0a1bff')).toBe('0A:1B:FF'));

  it('take one filter a line', () => expect(lines(' home/# \n\n a/+/b')).toEqual(['home/#', 'a/+/b']));

  it('keep the keys of a device together, the newest first', () => {
    const key = (id: string, device: string | null, day: number): KeyView => ({
      id, kind: device ? 'device' : 'reader', name: '', device, device_name: null, publish: [], subscribe: [], devices: [], created_at: `2026-11-0${day}T00:00:00Z`, expires_at: null, last_used_at: null,
    });
    const found = keysByDevice([key('a', 'one', 1), key('b', 'two', 2), key('c', 'one', 3), key('d', null, 4)]);
    expect([...found].map(([device, keys]) => [device, keys.map((each) => each.id)])).toEqual([['one', ['c', 'a']], ['two', ['b']]]);
  });

  it('write names into TOML so that they stay names', () => {
    const text = priceSnippet({ provider: 'a"b\\', model: 'x\ny' }, '2026-11-20');
    expect(text).toContain('provider = "a\\"b\\\\"');
    expect(text).toContain('model = "x\\ny"');
  });

  it('say what becomes of the disk', () => {
    const view: RetentionView = {
      kept: [], max_bytes: 0, min_free_bytes: 0, database_bytes: 100, used_bytes: 90, disk_free_bytes: 900, samples_per_day: 0,
      growth_bytes_per_day: 1e6, lasting_bytes_per_day: 0, settles_at: '2027-01-01T00:00:00Z', settled_bytes: 300, full_at: null,
    };
    expect(outlook(view).bar).toEqual([10, 20, 70]);
    expect(outlook({ ...view, disk_free_bytes: null }).bar).toBeNull();
    expect(outlook({ ...view, settled_bytes: 1e9 }).bar).toEqual([10, 90, 0]);
    expect(outlook({ ...view, growth_bytes_per_day: 10 }).grows).toBe(false);
  });

  it('show of those who knock only who may be the device', () => {
    const since = Date.parse('2026-11-20T08:00:00.000Z');
    const all = [
      attempt({ device: 'mine', outcome: 'accepted' }),
      attempt({ device: 'other' }),
      attempt({ outcome: 'accepted' }),
      attempt({}),
      attempt({ at: '2026-11-20T07:59:00.000Z', device: 'mine' }),
    ];
    expect(aboutWaiting(all, 'mine', since)).toEqual([all[0], all[3]]);
  });
});
