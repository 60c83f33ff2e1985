// The device's history: fetched for a range, kept moving by live values, drawn at most once a second.

import { effect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, getSamples } from '../api/client';
import type { Chart } from '../charts/echarts';
import { append, fromSamples, nearest, trim, type BandKey, type History } from '../charts/series';
import { fullHeight, marks, option, places, type Colours } from '../charts/timeline';
import { percent, rate, short } from '../format/number';
import { clock, clockShort, span } from '../format/time';
import { words } from '../i18n';
import { explain } from '../parts/form';
import { narrow } from '../parts/screen';
import { serverNow, tick } from '../state/clock';
import { fleet } from '../state/fleet';
import { snapshots } from '../state/live';
import { theme } from '../state/prefs';
import { query, setQuery } from '../state/router';

const MINUTE = 60_000;
export const RANGES = {
  '15m': { ms: 15 * MINUTE, points: 180 },
  '1h': { ms: 60 * MINUTE, points: 360 },
  '6h': { ms: 360 * MINUTE, points: 600 },
  '24h': { ms: 1440 * MINUTE, points: 600 },
  '7d': { ms: 7 * 1440 * MINUTE, points: 600 },
} as const;
export type Range = keyof typeof RANGES;
const DEFAULT_RANGE: Range = '1h';
const DRAW_MS = 1000;

export function rangeOf(text: string | null): Range {
  return text !== null && Object.hasOwn(RANGES, text) ? (text as Range) : DEFAULT_RANGE;
}

export function RangeBar({ step }: { step: number | null }) {
  const t = words.value.device;
  const range = rangeOf(query.value.get('range'));
  const now = tick.value;
  return (
    <div class="rng">
      <span class="seg" role="group" aria-label={t.range}>
        {(Object.keys(RANGES) as Range[]).map((each) => (
          <button key={each} type="button" aria-pressed={each === range} onClick={() => setQuery({ range: each === DEFAULT_RANGE ? null : each })}>
            {t.ranges[each]}
          </button>
        ))}
      </span>
      <span class="dim x num">
        {t.toNow(clockShort(now - RANGES[range].ms, now))}
        {step !== null ? ` · ${t.step(words.value.span(span(Math.round(step / 1000))))}` : ''}
      </span>
      <span class="grow" />
      <span class="leg" aria-hidden="true">
        <span>
          <svg width="18" height="10">
            <rect width="18" height="10" fill="var(--band)" />
            <path d="M0 5H18" stroke="var(--accent)" stroke-width="1.4" />
          </svg>
          {t.band}
        </span>
        <span>
          <svg width="18" height="10">
            <path d="M-2 10 8 0M3 10 13 0M8 10 18 0M13 10 23 0" stroke="var(--hatch)" stroke-width="1.4" />
          </svg>
          {t.gap}
        </span>
      </span>
    </div>
  );
}

function colours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return { accent: read('--accent'), second: read('--d3'), band: read('--band'), line: read('--line'), axis: read('--ink-3'), ink: read('--ink-2'), surface: read('--surface'), hatch: read('--hatch'), font: getComputedStyle(document.body).fontFamily };
}

/** Diagonal hatching as a repeating picture. */
function hatching(colour: string): unknown {
  const size = 6;
  const tile = document.createElement('canvas');
  tile.width = size;
  tile.height = size;
  const pen = tile.getContext('2d');
  if (!pen) return colour;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return { image: tile, repeat: 'repeat' };
}

type Status = { is: 'loading' } | { is: 'ready'; empty: boolean } | { is: 'failed'; why: string };

export function Charts({ id, onStep }: { id: string; onStep: (ms: number) => void }) {
  const range = rangeOf(query.value.get('range'));
  const box = useRef<HTMLDivElement>(null);
  const history = useRef<History | null>(null);
  const [status, setStatus] = useState<Status>({ is: 'loading' });
  const [attempt, setAttempt] = useState(0);
  const [ready, setReady] = useState(false);
  const [cursor, setCursor] = useState<{ time: number; x: number } | null>(null);
  const isNarrow = narrow.value;
  const [, redrawn] = useState(0);

  useEffect(() => {
    let chart: Chart | null = null;
    let gone = false;
    let request: AbortController | null = null;
    let planned: number | undefined;
    let drawnAt = 0;
    let fresh = true;
    let pointer: number | null = null;
    setCursor(null);

    const draw = (): void => {
      planned = undefined;
      if (!chart || !history.current || document.hidden) return;
      drawnAt = Date.now();
      const to = serverNow();
      const from = to - RANGES[range].ms;
      trim(history.current, from);
      const now = colours();
      chart.draw(option({ history: history.current, from, to, narrow: narrow.peek(), colours: now, gapFill: hatching(now.hatch), gapWord: words.peek().device.gap }), fresh);
      fresh = false;
      place();
      redrawn((n) => n + 1);
    };
    const plan = (): void => {
      if (planned === undefined) planned = window.setTimeout(draw, Math.max(0, drawnAt + DRAW_MS - Date.now()));
    };
    const place = (): void => {
      const x = pointer === null ? null : (chart?.xOf(pointer) ?? null);
      setCursor(pointer === null || x === null ? null : { time: pointer, x });
    };

    const load = async (): Promise<void> => {
      request?.abort();
      request = new AbortController();
      const { signal } = request;
      const to = serverNow();
      try {
        const view = await getSamples(id, new Date(to - RANGES[range].ms), new Date(to), RANGES[range].points, signal);
        const loaded = fromSamples(view);
        const latest = fleet.get(id)?.view.peek().latest;
        if (latest) append(loaded, latest);
        history.current = loaded;
        onStep(loaded.stepMs);
        setStatus({ is: 'ready', empty: loaded.at.length === 0 });
        plan();
      } catch (error) {
        if (signal.aborted) return;
        // With values on the screen a failed renewal is not worth a message: the next one follows with the next snapshot.
        if (history.current === null) setStatus({ is: 'failed', why: error instanceof ApiError ? explain(error) : words.peek().device.chartFailed });
      }
    };

    history.current = null;
    setStatus({ is: 'loading' });
    void import('../charts/echarts').then(
      ({ makeChart }) => {
        if (gone || !box.current) return;
        chart = makeChart(box.current, {
          ready: () => setReady(true),
          cursor: (time) => {
            pointer = time;
            place();
          },
        });
        plan();
      },
      () => {
        if (!gone) setStatus({ is: 'failed', why: words.peek().device.chartFailed });
      },
    );
    const ends = [
      // A new snapshot means that live values may have been missed.
      effect(() => {
        snapshots.value;
        void load();
      }),
      effect(() => {
        fleet.shape.value;
        const latest = fleet.get(id)?.view.value.latest;
        if (latest && history.current && append(history.current, latest)) {
          setStatus((now) => (now.is === 'ready' && now.empty ? { is: 'ready', empty: false } : now));
          plan();
        }
      }),
      effect(() => {
        theme.value;
        words.value;
        narrow.value;
        fresh = true;
        // Another look waits for no turn: until it is drawn the lanes do not lie where their names are.
        clearTimeout(planned);
        planned = undefined;
        drawnAt = 0;
        plan();
      }),
    ];
    document.addEventListener('visibilitychange', plan);
    // The right edge is now, also when nothing arrives.
    const beat = setInterval(plan, Math.max(2 * DRAW_MS, RANGES[range].ms / 600));
    return () => {
      gone = true;
      request?.abort();
      clearTimeout(planned);
      clearInterval(beat);
      document.removeEventListener('visibilitychange', plan);
      for (const end of ends) end();
      chart?.dispose();
      setReady(false);
    };
  }, [id, range, attempt]);

  const t = words.value.device;
  const at = places(isNarrow);
  const shown = history.current;
  const point = shown === null ? null : cursor ? nearest(shown, cursor.time) : shown.at.length - 1;
  return (
    <section class="panel" aria-label={t.charts}>
      <div class="tl" style={{ height: `${fullHeight(isNarrow)}px` }}>
        <div ref={box} class="tl-chart" role="img" aria-label={t.chartLabel(t.ranges[range])} data-testid="chart-ready" data-ready={ready && status.is === 'ready'} />
        {at.map(({ lane, top }, i) => (
          <div key={lane.key} class={`ln ${i === 0 ? 'first' : ''}`} style={{ top: `${top}px` }}>
            <b>{t.lane[lane.key]}</b>
            <Reading lane={lane.key} history={shown} point={point} />
          </div>
        ))}
        {shown
          ? at.flatMap((place) =>
              marks(place, shown).map((mark) => (
                <span key={`${place.lane.key}${mark.y}`} class="mark num" aria-hidden="true" style={{ top: `${mark.y}px` }}>
                  {mark.text}
                </span>
              )),
            )
          : null}
        {cursor && !isNarrow ? (
          <div class="tip num" style={{ left: `${128 + cursor.x}px` }}>
            {RANGES[range].ms > RANGES['6h'].ms ? clockShort(cursor.time, serverNow()) : clock(cursor.time)}
          </div>
        ) : null}
        {status.is === 'failed' ? (
          <div class="tl-note solid" role="alert">
            <span>{status.why}</span>
            <button type="button" class="btn" onClick={() => setAttempt(attempt + 1)}>
              {words.value.common.retry}
            </button>
          </div>
        ) : status.is === 'ready' && status.empty ? (
          <div class="tl-note">{t.noHistory}</div>
        ) : null}
      </div>
    </section>
  );
}

/** The values under the pointer, or the newest ones. */
function Reading({ lane, history, point }: { lane: 'cpu' | 'memory' | 'network' | 'disk'; history: History | null; point: number | null }) {
  const none = words.value.common.none;
  const of = (key: BandKey, which: 'min' | 'avg' | 'max'): number | null => (history === null || point === null ? null : (history.bands[key][which][point] ?? null));
  if (lane === 'network') {
    const one = (value: number | null): string => (value === null ? none : rate(value));
    return (
      <span class="now num">
        ↓{one(of('down', 'avg'))} ↑{one(of('up', 'avg'))} <i>B/s</i>
      </span>
    );
  }
  const value = of(lane, 'avg');
  const min = of(lane, 'min');
  const max = of(lane, 'max');
  return (
    <>
      <span class="now num">
        {value === null ? none : lane === 'disk' ? short(value) : percent(value)}
        {value === null ? null : <i>%</i>}
      </span>
      {lane !== 'disk' && min !== null && max !== null && Math.round(max) > Math.round(min) ? (
        <small class="num">
          {percent(min)}–{percent(max)}
        </small>
      ) : null}
    </>
  );
}
