import { expect, it } from 'vitest';
import { emptyHistory } from './series';
import { axisTime, fullHeight, LANES, marks, option, places, type View } from './timeline';

const colours = { accent: '#1', second: '#2', band: '#3', line: '#4', axis: '#5', ink: '#6', surface: '#7', hatch: '#8', font: 'sans-serif' };
const view = (narrow: boolean): View => ({ history: emptyHistory(1000), from: 0, to: 3_600_000, narrow, colours, gapFill: '#8', gapWord: () => 'no data', lateWord: 'late', lanes: LANES });

it('stacks the lanes without overlap, above one axis', () => {
  for (const narrow of [false, true]) {
    const all = places(LANES, narrow);
    all.forEach((place, i) => {
      const end = place.plotTop + place.plotHeight;
      expect(end).toBeLessThanOrEqual(all[i + 1]?.top ?? fullHeight(LANES, narrow) - 24);
    });
  }
});

it('always draws the same series, so that updates merge', () => {
  const ids = (narrow: boolean) => (option(view(narrow)) as { series: { id: string }[] }).series.map((series) => series.id);
  expect(ids(false)).toEqual(ids(true));
  const banded = (key: string) => [key, `${key}-low`, `${key}-height`];
  expect(ids(false)).toEqual([...['cpu', 'memory', 'gatewayRss', 'gatewayLoop', 'down'].flatMap(banded), 'up', ...banded('disk')]);
  expect((option(view(false)) as { grid: unknown[] }).grid).toHaveLength(LANES.length);
});

it('words the value axes', () => {
  const words = places(LANES, false).map((place) => marks(place, emptyHistory(1000)).map((mark) => mark.text));
  expect(words).toEqual([['100%', '50'], ['100%', '50'], ['1.0 KB', '512'], ['10 ms', '5.0'], ['1.0K', '512B'], ['100%']]);
});

it('names the day at midnight and on long ranges', () => {
  const local = (h: number, m: number) => new Date(2026, 10, 20, h, m).getTime();
  expect(axisTime(local(0, 0), 3_600_000)).toBe('11-20');
  expect(axisTime(local(9, 5), 3_600_000)).toBe('09:05');
  expect(axisTime(local(12, 0), 7 * 86_400_000)).toBe('11-20 12:00');
});
