// Bars over time, with what is usual and how much came from a cache. Drawn as SVG: at most 500 bars.

import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { count, money, roundCount } from '../format/number';
import { clockShort, wall } from '../format/time';
import { words } from '../i18n';
import { axis, cacheHit, valueOf, type Bar, type Plan, type Stacked, type Step } from './cost-plan';

export const TONES = ['d1', 'd2', 'd3', 'd4', 'd5'] as const;
/** The colour of a series; the last one is the rest. */
export const toneOf = (i: number, all: number, rest: boolean): string => (rest && i === all - 1 ? 'd5' : (TONES[Math.min(i, 3)] ?? 'd5'));

const LEFT = 46;
const TOP = 22;
const CACHE_HEIGHT = 44;
const CACHE_TOP = 28;
const FOOT = 24;
const LABEL_WIDTH = 62;

const two = (n: number): string => String(n).padStart(2, '0');

/** What a bar is called, on the axis and in words. */
export function labelOf(bar: { from: number }, step: Step, now: number): string {
  const w = wall(bar.from);
  if (step === 'quarter' || step === 'hour') return clockShort(bar.from, now);
  if (step === 'month') return `${w.year}-${two(w.month)}`;
  return `${two(w.month)}-${two(w.day)}`;
}

interface Props {
  plan: Plan;
  stack: Stacked;
  usuals: readonly (number | null)[];
  /** The bar that stands out. */
  spike: number | null;
  now: number;
  narrow: boolean;
  names: readonly string[];
  select: (bar: Bar) => void;
}

export function CostChart({ plan, stack, usuals, spike, now, narrow, names, select }: Props) {
  const t = words.value.cost;
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [cursor, setCursor] = useState<number | null>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    measure.observe(element);
    return () => measure.disconnect();
  }, []);

  const bars = stack.bars;
  const show = plan.unit === 'usd' ? money : count;
  const short = (value: number): string => (plan.unit === 'usd' ? `$${value > 0 && value < 1 ? value.toFixed(2) : roundCount(value)}` : roundCount(value));
  const height = narrow ? 216 : 304;
  const foot = height + CACHE_TOP + CACHE_HEIGHT;
  const values = bars.map((bar) => valueOf(bar.total, plan.unit));
  // What is under way will come to at least this, if it goes on as usual.
  const running = bars.findIndex((bar) => bar.from <= now && now < bar.to);
  const expected = ((): number | null => {
    const bar = bars[running];
    const usual = usuals[running] ?? null;
    const value = values[running];
    if (!bar || usual === null || value === undefined || plan.step === 'quarter' || plan.step === 'hour') return null;
    const rest = usual * ((bar.to - now) / (bar.to - bar.from));
    return rest > 0 ? value + rest : null;
  })();
  const { top, lines } = axis(Math.max(...values, ...usuals.map((u) => u ?? 0), expected ?? 0) * 1.04);
  const step = (width - LEFT) / Math.max(bars.length, 1);
  const y = (value: number): number => TOP + (1 - value / top) * (height - TOP);
  const gap = step > 8 ? 0.14 : step > 3 ? 0.08 : 0;
  const x = (i: number): number => LEFT + i * step + step * gap;
  const w = Math.max(step * (1 - 2 * gap), 0.6);
  const cacheY = (share: number): number => height + CACHE_TOP + (1 - share / 100) * CACHE_HEIGHT;
  const hits = bars.map((bar) => cacheHit(bar.total));
  const chosen = bars.findIndex((bar) => bar.key === plan.at);
  const every = Math.max(1, Math.ceil((plan.range === '7d' && plan.step === 'hour' ? 2 : 1) * LABEL_WIDTH / Math.max(step, 0.1)));
  const spiking = spike === null ? null : bars[spike];

  const at = (event: MouseEvent): number | null => {
    const place = box.current?.getBoundingClientRect();
    if (!place || bars.length === 0) return null;
    const i = Math.floor((event.clientX - place.left - LEFT) / step);
    return i >= 0 && i < bars.length ? i : null;
  };
  const pick = (i: number | null): void => {
    const bar = i === null ? undefined : bars[i];
    if (bar && bar.total.tokens > 0) select(bar);
  };
  const say = (i: number): string => {
    const bar = bars[i];
    if (!bar) return '';
    const usual = usuals[i] ?? null;
    const value = values[i] ?? 0;
    const label = labelOf(bar, plan.step, now);
    return usual !== null && usual > 0 ? t.timesUsual(label, show(value), (value / usual).toFixed(1)) : `${label}, ${show(value)}`;
  };
  const keys = (event: KeyboardEvent): void => {
    const here = cursor ?? (chosen === -1 ? bars.length - 1 : chosen);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: bars.length - 1, PageUp: here - 7, PageDown: here + 7 }[event.key];
    if (to !== undefined) setCursor(Math.min(bars.length - 1, Math.max(0, to)));
    else if (event.key === 'Enter' || event.key === ' ') pick(here);
    else return;
    event.preventDefault();
  };

  const path: string[] = [];
  let pen = false;
  hits.forEach((hit, i) => {
    if (hit === null) {
      pen = false;
      return;
    }
    path.push(`${pen ? 'L' : 'M'}${(x(i) + w / 2).toFixed(1)} ${cacheY(hit).toFixed(1)}`);
    pen = true;
  });

  return (
    <div class="co-chart">
      <div
        ref={box}
        class="co-draw"
        role="slider"
        tabIndex={0}
        aria-label={`${t.chart(t.rangeText[plan.range])}. ${t.chartHint}`}
        aria-valuemin={1}
        aria-valuemax={Math.max(bars.length, 1)}
        aria-valuenow={(cursor ?? bars.length - 1) + 1}
        aria-valuetext={say(cursor ?? bars.length - 1)}
        style={{ height: `${foot + FOOT}px`, cursor: cursor === null ? 'default' : 'pointer' }}
        data-testid="cost-chart"
        data-ready={width > 0}
        onPointerMove={(event) => setCursor(at(event))}
        onPointerLeave={() => setCursor(null)}
        onClick={(event) => pick(at(event))}
        onKeyDown={keys}
        onBlur={() => setCursor(null)}
      >
        {width > 0 ? (
          <svg width={width} height={foot + FOOT} viewBox={`0 0 ${width} ${foot + FOOT}`} aria-hidden="true">
            {lines.map((value) => (
              <g key={value}>
                <path d={`M${LEFT} ${y(value) + 0.5}H${width}`} stroke={value === 0 ? 'var(--line-2)' : 'var(--line)'} />
                <text x={LEFT - 6} y={y(value) + 4} text-anchor="end" class="co-t">
                  {short(value)}
                </text>
              </g>
            ))}
            {cursor !== null ? <rect x={LEFT + cursor * step} y={TOP} width={step} height={foot - TOP} fill="var(--hover)" /> : null}
            {bars.map((bar, i) => {
              let sum = 0;
              return bar.parts.map((part, k) => {
                if (part <= 0) return null;
                const bottom = y(sum);
                sum += part;
                const upper = y(sum);
                const cut = bottom - upper > 2 && step > 5 ? 0.6 : 0;
                return <rect key={k} x={x(i)} y={upper} width={w} height={Math.max(bottom - upper - cut, 0.5)} fill={`var(--${toneOf(k, stack.series.length, stack.series.at(-1)?.name === 'other')})`} />;
              });
            })}
            {expected !== null && step > 5 ? (
              <>
                <rect x={x(running) + 0.5} y={y(expected)} width={w - 1} height={Math.max(y(values[running] ?? 0) - y(expected), 0)} fill="none" stroke="var(--ink-3)" stroke-dasharray="2 2" />
                {narrow ? null : (
                  <text x={x(running) + w} y={Math.min(y(expected), ...values.slice(Math.max(0, running - Math.ceil(96 / step)), running).map(y)) - 6} text-anchor="end" class="co-t halo">
                    {t.untilEnd(show(expected))}
                  </text>
                )}
              </>
            ) : null}
            {step > 3 ? usuals.map((usual, i) => (usual === null ? null : <path key={i} d={`M${(LEFT + i * step + 1).toFixed(1)} ${y(usual).toFixed(1)}h${(step - 2).toFixed(1)}`} stroke="var(--ink)" opacity=".55" />)) : null}
            {chosen >= 0 ? <rect x={x(chosen) - 3} y={y(values[chosen] ?? 0) - 3} width={w + 6} height={height - y(values[chosen] ?? 0) + 6} fill="none" stroke="var(--ink)" stroke-width="1.2" rx="2" /> : null}
            {spiking && spike !== null ? <SpikeNote x={x(spike)} w={w} y={y(values[spike] ?? 0)} text={t.timesUsual(labelOf(spiking, plan.step, now), show(values[spike] ?? 0), ((values[spike] ?? 0) / (usuals[spike] ?? 1)).toFixed(1))} hint={chosen === spike ? null : t.behindHint} width={width} /> : null}
            <text x={LEFT} y={height + CACHE_TOP - 8} class="co-c">
              {t.cache}
            </text>
            <path d={`M${LEFT} ${height + CACHE_TOP + 0.5}H${width}M${LEFT} ${foot + 0.5}H${width}`} stroke="var(--line)" />
            <text x={LEFT - 6} y={height + CACHE_TOP + 8} text-anchor="end" class="co-t">
              100%
            </text>
            <text x={LEFT - 6} y={foot + 2} text-anchor="end" class="co-t">
              0
            </text>
            <path d={path.join('')} fill="none" stroke="var(--accent)" stroke-width="1.4" stroke-linejoin="round" />
            {hits.map((hit, i) => (hit !== null && (hits[i - 1] ?? null) === null && (hits[i + 1] ?? null) === null ? <circle key={i} cx={x(i) + w / 2} cy={cacheY(hit)} r="1.6" fill="var(--accent)" /> : null))}
            {bars.map((bar, i) =>
              (bars.length - 1 - i) % every === Math.floor(every / 2) ? (
                <text key={bar.key} x={Math.min(x(i) + w / 2, width - 18)} y={foot + 17} text-anchor="middle" class="co-t">
                  {labelOf(bar, plan.step, now)}
                </text>
              ) : null,
            )}
          </svg>
        ) : null}
        {cursor !== null && width > 0 ? <Tip bar={bars[cursor]} left={x(cursor) + w / 2} width={width} plan={plan} stack={stack} usual={usuals[cursor] ?? null} now={now} names={names} /> : null}
      </div>
    </div>
  );
}

function SpikeNote({ x, w, y, text, hint, width }: { x: number; w: number; y: number; text: string; hint: string | null; width: number }) {
  const left = x > width / 2;
  const at = left ? x - 10 : x + w + 10;
  const anchor = left ? 'end' : 'start';
  return (
    <>
      <path d={left ? `M${x - 2} ${y + 8}H${x - 7}` : `M${x + w + 2} ${y + 8}h5`} stroke="var(--ink)" />
      <text x={at} y={y + 12} text-anchor={anchor} class="co-s halo">
        {text}
      </text>
      {hint ? (
        <text x={at} y={y + 28} text-anchor={anchor} class="co-c halo">
          {hint}
        </text>
      ) : null}
    </>
  );
}

function Tip({ bar, left, width, plan, stack, usual, now, names }: { bar: Bar | undefined; left: number; width: number; plan: Plan; stack: Stacked; usual: number | null; now: number; names: readonly string[] }) {
  const t = words.value.cost;
  if (!bar) return null;
  const show = plan.unit === 'usd' ? money : count;
  const hit = cacheHit(bar.total);
  const toLeft = left > width - 240;
  const total = bar.total.tokens === 0 ? '–' : plan.unit === 'usd' && bar.total.unknown ? t.noPriceKnown : show(valueOf(bar.total, plan.unit));
  return (
    <div class="co-tip num" aria-hidden="true" style={toLeft ? { right: `${width - left + 12}px` } : { left: `${left + 12}px` }}>
      <p>
        <b>{labelOf(bar, plan.step, now)}</b>
        <span class="grow" />
        <b>{total}</b>
      </p>
      {stack.series.map((one, k) =>
        (bar.parts[k] ?? 0) > 0 ? (
          <p key={one.name}>
            <i class={`co-sw ${toneOf(k, stack.series.length, stack.series.at(-1)?.name === 'other')}`} />
            <span class="cut">{names[k]}</span>
            <span class="grow" />
            {show(bar.parts[k] ?? 0)}
          </p>
        ) : null,
      )}
      {usual !== null ? (
        <p class="dim">
          {t.usual}
          <span class="grow" />
          {show(usual)}
        </p>
      ) : null}
      {hit !== null ? (
        <p class="dim">
          {t.cache}
          <span class="grow" />
          {hit.toFixed(0)}%
        </p>
      ) : null}
      {bar.from <= now && now < bar.to ? <p class="dim">{t.notOver}</p> : null}
    </div>
  );
}
