import { useEffect, useState } from 'preact/hooks';
import { getAlerts, patchAlert } from '../api/client';
import type { AlertView } from '../api/types';
import { oneLine, visible } from '../format/text';
import { age, clockShort, dateTime, ms, span } from '../format/time';
import { words } from '../i18n';
import { explain } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { More } from '../parts/more';
import { DevicePick } from '../parts/pick';
import { Age } from '../parts/values';
import { Unloaded } from '../parts/unloaded';
import { tick } from '../state/clock';
import { alertNews } from '../state/fleet-news';
import { usePages, type Pages } from '../state/pages';
import { deviceHref, query, setQuery } from '../state/router';
import { isAdmin, session } from '../state/session';
import '../styles/lists.css';
import '../styles/alerts.css';
import { AlertMarks, Members } from './alert-row';
import { days, newestFirst, params, planOf, SEVERITIES, SHAPE_OF, urgentFirst, type Plan, type Severity } from './alerts-plan';
import { said } from './rule-words';

const PAGE = 100;
/** All that fire are shown at once. */
const FIRING = 1000;

export function AlertsHistory() {
  const t = words.value.alerts;
  const plan = planOf(query.value);
  const key = JSON.stringify(plan);
  const now = usePages<AlertView>(`firing ${key}`, (_, signal) => getAlerts({ ...params(plan), state: 'firing', limit: FIRING }, signal), { idOf: (alert) => alert.no, order: newestFirst });
  const past = usePages<AlertView>(`past ${key}`, (cursor, signal) => getAlerts({ ...params(plan), state: 'resolved', limit: PAGE, cursor }, signal), { idOf: (alert) => alert.no, order: newestFirst });
  const heard = alertNews.value;
  useEffect(() => {
    void now.refresh();
    void past.refresh();
  }, [heard]);
  const [problem, setProblem] = useState<string | null>(null);
  const acknowledge = (pages: Pages<AlertView>, alert: AlertView, on: boolean): void => {
    const show = (next: AlertView): void => pages.put((one) => (one.no === alert.no ? next : one));
    setProblem(null);
    show({ ...alert, acknowledged_at: on ? new Date(tick.peek()).toISOString() : null, acknowledged_by: on ? (session.peek()?.user?.name ?? null) : null });
    patchAlert(alert.no, { acknowledged: on }).then(show, (error: unknown) => {
      show(alert);
      setProblem(words.peek().alerts.rolledBack(oneLine(said(alert.title)), explain(error)));
    });
  };
  const toggle = (severity: Severity): void => {
    const next = plan.severities.includes(severity) ? plan.severities.filter((one) => one !== severity) : [...plan.severities, severity];
    setQuery({ severity: next.join(',') });
  };
  const loaded = now.loaded && past.loaded;
  const error = now.error ?? past.error;
  return (
    <div class="ahist">
      <div class="ls-tools">
        <span class="ls-f" role="group" aria-label={t.severities}>
          {SEVERITIES.map((severity) => (
            <button key={severity} type="button" class="f" aria-pressed={plan.severities.includes(severity)} onClick={() => toggle(severity)}>
              <Glyph shape={SHAPE_OF[severity]} size={11} />
              {t.severity[severity]}
            </button>
          ))}
        </span>
        <DevicePick id="al-device" value={plan.device} set={(device) => setQuery({ device })} />
      </div>
      {problem ? (
        <p class="problem al-problem" role="alert">
          <Glyph shape="error" />
          <span>{problem}</span>
        </p>
      ) : null}
      {loaded ? (
        <Loaded plan={plan} now={now} past={past} acknowledge={acknowledge} />
      ) : (
        <Unloaded
          error={error}
          failed={t.failed}
          reload={() => {
            now.reload();
            past.reload();
          }}
        />
      )}
    </div>
  );
}

type Acknowledge = (pages: Pages<AlertView>, alert: AlertView, on: boolean) => void;

function Loaded({ plan, now, past, acknowledge }: { plan: Plan; now: Pages<AlertView>; past: Pages<AlertView>; acknowledge: Acknowledge }) {
  const t = words.value.alerts;
  const filtered = plan.severities.length > 0 || plan.device !== null;
  if (now.rows.length === 0 && past.rows.length === 0) return <div class="empty">{filtered ? t.noneFound : t.none}</div>;
  const firingRows = [...now.rows].sort(urgentFirst);
  const [count, text] = t.firingCount(firingRows.length);
  return (
    <>
      <p class="ls-say" role="status">
        {firingRows.length > 0 ? (
          <>
            <b class="num">{count}</b> {text}
          </>
        ) : (
          <>
            <Glyph shape="online" /> {t.nothingFires}
          </>
        )}
      </p>
      {firingRows.length > 0 ? (
        <section class={`ls-body ${now.stale ? 'ls-stale' : ''}`} aria-label={t.firing}>
          {firingRows.map((alert) => (
            <Alert key={alert.no} alert={alert} acknowledge={(on) => acknowledge(now, alert, on)} />
          ))}
        </section>
      ) : null}
      {past.rows.length > 0 ? (
        <section class={past.stale ? 'ls-stale' : ''} aria-label={t.history}>
          <h2 class="al-h">{t.history}</h2>
          {days(past.rows, tick.value).map((day) => (
            <div class="ls-body" key={day.key}>
              <h3 class="al-day num">
                {day.when === null ? day.key : t[day.when]} {day.when === null ? null : <span class="dim">{day.key}</span>}
              </h3>
              {day.alerts.map((alert) => (
                <Alert key={alert.no} alert={alert} acknowledge={null} />
              ))}
            </div>
          ))}
          <More pages={past} />
        </section>
      ) : null}
    </>
  );
}

function Alert({ alert, acknowledge }: { alert: AlertView; acknowledge: ((on: boolean) => void) | null }) {
  const t = words.value.alerts;
  const from = ms(alert.fired_at) ?? 0;
  const to = ms(alert.resolved_at);
  const known = alert.acknowledged_at !== null;
  return (
    <article class={`al ${to === null ? `al-now al-${alert.severity}` : 'al-over'} ${known ? 'al-known' : ''}`} data-testid="alert" data-severity={alert.severity}>
      <span class="al-sev">
        <Glyph shape={SHAPE_OF[alert.severity]} />
        {t.severity[alert.severity]}
      </span>
      <div class="al-what">
        <p>
          <b>{visible(said(alert.title))}</b>
          {alert.device !== null ? (
            <a class="lk cut" href={deviceHref(alert.device)}>
              {oneLine(alert.device_name ?? alert.device)}
            </a>
          ) : null}
          <AlertMarks alert={alert} />
        </p>
        {alert.detail !== null ? <p class="al-detail">{visible(said(alert.detail))}</p> : null}
        <Members of={alert} />
        {known && alert.acknowledged_by !== null ? <p class="dim al-by">{t.acknowledgedBy(oneLine(alert.acknowledged_by), words.value.ago(age(ms(alert.acknowledged_at) ?? 0, tick.value)))}</p> : null}
      </div>
      <span class="al-when num" title={to === null ? dateTime(from) : `${dateTime(from)} – ${dateTime(to)}`}>
        {to === null ? (
          <>
            {clockShort(from, tick.value)} <b><Age at={from} /></b>
          </>
        ) : (
          <>
            {clockShort(from, from)} <span class="dim">{t.lasted(words.value.span(span((to - from) / 1000)))}</span>
          </>
        )}
      </span>
      {acknowledge && isAdmin() ? (
        <button type="button" class="btn sm" onClick={() => acknowledge(!known)}>
          {known ? t.unacknowledge : t.acknowledge}
        </button>
      ) : (
        <span />
      )}
    </article>
  );
}
