import { useEffect } from 'preact/hooks';
import { getOutages, getUptime } from '../api/client';
import type { OutageView, UptimeView } from '../api/types';
import { DAY, plusDays } from '../format/days';
import { oneLine } from '../format/text';
import { clockShort, dateTime, ms, span } from '../format/time';
import { words } from '../i18n';
import { byName } from '../list/arrange';
import { Glyph, type Shape } from '../parts/glyph';
import { More } from '../parts/more';
import { DevicePick, Seg } from '../parts/pick';
import { Unloaded } from '../parts/unloaded';
import { serverNow, tick } from '../state/clock';
import { fleet } from '../state/fleet';
import { useLoad } from '../state/load';
import { usePages } from '../state/pages';
import { prefs, viewerZone } from '../state/prefs';
import { deviceHref, query, setQuery } from '../state/router';
import '../styles/lists.css';
import '../styles/outages.css';
import { LABELS, listParams, planOf, uptimes, WINDOWS, WITHIN, type Label, type Plan } from './outages-plan';
import { outageText } from './reason';
import { viewTitle } from './title';

const PAGE = 200;
const EVERY_MS = 15_000;
/** Devices whose uptime is asked for at once; and so many questions at a time. */
const DEVICES = 60;
const AT_ONCE = 4;

const SHAPE: Readonly<Record<Label, Shape>> = { host_rebooted: 'restart', machine_slept: 'offline', gateway_crashed: 'gwdown', agent_restarted: 'restart', server_down: 'maint', network_only: 'notice', unknown: 'never' };

const labelOf = (outage: OutageView): Label => outage.label ?? 'unknown';

/** Why the list is empty. */
function noneText(plan: Plan): string {
  const t = words.value.outages;
  if (plan.device || plan.label) return t.noneFound;
  return plan.within === 'all' ? t.none : plan.within === '30d' ? t.noneLately : t.noneFound;
}

export function Outages() {
  const t = words.value.outages;
  useEffect(() => {
    viewTitle.value = t.title;
  }, [t.title]);
  const plan = planOf(query.value);
  return (
    <div class="outs">
      <h1 class="vh">{t.title}</h1>
      <div class="ls-tools">
        <Seg label={t.view} list={['list', 'uptime']} now={plan.uptime ? 'uptime' : 'list'} say={(one) => (one === 'list' ? t.list : t.uptime)} set={(one) => setQuery({ view: one === 'list' ? null : one })} />
        <DevicePick id="ou-device" value={plan.device} set={(device) => setQuery({ device })} />
        {plan.uptime ? null : (
          <>
            <label class="vh" for="ou-label">
              {t.what}
            </label>
            <select id="ou-label" class="sel" value={plan.label ?? ''} onChange={(event) => setQuery({ label: event.currentTarget.value || null })}>
              <option value="">{t.anyWhat}</option>
              {LABELS.map((label) => (
                <option key={label} value={label}>
                  {t.label[label]}
                </option>
              ))}
            </select>
            <Seg label={words.value.pick.within} list={WITHIN} now={plan.within} say={(one) => t.within[one]} set={(within) => setQuery({ within: within === '30d' ? null : within })} />
          </>
        )}
      </div>
      {plan.uptime ? <Uptimes device={plan.device} /> : <List plan={plan} />}
    </div>
  );
}

function Length({ seconds }: { seconds: number }) {
  return <>{words.value.span(span(seconds))}</>;
}

function List({ plan }: { plan: Plan }) {
  const t = words.value.outages;
  const key = JSON.stringify([plan.device, plan.label, plan.within]);
  const pages = usePages<OutageView>(key, (cursor, signal) => getOutages({ ...listParams(plan, serverNow()), limit: PAGE, cursor }, signal), {
    idOf: (row) => row.no,
    order: (a, b) => (a.from < b.from ? 1 : a.from > b.from ? -1 : b.no - a.no),
    everyMs: EVERY_MS,
  });
  if (!pages.loaded) return <Unloaded error={pages.error} failed={t.failed} reload={pages.reload} />;
  const now = tick.value;
  const lasting = pages.rows.filter((row) => row.to === null).length;
  // What lasts needs somebody; what is over has its place in time.
  const rows = [...pages.rows].sort((a, b) => Number(a.to !== null) - Number(b.to !== null));
  if (pages.rows.length === 0) return <div class="empty">{noneText(plan)}</div>;
  return (
    <>
      {lasting > 0 ? (
        <p class="ls-say">
          <b class="num">{t.lasting(lasting)[0]}</b> {t.lasting(lasting)[1]}
        </p>
      ) : null}
      <div class={`ls-body ou-scroll ${pages.stale ? 'ls-stale' : ''}`} aria-busy={pages.stale}>
        <table class="t ou num" aria-label={t.title}>
          <thead>
            <tr>
              <th scope="col">{t.columns.device}</th>
              <th scope="col">{t.columns.what}</th>
              <th scope="col" class="r">{t.columns.from}</th>
              <th scope="col" class="r">{t.columns.to}</th>
              <th scope="col" class="r">{t.columns.length}</th>
              <th scope="col">{t.columns.openclaw}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => {
              const label = labelOf(row);
              const from = ms(row.from) ?? 0;
              const to = ms(row.to);
              const seconds = to === null ? (now - from) / 1000 : row.duration_s;
              return (
                <tr key={row.no} class={to === null ? 'ou-now' : ''} data-testid="outage-row">
                  <th scope="row">
                    <a class="cut lk-q" href={deviceHref(row.device)}>
                      {oneLine(row.device_name ?? row.device)}
                    </a>
                  </th>
                  <td class="ou-w">
                    <Glyph shape={to === null ? 'offline' : SHAPE[label]} />
                    <span>{to === null ? t.still : outageText(words.value, row)}</span>
                    {row.reason !== null && to === null ? <small class="dim">{reasonOf(row.reason)}</small> : null}
                  </td>
                  <td class="r" title={dateTime(from)}>{clockShort(from, now)}</td>
                  <td class="r" title={to === null ? undefined : dateTime(to)}>{to === null ? '…' : clockShort(to, now)}</td>
                  <td class="r ou-l"><Length seconds={seconds} /></td>
                  <td class="dim ou-k">{row.openclaw_kept_running === null ? '' : row.openclaw_kept_running ? t.keptRunning : t.didNot}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
        <More pages={pages} />
      </div>
    </>
  );
}

function reasonOf(code: string): string {
  const known = words.value.reason as unknown as Record<string, string>;
  return typeof known[code] === 'string' ? known[code] : words.value.reason.other(code);
}

/** At most so many questions at a time: a browser has few connections, and the server other things to do. */
let asking = 0;
const waiting: (() => void)[] = [];
async function inTurn<T>(ask: () => Promise<T>): Promise<T> {
  if (asking >= AT_ONCE) await new Promise<void>((go) => waiting.push(go));
  asking += 1;
  try {
    return await ask();
  } finally {
    asking -= 1;
    waiting.shift()?.();
  }
}

function Uptimes({ device }: { device: string | null }) {
  const t = words.value.outages;
  fleet.shape.value;
  const all = fleet.all().sort(byName(prefs.value.lang));
  const devices = device === null ? all : all.filter((one) => one.id === device);
  if (all.length === 0) return <div class="empty">{words.value.empty.title}</div>;
  return (
    <div class="ls-body ou-scroll">
      <p class="ou-note dim">{t.notCounted}</p>
      <table class="t ou-up num" aria-label={t.uptime}>
        <thead>
          <tr>
            <th scope="col">{t.columns.device}</th>
            {WINDOWS.map((days) => (
              <th scope="col" class="r" key={days}>
                {t.window(days)}
              </th>
            ))}
            <th scope="col">{t.daily}</th>
          </tr>
        </thead>
        <tbody>
          {devices.slice(0, DEVICES).map((one) => (
            <UptimeRow key={one.id} id={one.id} name={one.name} />
          ))}
        </tbody>
      </table>
      {devices.length > DEVICES ? <p class="ou-note dim">{t.firstOnly(DEVICES, devices.length)}</p> : null}
    </div>
  );
}

/** 99.98, never 100 for less than all of it. */
function percent(value: number | null): string {
  if (value === null) return words.value.common.none;
  return value >= 100 ? '100' : (Math.floor(value * 100) / 100).toFixed(2);
}

function UptimeRow({ id, name }: { id: string; name: string }) {
  const t = words.value.outages;
  const tz = viewerZone.value;
  const found = useLoad(`${id} ${tz}`, async (signal) => {
    const now = serverNow();
    const [days, last] = await Promise.all([
      inTurn(() => getUptime(id, { by: 'day', tz, from: new Date(plusDays(now, -89)).toISOString() }, signal)),
      inTurn(() => getUptime(id, { by: 'all', from: new Date(now - DAY).toISOString() }, signal)),
    ]);
    return { days, shares: uptimes(days, last) };
  });
  return (
    <tr>
      <th scope="row">
        <a class="cut lk-q" href={deviceHref(id)}>
          {oneLine(name)}
        </a>
      </th>
      {WINDOWS.map((days, i) => {
        const share = found.data?.shares[i] ?? null;
        return (
          <td class={`r ${share !== null && share < 95 ? 'err' : share !== null && share < 99 ? 'warn' : ''}`} key={days}>
            {found.data ? percent(share) : found.error ? '–' : <span class="sk w34" />}
            {found.data && share !== null ? <i>%</i> : null}
          </td>
        );
      })}
      <td class="ou-days">{found.data ? <DayBars days={found.data.days.slice(-30)} label={t.daily} /> : null}</td>
    </tr>
  );
}

function DayBars({ days, label }: { days: readonly UptimeView[]; label: string }) {
  const HIGH = 16;
  return (
    <svg width={days.length * 5 - 1} height={HIGH} role="img" aria-label={label}>
      {days.map((day, i) => {
        const share = day.uptime_pct;
        const title = `${day.from.slice(0, 10)}: ${share === null ? words.value.common.none : `${percent(share)}%`}`;
        const [high, fill] = share === null ? [2, 'var(--line-2)'] : share >= 99.9 ? [7, 'var(--ok-tick)'] : share >= 97 ? [12, 'var(--warn-tick)'] : [HIGH, 'var(--err-tick)'];
        return (
          <rect key={day.from} x={i * 5} y={HIGH - Number(high)} width={4} height={high} rx=".5" fill={String(fill)}>
            <title>{title}</title>
          </rect>
        );
      })}
    </svg>
  );
}
