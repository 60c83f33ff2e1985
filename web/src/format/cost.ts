// Money and tokens as people read them. Pure; a cost that is not known is the caller's business (it is not zero).

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** US dollars: `$0.004`, `$47.75`, `$1,438`. */
export function usd(value: number): string {
  const sign = value < 0 ? '−' : '';
  const size = Math.abs(value);
  if (size > 0 && size < 0.01) return `${sign}<$0.01`;
  return `${sign}$${size < 999.5 ? size.toFixed(2) : grouped.format(size)}`;
}

/** The same without its sign, for a column of dollars. */
export function dollars(value: number): string {
  return usd(value).replace('$', '');
}

const UNITS = ['', 'K', 'M', 'B', 'T'] as const;

/** A count in at most three digits: `950`, `12.3K`, `4.56M`, `1.21B`; the same in every language. */
export function count(value: number): string {
  let rest = Math.abs(value);
  let unit = 0;
  while (rest >= 999.5 && unit < UNITS.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? 0 : rest < 9.995 ? 2 : rest < 99.95 ? 1 : 0;
  return `${value < 0 ? '−' : ''}${rest.toFixed(digits)}${UNITS[unit] ?? ''}`;
}

/** The same without needless zeros, for an axis: `200`, `1.5K`, `20M`. */
export const roundCount = (value: number): string => count(value).replace(/\.0+(?=[A-Z]?$)|(\.\d*[1-9])0+(?=[A-Z]?$)/, '$1');

/** How much more or less, in whole percent: `+38%`, `−4%`, `×12` from ten times on; null when there was nothing before. */
export function change(now: number, before: number): string | null {
  if (!(before > 0)) return null;
  const times = now / before;
  if (times >= 10) return `×${Math.round(times)}`;
  const percent = Math.round((times - 1) * 100);
  return `${percent > 0 ? '+' : percent < 0 ? '−' : ''}${Math.abs(percent)}%`;
}
