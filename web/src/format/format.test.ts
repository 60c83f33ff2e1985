import { describe, expect, it } from 'vitest';
import { bytesOf, bytesText, niceCeil, percent, rate, share, short, whole, change, count, money, roundCount } from './number';
import { age, clockShort, ms, span, stopwatch, zone, date, dateTime, offsetMinutes, setZone } from './time';

const GB = 1024 ** 3;

describe('numbers', () => {
  it.each([
    [0, '0 B'],
    [740, '740 B'],
    [1000, '1.0 KB'],
    [9.2 * 1024, '9.2 KB'],
    [310 * 1024, '310 KB'],
    [1023 * 1024, '1.0 MB'],
    [7.6 * GB, '7.6 GB'],
    [512 * GB, '512 GB'],
    [3 * 1024 * GB, '3.0 TB'],
  ])('bytes %d', (value, text) => expect(bytesText(value)).toBe(text));

  it.each([
    [0, '0'],
    [0.2, '0'],
    [12, '12B'],
    [9 * 1024, '9.0K'],
    [18.4 * 1024, '18K'],
    [310 * 1024, '310K'],
    [999.7 * 1024, '1.0M'],
    [123 * 1024 ** 2, '123M'],
  ])('rate %d', (value, text) => expect(rate(value)).toBe(text));

  it.each([
    [0, '0'],
    [404_544, '404,544'],
    [1_234_567_890, '1,234,567,890'],
  ])('tokens %d', (value, text) => expect(whole(value)).toBe(text));

  it('never needs more than five characters for a rate', () => {
    for (let v = 1; v < 1e15; v *= 1.37) expect(rate(v).length, String(v)).toBeLessThanOrEqual(5);
  });

  it('knows that absent is not zero', () => {
    expect(share(null, 10)).toBeNull();
    expect(share(5, null)).toBeNull();
    expect(share(0, 0)).toBeNull();
    expect(share(0, 10)).toBe(0);
  });

  it('keeps percent inside its bar', () => {
    expect([percent(-1), percent(0.4), percent(99.6), percent(640)]).toEqual(['0', '0', '100', '100']);
  });

  it('puts used and total in one unit', () => {
    expect(bytesOf(228 * GB, 512 * GB)).toEqual(['228', '512 GB']);
    expect(bytesOf(0.5 * GB, 16 * GB)).toEqual(['0.5', '16 GB']);
  });

  it('rounds an axis up', () => {
    expect(niceCeil(0)).toBe(1024);
    expect(niceCeil(3000)).toBe(4096);
    expect(niceCeil(390 * 1024)).toBe(400 * 1024);
    for (let v = 1; v < 1e12; v *= 1.7) expect(niceCeil(v)).toBeGreaterThanOrEqual(v);
  });

  it('shortens', () => expect([short(0.04), short(3.14159), short(82.4)]).toEqual(['0.0', '3.1', '82']));
});

describe('times', () => {
  const t = (s: number) => s * 1000;
  it.each([
    [0, { n: 0, unit: 's' }],
    [59, { n: 59, unit: 's' }],
    [60, { n: 1, unit: 'm' }],
    [3599, { n: 59, unit: 'm' }],
    [86_399, { n: 23, unit: 'h' }],
    [86_400 * 12, { n: 12, unit: 'd' }],
    [-30, { n: 0, unit: 's' }],
  ])('age of %d s', (s, want) => expect(age(0, t(s))).toEqual(want));

  it('says a span in two units', () => {
    expect(span(8 * 3600 + 27 * 60 + 3)).toEqual([['h', 8], ['m', 27]]);
    expect(span(3 * 86_400 + 59)).toEqual([['d', 3]]);
    expect(span(0)).toEqual([['s', 0]]);
  });

  it('adds the day only when it is not today', () => {
    const now = new Date(2026, 10, 20, 14, 32).getTime();
    expect(clockShort(new Date(2026, 10, 20, 14, 2).getTime(), now)).toBe('14:02');
    expect(clockShort(new Date(2026, 10, 19, 23, 59).getTime(), now)).toBe('11-19 23:59');
  });

  it('runs a stopwatch', () => expect([stopwatch(-5), stopwatch(48_900), stopwatch(725_000)]).toEqual(['0:00', '0:48', '12:05']));
  it('names zones', () => expect([zone(0), zone(480), zone(330), zone(-210)]).toEqual(['UTC', 'UTC+8', 'UTC+5:30', 'UTC−3:30']));
  it('reads times', () => expect([ms(null), ms('nonsense'), ms('1970-01-01T00:00:01.500Z')]).toEqual([null, null, 1500]));
});

describe('counts and money', () => {
  it.each([
    [0, '0'],
    [740, '740'],
    [999.6, '1.00K'],
    [62_400, '62.4K'],
    [2_840_000, '2.84M'],
    [99_960_000, '100M'],
    [1_210_000_000, '1.21B'],
    [-1500, '−1.50K'],
  ])('%d is %s', (value, text) => expect(count(value)).toBe(text));

  it.each([
    [0, '$0.00'],
    [0.001, '<$0.01'],
    [0.005, '$0.01'],
    [47.75, '$47.75'],
    [1438.4, '$1,438'],
    [-2.5, '−$2.50'],
  ])('%d is %s', (value, text) => expect(money(value)).toBe(text));

  it.each([
    [138, 100, '+38%'],
    [96, 100, '−4%'],
    [100, 100, '0%'],
    [5, 0, null],
    [1e6, 1, '+>999%'],
  ])('%d against %d is %s', (now, before, text) => expect(change(now, before)).toBe(text));
});

describe('another zone', () => {
  it('has its own wall', () => {
    const at = Date.UTC(2026, 10, 20, 23, 5, 7);
    setZone('Asia/Shanghai');
    expect(dateTime(at)).toBe('2026-11-21 07:05:07');
    expect(offsetMinutes(at)).toBe(480);
    setZone('America/St_Johns');
    expect(date(at)).toBe('2026-11-20');
    expect(offsetMinutes(at)).toBe(-210);
    setZone(null);
  });
});

it('leaves zeros out where they say nothing', () => {
  expect([0, 200, 1000, 1500, 2_250_000, 20_000_000].map(roundCount)).toEqual(['0', '200', '1K', '1.5K', '2.25M', '20M']);
});
