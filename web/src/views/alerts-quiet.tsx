// When nobody wants to hear: quiet hours, silences, maintenance, and what else holds for all rules.

import { useEffect, useState } from 'preact/hooks';
import { getAlerting, getChannels, getPauses, putAlerting, removePause } from '../api/client';
import type { AlertChannelView, AlertingView, NewPause, PauseView } from '../api/types';
import { oneLine } from '../format/text';
import { clockShort, wall } from '../format/time';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { Check, Field, fieldText, Problem, TextField } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { Seg } from '../parts/pick';
import { RowMenu } from '../parts/row-menu';
import { Unloaded } from '../parts/unloaded';
import { useWork } from '../parts/work';
import { scopeText } from '../rules/sentence';
import { lengthText } from '../rules/value';
import { serverNow, tick } from '../state/clock';
import { alertingNews } from '../state/fleet-news';
import { useLoad, type Loaded } from '../state/load';
import { viewerZone } from '../state/prefs';
import { isAdmin } from '../state/session';
import '../styles/notify.css';
import { SEVERITIES } from './alerts-plan';
import { PauseForm } from './pause-form';
import { activeUntil, bars, dayStarts, DAY, minutesOf, nextOf, occurrences, pauseFor, type Bar } from '../rules/pauses';
import { around } from './rule-words';

const DAYS = 7;

export function AlertsQuiet() {
  const t = words.value.pauses;
  const pauses = useLoad('pauses', getPauses, { news: alertingNews });
  const settings = useLoad('alerting', getAlerting, { news: alertingNews });
  const channels = useLoad('channels', getChannels, { news: alertingNews });
  const [form, setForm] = useState<{ of: NewPause; known: PauseView | null } | null>(null);
  const [ending, setEnding] = useState<PauseView | null>(null);
  if (!pauses.data || !settings.data || !channels.data) {
    return (
      <Unloaded
        error={pauses.error ?? settings.error ?? channels.error}
        failed={t.failed}
        reload={() => {
          pauses.reload();
          settings.reload();
          channels.reload();
        }}
      />
    );
  }
  const list = (kind: PauseView['kind']) => (
    <Pauses kind={kind} pauses={pauses.data?.filter((pause) => pause.kind === kind) ?? []} add={() => setForm({ known: null, of: pauseFor(kind, serverNow(), null) })} edit={(pause) => setForm({ known: pause, of: pause })} end={setEnding} />
  );
  return (
    <div class="cols aq">
      <div class="main">
        <Week pauses={pauses.data} settings={settings.data} />
        {list('maintenance')}
        {list('silence')}
      </div>
      <div class="side">
        <Settings settings={settings} kept={settings.data} channels={channels.data} />
      </div>
      {form ? <PauseForm {...form} close={() => setForm(null)} done={pauses.reload} /> : null}
      {ending ? (
        <Ask
          title={`${t.kind[ending.kind]}: ${scopeText(ending.scope, around([]))}`}
          go={ending.active_until === null ? t.remove : t.removeNow}
          danger
          close={() => setEnding(null)}
          act={async () => {
            await removePause(ending.no);
            pauses.reload();
          }}
        >
          <p>
            <When of={ending} />
          </p>
        </Ask>
      ) : null}
    </div>
  );
}

interface ListProps {
  kind: PauseView['kind'];
  pauses: readonly PauseView[];
  add: () => void;
  edit: (pause: PauseView) => void;
  end: (pause: PauseView) => void;
}

function Pauses({ kind, pauses, add, edit, end }: ListProps) {
  const t = words.value.pauses;
  const now = tick.value;
  const silence = kind === 'silence';
  const rows = pauses.map((pause) => ({ pause, next: nextOf(pause.when, now), until: activeUntil(pause.when, now) })).sort((a, b) => (a.next?.from ?? Infinity) - (b.next?.from ?? Infinity));
  return (
    <section class="panel" aria-label={silence ? t.silences : t.maintenance}>
      <div class="ph">
        <h2>{silence ? t.silences : t.maintenance}</h2>
        <span class="dim">{silence ? t.silencesText : t.maintenanceText}</span>
        <span class="grow" />
        {isAdmin() ? (
          <button type="button" class="btn sm" data-testid={`${kind}-add`} onClick={add}>
            <Icon name="plus" size={12} />
            {silence ? t.addSilence : t.addMaintenance}
          </button>
        ) : null}
      </div>
      {rows.length === 0 ? <p class="empty-p">{silence ? t.noSilences : t.noMaintenance}</p> : null}
      {rows.map(({ pause, next, until }) => (
        <div key={pause.no} class={`pa ${until === null ? '' : 'pa-now'}`} data-testid="pause" data-kind={kind} data-active={until !== null}>
          {until === null ? <Glyph shape="never" /> : <Glyph shape="maint" />}
          <div class="pa-w">
            <p>
              <b>{scopeText(pause.scope, around([]))}</b>
              {pause.rules.length > 0 ? <span class="chip">{t.ofRules(pause.rules.length)}</span> : null}
              {pause.note === '' ? null : <span class="pa-n">{oneLine(pause.note)}</span>}
            </p>
            <small class="dim">
              <When of={pause} /> · {t.by(oneLine(pause.made_by))}
            </small>
          </div>
          <span class={`pa-t num ${until === null ? 'dim' : 'maint'}`}>{until !== null ? `${t.now}${words.value.notify.comma}${t.lasts(clockShort(until, now))}` : next ? t.next(clockShort(next.from, now)) : null}</span>
          {isAdmin() ? (
            <RowMenu
              label={words.value.rules.more}
              items={[
                { label: t.edit, act: () => edit(pause) },
                { label: until === null ? t.remove : t.removeNow, danger: true, act: () => end(pause) },
              ]}
            />
          ) : (
            <span />
          )}
        </div>
      ))}
    </section>
  );
}

/** When it is, in words. */
function When({ of: pause }: { of: PauseView }) {
  const t = words.value.pauses;
  const { when } = pause;
  if (when.type === 'once') {
    return (
      <span class="num">
        {clockShort(Date.parse(when.from), tick.value)} – {clockShort(Date.parse(when.to), tick.value)}
      </span>
    );
  }
  const days = when.days.map((day) => words.value.rules.weekdays[day % 7] ?? '');
  return (
    <span class="num">
      {t.everyWeek} {days.join(words.value.notify.comma)} {when.from}{words.value.notify.comma}{lengthText(when.minutes * 60, words.value.rules)} · {when.zone}
    </span>
  );
}

/** The next seven days, each a line of 24 hours. */
function Week({ pauses, settings }: { pauses: readonly PauseView[]; settings: AlertingView }) {
  const t = words.value.pauses;
  const zone = viewerZone.value;
  const now = tick.value;
  const starts = dayStarts(zone, now, DAYS);
  const [from, to] = [starts[0] ?? now, starts[DAYS] ?? now];
  const spans = pauses.flatMap((pause) =>
    occurrences(pause.when, from, to).map((span) => ({ ...span, tone: pause.kind as string, what: `${t.kind[pause.kind]}: ${scopeText(pause.scope, around([]))}` })),
  );
  const { quiet } = settings;
  if (quiet) {
    const minutes = (minutesOf(quiet.to) - minutesOf(quiet.from) + 1440) % 1440;
    const when = { type: 'weekly' as const, days: [1, 2, 3, 4, 5, 6, 7], from: quiet.from, minutes, zone: settings.zone || 'UTC' };
    if (minutes > 0) spans.unshift(...occurrences(when, from, to).map((span) => ({ ...span, tone: 'quiet', what: t.quiet })));
  }
  const drawn = spans.flatMap((span) => bars(span, starts).map((bar) => ({ ...bar, span })));
  const share = (now - from) / DAY;
  return (
    <section class="panel" aria-label={t.week}>
      <div class="ph">
        <h2>{t.week}</h2>
        <span class="dim">{t.weekText(zone)}</span>
        <span class="grow" />
        <span class="wk-k">
          {(['quiet', 'maintenance', 'silence'] as const).map((tone) => (
            <span key={tone}>
              <i class={`wk-b ${tone}`} />
              {tone === 'quiet' ? t.quiet : t.kind[tone]}
            </span>
          ))}
        </span>
      </div>
      <div class="wk">
        <div class="wk-h" aria-hidden="true">
          {[0, 6, 12, 18].map((hour) => (
            <span key={hour} class="num" ref={left(hour / 24)}>
              {String(hour).padStart(2, '0')}:00
            </span>
          ))}
        </div>
        <ol>
          {starts.slice(0, DAYS).map((start, day) => {
            const w = wall(start + DAY / 2);
            return (
              <li key={start}>
                <span class="wk-d num">
                  {words.value.rules.weekdays[w.weekday]} <span class="dim">{w.day}</span>
                </span>
                <div class="wk-r">
                  {drawn
                    .filter((bar) => bar.day === day)
                    .map((bar) => (
                      <i key={`${bar.span.what}${bar.span.from}`} class={`wk-b ${bar.span.tone}`} role="img" aria-label={t.bar(bar.span.what, clockShort(bar.span.from, now), clockShort(bar.span.to, now))} title={t.bar(bar.span.what, clockShort(bar.span.from, now), clockShort(bar.span.to, now))} ref={placed(bar)} />
                    ))}
                  {day === 0 ? <i class="wk-now" ref={left(share)} /> : null}
                </div>
              </li>
            );
          })}
        </ol>
      </div>
    </section>
  );
}

const left = (share: number) => (element: HTMLElement | null): void => {
  if (element) element.style.left = `${share * 100}%`;
};
const placed = (bar: Bar) => (element: HTMLElement | null): void => {
  if (!element) return;
  element.style.left = `${bar.from * 100}%`;
  element.style.width = `${(bar.to - bar.from) * 100}%`;
};

const same = (a: AlertingView, b: AlertingView): boolean => JSON.stringify({ ...a, rev: 0 }) === JSON.stringify({ ...b, rev: 0 });

function Settings({ settings, kept, channels }: { settings: Loaded<AlertingView>; kept: AlertingView; channels: readonly AlertChannelView[] }) {
  const t = words.value.pauses;
  const [draft, setDraft] = useState(kept);
  const [saved, setSaved] = useState(false);
  const work = useWork();
  // Somebody else's change is shown, and ours is not lost by it.
  useEffect(() => {
    if (same(draft, kept) || saved) setDraft(kept);
  }, [kept.rev]);
  const admin = isAdmin();
  const put = (change: Partial<AlertingView>): void => {
    setSaved(false);
    setDraft({ ...draft, ...change });
  };
  const { quiet, digest } = draft;
  const onOff = (on: boolean, set: (on: boolean) => void, label: string) => <Seg label={label} list={['off', 'on'] as const} now={on ? 'on' : 'off'} say={(one) => t[one]} set={(one) => set(one === 'on')} />;
  return (
    <form
      class="panel as"
      noValidate
      aria-label={t.settings}
      onSubmit={(event) => {
        event.preventDefault();
        work.run(async () => {
          try {
            const next = await putAlerting({ ...draft, rev: kept.rev });
            setDraft(next);
            settings.put(() => next);
            setSaved(true);
          } catch (error) {
            settings.reload();
            throw error;
          }
        });
      }}
    >
      <fieldset disabled={!admin}>
        <legend class="vh">{t.settings}</legend>
        <div class="ph">
          <h2>{t.quiet}</h2>
          <span class="grow" />
          {onOff(quiet !== null, (on) => put({ quiet: on ? { from: '23:00', to: '08:00', passes: 'critical' } : null }), t.quiet)}
        </div>
        <div class="pad">
          <p class="hint gap">{t.quietText}</p>
          {quiet ? (
            <>
              <div class="pf-two">
                <Field id="as-from" label={t.from}>
                  <input id="as-from" class="in" type="time" value={quiet.from} onInput={(event) => put({ quiet: { ...quiet, from: event.currentTarget.value || quiet.from } })} />
                </Field>
                <Field id="as-to" label={t.to}>
                  <input id="as-to" class="in" type="time" value={quiet.to} onInput={(event) => put({ quiet: { ...quiet, to: event.currentTarget.value || quiet.to } })} />
                </Field>
              </div>
              <Field id="as-passes" label={t.passes} error={fieldText(work.refused, 'quiet')}>
                <select id="as-passes" class="in" value={quiet.passes} onChange={(event) => put({ quiet: { ...quiet, passes: SEVERITIES.find((one) => one === event.currentTarget.value) ?? 'critical' } })}>
                  {SEVERITIES.map((severity) => (
                    <option key={severity} value={severity}>
                      {severity === 'critical' ? words.value.alerts.severity.critical : t.passesOr(words.value.alerts.severity[severity])}
                    </option>
                  ))}
                </select>
              </Field>
            </>
          ) : null}
        </div>
        <div class="ph">
          <h2>{t.digest}</h2>
          <span class="grow" />
          {channels.length > 0 || digest
            ? onOff(
                digest !== null,
                (on) => {
                  const first = channels[0];
                  put({ digest: on && first ? { every: 'week', at: '09:00', channels: [first.id] } : null });
                },
                t.digest,
              )
            : null}
        </div>
        <div class="pad">
          <p class="hint gap">{channels.length > 0 || digest ? t.digestText : t.noChannels}</p>
          {digest ? (
            <>
              <div class="pf-two">
                <div class="fl">
                  <span>{t.when_sent}</span>
                  <div>
                    <Seg label={t.digest} list={['day', 'week'] as const} now={digest.every} say={(one) => (one === 'day' ? t.daily : t.weekly)} set={(every) => put({ digest: { ...digest, every } })} />
                  </div>
                </div>
                <Field id="as-at" label={t.at}>
                  <input id="as-at" class="in" type="time" value={digest.at} onInput={(event) => put({ digest: { ...digest, at: event.currentTarget.value || digest.at } })} />
                </Field>
              </div>
              <div class="fl">
                <span>{t.to_channels}</span>
                {channels.map((channel) => (
                  <Check
                    key={channel.id}
                    label={channel.name}
                    value={digest.channels.includes(channel.id)}
                    set={(on) => put({ digest: { ...digest, channels: on ? [...digest.channels, channel.id] : digest.channels.filter((id) => id !== channel.id) } })}
                  />
                ))}
                {fieldText(work.refused, 'digest') ? <p class="bad">{fieldText(work.refused, 'digest')}</p> : null}
              </div>
            </>
          ) : null}
        </div>
        <div class="ph">
          <h2>{t.settings}</h2>
        </div>
        <div class="pad">
          <TextField id="as-zone" label={t.zone} hint={t.zoneHint} value={draft.zone} set={(zone) => put({ zone: zone.trim() })} error={fieldText(work.refused, 'zone')} placeholder={viewerZone.value} autocomplete="off" maxLength={60} />
          <TextField id="as-url" label={t.url} hint={t.urlHint} value={draft.url} set={(url) => put({ url })} error={fieldText(work.refused, 'url')} placeholder={location.origin} autocomplete="off" maxLength={200} />
        </div>
      </fieldset>
      {work.problem ? <Problem text={work.problem} /> : null}
      {admin ? (
        <div class="foot">
          <span class="hint" role="status">
            {saved ? t.saved : same(draft, kept) ? '' : t.unsaved}
          </span>
          <span class="grow" />
          <button type="submit" class="btn pri" data-testid="alerting-save" disabled={work.busy || same(draft, kept)} aria-busy={work.busy}>
            {t.save}
          </button>
        </div>
      ) : null}
    </form>
  );
}
