// What everybody may see: names and states of the devices that an admin chose. No login, nothing else of the product.

import '../styles/status.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, getStatus } from '../api/client';
import type { StatusDeviceView, StatusView } from '../api/types';
import { clockShort, date, dateTime, ms } from '../format/time';
import { words } from '../i18n';
import { explain, Problem } from '../parts/form';
import { Glyph, type Shape } from '../parts/glyph';
import { Logo } from '../parts/icon';
import { tick } from '../state/clock';
import { session } from '../state/session';
import { offlineText } from './reason';
import { LanguageSwitch, ThemeSwitch } from './top';
import { viewTitle } from './title';

const EVERY_MS = 30_000;
const DAY_MS = 86_400_000;
const DAYS = 90;

const SHAPE: Readonly<Record<StatusDeviceView['state'], Shape>> = { online: 'online', offline: 'offline', gateway_down: 'gwdown', degraded: 'degraded', unknown: 'never' };

/** Percent with as many digits as tell the difference from all. */
export const pctText = (pct: number): string => (pct === 100 ? '100' : pct > 99.99 ? '99.99' : pct.toFixed(pct >= 99 ? 2 : 1));

export function Status() {
  const t = words.value.status;
  const [view, setView] = useState<StatusView | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const off = problem instanceof ApiError && problem.status === 404;
  const asked = useRef(false);
  useEffect(() => {
    const look = async (): Promise<void> => {
      if (asked.current || document.hidden) return;
      asked.current = true;
      try {
        setView(await getStatus());
        setProblem(null);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) setView(null);
        setProblem(error);
      }
      asked.current = false;
    };
    void look();
    const timer = setInterval(() => void look(), EVERY_MS);
    const seen = (): void => void look();
    document.addEventListener('visibilitychange', seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, []);
  const title = view?.title || t.title;
  useEffect(() => {
    viewTitle.value = title;
  }, [title]);
  return (
    <div class="enter status">
      <header>
        <span class="brand">
          <Logo />
          <b>{words.value.product}</b>
        </span>
        <span class="grow" />
        <LanguageSwitch />
        <ThemeSwitch />
      </header>
      <main id="main">
        {view ? (
          <Shown view={view} title={title} stale={problem !== null} />
        ) : problem === null ? (
          <div class="load-sk" role="status" aria-busy="true" aria-label={words.value.common.loading}>
            {Array.from({ length: 6 }, (_, i) => (
              <span class="sk" key={i} style={{ width: `${90 - ((i * 23) % 40)}%` }} />
            ))}
          </div>
        ) : off ? (
          <>
            <h1>{t.off}</h1>
            <p class="dim">{t.offHint}</p>
          </>
        ) : (
          <Problem text={explain(problem)} />
        )}
      </main>
      <footer>
        <a class="lk" href={session.value?.user ? '/' : '/login'}>
          {session.value?.user ? words.value.nav.overview : t.logIn}
        </a>
      </footer>
    </div>
  );
}

function Shown({ view, title, stale }: { view: StatusView; title: string; stale: boolean }) {
  const t = words.value.status;
  const at = ms(view.at) ?? tick.value;
  const bad = view.devices.filter((device) => ['offline', 'gateway_down', 'degraded'].includes(device.state)).length;
  return (
    <>
      <h1>
        <bdi>{title}</bdi>
      </h1>
      {view.note ? <p class="st-note">{view.note}</p> : null}
      {view.devices.length === 0 ? (
        <p class="dim">{t.empty}</p>
      ) : (
        <>
          <p class={`st-all ${bad > 0 ? 'bad-all' : ''}`} role="status">
            <Glyph shape={bad > 0 ? 'warning' : 'online'} size={16} />
            <b>{bad > 0 ? t.trouble(bad, view.devices.length) : t.allFine}</b>
          </p>
          <ul class="st-list panel">
            {view.devices.map((device, i) => (
              <Device key={i} device={device} at={at} />
            ))}
          </ul>
        </>
      )}
      <p class="hint" role="status">
        {stale ? (
          <span class="warned">
            <Glyph shape="notice" />
            <span>{t.stale(dateTime(at))}</span>
          </span>
        ) : (
          t.asOf(dateTime(at))
        )}
      </p>
    </>
  );
}

function Device({ device, at }: { device: StatusDeviceView; at: number }) {
  const t = words.value.status;
  const since = ms(device.since);
  return (
    <li>
      <div class="st-1">
        <Glyph shape={SHAPE[device.state]} size={14} />
        <b class="cut">
          <bdi>{device.name}</bdi>
        </b>
        <span class={`st-s ${device.state}`}>{t.state[device.state]}</span>
        {since === null || device.state === 'online' ? null : <span class="dim num">{t.since(clockShort(since, at))}</span>}
        <span class="grow" />
        {device.uptime_90d_pct === null ? null : <span class="dim num">{t.uptime(pctText(device.uptime_90d_pct))}</span>}
      </div>
      {device.reason ? <p class="st-why">{offlineText(words.value, device.reason)}</p> : null}
      {device.days ? <Days device={device} days={device.days} at={at} /> : null}
    </li>
  );
}

/** A day is fine, had some trouble, or had much. */
const tone = (pct: number | null): string => (pct === null ? 'b-none' : pct >= 99.5 ? 'b-ok' : pct >= 95 ? 'b-warn' : 'b-error');

function Days({ device, days, at }: { device: StatusDeviceView; days: readonly (number | null)[]; at: number }) {
  const t = words.value.status;
  const whole = device.uptime_90d_pct;
  return (
    <>
      <svg class="st-days" viewBox={`0 0 ${DAYS * 4 - 1} 24`} preserveAspectRatio="none" role="img" aria-label={t.daysLabel(device.name, whole === null ? words.value.common.none : pctText(whole))}>
        {days.map((pct, i) => {
          // Low is well; a day with trouble stands out by its height, too.
          const height = pct === null ? 4 : pct >= 99.5 ? 12 : pct >= 95 ? 18 : 24;
          return (
            <rect key={i} class={tone(pct)} x={i * 4} y={24 - height} width="3" height={height}>
              <title>{t.day(date(at - (days.length - 1 - i) * DAY_MS), pct === null ? null : pctText(pct))}</title>
            </rect>
          );
        })}
      </svg>
      <p class="st-ax" aria-hidden="true">
        <span>{t.ago}</span>
        <span>{t.today}</span>
      </p>
    </>
  );
}
