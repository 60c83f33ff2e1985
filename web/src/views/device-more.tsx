// What the server remembers of the device: what it used, how long it was there, what went wrong, which key it has.

import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ApiError, getErrorGroups, getOutages, getUptime, getUsage } from '../api/client';
import type { ErrorGroupListView, OutageListView, UptimeView, UsageGroupView } from '../api/types';
import { count } from '../format/number';
import { clockShort, date, ms, span } from '../format/time';
import { words } from '../i18n';
import { Cost } from '../parts/cost';
import { explain } from '../parts/form';
import { Glyph, LEVEL_SHAPE, type Shape } from '../parts/glyph';
import { Age } from '../parts/values';
import { every, isNew } from '../state/changes';
import { serverNow, tick } from '../state/clock';
import { fleet } from '../state/fleet';
import { newestError } from '../state/fleet-news';
import { viewerZone } from '../state/prefs';

const DAY = 86_400_000;
const RENEW_MS = 60_000;

type Asked<T> = { value: T } | { problem: string } | null;

/** Asks again now and then while the page can be seen; what was there stays until something newer comes. */
function useAsked<T>(ask: () => Promise<T>, on: readonly unknown[]): Asked<T> {
  const [asked, setAsked] = useState<Asked<T>>(null);
  useEffect(() => {
    let gone = false;
    const stop = every(RENEW_MS, async () => {
      try {
        const value = await ask();
        if (!gone) setAsked({ value });
      } catch (error) {
        if (!gone) setAsked((now) => (now && 'value' in now ? now : { problem: explain(error instanceof ApiError ? error : new ApiError(0, 'network', String(error))) }));
      }
    });
    return () => {
      gone = true;
      stop();
    };
  }, [...on]);
  return asked;
}

interface PanelProps {
  title: string;
  note?: string;
  link?: { href: string; text: string };
  aside?: ComponentChildren;
  asked: Asked<unknown>;
  children: ComponentChildren;
}

function Panel({ title, note, link, aside, asked, children }: PanelProps) {
  return (
    <section class="panel" aria-label={title} aria-busy={asked === null}>
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
      {asked === null ? <Waiting /> : 'problem' in asked ? <p class="empty-p">{asked.problem}</p> : children}
    </section>
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

/** Models of today, dearest first; those without a price by their tokens. */
export function modelsOf(groups: readonly UsageGroupView[], today: string): UsageGroupView[] {
  const weight = ({ usage }: UsageGroupView): number => (usage.cost_usd ?? 0) + usage.flat_rate_usd;
  return groups.filter((group) => group.key === today).sort((a, b) => weight(b) - weight(a) || b.usage.tokens - a.usage.tokens);
}

export function TokensPanel({ id }: { id: string }) {
  const t = words.value.deviceMore;
  const zone = viewerZone.value;
  const asked = useAsked(() => getUsage({ by: 'day,model', device: id, from: new Date(serverNow() - 2 * DAY).toISOString() }, zone), [id, zone]);
  const usage = fleet.get(id)?.view.value.usage;
  const models = asked && 'value' in asked ? modelsOf(asked.value, date(tick.value)) : [];
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

/** A percentage that says 100 only when it is. */
export function uptimeText(pct: number | null): string | null {
  if (pct === null) return null;
  if (pct >= 100) return '100';
  return (Math.floor(pct * 100) / 100).toFixed(pct < 99.99 && pct < 10 ? 1 : 2);
}

const LABEL_SHAPE: Record<string, Shape> = { gateway_crashed: 'gwdown', server_down: 'never', network_only: 'offline', host_rebooted: 'offline', machine_slept: 'offline', agent_restarted: 'notice' };

export function UptimePanel({ id }: { id: string }) {
  const t = words.value.deviceMore;
  const zone = viewerZone.value;
  const asked = useAsked<There>(async () => {
    const now = serverNow();
    const from = (days: number): string => new Date(now - days * DAY).toISOString();
    const [days, outages, ...windows] = await Promise.all([
      getUptime(id, { by: 'day', from: from(89), tz: zone }),
      getOutages({ device: id, limit: String(OUTAGES) }),
      ...WINDOWS.map((length) => getUptime(id, { by: 'all', from: from(length) }).then((list) => list[0])),
    ]);
    return { days, outages, windows };
  }, [id, zone, fleet.get(id)?.view.value.online]);
  const there = asked && 'value' in asked ? asked.value : null;
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
        const labels: Record<string, string> = words.value.label;
        const reasons: Record<string, string> = words.value.device.gapReason;
        const said = outage.label ? labels[outage.label] : outage.reason ? reasons[outage.reason] : null;
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
  const asked = useAsked<ErrorGroupListView>(() => getErrorGroups({ device: id, limit: String(GROUPS), state: 'open' }), [id, Math.floor((newestError.value ?? 0) / 5)]);
  const groups = asked && 'value' in asked ? asked.value.items : [];
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
