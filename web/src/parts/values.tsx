import { age } from '../format/time';
import { percent } from '../format/number';
import { words } from '../i18n';
import { shownNow } from '../state/past';

/** The level at which a share begins to matter, and at which it is wrong. */
export const WARN_AT = 80;
export const ERROR_AT = 92;

export const levelOf = (value: number): '' | 'mid' | 'hi' => (value >= ERROR_AT ? 'hi' : value >= WARN_AT ? 'mid' : '');

/** A share as a number over a thin bar. Absent is a dash, never zero. */
export function Micro({ value, testid }: { value: number | null; testid?: string }) {
  if (value === null) {
    return (
      <span class="mi none" data-testid={testid} title={words.value.common.notMeasured}>
        {words.value.common.none}
      </span>
    );
  }
  return (
    <span class={`mi ${levelOf(value)}`} data-testid={testid}>
      <b>
        {percent(value)}
        <i>%</i>
      </b>
      <u>
        <s style={{ width: `${percent(value)}%` }} />
      </u>
    </span>
  );
}

/** An age that ticks by itself. */
export function Age({ at, ago = false }: { at: number | null; ago?: boolean }) {
  if (at === null) return <>{words.value.common.none}</>;
  const value = age(at, shownNow.value);
  return <>{ago ? words.value.ago(value) : words.value.age(value)}</>;
}

/** A value with its unit, or a dash that says why. */
export function Value({ value, unit }: { value: string | null; unit?: string }) {
  if (value === null) {
    return (
      <span class="dim" title={words.value.common.notMeasured}>
        {words.value.common.none}
      </span>
    );
  }
  return (
    <>
      {value}
      {unit ? <i>{unit}</i> : null}
    </>
  );
}
