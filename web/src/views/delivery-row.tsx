// A delivery in a list: when, to whom, what, and what became of it. It opens to its attempts with what the other side said.

import { useState } from 'preact/hooks';
import type { DeliveryView } from '../api/types';
import { oneLine, visible } from '../format/text';
import { clock, clockShort, dateTime, ms } from '../format/time';
import { words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { tick } from '../state/clock';
import { secondsText, shapeOf, stateText } from './delivery-plan';
import { said } from './rule-words';

/** What was told, in one line. */
function titleOf(delivery: DeliveryView): string {
  const t = words.value.deliveries;
  const known: Record<string, string> = t.occasions;
  const occasion = Object.hasOwn(known, delivery.occasion) ? (known[delivery.occasion] ?? '') : delivery.occasion;
  if (delivery.title === null) return occasion;
  const title = oneLine(said(delivery.title));
  const told = delivery.device_name === null ? title : t.because(oneLine(delivery.device_name), title);
  return delivery.occasion === 'fired' ? told : `${occasion} · ${told}`;
}

export function DeliveryRow({ delivery }: { delivery: DeliveryView }) {
  const t = words.value.deliveries;
  const [open, setOpen] = useState(false);
  const at = ms(delivery.made_at) ?? 0;
  const wrong = delivery.state === 'failed' || (delivery.state === 'waiting' && delivery.attempts.length > 0);
  return (
    <li class="dl" data-testid="delivery" data-state={delivery.state}>
      <button type="button" class="dl-b" aria-expanded={open} onClick={() => setOpen(!open)}>
        <time class="num dim" title={dateTime(at)}>
          {clockShort(at, tick.value)}
        </time>
        <span class="cut dl-c">{delivery.channel_name === null ? t.goneChannel : oneLine(delivery.channel_name)}</span>
        <span class="cut dl-w">{titleOf(delivery)}</span>
        <span class={`dl-s cut ${wrong ? (delivery.state === 'failed' ? 'err' : 'warn') : 'dim'}`}>
          <Glyph shape={shapeOf(delivery)} />
          <span class="vh">{t.states[delivery.state]} </span>
          {stateText(delivery, tick.value, words.value, (moment) => clockShort(moment, tick.value))}
        </span>
      </button>
      {open ? (
        <div class="dl-o">
          {delivery.attempts.length === 0 ? <p class="dim">{t.noAttempts}</p> : null}
          <ol>
            {delivery.attempts.map((attempt) => (
              <li key={attempt.at}>
                <Glyph shape={attempt.ok ? 'online' : 'error'} size={10} />
                <time class="num">{clock(ms(attempt.at) ?? 0)}</time>
                <span>{attempt.ok ? t.ok : t.notOk}</span>
                <span class="dim num">{t.took(secondsText(attempt.took_ms))}</span>
                <code>{attempt.answer === '' ? t.noAnswer : visible(attempt.answer)}</code>
              </li>
            ))}
          </ol>
          <p class="dim dl-id">
            <code>{delivery.id}</code>
          </p>
        </div>
      ) : null}
    </li>
  );
}
