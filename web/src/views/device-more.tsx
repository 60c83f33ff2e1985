// What the server remembers of the device: what it used, how long it was there, what went wrong, which key it has.

import type { ComponentChildren } from 'preact';
import { getErrorGroups, getKeys, getOutages, getSecurity, getUptime, getUsage } from '../api/client';
import type { DeviceView, OutageListView, UptimeView, UsageGroupView } from '../api/types';
import { count } from '../format/number';
import { clockShort, date, ms, span } from '../format/time';
import { words } from '../i18n';
import { Cost } from '../parts/cost';
import { explain } from '../parts/form';
import { Glyph, LEVEL_SHAPE, type Shape } from '../parts/glyph';
import { Age } from '../parts/values';
import { isNew } from '../state/changes';
import { serverNow, tick } from '../state/clock';
import { dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { newestError } from '../state/fleet-news';
import { useLoad, type Loaded } from '../state/load';
import { viewerZone } from '../state/prefs';
import { outageText } from './reason';
import { modelsOf, uptimeText } from './device-logic';

const DAY = 86_400_000;
const RENEW = { everyMs: 60_000 };

type Asked = Pick<Loaded<unknown>, 'data' | 'error' | 'reload'>;

interface PanelProps {
  title: string;
  note?: string;
  link?: { href: string; text: string };
  aside?: ComponentChildren;
  asked: Asked;
  children: ComponentChildren;
}

function Panel({ title, note, link, aside, asked, children }: PanelProps) {
  return (
    <section class="panel" aria-label={title} aria-busy={asked.data === null}>
      <div class="ph">
        <h2>{title}</h2>
        {note ? <span class="dim">{note}</span> : null}
        <span class="grow" />
        {aside}
        {link ? (
          <a class="lk sm" href={link.href}>
            {link.text}
          </a>
        ) : null}
      </div>
      {asked.data !== null ? children : asked.error ? <Failed asked={asked} /> : <Waiting />}
    </section>
  );
}

function Failed({ asked }: { asked: Asked }) {
  return (
    <p class="empty-p">
      {asked.error ? explain(asked.error) : null}{' '}
      <button type="button" class="lk" onClick={asked.reload}>
        {words.value.common.retry}
      </button>
    </p>
  );
}

const Waiting = () => (
  <div class="sk-p">
    {[70, 48, 60].map((width) => (
      <span key={width} class="sk" style={{ width: `${width}%` }} />
    ))}
  </div>
);

const SHADES = 4;

export function TokensPanel({ id }: { id: string }) {
  const t = words.value.deviceMore;
  const zone = viewerZone.value;
  const asked = useLoad(`tokens ${id} ${zone}`, (signal) => getUsage({ by: 'day,model', device: id, from: new Date(serverNow() - 2 * DAY).toISOString() }, zone, signal), RENEW);
  const usage = fleet.get(id)?.view.value.usage;
  const models = asked.data ? modelsOf(asked.data, date(tick.value)) : [];
  const all = models.reduce((sum, model) => sum + model.usage.tokens, 0);
  const hit = (u: UsageGroupView['usage']): string | null => (u.input + u.cache_read + u.cache_write > 0 ? `${Math.round((u.cache_read / (u.input + u.cache_read + u.cache_write)) * 100)}%` : null);
  return (
    <Panel title={t.tokens} link={{ href: `/cost?device=${encodeURIComponent(id)}`, text: t.history }} asked={asked}>
      <div class="kv">
        {([['today', usage?.today], ['yesterday', usage?.yesterday], ['total', usage?.total]] as const).map(([when, amount]) => (
          <div key={when}>
            <span>{t.when[when]}</span>
            <b class="num">{amount ? count(amount.tokens) : words.value.common.none}</b> <span class="money num">{amount ? <Cost usage={amount} /> : null}</span>
          </div>
        ))}
      </div>
      {models.length === 0 ? (
        <p class="empty-p">{t.noTokens}</p>
      ) : (
        <>
          <div class="mbar" aria-hidden="true">
            {models.map((model, i) => (
              <i key={model.second} class={`v${Math.min(i, SHADES)}`} style={{ flexGrow: all > 0 ? model.usage.tokens / all : 1 }} />
            ))}
          </div>
          <table class="t">
            <thead>
              <tr>
                <th>{t.model}</th>
                <th class="r">{t.tokensHead}</th>
                <th class="r">{t.cacheHit}</th>
                <th class="r">{t.cost}</th>
              </tr>
            </thead>
            <tbody>
              {models.map((model, i) => (
                <tr key={model.second}>
                  <td class="m">
                    <i class={`sw v${Math.min(i, SHADES)}`} aria-hidden="true" />
                    <bdi>{model.second ?? t.others(model.others)}</bdi>
                  </td>
                  <td class="r num">{count(model.usage.tokens)}</td>
                  <td class="r num dim">{hit(model.usage) ?? words.value.common.none}</td>
                  <td class="r num">
                    <Cost usage={model.usage} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </Panel>
  );
}

const WINDOWS = [1, 7, 30, 90] as const;
const OUTAGES = 6;

interface There {
  windows: (UptimeView | undefined)[];
  days: UptimeView[];
  outages: OutageListView;
}

const LABEL_SHAPE: Record<string, Shape> = { gateway_crashed: 'gwdown', server_down: 'never', network_only: 'offline', host_rebooted: 'offline', machine_slept: 'offline', agent_restarted: 'notice' };

export function UptimePanel({ id }: { id: string }) {
  const t = words.value.deviceMore;
  const zone = viewerZone.value;
  const online = fleet.get(id)?.view.value.online;
  const asked = useLoad<There>(`uptime ${id} ${zone} ${online}`, async (signal) => {
    const now = serverNow();
    const from = (days: number): string => new Date(now - days * DAY).toISOString();
    const [days, outages, ...windows] = await Promise.all([
      getUptime(id, { by: 'day', from: from(89), tz: zone }, signal),
      getOutages({ device: id, limit: OUTAGES }, signal),
      ...WINDOWS.map((length) => getUptime(id, { by: 'all', from: from(length) }, signal).then((list) => list[0])),
    ]);
    return { days, outages, windows };
  }, RENEW);
  const there = asked.data;
  return (
    <Panel title={t.uptime} link={{ href: `/outages?device=${encodeURIComponent(id)}`, text: words.value.common.all }} asked={asked}>
      <div class="kv four">
        {WINDOWS.map((length, i) => {
          const text = uptimeText(there?.windows[i]?.uptime_pct ?? null);
          return (
            <div key={length}>
              <span>{t.days(length)}</span>
              <b class="num">
                {text ?? words.value.common.none}
                {text === null ? null : <i>%</i>}
              </b>
            </div>
          );
        })}
      </div>
      <Days days={there?.days ?? []} />
      {there && there.outages.items.length === 0 ? <p class="empty-p">{t.noOutages}</p> : null}
      {there?.outages.items.map((outage) => {
        const reasons: Record<string, string> = words.value.device.gapReason;
        const said = outage.label === null && outage.reason !== null ? reasons[outage.reason] : outageText(words.value, outage);
        const from = ms(outage.from) ?? 0;
        return (
          <div key={outage.no} class="it out">
            <Glyph shape={LABEL_SHAPE[outage.label ?? ''] ?? 'offline'} />
            <span class="dim num">{clockShort(from, tick.value)}</span>
            <span class="cut" title={said ?? undefined}>
              {said ?? words.value.device.gapReason.unknown}
            </span>
            <span class="r num">{outage.to === null ? t.lasting(words.value.span(span((tick.value - from) / 1000))) : words.value.span(span(outage.duration_s))}</span>
          </div>
        );
      })}
    </Panel>
  );
}

/** Ninety days as ticks: the lower, the calmer. */
function Days({ days }: { days: readonly UptimeView[] }) {
  const t = words.value.deviceMore;
  const tickOf = (day: UptimeView, i: number): [string, string] => {
    const pct = day.uptime_pct;
    const height = pct === null ? 2 : pct >= 99.9 ? 8 : pct >= 95 ? 13 : 20;
    return [pct === null ? 'b-none' : pct >= 99.9 ? 'b-ok' : pct >= 95 ? 'b-warn' : 'b-error', `M${i * 4} ${20 - height}h3v${height}h-3z`];
  };
  const paths: Record<string, string> = {};
  days.forEach((day, i) => {
    const [kind, path] = tickOf(day, i);
    paths[kind] = (paths[kind] ?? '') + path;
  });
  return (
    <svg class="d90" viewBox={`0 0 ${Math.max(1, days.length) * 4 - 1} 20`} preserveAspectRatio="none" role="img" aria-label={t.daysLabel(days.length)}>
      <title>{t.daysLabel(days.length)}</title>
      {Object.entries(paths).map(([kind, path]) => (
        <path key={kind} class={kind} d={path} />
      ))}
    </svg>
  );
}

const GROUPS = 6;
export function ErrorsPanel({ id }: { id: string }) {
  const t = words.value.deviceMore;
  // Bursts of errors are one renewal.
  const asked = useLoad(`errors ${id} ${Math.floor((newestError.value ?? 0) / 5)}`, (signal) => getErrorGroups({ device: id, limit: GROUPS, state: 'open' }, signal), RENEW);
  const groups = asked.data?.items ?? [];
  return (
    <Panel title={t.errors} note={t.grouped} link={{ href: `/errors?device=${encodeURIComponent(id)}`, text: words.value.common.all }} asked={asked}>
      {groups.length === 0 ? (
        <p class="empty-p">{t.noErrors}</p>
      ) : (
        <ul class="errs">
          {groups.map((group) => (
            <li key={group.fingerprint}>
              <Glyph shape={LEVEL_SHAPE[group.level]} />
              <a class="mono cut" href={`/errors?view=groups&group=${group.fingerprint}`}>
                <span class="vh">{words.value.level[group.level]}: </span>
                <bdi>{group.message}</bdi>
              </a>
              {isNew(group, tick.value) ? <span class="chip new">{words.value.rail.fresh}</span> : null}
              <span class="dim hide-s cut">
                <bdi>{group.subsystem ?? ''}</bdi>
              </span>
              <span class="num">{words.value.rail.times(group.count)}</span>
              <time class="dim">
                <Age at={ms(group.last_seen_at)} />
              </time>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

const FINDINGS = 6;
const FINDING_RANK = ['critical', 'warning', 'info', 'unknown'];

export function SecurityPanel({ id }: { id: string }) {
  const t = words.value.deviceMore;
  const asked = useLoad(`security ${id}`, async (signal) => (await getSecurity(signal)).find((each) => each.device === id) ?? { at: null, findings: [] }, RENEW);
  const at = ms(asked.data?.at);
  const findings = [...(asked.data?.findings ?? [])].sort((a, b) => FINDING_RANK.indexOf(a.severity) - FINDING_RANK.indexOf(b.severity));
  return (
    <Panel title={t.security} {...(at === null ? {} : { note: t.checked(clockShort(at, tick.value)) })} link={{ href: `/security?device=${encodeURIComponent(id)}`, text: words.value.common.all }} asked={asked}>
      {findings.length === 0 ? <p class="empty-p">{at === null ? t.notChecked : t.noFindings}</p> : null}
      {findings.slice(0, FINDINGS).map((finding, i) => (
        <div key={i} class="it">
          <Glyph shape={finding.severity === 'unknown' ? 'never' : finding.severity} />
          <span class="cut" title={finding.title}>
            <bdi>{finding.title}</bdi>
          </span>
          <span class="r">{words.value.security.severity[finding.severity]}</span>
        </div>
      ))}
      {findings.length > FINDINGS ? <p class="empty-p">{words.value.common.of(String(FINDINGS), String(findings.length))}</p> : null}
    </Panel>
  );
}

/** The device's keys: never the secret, only that there is one. For admins. */
export function KeysPanel({ device }: { device: DeviceView }) {
  const t = words.value.deviceMore;
  const asked = useLoad(`keys ${device.id}`, async () => (await getKeys()).filter((key) => key.device === device.id), RENEW);
  const time = (text: string | null): string => clockShort(ms(text) ?? 0, tick.value);
  if (device.kind === 'local') return null;
  return (
    <Panel
      title={t.key}
      aside={
        <button type="button" class="lk sm" onClick={() => { dialog.value = { kind: 'rotate', id: device.id }; }}>
          {t.rotate}
        </button>
      }
      asked={asked}
    >
      {(asked.data ?? []).map((key) => (
        <div key={key.id} class="it">
          <Glyph shape={key.expires_at === null ? 'online' : 'notice'} />
          <span class="mono cut">{key.id}</span>
          <span class="r num">
            {t.keyMade(time(key.created_at))}
            {key.last_used_at ? ` · ${t.keyUsed} ${time(key.last_used_at)}` : ''}
          </span>
        </div>
      ))}
    </Panel>
  );
}
