import { expect, it, vi } from 'vitest';
import type { DryRunView } from '../api/types';
import { dayStarts, marks, plot } from './dry';
import * as client from '../api/client';
import { keyOf, tryRule } from './try';

const run = (moments: [string, string | null][], series: DryRunView['series'] = null): Pick<DryRunView, 'from' | 'to' | 'moments' | 'series'> => ({
  from: '2026-11-10T00:00:00Z',
  to: '2026-11-20T00:00:00Z',
  moments: moments.map(([from, to]) => ({ from, to, device: null, device_name: null, severity: 'error', title: { en: '', zh: '' } })),
  series,
});

it('draws spans, and what is short so that it is seen', () => {
  const [first, second] = marks(run([['2026-11-11T00:00:00Z', '2026-11-11T00:00:01Z'], ['2026-11-19T00:00:00Z', null]]));
  expect(first?.from).toBeCloseTo(0.1);
  expect((first?.to ?? 0) - (first?.from ?? 0)).toBeGreaterThan(0.005);
  expect([second?.from, second?.to]).toEqual([0.9, 1]);
  expect(marks(run([['2026-11-11T00:00:00Z', '2026-11-13T00:00:00Z'], ['2026-11-12T00:00:00Z', '2026-11-14T00:00:00Z']]))).toHaveLength(1);
  const last = marks(run([['2026-11-20T00:00:00Z', null]]));
  expect(last[0]?.to).toBeLessThanOrEqual(1);
});

it('draws what was measured with room for its levels, and gaps as gaps', () => {
  const at = ['2026-11-10T00:00:00Z', '2026-11-12T00:00:00Z', '2026-11-15T00:00:00Z', '2026-11-20T00:00:00Z'];
  const drawn = plot(run([], { device: 'd', device_name: 'd', at, values: [10, 20, null, 30] }), [90], true);
  expect(drawn?.lines).toHaveLength(2);
  expect(drawn?.lines[0]?.split(' ')).toHaveLength(2);
  expect(drawn && drawn.y(90)).toBeGreaterThan(0);
  expect(drawn && drawn.y(90)).toBeLessThan(drawn?.y(30) ?? 0);
  expect(plot(run([]), [90], true)).toBeNull();
  expect(plot(run([], { device: 'd', device_name: 'd', at, values: [null, null, null, null] }), [90], true)).toBeNull();
});

it('knows where days begin', () => {
  const from = Date.parse('2026-11-10T01:00:00Z');
  const days = dayStarts(from, from + 2 * 86_400_000, 480);
  expect(days.map((day) => new Date(day.at).toISOString())).toEqual(['2026-11-10T16:00:00.000Z', '2026-11-11T16:00:00.000Z']);
});

it('asks again only for what is judged otherwise', () => {
  const body = { scope: { devices: [], tags: [] }, values: { b: 1, a: 2 }, for_s: 0, severity: 'error' as const, steps: [], channels: null, remind_s: null, tell_resolved: true, quiet: true, late: false };
  expect(keyOf('x', body, 7)).toBe(keyOf('x', { ...body, values: { a: 2, b: 1 }, channels: [], quiet: false }, 7));
  expect(keyOf('x', body, 7)).not.toBe(keyOf('x', { ...body, for_s: 60 }, 7));
});

it('asks one at a time, first what somebody waits for, and nothing twice', async () => {
  const body = (for_s: number) => ({ scope: { devices: [], tags: [] }, values: {}, for_s, severity: 'error' as const, steps: [], channels: null, remind_s: null, tell_resolved: true, quiet: true, late: false });
  const asked: number[] = [];
  let atOnce = 0;
  const spy = vi.spyOn(client, 'dryRun').mockImplementation(async (form) => {
    atOnce += 1;
    expect(atOnce).toBe(1);
    await Promise.resolve();
    atOnce -= 1;
    asked.push(form.body.for_s);
    if (form.body.for_s === 4) throw new Error('no');
    return { ...run([]), count: form.body.for_s, devices: 0, longest_ms: null, judged_devices: 0 } as DryRunView;
  });
  const { signal } = new AbortController();
  const gone = new AbortController();
  const all = [tryRule('x', body(1), 7, signal, false), tryRule('x', body(2), 7, signal, false), tryRule('x', body(2), 7, signal, false), tryRule('x', body(3), 7, gone.signal, false), tryRule('x', body(4), 7, signal, false), tryRule('x', body(5), 7, signal, true)];
  gone.abort();
  const ends = await Promise.allSettled(all);
  expect(asked).toEqual([1, 5, 2, 4]);
  expect(ends.map((end) => end.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled']);
  spy.mockRestore();
});
