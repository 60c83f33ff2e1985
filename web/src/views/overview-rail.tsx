// Beside the list: what happened last. The newest error groups of the fleet, and which versions run.

import { getAlerts } from '../api/client';
import type { AlertListView } from '../api/types';
import { words } from '../i18n';
import { ms } from '../format/time';
import { Glyph, LEVEL_SHAPE } from '../parts/glyph';
import { Age } from '../parts/values';
import { isNew, latestGroups } from '../state/changes';
import { tick } from '../state/clock';
import { firing } from '../state/fleet-news';
import { useLoad } from '../state/load';
import { pastAt } from '../state/past';
import { prefs } from '../state/prefs';
import { query } from '../state/router';
import { versions } from './overview-state';

export function Rail() {
  return (
    <aside class="rail" aria-label={words.value.rail.label}>
      {pastAt.value === null ? <FiringAlerts /> : null}
      {pastAt.value === null ? <LatestErrors /> : null}
      <Versions />
    </aside>
  );
}

const MOST_ALERTS = 6;

function FiringAlerts() {
  const t = words.value.rail;
  const { critical, error, warning, info } = firing.value;
  const count = critical + error + warning + info;
  const found = useLoad<AlertListView>(`firing ${critical} ${error} ${warning} ${info}`, (signal) => getAlerts({ state: 'firing', limit: MOST_ALERTS }, signal));
  if (count === 0) return null;
  const zh = prefs.value.lang === 'zh-CN';
  return (
    <>
      <h2>
        {t.alerts} <span class="num">{count}</span>
        <a class="lk" href="/alerts">
          {words.value.common.all}
        </a>
      </h2>
      <ul>
        {(found.data?.items ?? []).map((alert) => (
          <li key={alert.no}>
            <Glyph shape={alert.severity} />
            <p>
              <bdi>{zh ? alert.title.zh : alert.title.en}</bdi>
            </p>
            <time>
              <Age at={ms(alert.fired_at)} />
            </time>
            <small class="cut">
              {words.value.alerts.severity[alert.severity]}
              {alert.device_name ? (
                <>
                  {' · '}
                  <bdi>{alert.device_name}</bdi>
                </>
              ) : null}
            </small>
          </li>
        ))}
      </ul>
    </>
  );
}

function LatestErrors() {
  const t = words.value.rail;
  const groups = latestGroups.value;
  return (
    <>
      <h2>
        {t.errors} <span>{t.grouped}</span>
        <a class="lk" href="/errors">
          {words.value.common.all}
        </a>
      </h2>
      {groups === null ? (
        <ul aria-busy="true">
          {Array.from({ length: 6 }, (_, i) => (
            <li key={i}>
              <span class="sk" />
              <span class="sk" style={{ width: `${110 + ((i * 53) % 80)}px` }} />
            </li>
          ))}
        </ul>
      ) : groups.length === 0 ? (
        <p class="none">{t.noErrors}</p>
      ) : (
        <ul>
          {groups.map((group) => (
            <li key={group.fingerprint}>
              <Glyph shape={LEVEL_SHAPE[group.level]} />
              <p class="mono">
                <a href={`/errors?view=groups&group=${group.fingerprint}`}>
                  <span class="vh">{words.value.level[group.level]}: </span>
                  <bdi>{group.message}</bdi>
                </a>
              </p>
              <time>
                <Age at={ms(group.last_seen_at)} />
              </time>
              <small>
                {isNew(group, tick.value) ? <span class="new">{t.fresh} · </span> : null}
                {t.onDevices(group.devices)} · {t.times(group.count)}
              </small>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

const SHADES = 4;

function Versions() {
  const t = words.value.rail;
  const all = versions.value;
  if (all.length === 0) return null;
  const total = all.reduce((sum, each) => sum + each.devices, 0);
  const wanted = query.value.get('q');
  return (
    <>
      <h2>
        {t.versions} <span class="num">{total}</span>
      </h2>
      <div class="vers">
        <div class="vb" aria-hidden="true">
          {all.map((each, i) => (
            <i key={each.version} class={`v${Math.min(i, SHADES)}`} style={{ flexGrow: each.devices }} />
          ))}
        </div>
        <dl>
          {all.slice(0, 8).map((each, i) => (
            <div key={each.version}>
              <dt>
                <i class={`v${Math.min(i, SHADES)}`} aria-hidden="true" />
                <a class={wanted === `version:${each.version}` ? 'on' : ''} href={`/?q=version:${encodeURIComponent(each.version)}`}>
                  <bdi>{each.version}</bdi>
                </a>
              </dt>
              <dd class="r num">{each.devices}</dd>
            </div>
          ))}
        </dl>
      </div>
    </>
  );
}
