// The time machine's slider: a week of the fleet, with what went wrong in it, and the moment that is shown.

import { useEffect, useState } from 'preact/hooks';
import { getOutages } from '../api/client';
import { dateTime, ms, span } from '../format/time';
import { words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { tick } from '../state/clock';
import { lookAt, pastAt, pastInfo, shownNow } from '../state/past';
import { query, setQuery } from '../state/router';

const HOUR = 3_600_000;
const SPANS = { '24h': 24 * HOUR, '7d': 168 * HOUR, '30d': 720 * HOUR } as const;
type SpanKey = keyof typeof SPANS;
const TICKS = 168;
const STEP_MS = 60_000;

const spanOf = (text: string | null): SpanKey => (text !== null && Object.hasOwn(SPANS, text) ? (text as SpanKey) : '7d');

/** How many outages touch each part of a time. */
export function busy(outages: readonly { from: string; to: string | null }[], from: number, to: number, parts: number): number[] {
  const counts = new Array<number>(parts).fill(0);
  const size = (to - from) / parts;
  for (const outage of outages) {
    const first = Math.max(0, Math.floor(((ms(outage.from) ?? 0) - from) / size));
    const last = Math.min(parts - 1, Math.floor(((ms(outage.to) ?? to) - from) / size));
    for (let i = first; i <= last; i++) counts[i] = (counts[i] ?? 0) + 1;
  }
  return counts;
}

export function PastBar() {
  const t = words.value.past;
  const at = pastAt.value ?? tick.value;
  const key = spanOf(query.value.get('span'));
  // The slider's ends stand still while it is pulled.
  const end = Math.ceil(tick.value / HOUR) * HOUR;
  const from = end - SPANS[key];
  const [counts, setCounts] = useState<number[]>([]);
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    const request = new AbortController();
    getOutages({ from: new Date(from).toISOString(), limit: '1000' }, request.signal).then(
      (list) => setCounts(busy(list.items, from, end, TICKS)),
      () => {},
    );
    return () => request.abort();
  }, [from, end]);
  const top = Math.max(3, ...counts);
  const info = pastInfo.value;
  const move = (to: number): void => lookAt(Math.min(to, tick.value - 1000));
  return (
    <section class="past" aria-label={t.label}>
      <b class="num">{t.asItWas(dateTime(at).slice(0, 16))}</b>
      <span class="dim hide-s ago">{t.ago(words.value.span(span((tick.value - shownNow.value) / 1000)))}</span>
      <button class="ib" type="button" aria-label={t.back1h} title={t.back1h} onClick={() => move(at - HOUR)}>
        <Icon name="left" size={14} />
      </button>
      <div class="trk">
        <svg viewBox={`0 0 ${TICKS} 24`} preserveAspectRatio="none" aria-hidden="true">
          <path class="calm" d={counts.map((n, i) => (n === 0 ? `M${i} 22h.7v1h-.7z` : '')).join('')} />
          <path class="loud" d={counts.map((n, i) => (n > 0 ? `M${i} 23h.7v-${(4 + (n / top) * 18).toFixed(1)}h-.7z` : '')).join('')} />
        </svg>
        <input
          type="range"
          min={from}
          max={end}
          step={STEP_MS}
          value={Math.max(from, Math.min(end, at))}
          aria-label={t.slider}
          aria-valuetext={dateTime(at)}
          onInput={(event) => move(Number(event.currentTarget.value))}
        />
      </div>
      <button class="ib" type="button" aria-label={t.forward1h} title={t.forward1h} onClick={() => (at + HOUR >= tick.value ? lookAt(null) : move(at + HOUR))}>
        <Icon name="right" size={14} />
      </button>
      <span class="seg hide-s" role="group" aria-label={t.span}>
        {(Object.keys(SPANS) as SpanKey[]).map((each) => (
          <button key={each} type="button" aria-pressed={each === key} onClick={() => setQuery({ span: each === '7d' ? null : each })}>
            {t.spans[each]}
          </button>
        ))}
      </span>
      {info.serverDown ? (
        <span class="past-w">
          <Glyph shape="notice" />
          {t.serverDown}
        </span>
      ) : null}
      <button
        class="btn sm hide-s"
        type="button"
        onClick={() => {
          navigator.clipboard?.writeText(location.href).then(
            () => {
              setCopied(true);
              setTimeout(() => setCopied(false), 2000);
            },
            () => {},
          );
        }}
      >
        <Icon name={copied ? 'check' : 'copy'} size={13} />
        {copied ? words.value.common.copied : t.copyLink}
      </button>
      <button class="btn pri sm" type="button" onClick={() => setQuery({ t: null, span: null })}>
        {t.back}
      </button>
    </section>
  );
}
