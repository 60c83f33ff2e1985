import { useEffect, useRef, useState } from 'preact/hooks';
import { auditLogFile, getAuditLog } from '../api/client';
import type { AuditEntryView } from '../api/types';
import { oneLine } from '../format/text';
import { clockShort, dateTime, ms } from '../format/time';
import { words } from '../i18n';
import { More } from '../parts/more';
import { Exports, Seg } from '../parts/pick';
import { Unloaded } from '../parts/unloaded';
import { serverNow, tick } from '../state/clock';
import { usePages } from '../state/pages';
import { deviceHref, query, setQuery } from '../state/router';
import { isAdmin } from '../state/session';
import '../styles/lists.css';
import '../styles/audit-log.css';
import { differences, KINDS, params, planOf, WITHIN, type Plan } from './audit-log-plan';
import { viewTitle } from './title';

const PAGE = 100;
const EVERY_MS = 20_000;

export function AuditLog() {
  const t = words.value.auditLog;
  useEffect(() => {
    viewTitle.value = t.title;
  }, [t.title]);
  const plan = planOf(query.value);
  if (!isAdmin()) {
    return (
      <div class="page-note">
        <h1 class="note-h">{t.adminsOnly}</h1>
      </div>
    );
  }
  const asked = params(plan, serverNow());
  return (
    <div class="audi">
      <h1 class="vh">{t.title}</h1>
      <div class="ls-tools">
        <b class="au-h">{t.title}</b>
        <Words label={t.actor} name="actor" value={plan.actor} />
        <Words label={t.subject} name="subject" value={plan.subject} />
        <label class="vh" for="au-action">
          {t.action}
        </label>
        <select id="au-action" class="sel" value={plan.action ?? ''} onChange={(event) => setQuery({ action: event.currentTarget.value || null })}>
          <option value="">{t.anyAction}</option>
          {KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {t.kind[kind]}
            </option>
          ))}
        </select>
        <Seg label={words.value.pick.within} list={WITHIN} now={plan.within} say={(one) => t.within[one]} set={(within) => setQuery({ within: within === 'all' ? null : within })} />
        <span class="grow" />
        <Exports csv={auditLogFile('csv', asked)} jsonl={auditLogFile('jsonl', asked)} />
      </div>
      <List plan={plan} />
    </div>
  );
}

/** Typing is not asking: the address follows a little later. */
function Words({ label, name, value }: { label: string; name: string; value: string }) {
  const [text, setText] = useState(value);
  const timer = useRef<number | undefined>(undefined);
  const sent = useRef(value);
  useEffect(() => {
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <span class="find au-find">
      <input
        type="search"
        value={text}
        placeholder={label}
        aria-label={label}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          const typed = event.currentTarget.value;
          setText(typed);
          clearTimeout(timer.current);
          timer.current = window.setTimeout(() => {
            sent.current = typed;
            setQuery({ [name]: typed });
          }, 300);
        }}
      />
    </span>
  );
}

function actionOf(action: string): string {
  const known: Record<string, string> = words.value.auditLog.actions;
  return Object.hasOwn(known, action) ? (known[action] ?? action) : action;
}

function List({ plan }: { plan: Plan }) {
  const t = words.value.auditLog;
  const key = JSON.stringify(plan);
  const pages = usePages<AuditEntryView>(key, (cursor, signal) => getAuditLog({ ...params(plan, serverNow()), limit: PAGE, cursor }, signal), { idOf: (row) => row.no, order: (a, b) => b.no - a.no, everyMs: EVERY_MS });
  if (!pages.loaded) return <Unloaded error={pages.error} failed={t.failed} reload={pages.reload} />;
  if (pages.rows.length === 0) return <div class="empty">{t.noneFound}</div>;
  return (
    <div class={`ls-body au-scroll ${pages.stale ? 'ls-stale' : ''}`} aria-busy={pages.stale}>
      <table class="t au num" aria-label={t.title}>
        <thead>
          <tr>
            <th scope="col">{t.columns.time}</th>
            <th scope="col">{t.columns.actor}</th>
            <th scope="col">{t.columns.action}</th>
            <th scope="col">{t.columns.subject}</th>
            <th scope="col">{t.columns.change}</th>
          </tr>
        </thead>
        <tbody>
          {pages.rows.map((row) => (
            <Row key={row.no} row={row} />
          ))}
        </tbody>
      </table>
      <More pages={pages} />
    </div>
  );
}

function Row({ row }: { row: AuditEntryView }) {
  const t = words.value.auditLog;
  const at = ms(row.at) ?? 0;
  const name = row.subject_name ?? row.subject_id;
  const subject = name === null ? null : oneLine(name);
  return (
    <tr data-testid="audit-row">
      <td class="au-t" title={dateTime(at)}>
        <time dateTime={row.at}>{clockShort(at, tick.value)}</time>
      </td>
      <td class="au-who">
        <b>{row.actor === '' ? t.nobody : oneLine(row.actor)}</b> <span class="dim">{t.actorKind[row.actor_kind]}</span>
        {row.address !== null ? <small class="dim mono">{row.address}</small> : null}
      </td>
      <td class={row.action === 'login.refused' ? 'warn' : ''}>
        {actionOf(row.action)}
        {row.count > 1 ? <span class="chip au-n">×{row.count}</span> : null}
      </td>
      <td class="au-s">{subject === null ? '' : row.subject_kind === 'device' && row.action !== 'device.remove' && row.subject_id ? <a class="cut lk" href={deviceHref(row.subject_id)}>{subject}</a> : <span class="cut" title={subject}>{subject}</span>}</td>
      <td class="au-c">
        {differences(row.before, row.after).map(({ field, before, after }) => (
          <span key={field} class="au-d">
            <span class="dim">{field}</span> {before !== '' ? <del>{oneLine(before)}</del> : null} {after !== '' ? <ins>{oneLine(after)}</ins> : null}
          </span>
        ))}
      </td>
    </tr>
  );
}
