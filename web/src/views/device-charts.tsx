// The device's history: fetched for what is shown, kept moving by live values, drawn at most once a second. Above the lanes
// stand how the device was and what happened to it, on the same axis of time.

import { effect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, getAlerts, getEvents, getSamples } from '../api/client';
import type { Chart } from '../charts/echarts';
import { layoutEvents } from '../charts/events';
import { append, fromSamples, lateSpans, nearest, ribbon, trim, type BandKey, type History } from '../charts/series';
import { fullHeight, lanesOf, laneText, marks, option, places, type Colours, type Lane } from '../charts/timeline';
import { rate } from '../format/number';
import { clock, clockShort, ms, span } from '../format/time';
import { words } from '../i18n';
import { explain } from '../parts/form';
import { Icon } from '../parts/icon';
import { narrow } from '../parts/screen';
import { serverNow, tick } from '../state/clock';
import { fleet } from '../state/fleet';
import { snapshots } from '../state/live';
import { theme, viewerZone } from '../state/prefs';
import { query, setQuery } from '../state/router';
import { edges, lengthOf, pan, pointsOf, RANGES, shownSpan, showRange, showSpan, zoom, type Range } from './device-span';
import { alertEvent, awayEvent, type DeviceEvent, EventMark, eventText, isShown, weightOf } from './device-events';
import { said } from './rule-words';

const DRAW_MS = 1000;
/** Whole reports tell more than live values do: what is shown is renewed at this pace, or slower where steps are long. */
const RENEW_MS = 15_000;
/** Width of the column of names beside the lanes, and what the drawing leaves free at its right edge; as in the stylesheet. */
const NAMES = 128;
const NARROW_EDGE = 10;
const RIGHT = 12;
const MOST_EVENTS = 300;

export function RangeBar({ step }: { step: number | null }) {
  const t = words.value.device;
  const shown = shownSpan.value;
  const now = tick.value;
  const [from, to] = edges(shown, now);
  return (
    <div class="rng">
      <span class="seg" role="group" aria-label={t.range}>
        {(Object.keys(RANGES) as Range[]).map((each) => (
          <button key={each} type="button" aria-pressed={each === shown.live} onClick={() => showRange(each)}>
            {t.ranges[each]}
          </button>
        ))}
      </span>
      <span class="zooms" role="group" aria-label={t.zoom}>
        <button class="ib" type="button" aria-label={t.earlier} title={t.earlier} onClick={() => pan(-0.5)}>
          <Icon name="left" size={14} />
        </button>
        <button class="ib" type="button" aria-label={t.zoomIn} title={t.zoomIn} onClick={() => zoom(0.5)}>
          <Icon name="plus" size={14} />
        </button>
        <button class="ib" type="button" aria-label={t.zoomOut} title={t.zoomOut} onClick={() => zoom(2)}>
          <Icon name="minus" size={14} />
        </button>
        <button class="ib" type="button" aria-label={t.later} title={t.later} disabled={shown.live !== null} onClick={() => pan(0.5)}>
          <Icon name="right" size={14} />
        </button>
      </span>
      <span class="dim x num">
        {shown.live === null ? `${clockShort(from, now)} – ${clockShort(to, now)}` : t.toNow(clockShort(from, now))}
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
            <path d="M0 5H18" stroke="var(--accent)" stroke-width="2" stroke-dasharray="1.5 3" />
          </svg>
          {t.late}
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

/** Why a span has no values, in words: what the outage was, or why the device went. */
function gapText(reason: string | null): string {
  const t = words.peek();
  if (reason === null) return t.device.gap;
  const labels: Record<string, string> = t.label;
  const reasons: Record<string, string> = t.device.gapReason;
  return t.device.gapOf(labels[reason] ?? reasons[reason] ?? reason.replaceAll('_', ' '));
}

type Status = { is: 'loading' } | { is: 'ready'; empty: boolean } | { is: 'failed'; why: string };

export function Charts({ id, onStep }: { id: string; onStep: (ms: number) => void }) {
  const shown = shownSpan.value;
  const key = shown.live ?? `${shown.from}-${shown.to}`;
  const more = query.value.get('more') === '1';
  const box = useRef<HTMLDivElement>(null);
  const history = useRef<History | null>(null);
  const events = useRef<readonly DeviceEvent[]>([]);
  const [status, setStatus] = useState<Status>({ is: 'loading' });
  const [attempt, setAttempt] = useState(0);
  const [ready, setReady] = useState(false);
  const [cursor, setCursor] = useState<{ time: number; x: number } | null>(null);
  const [width, setWidth] = useState(0);
  const isNarrow = narrow.value;
  const [, redrawn] = useState(0);

  useEffect(() => {
    let chart: Chart | null = null;
    let gone = false;
    let request: AbortController | null = null;
    let planned: number | undefined;
    let renewal: number | undefined;
    let loadedAt = 0;
    let drawnAt = 0;
    let fresh = true;
    let pointer: number | null = null;
    setCursor(null);

    const draw = (): void => {
      planned = undefined;
      if (!chart || !history.current || document.hidden) return;
      drawnAt = Date.now();
      const [from, to] = edges(shown, serverNow());
      trim(history.current, from);
      const now = colours();
      const lanes = lanesOf(history.current, more);
      const t = words.peek().device;
      chart.draw(option({ history: history.current, lanes, from, to, narrow: narrow.peek(), colours: now, gapFill: hatching(now.hatch), gapWord: gapText, lateWord: t.late }), fresh);
      fresh = false;
      place();
      setWidth(box.current?.clientWidth ?? 0);
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
      loadedAt = Date.now();
      const [from, to] = edges(shown, serverNow());
      const lanes = lanesOf(history.current, more).length;
      try {
        const [view, list, alerts] = await Promise.all([
          getSamples(id, new Date(from), new Date(to), pointsOf(shown), signal),
          getEvents({ device: id, from: new Date(from).toISOString(), to: new Date(to).toISOString(), limit: String(MOST_EVENTS) }, signal).catch(() => null),
          getAlerts({ device: id, limit: MOST_EVENTS }, signal).catch(() => null),
        ]);
        const loaded = fromSamples(view);
        const device = fleet.get(id)?.view.peek();
        if (shown.live !== null && device?.latest) append(loaded, device.latest, device.openclaw?.state);
        history.current = loaded;
        if (list && alerts) events.current = [...list.items, ...alerts.items.map(alertEvent)];
        // Another set of lanes is another drawing.
        if (lanesOf(loaded, more).length !== lanes) fresh = true;
        onStep(loaded.stepMs);
        setStatus({ is: 'ready', empty: loaded.at.length === 0 });
        plan();
      } catch (error) {
        if (signal.aborted) return;
        // With values on the screen a failed renewal is not worth a message: the next one follows with the next snapshot.
        if (history.current === null) setStatus({ is: 'failed', why: error instanceof ApiError ? explain(error) : words.peek().device.chartFailed });
      }
    };
    const renew = (): void => {
      if (renewal !== undefined || document.hidden) return;
      const pause = Math.max(RENEW_MS, (history.current?.stepMs ?? 0) / 2);
      renewal = window.setTimeout(() => {
        renewal = undefined;
        void load();
      }, Math.max(0, loadedAt + pause - Date.now()));
    };

    history.current = null;
    events.current = [];
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
          resized: plan,
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
        const device = fleet.get(id)?.view.value;
        if (shown.live === null || !device?.latest || !history.current) return;
        if (append(history.current, device.latest, device.openclaw?.state)) {
          setStatus((now) => (now.is === 'ready' && now.empty ? { is: 'ready', empty: false } : now));
          plan();
          renew();
        }
      }),
      effect(() => {
        theme.value;
        words.value;
        narrow.value;
        viewerZone.value;
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
    const beat = shown.live === null ? undefined : setInterval(plan, Math.max(2 * DRAW_MS, lengthOf(shown) / 600));
    return () => {
      gone = true;
      request?.abort();
      clearTimeout(planned);
      clearTimeout(renewal);
      clearInterval(beat);
      document.removeEventListener('visibilitychange', plan);
      for (const end of ends) end();
      chart?.dispose();
      setReady(false);
    };
  }, [id, key, more, attempt]);

  const t = words.value.device;
  const known = history.current;
  const lanes = lanesOf(known, more);
  const at = places(lanes, isNarrow);
  const [from, to] = edges(shown, serverNow());
  const left = isNarrow ? NARROW_EDGE : NAMES;
  const plot = Math.max(0, width - (isNarrow ? 0 : RIGHT));
  const point = known === null ? null : cursor ? nearest(known, cursor.time) : known.at.length - 1;
  const timeAt = (x: number): number => from + (Math.max(0, Math.min(plot, x)) / Math.max(1, plot)) * (to - from);
  const selection = useSelection(box, timeAt, left);
  const label = shown.live === null ? `${clockShort(from, to)} – ${clockShort(to, to)}` : t.ranges[shown.live];
  return (
    <section class="panel" aria-label={t.charts}>
      <div
        class="tl-wrap"
        tabIndex={0}
        role="group"
        aria-label={t.chartKeys}
        onKeyDown={(event) => {
          if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
          const act = { ArrowLeft: () => pan(-0.25), ArrowRight: () => pan(0.25), '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), '0': () => showRange('24h') }[event.key];
          if (!act) return;
          event.preventDefault();
          act();
        }}
      >
        <Lanes history={known} events={events.current} from={from} to={to} plot={plot} left={left} isNarrow={isNarrow} />
        <div class="tl" style={{ height: `${fullHeight(lanes, isNarrow)}px` }} {...selection.handlers}>
          <div ref={box} class="tl-chart" role="img" aria-label={t.chartLabel(label)} data-testid="chart-ready" data-ready={ready && status.is === 'ready'} />
          {at.map(({ lane, top }, i) => (
            <div key={lane.key} class={`ln ${i === 0 ? 'first' : ''}`} style={{ top: `${top}px` }}>
              <b>{t.lane[lane.key]}</b>
              <Reading lane={lane} history={known} point={point} />
            </div>
          ))}
          {known
            ? at.flatMap((place) =>
                marks(place, known).map((mark) => (
                  <span key={`${place.lane.key}${mark.y}`} class="mark num" aria-hidden="true" style={{ top: `${mark.y}px` }}>
                    {mark.text}
                  </span>
                )),
              )
            : null}
          {selection.span ? <div class="zspan" style={{ left: `${left + selection.span[0]}px`, width: `${selection.span[1] - selection.span[0]}px` }} /> : null}
          {cursor && !isNarrow ? (
            <div class="tip num" style={{ left: `${NAMES + cursor.x}px` }}>
              {lengthOf(shown) > RANGES['6h'].ms ? clockShort(cursor.time, serverNow()) : clock(cursor.time)}
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
      </div>
      <div class="fold">
        <button type="button" class="lk" aria-expanded={more} onClick={() => setQuery({ more: more ? null : '1' })}>
          {more ? t.fewer : t.more}
        </button>
        {isNarrow ? null : <span class="dim">{t.zoomHint}</span>}
      </div>
    </section>
  );
}

/** Shorter pulls are clicks. */
const LEAST_PULL = 8;

/** Pulling over the charts chooses a span; a double click goes out again. */
function useSelection(box: { current: HTMLDivElement | null }, timeAt: (x: number) => number, left: number) {
  const [span, setSpan] = useState<[number, number] | null>(null);
  const begun = useRef<number | null>(null);
  const xOf = (event: PointerEvent): number => event.clientX - (box.current?.getBoundingClientRect().left ?? left);
  const ordered = (a: number, b: number): [number, number] => [Math.max(0, Math.min(a, b)), Math.max(a, b)];
  return {
    span,
    handlers: {
      onPointerDown: (event: PointerEvent) => {
        if (event.button !== 0 || event.pointerType === 'touch' || xOf(event) < 0) return;
        begun.current = xOf(event);
      },
      onPointerMove: (event: PointerEvent) => {
        if (begun.current === null) return;
        const x = xOf(event);
        if (Math.abs(x - begun.current) < LEAST_PULL && span === null) return;
        if (event.currentTarget instanceof Element) event.currentTarget.setPointerCapture(event.pointerId);
        setSpan(ordered(begun.current, x));
      },
      onPointerUp: () => {
        begun.current = null;
        if (span) showSpan(timeAt(span[0]), timeAt(span[1]), serverNow());
        setSpan(null);
      },
      onPointerCancel: () => {
        begun.current = null;
        setSpan(null);
      },
      onDblClick: () => zoom(2),
    },
  };
}

interface LanesProps {
  history: History | null;
  events: readonly DeviceEvent[];
  from: number;
  to: number;
  plot: number;
  left: number;
  isNarrow: boolean;
}

const SHAPE = { ok: [12, 8], warn: [7, 13], error: [1, 19], server: [16, 4], offline: [3, 16], none: [18, 2] } as const;

/** How the device was, and what happened. */
function Lanes({ history, events, from, to, plot, left, isNarrow }: LanesProps) {
  const t = words.value.device;
  const scale = (at: number): number => ((at - from) / (to - from)) * plot;
  const spans = history && plot > 0 ? ribbon(history, from, to) : [];
  const late = history && plot > 0 ? lateSpans(history).filter(([a, b]) => b > from && a < to) : [];
  const marked = events.flatMap((event) => {
    const at = ms(event.at);
    return at === null || !isShown(event.kind) ? [] : [{ event, at, text: eventText(words.value, event), weight: weightOf(event) }];
  });
  for (const away of history?.away ?? []) {
    if (away.reason === 'host_rebooted' || away.reason === 'machine_slept') continue;
    const event = awayEvent(away.from, away.to, away.reason);
    marked.push({ event, at: away.from, text: eventText(words.value, event), weight: weightOf(event) });
  }
  const fired = events.flatMap(({ alert, at, duration_ms }) => {
    const [a, b] = [Math.max(from, ms(at) ?? 0), Math.min(to, duration_ms === null ? to : (ms(at) ?? 0) + duration_ms)];
    return alert && plot > 0 && a < b ? [{ alert, a, b }] : [];
  });
  const placed = plot > 0 ? layoutEvents(marked, from, to, plot, isNarrow) : [];
  const summary = t.stateSummary(spans.filter((each) => each.kind === 'offline').length, spans.filter((each) => each.kind === 'error').length);
  const style = { marginLeft: `${left}px`, width: `${plot}px` };
  return (
    <>
      <div class="rb">
        <b>{t.stateLane}</b>
        <svg style={style} height="24" role="img" aria-label={summary}>
          {spans.map((each) => {
            const x = scale(each.from);
            const size = Math.max(2.5, scale(each.to) - x - 0.5);
            const [y, height] = SHAPE[each.kind];
            const said = each.kind === 'offline' || each.kind === 'server' ? gapText(each.reason) : each.reason ? t.gateway[each.reason as keyof typeof t.gateway] : null;
            const title = `${said ? `${said}, ` : ''}${clockShort(each.from, to)} – ${clockShort(each.to, to)}`;
            return (
              <rect key={each.from} class={`s-${each.kind}`} x={each.kind === 'offline' ? x + 0.5 : x} y={each.kind === 'offline' ? y + 0.5 : y} width={size} height={height}>
                <title>{title}</title>
              </rect>
            );
          })}
          {fired.map(({ alert, a, b }) => (
            <rect key={alert.no} class={`s-al ${alert.severity}`} x={scale(a)} y="0" width={Math.max(2, scale(b) - scale(a))} height="2.5">
              <title>{`${said(alert.title)}, ${clockShort(a, to)} – ${clockShort(b, to)}`}</title>
            </rect>
          ))}
          {late.map(([a, b]) => (
            <path key={a} class="s-late" d={`M${scale(Math.max(a, from)).toFixed(1)} 22.8H${scale(Math.min(b, to)).toFixed(1)}`} />
          ))}
        </svg>
      </div>
      <div class={`evl ${isNarrow ? 'one' : ''}`}>
        <span class="k">{t.events}</span>
        <div class="evs" style={style}>
          {placed.map((each) => (
            <EventMark key={`${each.events[0]?.no ?? ''}`} placed={each} now={to} />
          ))}
          {plot > 0 && placed.length === 0 ? <span class="dim">{history ? t.noEvents : ''}</span> : null}
        </div>
      </div>
    </>
  );
}

/** The values under the pointer, or the newest ones. */
function Reading({ lane, history, point }: { lane: Lane; history: History | null; point: number | null }) {
  const none = words.value.common.none;
  const of = (key: BandKey, which: 'min' | 'avg' | 'max'): number | null => {
    if (history === null || point === null) return null;
    const list = history.bands[key][which];
    // The newest point of what only whole reports tell may be one step back.
    return list[point] ?? (point === history.at.length - 1 ? (list[point - 1] ?? null) : null);
  };
  if (lane.key === 'network') {
    const one = (value: number | null): string => (value === null ? none : rate(value));
    return (
      <span class="now num">
        ↓{one(of('down', 'avg'))} ↑{one(of('up', 'avg'))} <i>B/s</i>
      </span>
    );
  }
  const band = lane.bands[0] as BandKey;
  const value = of(band, 'avg');
  const min = of(band, 'min');
  const max = of(band, 'max');
  const [figure, unit] = value === null ? [none, ''] : laneText(lane, value);
  const low = min === null ? null : laneText(lane, min)[0];
  const high = max === null ? null : laneText(lane, max)[0];
  return (
    <>
      <span class="now num">
        {figure}
        {unit ? <i>{unit}</i> : null}
      </span>
      {lane.height > 60 && low !== null && high !== null && low !== high ? (
        <small class="num">
          {low}–{high}
        </small>
      ) : null}
    </>
  );
}

