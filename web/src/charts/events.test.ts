import { describe, expect, it } from 'vitest';
import { layoutEvents, textWidth } from './events';

const at = (ms: number, text = 'crash') => ({ event: ms, at: ms, text, weight: text === 'crash' ? 2 : 1 });

describe('events above the charts', () => {
  it('stand at their time, the newest with words', () => {
    const placed = layoutEvents([at(100), at(500), at(900)], 0, 1000, 1000, false);
    expect(placed.map(({ x, text }) => [x, text])).toEqual([[900, 'crash'], [500, 'crash'], [100, 'crash']]);
  });

  it('never overlap with their words', () => {
    const placed = layoutEvents(Array.from({ length: 40 }, (_, i) => at(i * 25, `event number ${i}`)), 0, 1000, 700, false);
    for (const row of [0, 1]) {
      const boxes = placed.filter((each) => each.row === row && each.text !== null).map(({ x, text, side }) => (side === 'left' ? [x - 6 - textWidth(text ?? ''), x + 6] : [x - 6, x + 6 + textWidth(text ?? '')]));
      boxes.sort(([a = 0], [b = 0]) => a - b);
      boxes.forEach(([, end = 0], i) => expect(boxes[i + 1]?.[0] ?? Infinity).toBeGreaterThan(end));
    }
  });

  it('that are heavier speak for those beside them', () =>
    expect(layoutEvents([at(500, 'started'), at(499, 'crash'), at(498, 'stopped')], 0, 1000, 500, false).map(({ text, events }) => [text, events.length])).toEqual([['crash', 3]]));

  it('on one spot are one mark, and those outside are not there', () => {
    const placed = layoutEvents([at(500), at(501), at(-5), at(2000)], 0, 1000, 300, true);
    expect(placed).toHaveLength(1);
    expect(placed[0]?.events).toEqual([501, 500]);
    expect(placed[0]?.text).toBeNull();
  });
});
