// What fires now and what was over today, beside the rules.

import { useEffect, useState } from 'preact/hooks';
import { addPause, getAlerts, patchAlert } from '../api/client';
import type { AlertView } from '../api/types';
import { dayStart } from '../format/days';
import { oneLine, visible } from '../format/text';
import { age, clockShort, dateTime, ms, span } from '../format/time';
import { words } from '../i18n';
import { explain, Problem } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Unloaded } from '../parts/unloaded';
import { Age } from '../parts/values';
import { serverNow, tick } from '../state/clock';
import { alertingNews, alertNews } from '../state/fleet-news';
import { usePages } from '../state/pages';
import { alertHref, deviceHref } from '../state/router';
import { isAdmin, session } from '../state/session';
import { AlertMarks, Members } from './alert-row';
import { newestFirst, SHAPE_OF, urgentFirst } from './alerts-plan';
import { silenceOf } from '../rules/pauses';
import { said } from './rule-words';
import { SilenceMenu } from './silence';

/** All that fire are known; so many are shown at once. */
const FIRING = 1000;
const SHOWN = 12;
const OVER = 6;

export function FiringPanel() {
  const t = words.value.alerts;
  const now = usePages<AlertView>('firing', (_, signal) => getAlerts({ state: 'firing', limit: FIRING }, signal), { idOf: (alert) => alert.no, order: newestFirst });
  const past = usePages<AlertView>('over', (_, signal) => getAlerts({ state: 'resolved', limit: 20 }, signal), { idOf: (alert) => alert.no, order: newestFirst });
  const heard = alertNews.value + alertingNews.value;
  useEffect(() => {
    void now.refresh();
    void past.refresh();
  }, [heard]);
  const [problem, setProblem] = useState<string | null>(null);
  const [all, setAll] = useState(false);
  const acknowledge = (alert: AlertView, on: boolean): void => {
    const show = (next: AlertView): void => now.put((one) => (one.no === alert.no ? next : one));
    setProblem(null);
    show({ ...alert, acknowledged_at: on ? new Date(serverNow()).toISOString() : null, acknowledged_by: on ? (session.peek()?.user?.name ?? null) : null });
    patchAlert(alert.no, { acknowledged: on }).then(show, (error: unknown) => {
      show(alert);
      setProblem(words.peek().alerts.rolledBack(oneLine(said(alert.title)), explain(error)));
    });
  };
  if (!now.loaded || !past.loaded) {
    return (
      <section class="panel" aria-label={t.firing}>
        <Unloaded
          error={now.error ?? past.error}
          failed={t.failed}
          reload={() => {
            now.reload();
            past.reload();
          }}
        />
      </section>
    );
  }
  const firing = [...now.rows].sort(urgentFirst);
  const today = dayStart(tick.value);
  const over = past.rows.filter((alert) => (ms(alert.resolved_at) ?? 0) >= today).slice(0, OVER);
  return (
    <section class="panel" aria-label={t.firing}>
      <div class="ph">
        <h2>{t.firing}</h2>
        <span class="dim num">{firing.length}</span>
        <span class="grow" />
        <a class="lk sm" href={alertHref('history')}>
          {t.history}
        </a>
      </div>
      {problem ? <Problem text={problem} /> : null}
      {firing.length === 0 ? (
        <p class="fa-none">
          <Glyph shape="online" />
          {t.nothingFires}
        </p>
      ) : null}
      {(all ? firing : firing.slice(0, SHOWN)).map((alert) => (
        <Firing key={alert.no} alert={alert} acknowledge={(on) => acknowledge(alert, on)} fail={setProblem} />
      ))}
      {firing.length > SHOWN && !all ? (
        <button type="button" class="lk fa-more" onClick={() => setAll(true)}>
          {words.value.common.of(String(SHOWN), String(firing.length))}
        </button>
      ) : null}
      {over.length > 0 ? (
        <>
          <h3 class="sect">{t.resolvedToday}</h3>
          {over.map((alert) => (
            <Over key={alert.no} alert={alert} />
          ))}
        </>
      ) : null}
    </section>
  );
}

/** Whose it is. */
function Whose({ alert }: { alert: AlertView }) {
  if (alert.device === null) return null;
  return (
    <a class="fa-d" href={deviceHref(alert.device)}>
      <bdi>{oneLine(alert.device_name ?? alert.device)}</bdi>
    </a>
  );
}

function Sev({ alert }: { alert: AlertView }) {
  return (
    <span class={`fa-s ${alert.severity}`}>
      <Glyph shape={SHAPE_OF[alert.severity]} />
      {words.value.alerts.severity[alert.severity]}
    </span>
  );
}

function Firing({ alert, acknowledge, fail }: { alert: AlertView; acknowledge: (on: boolean) => void; fail: (problem: string | null) => void }) {
  const t = words.value.alerts;
  const known = alert.acknowledged_at !== null;
  const from = ms(alert.fired_at) ?? 0;
  const title = oneLine(said(alert.title));
  return (
    <article class={`fa ${known ? 'known' : ''}`} data-testid="firing" data-severity={alert.severity} data-no={alert.no}>
      <Sev alert={alert} />
      <p>
        <Whose alert={alert} /> {title} <AlertMarks alert={alert} />
      </p>
      <time class="num" title={dateTime(from)}>
        <Age at={from} />
      </time>
      <small>
        {alert.detail ? visible(said(alert.detail)) : null}
        {known && alert.acknowledged_by !== null ? <span class="dim"> {t.acknowledgedBy(oneLine(alert.acknowledged_by), words.value.ago(age(ms(alert.acknowledged_at) ?? 0, tick.value)))}</span> : null}
        <Members of={alert} />
      </small>
      {isAdmin() ? (
        <div class="a">
          <button type="button" class="btn sm" data-testid="acknowledge" onClick={() => acknowledge(!known)}>
            {known ? t.unacknowledge : t.acknowledge}
          </button>
          {alert.silenced ? null : (
            <SilenceMenu
              small
              label={t.silence}
              of={title}
              make={(hours) => silenceOf(alert, serverNow(), hours)}
              act={async (pause) => {
                fail(null);
                await addPause(pause).catch((error: unknown) => fail(explain(error)));
              }}
            />
          )}
        </div>
      ) : null}
    </article>
  );
}

function Over({ alert }: { alert: AlertView }) {
  const t = words.value.alerts;
  const [from, to] = [ms(alert.fired_at) ?? 0, ms(alert.resolved_at) ?? 0];
  return (
    <article class="fa over">
      <Sev alert={alert} />
      <p>
        <Whose alert={alert} /> {oneLine(said(alert.title))}
      </p>
      <time class="num" title={`${dateTime(from)} – ${dateTime(to)}`}>
        {clockShort(from, tick.value)} · {t.lasted(words.value.span(span((to - from) / 1000)))}
      </time>
    </article>
  );
}
