import { describe, expect, it } from 'vitest';
import type { SeriesView, LatestView, SamplesView } from '../api/types';
import { append, emptyHistory, fromSamples, gapLimit, gaps, lateSpans, line, nearest, peak, reasonOf, ribbon, trim } from './series';

const T0 = Date.parse('2026-11-20T06:00:00.000Z');
const at = (s: number) => new Date(T0 + s * 1000).toISOString();
const band = (values: (number | null)[]): SeriesView => ({ min: values.map((v) => (v === null ? null : v - 1)), avg: values, max: values.map((v) => (v === null ? null : v + 2)) });
const samples = (step: number, cpu: (number | null)[]): SamplesView => ({ at: cpu.map((_, i) => at(i * step)), step_s: step, rung: 'raw', n: [], late: [], openclaw: [], gaps: [], cpu_pct: band(cpu), memory_used_bytes: band(cpu.map((v) => (v === null ? null : v * 8))), memory_total_bytes: band(cpu.map(() => 1024)) });
const latest = (s: number, cpu: number | null): LatestView => ({ at: at(s), cpu_pct: cpu, memory_used_bytes: null, memory_total_bytes: null, disk_used_bytes: null, disk_total_bytes: null, network_up_bytes_per_s: null, network_down_bytes_per_s: null });

describe('history', () => {
  it('keeps only times at which something was measured, and turns bytes into shares', () => {
    const history = fromSamples(samples(10, [4, null, 8]));
    expect(history.at).toEqual([T0, T0 + 20_000]);
    expect(history.bands.cpu.max).toEqual([6, 10]);
    expect(history.bands.memory.avg).toEqual([3.125, 6.25]);
    expect(history.bands.disk.avg).toEqual([null, null]);
  });

  it('does not call sparse reports gaps: buckets of 5 s, reports every 30 s', () => {
    const cpu = Array.from({ length: 120 }, (_, i) => (i % 6 === 0 ? 10 : null));
    const history = fromSamples(samples(5, cpu));
    expect(gaps(history, T0 + 600_000)).toEqual([]);
    expect(line(history, 'cpu').avg.some(([, value]) => value === null)).toBe(false);
  });

  it('breaks the line at a real gap and names it, also one that lasts until now', () => {
    const cpu = Array.from({ length: 60 }, (_, i) => (i >= 20 && i < 40 ? null : 10));
    const history = fromSamples(samples(10, cpu));
    expect(gaps(history, T0 + 900_000)).toEqual([
      [T0 + 190_000, T0 + 400_000],
      [T0 + 590_000, T0 + 900_000],
    ]);
    const { avg } = line(history, 'cpu');
    expect(avg.filter(([, value]) => value === null)).toHaveLength(1);
    expect(avg.length).toBe(41);
  });

  it('does not expect anything before the first report', () => {
    const history = fromSamples(samples(10, [...Array<null>(50).fill(null), 1, 2, 3]));
    expect(gaps(history, T0 + 530_000)).toEqual([]);
  });

  it('draws a band only when there is something between min and max', () => {
    expect(line(fromSamples(samples(10, [5, 6])), 'cpu').height).toEqual([[T0, 3], [T0 + 10_000, 3]]);
    const flat = emptyHistory(10_000);
    append(flat, latest(0, 5));
    append(flat, latest(10, 6));
    expect(line(flat, 'cpu').low).toEqual([]);
  });

  it('finds points that no line reaches', () => {
    const history = fromSamples(samples(10, [5, 5, 5, 5, ...Array<null>(30).fill(null), 9]));
    expect([...line(history, 'cpu').alone]).toEqual([5]);
  });

  it('appends live values, once each, in order', () => {
    const history = fromSamples(samples(10, [5, 6]));
    expect(append(history, latest(20, 7))).toBe(true);
    expect(append(history, latest(20, 7))).toBe(false);
    expect(append(history, latest(15, 7))).toBe(false);
    expect(history.bands.cpu.avg).toEqual([5, 6, 7]);
    expect(history.bands.memory.avg[2]).toBeNull();
  });

  it('widens the last point of a coarse history instead of crowding the edge', () => {
    const history = fromSamples(samples(600, [5, 6]));
    append(history, latest(610, 90));
    expect(history.at).toHaveLength(2);
    expect([history.bands.cpu.min[1], history.bands.cpu.avg[1], history.bands.cpu.max[1]]).toEqual([5, 90, 90]);
    append(history, latest(1000, 4));
    expect(history.at).toHaveLength(3);
  });

  it('forgets what has left, but one', () => {
    const history = fromSamples(samples(10, [1, 2, 3, 4]));
    trim(history, T0 + 25_000);
    expect(history.bands.cpu.avg).toEqual([3, 4]);
  });

  it('finds the value at a time, and none inside a gap', () => {
    const history = fromSamples(samples(10, [1, 2, ...Array<null>(60).fill(null), 3]));
    expect(nearest(history, T0 + 9000)).toBe(1);
    expect(nearest(history, T0 + 300_000)).toBeNull();
    expect(nearest(emptyHistory(1000), T0)).toBeNull();
  });

  it('knows its own rhythm and peak', () => {
    expect(gapLimit(fromSamples(samples(10, [1, 2, 3, 4])))).toBe(35_000);
    expect(peak(fromSamples(samples(10, [1, 40, 3])), ['cpu', 'up'])).toBe(42);
  });
});

describe('how the device was', () => {
  const view = (states: (string | null)[], more: Partial<SamplesView> = {}): SamplesView => ({ ...samples(30, states.map((state) => (state === null ? null : 10))), openclaw: states, late: states.map(() => false), ...more });
  const told = (history: ReturnType<typeof fromSamples>, seconds: number) => ribbon(history, T0, T0 + seconds * 1000).map(({ kind, from, to }) => `${kind} ${(from - T0) / 1000}-${(to - T0) / 1000}`);

  it('joins what is alike and tells trouble by its kind', () => {
    const history = fromSamples(view(['running', 'running', 'degraded', 'stopped', 'hung', 'running', 'running']));
    expect(told(history, 210)).toEqual(['ok 0-60', 'warn 60-90', 'error 90-120', 'error 120-150', 'ok 150-210']);
  });

  it('cuts absences out of what was measured meanwhile, and lays the server over nothing', () => {
    const gapsOf = [
      { from: at(60), to: at(120), reason: 'network_only' },
      { from: at(150), to: at(165), reason: 'server_down' },
    ];
    const history = fromSamples(view(['running', 'running', 'running', 'running', 'running', 'running', 'running'], { gaps: gapsOf }));
    expect(told(history, 210)).toEqual(['ok 0-60', 'offline 60-120', 'ok 120-210', 'server 150-165']);
    expect(reasonOf(history, [T0 + 70_000, T0 + 100_000])).toBe('network_only');
    expect(reasonOf(history, [T0, T0 + 50_000])).toBeNull();
  });

  it('lets an absence that lasts reach the edge, and says nothing of a silence without a reason', () => {
    const history = fromSamples(view(['running', 'running', null, null, null, null, null, null, null, null], { gaps: [{ from: at(240), to: null, reason: 'connection_lost' }] }));
    expect(told(history, 300)).toEqual(['ok 0-135', 'offline 240-300']);
  });

  it('marks what was back-filled, from the point before', () => {
    const history = fromSamples(view(Array<string>(8).fill('running'), { late: [false, false, true, true, false, false, true, false] }));
    expect(lateSpans(history).map(([from, to]) => [(from - T0) / 1000, (to - T0) / 1000])).toEqual([
      [30, 90],
      [150, 180],
    ]);
  });
});
