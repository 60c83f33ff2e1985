import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { errorsFile, getError, getErrors, getGroup, getErrorGroups, patchGroup } from '../api/client';
import type { ErrorGroupDetailView, ErrorGroupView, ErrorRowView, TrendPointView } from '../api/types';
import { count } from '../format/number';
import { oneLine, scrolls, visible } from '../format/text';
import { age, clockShort, dateTime, ms } from '../format/time';
import { words } from '../i18n';
import { VirtualList } from '../list/virtual';
import { explain } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { More } from '../parts/more';
import { DevicePick, Exports, Seg } from '../parts/pick';
import { narrow } from '../parts/screen';
import { Age } from '../parts/values';
import { Unloaded } from '../parts/unloaded';
import { serverNow, tick } from '../state/clock';
import { dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { newestError } from '../state/fleet-news';
import { liveNow } from '../state/live';
import { useLoad } from '../state/load';
import { usePages, type Pages } from '../state/pages';
import { deviceHref, go, place, query, setQuery } from '../state/router';
import { isAdmin } from '../state/session';
import '../styles/lists.css';
import '../styles/errors.css';
import { bySort, groupParams, LEVELS, listParams, newest, newestFirst, newSince, planOf, SHAPE_OF, SHOWN_STATES, SORTS, WITHIN, type Level, type Plan, type State } from './errors-plan';
import { viewTitle } from './title';

const PAGE = 200;
const GROUPS = 100;
/** Where there is no live connection, the list asks by itself. */
const EVERY_MS = 10_000;
const GROUPS_EVERY_MS = 30_000;
/** News that come together are fetched together. */
const GATHER_MS = 600;
/** Further down than this nothing moves under the reader's eyes. */
const AT_TOP = 120;

export function Errors({ no }: { no: string | null }) {
  const t = words.value.errorLog;
  useEffect(() => {
    viewTitle.value = t.title;
  }, [t.title]);
  const plan = planOf(query.value);
  const open = no !== null || (plan.groups && plan.group !== null);
  const close = (): void => {
    if (no !== null) go(`/errors${place.peek().search}`);
    else setQuery({ group: null });
  };
  useEffect(() => {
    if (!open) return;
    const pressed = (event: KeyboardEvent): void => {
      if (event.key === 'Escape' && !event.defaultPrevented && !dialog.peek()) close();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, [open, no]);
  return (
    <div class={`errs ${open ? 'er-open' : ''}`}>
      <h1 class="vh">{t.title}</h1>
      <Tools plan={plan} />
      <div class="er-cols">
        <div class="er-list">{plan.groups ? <Groups plan={plan} /> : <Tail plan={plan} no={no} />}</div>
        {open ? <aside class="panel er-side" aria-label={t.detail}>{no !== null ? <Record key={no} no={no} close={close} /> : <Group key={plan.group ?? ''} fingerprint={plan.group ?? ''} close={close} />}</aside> : null}
      </div>
    </div>
  );
}

/** Typing is not asking: the address follows a little later. */
function Search({ value }: { value: string }) {
  const t = words.value.errorLog;
  const [text, setText] = useState(value);
  const timer = useRef<number | undefined>(undefined);
  const sent = useRef(value);
  useEffect(() => {
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <span class="find" role="search">
      <Icon name="search" size={14} />
      <input
        id="search"
        type="search"
        value={text}
        placeholder={t.search}
        aria-label={t.search}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          const typed = event.currentTarget.value;
          setText(typed);
          clearTimeout(timer.current);
          timer.current = window.setTimeout(() => {
            sent.current = typed;
            setQuery({ q: typed });
          }, 250);
        }}
      />
    </span>
  );
}

function Tools({ plan }: { plan: Plan }) {
  const t = words.value.errorLog;
  const toggle = (level: Level): void => {
    const next = plan.levels.includes(level) ? plan.levels.filter((one) => one !== level) : [...plan.levels, level];
    setQuery({ level: next.join(',') });
  };
  const params = listParams(plan, serverNow());
  return (
    <div class={`ls-tools ${plan.groups ? 'er-narrow' : ''}`}>
      <Seg label={t.view} list={['live', 'groups']} now={plan.groups ? 'groups' : 'live'} say={(one) => (one === 'groups' ? t.groups : t.live)} set={(one) => setView(one === 'groups')} />
      <Search value={plan.q} />
      <span class="ls-f" role="group" aria-label={t.levels}>
        {LEVELS.map((level) => (
          <button key={level} type="button" class="f" aria-pressed={plan.levels.includes(level)} onClick={() => toggle(level)}>
            <Glyph shape={SHAPE_OF[level]} size={11} />
            {t.level[level]}
          </button>
        ))}
      </span>
      <DevicePick id="er-device" value={plan.device} set={(device) => setQuery({ device })} />
      <Seg label={words.value.pick.within} list={WITHIN} now={plan.within} say={(one) => t.within[one]} set={(within) => setQuery({ within: within === 'all' ? null : within })} />
      {plan.groups ? (
        <>
          <Seg label={t.stateFilter} list={SHOWN_STATES} now={plan.state} say={(one) => t.states[one]} set={(state) => setQuery({ state: state === 'open' ? null : state })} />
          <label class="vh" for="er-sort">
            {t.sort}
          </label>
          <select id="er-sort" class="sel" value={plan.sort} onChange={(event) => setQuery({ sort: event.currentTarget.value === 'last_seen' ? null : event.currentTarget.value })}>
            {SORTS.map((sort) => (
              <option key={sort} value={sort}>
                {t.sorts[sort]}
              </option>
            ))}
          </select>
        </>
      ) : plan.fingerprint !== null ? (
        <span class="chip ls-only">
          {t.onlyGroup}
          <button type="button" aria-label={t.allGroups} onClick={() => setQuery({ fingerprint: null })}>
            <Icon name="close" size={10} />
          </button>
        </span>
      ) : null}
      <span class="grow" />
      <Exports csv={errorsFile('csv', params)} jsonl={errorsFile('jsonl', params)} />
    </div>
  );
}

function setView(groups: boolean): void {
  const next = new URLSearchParams(place.peek().search);
  for (const key of ['view', 'group', 'fingerprint', 'state', 'sort']) next.delete(key);
  if (groups) next.set('view', 'groups');
  const text = next.toString();
  go(`/errors${text ? `?${text}` : ''}`);
}

function Empty({ filtered, none, noneFound }: { filtered: boolean; none: string; noneFound: string }) {
  return (
    <div class="empty">
      <p>{filtered ? noneFound : none}</p>
      {filtered ? (
        <button type="button" class="lk" onClick={() => setQuery({ q: null, level: null, device: null, within: null, fingerprint: null, state: null })}>
          {words.value.pick.clear}
        </button>
      ) : null}
    </div>
  );
}

/** New errors come in by themselves; while one reads further down they wait above. */
function useTail(plan: Plan): { pages: Pages<ErrorRowView>; shown: readonly ErrorRowView[]; waiting: number; show: () => void } {
  const minute = plan.within === 'all' ? '' : Math.floor(serverNow() / 3_600_000);
  const key = JSON.stringify([plan.q, plan.levels, plan.device, plan.fingerprint, plan.within, minute]);
  const pages = usePages<ErrorRowView>(key, (cursor, signal) => getErrors({ ...listParams(plan, serverNow()), limit: PAGE, cursor }, signal), { idOf: (row) => row.no, order: newestFirst, ...(liveNow.value === 'live' ? {} : { everyMs: EVERY_MS }) });
  const refresh = useRef(pages.refresh);
  refresh.current = pages.refresh;
  useEffect(() => {
    let timer: number | undefined;
    let first = true;
    const end = newestError.subscribe(() => {
      if (!first && timer === undefined) {
        timer = window.setTimeout(() => {
          timer = undefined;
          void refresh.current();
        }, GATHER_MS);
      }
      first = false;
    });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, []);
  // The newest number that was known while the top was on the screen: what is told later waits, and what was told before and
  // is only read later (further down) does not.
  const [upTo, setUpTo] = useState<{ key: string; no: number } | null>(null);
  const most = pages.rows.reduce((top, row) => Math.max(top, row.no), 0);
  useEffect(() => {
    const look = (): void => {
      const known = Math.max(most, newestError.peek() ?? 0);
      if (window.scrollY < AT_TOP) setUpTo((now) => (now?.key === key && now.no === known ? now : { key, no: known }));
    };
    look();
    window.addEventListener('scroll', look, { passive: true });
    return () => window.removeEventListener('scroll', look);
  }, [key, most]);
  const limit = upTo?.key === key ? upTo.no : most;
  const shown = useMemo(() => (limit >= most ? pages.rows : pages.rows.filter((row) => row.no <= limit)), [pages.rows, limit, most]);
  return {
    pages,
    shown,
    waiting: pages.rows.length - shown.length,
    show: () => {
      setUpTo({ key, no: Math.max(most, newestError.peek() ?? 0) });
      window.scrollTo(0, 0);
    },
  };
}

function Tail({ plan, no }: { plan: Plan; no: string | null }) {
  const t = words.value.errorLog;
  const { pages, shown, waiting, show } = useTail(plan);
  const height = narrow.value ? 66 : 28;
  const filtered = plan.q !== '' || plan.levels.length > 0 || plan.device !== null || plan.within !== 'all' || plan.fingerprint !== null;
  if (!pages.loaded) return <Unloaded error={pages.error} failed={words.value.errorLog.failed} reload={pages.reload} />;
  if (shown.length === 0 && waiting === 0) return <Empty filtered={filtered} none={t.none} noneFound={t.noneFound} />;
  const heightOf = (): number => height;
  const kindOf = (): string => 'e';
  return (
    <section class={pages.stale ? 'ls-stale' : ''} aria-label={t.list} aria-busy={pages.stale}>
      <p class="vh" role="status">
        {waiting > 0 ? t.fresh(waiting) : ''}
      </p>
      {waiting > 0 ? (
        <button type="button" class="btn pri er-fresh" onClick={show}>
          <Icon name="up" size={14} />
          {t.fresh(waiting)}
        </button>
      ) : null}
      <VirtualList
        lines={shown}
        heightOf={heightOf}
        kindOf={kindOf}
        class="rows er-rows"
        role="list"
        render={(row, _, top, key) => <TailRow key={key} row={row} top={top} chosen={String(row.no) === no} />}
      />
      <More pages={pages} />
    </section>
  );
}

function TailRow({ row, top, chosen }: { row: ErrorRowView; top: number; chosen: boolean }) {
  const t = words.value.errorLog;
  const at = ms(row.at) ?? 0;
  const message = oneLine(row.message.slice(0, 600));
  const href = `/errors/${row.no}${place.value.search}`;
  return (
    <div class={`er-row lv-${row.level} ${chosen ? 'on' : ''}`} role="listitem" style={{ transform: `translateY(${top}px)` }} data-testid="error-row">
      <time class="num" dateTime={row.at} title={dateTime(at)}>
        {clockShort(at, tick.value)}
      </time>
      <span class="er-l">
        <Glyph shape={SHAPE_OF[row.level]} size={11} />
        <span>{t.level[row.level]}</span>
      </span>
      <span class="er-d cut">{oneLine(row.device_name)}</span>
      <span class="er-p cut dim">{oneLine(row.subsystem ?? row.gateway)}</span>
      <a class="er-m cut" href={href} aria-current={chosen ? 'true' : undefined} title={message}>
        {row.error_name ? <b>{oneLine(row.error_name)} </b> : null}
        {message}
      </a>
      <span class="er-c num">{row.count > 1 ? `×${count(row.count)}` : ''}</span>
    </div>
  );
}

function useRollback(): { problem: string | null; run: (group: ErrorGroupView, state: State, show: (state: State) => void) => void } {
  const [problem, setProblem] = useState<string | null>(null);
  const run = (group: ErrorGroupView, state: State, show: (state: State) => void): void => {
    const before = group.state;
    setProblem(null);
    show(state);
    patchGroup(group.fingerprint, { state }).catch((error: unknown) => {
      show(before);
      setProblem(words.peek().errorLog.rolledBack(oneLine(group.message).slice(0, 60), explain(error)));
    });
  };
  return { problem, run };
}

function Acts({ group, act }: { group: ErrorGroupView; act: (state: State) => void }) {
  const t = words.value.errorLog;
  const offered = (['resolved', 'ignored', 'open'] as const).filter((state) => state !== group.state && !(state === 'ignored' && group.state === 'resolved') && !(state === 'resolved' && group.state === 'ignored'));
  return (
    <>
      {offered.map((state) => (
        <button key={state} type="button" class="btn sm" title={t.actHint[state]} onClick={() => act(state)}>
          {t.act[state]}
        </button>
      ))}
    </>
  );
}

function Groups({ plan }: { plan: Plan }) {
  const t = words.value.errorLog;
  const hour = plan.within === 'all' ? '' : Math.floor(serverNow() / 3_600_000);
  const key = JSON.stringify([plan.q, plan.levels, plan.device, plan.within, plan.state, plan.sort, hour]);
  const pages = usePages<ErrorGroupView>(key, (cursor, signal) => getErrorGroups({ ...groupParams(plan, serverNow()), limit: GROUPS, cursor }, signal), { idOf: (group) => group.fingerprint, order: bySort(plan.sort), everyMs: GROUPS_EVERY_MS });
  const { problem, run } = useRollback();
  fleet.shape.value;
  const version = newest(fleet.all().map((device) => device.openclaw?.version));
  const filtered = plan.q !== '' || plan.levels.length > 0 || plan.device !== null || plan.within !== 'all' || plan.state !== 'open';
  if (!pages.loaded) return <Unloaded error={pages.error} failed={words.value.errorLog.failed} reload={pages.reload} />;
  return (
    <>
      {problem ? (
        <p class="problem er-problem" role="alert">
          <Glyph shape="error" />
          <span>{problem}</span>
        </p>
      ) : null}
      {pages.rows.length === 0 ? (
        <Empty filtered={filtered} none={t.noGroups} noneFound={t.noGroupsFound} />
      ) : (
        <div class={`er-tw ${pages.stale ? 'ls-stale' : ''}`} aria-busy={pages.stale}>
          <table class="t er-g num">
            <thead>
              <tr>
                <th scope="col">{t.columns.message}</th>
                <th scope="col" class="r">{t.columns.count}</th>
                <th scope="col" class="r">{t.columns.devices}</th>
                <th scope="col" class="hide-m">{t.columns.versions}</th>
                <th scope="col" class="r hide-m">{t.columns.first}</th>
                <th scope="col" class="r">{t.columns.last}</th>
                <th scope="col">{t.columns.trend}</th>
                {isAdmin() ? <th scope="col"><span class="vh">{t.columns.state}</span></th> : <th scope="col">{t.columns.state}</th>}
              </tr>
            </thead>
            <tbody>
              {pages.rows.map((group) => {
                const since = newSince(group, version);
                const message = oneLine(group.message.slice(0, 400));
                const show = (state: State): void => pages.put((one) => (one.fingerprint === group.fingerprint ? { ...one, state } : one));
                return (
                  <tr key={group.fingerprint} class={`${group.state !== 'open' ? 'er-done' : ''} ${plan.group === group.fingerprint ? 'on' : ''}`} data-testid="error-group">
                    <td class="er-gm">
                      <Glyph shape={SHAPE_OF[group.level]} size={12} />
                      <span class="vh">{t.level[group.level]}</span>
                      <button type="button" class="er-gt" aria-expanded={plan.group === group.fingerprint} onClick={() => setQuery({ group: plan.group === group.fingerprint ? null : group.fingerprint })} title={message}>
                        <span class="cut">
                          {group.error_name ? <b>{oneLine(group.error_name)} </b> : null}
                          {message}
                        </span>
                        <span class="er-sub">
                          <span class="cut">{oneLine(group.subsystem ?? '')}</span>
                          {since ? <span class="chip er-new">{t.newIn(since)}</span> : null}
                          {group.reopened_at ? <span class="chip er-re">{t.reopened}</span> : null}
                          {group.state !== 'open' ? <span class="chip">{t.states[group.state]}</span> : null}
                        </span>
                      </button>
                    </td>
                    <td class="r">{count(group.count)}</td>
                    <td class="r">{group.devices}</td>
                    <td class="hide-m dim er-v">{oneLine(group.versions.slice(0, 2).join(', '))}{group.versions.length > 2 ? ` +${group.versions.length - 2}` : ''}</td>
                    <td class="r hide-m dim" title={dateTime(ms(group.first_seen_at) ?? 0)}><Age at={ms(group.first_seen_at)} /></td>
                    <td class="r" title={dateTime(ms(group.last_seen_at) ?? 0)}><Age at={ms(group.last_seen_at)} /></td>
                    <td><Bars values={group.recent} label={t.perHour(group.recent.reduce((a, b) => a + b, 0))} /></td>
                    {isAdmin() ? <td class="er-acts"><Acts group={group} act={(state) => run(group, state, show)} /></td> : <td class="dim">{t.states[group.state]}</td>}
                  </tr>
                );
              })}
            </tbody>
          </table>
          <More pages={pages} />
        </div>
      )}
    </>
  );
}

function Bars({ values, label, wide }: { values: readonly number[]; label: string; wide?: boolean }) {
  const most = Math.max(...values, 1);
  const step = wide ? 7 : 3;
  const height = wide ? 44 : 16;
  const width = values.length * step - 1;
  return (
    <svg class={`er-bars ${wide ? 'wide' : ''}`} width={wide ? undefined : width} height={height} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {values.map((value, i) => {
        const high = value === 0 ? 1 : Math.max(2, (value / most) * height);
        return <rect key={i} x={i * step} y={height - high} width={step - 1} height={high} fill={value === 0 ? 'var(--line-2)' : 'var(--d2)'} />;
      })}
    </svg>
  );
}

function Head({ title, close }: { title: string; close: () => void }) {
  const t = words.value.errorLog;
  return (
    <div class="ph">
      <button type="button" class="ib er-back" aria-label={words.value.common.back} onClick={close}>
        <Icon name="left" />
      </button>
      <h2>{title}</h2>
      <span class="grow" />
      <button type="button" class="ib er-x" aria-label={t.close} onClick={close}>
        <Icon name="close" size={14} />
      </button>
    </div>
  );
}

function Side({ title, close, error, reload }: { title: string; close: () => void; error: { status: number } | null; reload: () => void }) {
  const t = words.value.errorLog;
  return (
    <>
      <Head title={title} close={close} />
      {error ? (
        <div class="page-note" role="alert">
          <p>{error.status === 404 ? t.gone : explain(error)}</p>
          {error.status === 404 ? null : (
            <button type="button" class="btn" onClick={reload}>
              {words.value.common.retry}
            </button>
          )}
        </div>
      ) : (
        <div class="ls-sk" role="status" aria-busy="true" aria-label={words.value.common.loading}>
          <span class="sk w300" />
          <span class="sk" />
          <span class="sk w300" />
        </div>
      )}
    </>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return children === null || children === undefined || children === '' ? null : (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Record({ no, close }: { no: string; close: () => void }) {
  const t = words.value.errorLog;
  const found = useLoad(no, (signal) => getError(no, signal));
  const end = useRef<HTMLPreElement>(null);
  useEffect(() => {
    // What stands right before the crash is at the end.
    if (end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [found.data]);
  if (!found.data) return <Side title={t.detail} close={close} error={found.error} reload={found.reload} />;
  const { error, stack, context } = found.data;
  const at = ms(error.at) ?? 0;
  const line = (text: string | null): string | null => (text === null ? null : oneLine(text));
  return (
    <>
      <Head title={t.level[error.level]} close={close} />
      <div class="er-body">
        <p class="er-say" data-testid="error-message" tabIndex={scrolls(error.message)}>
          <Glyph shape={SHAPE_OF[error.level]} size={12} />
          <span>{visible(error.message)}</span>
        </p>
        <dl class="er-kv num">
          <Fact name={t.columns.device}>
            <a class="lk" href={deviceHref(error.device)}>
              {oneLine(error.device_name)}
            </a>
          </Fact>
          <Fact name={t.happened}>{dateTime(at)}</Fact>
          <Fact name={t.told}>{dateTime(ms(error.received_at) ?? at)}</Fact>
          <Fact name={t.gateway}>{line(error.gateway)}</Fact>
          <Fact name={t.part}>{line(error.subsystem)}</Fact>
          <Fact name={t.name}>{line(error.error_name)}</Fact>
          <Fact name={t.reason}>{line(error.reason)}</Fact>
          <Fact name={t.model}>{error.model === null ? null : oneLine([error.provider, error.model].filter(Boolean).join('/'))}</Fact>
          <Fact name={t.agent}>{line(error.agent)}</Fact>
          <Fact name={t.version}>{line(error.version)}</Fact>
          <Fact name={t.alike}>{error.count > 1 ? `×${count(error.count)}` : null}</Fact>
          <Fact name={t.group}>
            <a class="lk" href={`/errors?view=groups&state=all&group=${encodeURIComponent(error.fingerprint)}`}>
              {error.fingerprint}
            </a>
          </Fact>
        </dl>
        {context.length > 0 ? (
          <section>
            <h3>{t.context(context.length)}</h3>
            <pre ref={end} class="er-pre" tabIndex={0} data-testid="error-context">
              {context.map((text, i) => (
                <span key={i} class="er-ln">
                  {visible(text)}
                </span>
              ))}
            </pre>
          </section>
        ) : null}
        {stack !== null ? (
          <section>
            <h3>{t.stack}</h3>
            <pre class="er-pre" tabIndex={0}>
              {visible(stack)}
            </pre>
          </section>
        ) : null}
      </div>
    </>
  );
}

function Shares({ list }: { list: readonly { key: string; name: string; count: number; href: string | null }[] }) {
  const most = Math.max(...list.map((one) => one.count), 1);
  return (
    <>
      {list.map((one) => (
        <div class="er-br num" key={one.key}>
          {one.href ? (
            <a class="cut lk" href={one.href}>
              {oneLine(one.name)}
            </a>
          ) : (
            <span class="cut">{oneLine(one.name)}</span>
          )}
          <u>
            <s style={{ width: `${((one.count / most) * 100).toFixed(1)}%` }} />
          </u>
          <span class="r">{count(one.count)}</span>
        </div>
      ))}
    </>
  );
}

function Group({ fingerprint, close }: { fingerprint: string; close: () => void }) {
  const t = words.value.errorLog;
  const found = useLoad<ErrorGroupDetailView>(fingerprint, (signal) => getGroup(fingerprint, signal), { everyMs: GROUPS_EVERY_MS });
  const { problem, run } = useRollback();
  if (!found.data) return <Side title={t.group} close={close} error={found.error} reload={found.reload} />;
  const { group, devices, versions, hours, days } = found.data;
  const sum = (points: readonly TrendPointView[]): number => points.reduce((all, point) => all + point.count, 0);
  const show = (state: State): void => found.put((data) => ({ ...data, group: { ...data.group, state } }));
  return (
    <>
      <Head title={t.level[group.level]} close={close} />
      <div class="er-body">
        <p class="er-say" tabIndex={scrolls(group.message)}>
          <Glyph shape={SHAPE_OF[group.level]} size={12} />
          <span>{visible(group.message)}</span>
        </p>
        {problem ? (
          <p class="problem" role="alert">
            <Glyph shape="error" />
            <span>{problem}</span>
          </p>
        ) : null}
        <div class="er-do">
          <span class="chip">{t.states[group.state]}</span>
          {group.state_by !== null && group.state_at !== null ? (
            <span class="dim">{t.by(oneLine(group.state_by), words.value.ago(age(ms(group.state_at) ?? 0, tick.value)))}</span>
          ) : null}
          <span class="grow" />
          {isAdmin() ? <Acts group={group} act={(state) => run(group, state, show)} /> : null}
        </div>
        <dl class="er-kv num">
          <Fact name={t.columns.first}>{dateTime(ms(group.first_seen_at) ?? 0)}</Fact>
          <Fact name={t.columns.last}>{dateTime(ms(group.last_seen_at) ?? 0)}</Fact>
          <Fact name={t.part}>{group.subsystem === null ? null : oneLine(group.subsystem)}</Fact>
          <Fact name={t.columns.count}>{count(group.count)}</Fact>
        </dl>
        <a class="btn sm er-all" href={`/errors?fingerprint=${encodeURIComponent(group.fingerprint)}`}>
          {t.records}
        </a>
        <section>
          <h3>
            {t.trend} <b class="num">{count(sum(hours))}</b>
          </h3>
          <Bars wide values={hours.map((point) => point.count)} label={`${t.trend}: ${sum(hours)}`} />
        </section>
        <section>
          <h3>
            {t.trendDays} <b class="num">{count(sum(days))}</b>
          </h3>
          <Bars wide values={days.map((point) => point.count)} label={`${t.trendDays}: ${sum(days)}`} />
        </section>
        <section>
          <h3>{t.onDevices}</h3>
          <Shares list={devices.map((one) => ({ key: one.device, name: one.name, count: one.count, href: deviceHref(one.device) }))} />
        </section>
        {versions.length > 0 ? (
          <section>
            <h3>{t.underVersions}</h3>
            <Shares list={versions.map((one) => ({ key: one.version, name: one.version, count: one.count, href: null }))} />
          </section>
        ) : null}
      </div>
    </>
  );
}
