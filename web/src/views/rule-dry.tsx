// What a rule would have done in the last days: a strip beside each rule, a chart beneath the one that is being changed.

import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import type { DryRunView, RuleBodyView, RuleKindView } from '../api/types';
import { oneLine } from '../format/text';
import { clockShort, ms, offsetMinutes, span, wall } from '../format/time';
import { words } from '../i18n';
import { dayStarts, marks, plot } from '../rules/dry';
import { keyOf, knownRun, tryRule } from '../rules/try';
import { numberText } from '../rules/value';
import { tick } from '../state/clock';
import { said } from './rule-words';

export const DAYS = 7;
/** Whoever is still choosing is not asked for. */
const PAUSE_MS = 350;
const WIDTH = 1000;

interface Tried {
  key: string | null;
  run: DryRunView | null;
  error: unknown;
}

/** Tries a rule when it is wanted, and again when it is another one. */
function useTry(kind: RuleKindView, body: RuleBodyView, wanted: boolean, first: boolean): Tried & { again: () => void } {
  const key = keyOf(kind.word, body, DAYS);
  const [state, setState] = useState<Tried>(() => ({ key, run: knownRun(kind.word, body, DAYS), error: null }));
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!wanted || !kind.dry_run) return;
    const known = knownRun(kind.word, body, DAYS);
    if (known) return setState({ key, run: known, error: null });
    const request = new AbortController();
    const timer = setTimeout(() => {
      tryRule(kind.word, body, DAYS, request.signal, first).then(
        (run) => {
          if (!request.signal.aborted) setState({ key, run, error: null });
        },
        (error: unknown) => {
          if (!request.signal.aborted) setState((before) => ({ ...before, error }));
        },
      );
    }, first ? PAUSE_MS : 0);
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  }, [key, wanted, round]);
  return { ...state, again: () => setRound((n) => n + 1) };
}

function Strip({ run, height }: { run: DryRunView; height: number }) {
  const from = Date.parse(run.from);
  const days = dayStarts(from, Date.parse(run.to), offsetMinutes(from));
  return (
    <svg class="dry-s" viewBox={`0 0 ${WIDTH} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="base" d={`M0 ${height - 0.5}H${WIDTH}`} />
      {days.map((day) => (
        <path key={day.at} class="base" d={`M${day.share * WIDTH} ${height - 4}V${height}`} />
      ))}
      {marks(run).map((mark) => (
        <rect key={mark.from} class="fired" x={mark.from * WIDTH} y="2" width={(mark.to - mark.from) * WIDTH} height={height - 3} />
      ))}
    </svg>
  );
}

/** Beside a rule: how often it would have fired, asked for when it comes into sight. */
export function DryStrip({ kind, body, enabled }: { kind: RuleKindView; body: RuleBodyView; enabled: boolean }) {
  const t = words.value.rules;
  const ref = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const element = ref.current;
    if (!element || seen || !kind.dry_run) return;
    const near = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) setSeen(true);
    });
    near.observe(element);
    return () => near.disconnect();
  }, [seen, kind.dry_run]);
  const { run, error } = useTry(kind, body, seen, false);
  if (!kind.dry_run) return <div class="dr dim">{t.notStored}</div>;
  const [count, times] = t.fired(run?.count ?? 0);
  return (
    <div class="dr" ref={ref} data-testid="dry-strip" data-count={run?.count}>
      {run ? (
        <>
          <span title={t.dry.strip(run.count)}>
            {t.days7} <b>{count}</b>
            {times} {enabled ? null : t.ifOn}
          </span>
          <Strip run={run} height={16} />
        </>
      ) : error ? (
        <span>{t.tryFailed}</span>
      ) : (
        <>
          <span class="sk dr-sk" />
          <span class="sk dr-sk2" />
        </>
      )}
    </div>
  );
}

function why(error: unknown): string {
  const t = words.value.rules.dry;
  if (!(error instanceof ApiError)) return t.failed;
  if (error.code === 'not_stored') return t.notStored;
  if (error.code === 'too_slow') return t.slow;
  if (error.code === 'busy') return t.busy;
  const field = Object.keys(error.fields)[0];
  const said: Record<string, string> = words.value.fields;
  return field !== undefined && Object.hasOwn(said, field) ? (said[field] ?? t.failed) : t.failed;
}

/** Beneath the rule that is being changed: what it would have done with these values, and where on the measured line. */
export function DryPanel({ kind, body }: { kind: RuleKindView; body: RuleBodyView }) {
  const t = words.value.rules;
  const { run, error, key, again } = useTry(kind, body, true, true);
  if (!kind.dry_run) return <p class="dry dim">{t.dry.notStored}</p>;
  const stale = key !== keyOf(kind.word, body, DAYS);
  if (error && (stale || !run)) {
    return (
      <div class="dry dry-e" role="status">
        <span>{why(error)}</span>
        <button type="button" class="btn sm" onClick={again}>
          {t.dry.again}
        </button>
      </div>
    );
  }
  if (!run) {
    return (
      <div class="dry" role="status" aria-busy="true" aria-label={words.value.common.loading}>
        <span class="sk w300" />
        <span class="sk dry-sk" />
      </div>
    );
  }
  const longest = run.longest_ms === null ? null : words.value.span(span(run.longest_ms / 1000));
  const [before, strong, after] = run.count === 0 ? t.dry.none(DAYS) : t.dry.some(run.count, DAYS, run.devices, longest);
  return (
    <div class={`dry ${stale ? 'ls-stale' : ''}`} data-testid="dry-panel" data-count={run.count} aria-busy={stale}>
      <p role="status">
        {before}
        <b>{strong}</b>
        {after} <span class="dim">{run.judged_devices === 0 && kind.of !== 'server' ? t.dry.nobody : kind.of === 'device' ? t.dry.judged(run.judged_devices) : null}</span>
      </p>
      <Chart kind={kind} body={body} run={run} />
      <Moments run={run} />
    </div>
  );
}

const LISTED = 3;

/** The last times, in words. */
function Moments({ run }: { run: DryRunView }) {
  if (run.moments.length === 0) return null;
  return (
    <ul class="dry-l">
      {run.moments.slice(-LISTED).reverse().map((moment, i) => {
        const [from, to] = [ms(moment.from) ?? 0, ms(moment.to)];
        return (
          <li key={i}>
            <time class="num">{clockShort(from, tick.peek())}</time>
            <bdi class="cut">{moment.device_name === null ? null : `${oneLine(moment.device_name)} · `}{oneLine(said(moment.title))}</bdi>
            <span class="dim num">{words.value.span(span(((to ?? Date.parse(run.to)) - from) / 1000))}</span>
          </li>
        );
      })}
    </ul>
  );
}

const HEIGHT = 100;

function Chart({ kind, body, run }: { kind: RuleKindView; body: RuleBodyView; run: DryRunView }) {
  const t = words.value.rules;
  const field = kind.fields.find((one) => one.word === 'level');
  const valueOf = (word: string): number | null => {
    const value = body.values[word] ?? kind.default.values[word];
    return typeof value === 'number' ? value : null;
  };
  const [level, clear] = [valueOf('level'), valueOf('clear')];
  const steps = body.steps.flatMap((step) => (step.level === null ? [] : [{ value: step.level, severity: step.severity }]));
  const lines = [...(level === null ? [] : [{ value: level, tone: body.severity as string }]), ...steps.map((step) => ({ value: step.value, tone: step.severity as string })), ...(clear === null || clear === level ? [] : [{ value: clear, tone: 'clear' }])];
  const drawn = field ? plot(run, lines.map((line) => line.value), field.unit === 'percent') : null;
  const from = Date.parse(run.from);
  const days = dayStarts(from, Date.parse(run.to), offsetMinutes(from));
  const dayWords = (
    <div class="dry-d" aria-hidden="true">
      {days.map((day) => (
        <span key={day.at} ref={at(day.share)}>
          {t.weekdays[wall(day.at).weekday]}
        </span>
      ))}
    </div>
  );
  if (!drawn || !field || !run.series) {
    return (
      <div class="dry-p">
        <Strip run={run} height={24} />
        {dayWords}
      </div>
    );
  }
  // Labels that would lie on each other step aside.
  const labels = lines.map((line) => ({ ...line, y: drawn.y(line.value) })).sort((a, b) => a.y - b.y);
  for (const [i, label] of labels.entries()) {
    const before = labels[i - 1];
    if (before && label.y - before.y < 16) label.y = before.y + 16;
  }
  return (
    <div class="dry-p lv">
      <div class="dry-c">
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT + 6}`} preserveAspectRatio="none" aria-hidden="true">
          {marks(run).map((mark) => (
            <g key={mark.from} class={body.severity}>
              <rect class="wash" x={mark.from * WIDTH} y="0" width={(mark.to - mark.from) * WIDTH} height={HEIGHT} />
              <rect class="bar" x={mark.from * WIDTH} y={HEIGHT + 1} width={(mark.to - mark.from) * WIDTH} height="5" />
            </g>
          ))}
          {lines.map((line) => (
            <path key={line.tone} class={`level ${line.tone}`} d={`M0 ${drawn.y(line.value)}H${WIDTH}`} />
          ))}
          {drawn.lines.map((points, i) => (
            <polyline key={i} points={points} />
          ))}
          <path class="base" d={`M0 ${HEIGHT + 0.5}H${WIDTH}`} />
        </svg>
        {labels.map((label) => (
          <em key={label.tone} class={label.tone} ref={top(label.y / (HEIGHT + 6))}>
            {numberText(field.unit, label.value, t)}
          </em>
        ))}
      </div>
      {dayWords}
      <p class="dim dry-w">{t.dry.shown(oneLine(run.series.device_name))}</p>
    </div>
  );
}

const at = (share: number) => (element: HTMLElement | null): void => {
  if (element) element.style.left = `${share * 100}%`;
};
const top = (share: number) => (element: HTMLElement | null): void => {
  if (element) element.style.top = `${share * 100}%`;
};
