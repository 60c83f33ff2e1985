// Numbers as people read them. Pure; absent values are the caller's business (they are not zero).

/** A share of a whole in percent, or null when either is unknown or the whole is nothing. */
export function share(part: number | null | undefined, whole: number | null | undefined): number | null {
  if (part == null || whole == null || whole <= 0) return null;
  return (part / whole) * 100;
}

/** Whole percent, kept inside 0 to 100. */
export function percent(value: number): string {
  return String(Math.round(Math.min(100, Math.max(0, value))));
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

function scaled(value: number): [number, number] {
  let unit = 0;
  let rest = Math.abs(value);
  // 999.5 would be printed with four digits: go up a unit before that.
  while (rest >= 999.5 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return [rest, unit];
}

function digits(value: number): string {
  if (value === 0) return '0';
  if (value < 9.95) return value.toFixed(1);
  return String(Math.round(value));
}

/** An amount of bytes in at most three digits and its unit: `["7.6", "GB"]`. */
export function bytes(value: number): [string, string] {
  const [rest, unit] = scaled(value);
  return [unit === 0 ? String(Math.round(rest)) : digits(rest), UNITS[unit] ?? 'B'];
}

export function bytesText(value: number): string {
  return bytes(value).join(' ');
}

/** Used and total in the same unit: `["228", "512 GB"]`. */
export function bytesOf(used: number, total: number): [string, string] {
  const [rest, unit] = scaled(total);
  const part = used / 1024 ** unit;
  return [digits(part), `${digits(rest)} ${UNITS[unit] ?? 'B'}`];
}

const SHORT = ['B', 'K', 'M', 'G', 'T', 'P'] as const;

/** Bytes per second for a narrow column: `0`, `740B`, `9.0K`, `310K`, `1.2M`. */
export function rate(value: number): string {
  if (value < 0.5) return '0';
  const [rest, unit] = scaled(value);
  return (unit === 0 ? String(Math.round(rest)) : digits(rest)) + (SHORT[unit] ?? '');
}

/** Bytes per second with its unit spelt out. */
export function rateText(value: number): string {
  return `${bytesText(value)}/s`;
}

/** A round number at or above the value, for the top of an axis in bytes: 1, 2 or 5 of a unit. */
export function niceCeil(value: number): number {
  if (!(value > 0)) return 1024;
  const unit = 1024 ** Math.max(0, Math.floor(Math.log(value) / Math.log(1024)));
  const rest = value / unit;
  const step = [1, 2, 4, 5, 8, 10, 20, 40, 50, 80, 100, 200, 400, 500, 800, 1024].find((candidate) => candidate >= rest) ?? 1024;
  return step * unit;
}

/** A whole number to the last digit, in groups of three: tokens are counted, not estimated. */
export function whole(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** One decimal below ten, none above: loads, temperatures, process shares. */
export function short(value: number): string {
  return Math.abs(value) < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

const COUNT = ['', 'K', 'M', 'B', 'T'] as const;

/** A count in at most three digits and a letter, the same in every language: `0`, `740`, `62K`, `2.84M`, `1.21B`. */
export function count(value: number): string {
  let unit = 0;
  let rest = Math.abs(value);
  while (rest >= 999.5 && unit < COUNT.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  const text = unit === 0 || rest >= 99.95 ? String(Math.round(rest)) : rest >= 9.995 ? rest.toFixed(1) : rest.toFixed(2);
  return (value < 0 ? '−' : '') + text + (COUNT[unit] ?? '');
}

/** US dollars: cents below a thousand, whole ones above; what is less than half a cent and not nothing is `<$0.01`. */
export function money(value: number): string {
  const size = Math.abs(value);
  const sign = value < 0 ? '−' : '';
  if (size > 0 && size < 0.005) return `${sign}<$0.01`;
  const whole = size >= 999.995;
  return `${sign}$${size.toLocaleString('en-US', { minimumFractionDigits: whole ? 0 : 2, maximumFractionDigits: whole ? 0 : 2 })}`;
}

/** A change against what it was: `+38%`, `−4%`; null when there was nothing to compare with. */
export function change(now: number, before: number): string | null {
  if (before <= 0) return null;
  const pct = Math.round((now / before - 1) * 100);
  return `${pct > 0 ? '+' : pct < 0 ? '−' : ''}${Math.abs(pct) > 999 ? '>999' : Math.abs(pct)}%`;
}

/** A count without needless zeros, for an axis: `200`, `1.5K`, `20M`. */
export const roundCount = (value: number): string => count(value).replace(/\.0+(?=[A-Z]?$)|(\.\d*[1-9])0+(?=[A-Z]?$)/, '$1');
