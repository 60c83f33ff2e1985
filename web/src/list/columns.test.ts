import { describe, expect, it } from 'vitest';
import { COLUMNS, fit, OPTIONAL, parseColumns, USUAL } from './columns';

describe('columns', () => {
  it('all fit a wide screen, with the sparkline', () => {
    const wide = fit(1400, OPTIONAL);
    expect(wide.columns).toEqual(COLUMNS);
    expect(wide.spark).toBe(true);
  });

  it('go one by one, and name and state stay', () => {
    let before: number = COLUMNS.length;
    for (let width = 1400; width > 200; width -= 20) {
      const { columns, template } = fit(width, OPTIONAL);
      expect(columns.length).toBeLessThanOrEqual(before);
      expect(columns.slice(0, 2)).toEqual(['name', 'state']);
      expect(template.split(/ (?![^(]*\))/)).toHaveLength(columns.length + 1);
      before = columns.length;
    }
    expect(before).toBe(2);
  });

  it('show what was chosen, in their own order', () => {
    expect(fit(1200, ['cost', 'cpu']).columns).toEqual(['name', 'state', 'cpu', 'cost']);
    expect(parseColumns(['cost', 'cpu', 'gone'])).toEqual(['cpu', 'cost']);
    expect(parseColumns('nonsense')).toEqual(USUAL);
    expect(parseColumns([])).toEqual([]);
  });
});
