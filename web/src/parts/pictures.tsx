// The small pictures of rows: the 24-hour bar, the sparkline, the week's bars. Own SVG: a chart library for each row would
// cost more than the rest of the page.

import { beatPaths, BEATS_HEIGHT, beatsWidth, countBeats } from '../charts/beats';
import { sparkPath } from '../charts/spark';
import { words } from '../i18n';

const BEATS = 48;
const WAITING = 'n'.repeat(BEATS);

export function Beats({ letters }: { letters: string | null }) {
  const t = words.value.beats;
  const paths = beatPaths(letters ?? WAITING);
  const width = beatsWidth(BEATS);
  const counts = letters === null ? null : countBeats(letters);
  const label = counts === null ? t.unknown : t.label(counts.error, counts.warn, counts.offline);
  return (
    <svg class="hb" viewBox={`0 0 ${width} ${BEATS_HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      <path class="b-none" d={paths.none} />
      <path class="b-server" d={paths.server} />
      <path class="b-ok" d={paths.ok} />
      <path class="b-warn" d={paths.warn} />
      <path class="b-error" d={paths.error} />
      <path class="b-offline" d={paths.offline} />
    </svg>
  );
}

const SPARK_W = 40;
const SPARK_H = 14;

export function Spark({ values, size, stale }: { values: readonly (number | null)[]; size: number; stale: boolean }) {
  return (
    <svg class={`sp ${stale ? 'off-sp' : ''}`} width={SPARK_W} height={SPARK_H} viewBox={`0 0 ${SPARK_W} ${SPARK_H}`} aria-hidden="true">
      <path d={sparkPath(values, size, SPARK_W, SPARK_H)} fill="none" stroke="currentColor" stroke-width="1.1" stroke-linejoin="round" stroke-linecap="round" />
    </svg>
  );
}

const BARS_H = 14;
const DAYS = 7;

/** Seven days, today the last and darker. */
export function WeekBars({ values }: { values: readonly number[] | null }) {
  const top = Math.max(1, ...(values ?? []));
  const bar = (value: number, i: number): string => {
    const height = value > 0 ? Math.max(1, (value / top) * BARS_H) : 0;
    return `M${i * 4} ${BARS_H}v-${height.toFixed(1)}h3v${height.toFixed(1)}z`;
  };
  const [past, today] = [(values ?? []).slice(0, -1), (values ?? []).slice(-1)];
  return (
    <svg class="mb" width={DAYS * 4 - 1} height={BARS_H} viewBox={`0 0 ${DAYS * 4 - 1} ${BARS_H}`} aria-hidden="true">
      <path class="b-past" d={past.map(bar).join('')} />
      <path class="b-now" d={today.map((value) => bar(value, past.length)).join('')} />
    </svg>
  );
}
