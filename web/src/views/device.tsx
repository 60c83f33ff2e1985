// One device: what it is, how it is, its history, and its last full report.

import '../styles/device.css';
import { effect } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { ApiError, getDevice } from '../api/client';
import type { DeviceDetailView, DeviceView } from '../api/types';
import { bytesOf, bytesText } from '../format/number';
import { age, clockShort, ms, span } from '../format/time';
import { words } from '../i18n';
import { explain, Problem } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { Menu } from '../parts/menu';
import { Age } from '../parts/values';
import { tick } from '../state/clock';
import { fleet, sinceOf, stateOf, type StateWord } from '../state/fleet';
import { snapshots, watch } from '../state/live';
import { pausedUntil } from '../state/pauses';
import { alertHref } from '../state/router';
import { isAdmin } from '../state/session';
import { Charts, RangeBar } from './device-charts';
import { deviceMenu } from './device-menu';
import { ErrorsPanel, KeysPanel, SecurityPanel, TokensPanel, UptimePanel } from './device-more';
import { OpenClawPanels } from './device-openclaw';
import { BatteryPanel, CpuPanel, DisksPanel, MemoryPanel, NetworkPanel, ProcessesPanel, TemperaturesPanel } from './device-panels';
import { asOfText, reasonText } from './reason';
import { viewTitle } from './title';

/** The full report is asked for when a new one was announced, at this pace. */
const REPORT_MS = 5000;

interface Loaded {
  detail: DeviceDetailView | null;
  problem: ApiError | null;
}

function useDetail(id: string): Loaded & { retry: () => void } {
  const [loaded, setLoaded] = useState<Loaded>({ detail: null, problem: null });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let request: AbortController | null = null;
    let timer: number | undefined;
    let askedAt = 0;
    const load = async (): Promise<void> => {
      timer = undefined;
      askedAt = Date.now();
      request?.abort();
      request = new AbortController();
      const { signal } = request;
      try {
        setLoaded({ detail: await getDevice(id, signal), problem: null });
      } catch (error) {
        if (signal.aborted) return;
        setLoaded((now) => ({ detail: now.detail, problem: error instanceof ApiError ? error : new ApiError(0, 'network', String(error)) }));
      }
    };
    const end = effect(() => {
      snapshots.value;
      fleet.shape.value;
      const device = fleet.get(id)?.view.value;
      void device?.latest?.at;
      if (timer === undefined) timer = window.setTimeout(() => void load(), Math.max(0, askedAt + REPORT_MS - Date.now()));
    });
    return () => {
      end();
      request?.abort();
      clearTimeout(timer);
    };
  }, [id, attempt]);
  return { ...loaded, retry: () => setAttempt(attempt + 1) };
}

export function Device({ id }: { id: string }) {
  const t = words.value.device;
  const { detail, problem, retry } = useDetail(id);
  const [step, setStep] = useState<number | null>(null);
  useEffect(() => {
    watch({ devices: [id], others: 'state' });
  }, [id]);
  fleet.shape.value;
  // The live view is never older than what was fetched.
  const device = fleet.get(id)?.view.value ?? (fleet.loaded.value ? null : (detail?.device ?? null));
  useEffect(() => {
    viewTitle.value = device?.name ?? null;
  }, [device?.name]);

  if (!device) {
    const missing = fleet.loaded.value || problem?.status === 404;
    if (!missing) return <div class="dev-sk" aria-busy="true" />;
    return (
      <div class="page-note" data-testid="device-page">
        <h1 class="note-h">{t.notFound}</h1>
        <a class="lk" href="/">
          {t.back}
        </a>
      </div>
    );
  }
  const report = detail?.report ?? null;
  return (
    <div data-testid="device-page" data-device-id={id} data-state={stateOf(device)}>
      <Header device={device} detail={detail} />
      <RangeBar step={step} />
      <div class="cols">
        <div class="main">
          <Charts id={id} onStep={setStep} />
          {problem && !detail ? (
            <div class="panel">
              <div class="page-note">
                <Problem text={explain(problem)} />
                <button type="button" class="btn" onClick={retry}>
                  {words.value.common.retry}
                </button>
              </div>
            </div>
          ) : null}
          <ErrorsPanel id={id} />
          {report ? (
            <div class="two">
              <ProcessesPanel title={t.topCpu} list={report.top_cpu} first="cpu" />
              <ProcessesPanel title={t.topMemory} list={report.top_memory} first="memory" />
            </div>
          ) : null}
        </div>
        <div class={`side ${device.online ? '' : 'stale'}`}>
          {report ? <OpenClawPanels gateways={report.gateways} installed={device.openclaw !== null && device.openclaw.state !== 'not_installed'} /> : null}
          <TokensPanel id={id} />
          <UptimePanel id={id} />
          <SecurityPanel id={id} />
          {isAdmin() ? <KeysPanel device={device} /> : null}
          {report ? (
            <>
              <CpuPanel report={report} />
              <MemoryPanel report={report} />
              <DisksPanel report={report} />
              <NetworkPanel report={report} />
              <TemperaturesPanel report={report} />
              <BatteryPanel report={report} />
            </>
          ) : detail ? (
            <section class="panel">
              <p class="empty-p">{t.noReport}</p>
            </section>
          ) : (
            [120, 70, 180].map((height) => <div key={height} class="panel" style={{ height: `${height}px` }} />)
          )}
        </div>
      </div>
    </div>
  );
}

const TONE: Record<StateWord, string> = { gwdown: 'err', hung: 'err', offline: 'off', degraded: 'warn', restart: 'warn', online: 'ok', never: 'off' };

function Header({ device, detail }: { device: DeviceView; detail: DeviceDetailView | null }) {
  const t = words.value;
  const state = stateOf(device);
  const since = state === 'online' || state === 'offline' ? ms(device.since) : sinceOf(device);
  const why = reasonText(t, device);
  const asOf = asOfText(t, device, tick.value);
  const [menu, setMenu] = useState<HTMLElement | null>(null);
  const time = since === null ? null : t.device.since(clockShort(since, tick.value), t.age(age(since, tick.value)));
  return (
    <section class="dh">
      <div class="dh1">
        <a class="bk" href="/" aria-label={t.device.back}>
          <Icon name="left" />
        </a>
        <h1>
          <bdi>{device.name}</bdi>
        </h1>
        <span class="tags">
          {device.tags.map((tag) => (
            <span key={tag} class="chip">
              <bdi>{tag}</bdi>
            </span>
          ))}
        </span>
        <span class="grow" />
        {isAdmin() ? (
          <button
            type="button"
            class="ib"
            data-testid="device-menu"
            aria-label={t.overview.menu(device.name)}
            aria-haspopup="menu"
            aria-expanded={menu !== null}
            onClick={(event) => setMenu(menu ? null : event.currentTarget)}
          >
            <Icon name="more" />
          </button>
        ) : null}
        {menu ? <Menu label={t.overview.menu(device.name)} anchor={menu} items={deviceMenu(t, device, false)} close={() => setMenu(null)} /> : null}
      </div>
      <p class="say">
        <span class={`w ${TONE[state]}`}>
          <Glyph shape={state} />
          {t.state[state]}
        </span>
        {state === 'never' ? (
          <span>{t.device.neverSeen}</span>
        ) : (
          <>
            {why ? (
              <span>
                <bdi>{why}</bdi>
              </span>
            ) : null}
            <span class="num dim">{time}</span>
            {state === 'offline' && asOf ? <span class="dim num">{asOf}</span> : null}
          </>
        )}
      </p>
      <Paused device={device} />
      <Facts device={device} detail={detail} />
    </section>
  );
}

/** Nobody is told of it now. */
function Paused({ device }: { device: DeviceView }) {
  const t = words.value.paused;
  const [maintenance, silence] = [pausedUntil('maintenance', device), pausedUntil('silence', device)];
  const until = maintenance ?? silence;
  if (until === null) return null;
  const when = clockShort(until, tick.value);
  return (
    <p class="say" data-testid="paused">
      <a class="w maint" href={alertHref('quiet')}>
        <Glyph shape="maint" />
        {maintenance !== null ? t.inMaintenance(when) : t.inSilence(when)}
      </a>
    </p>
  );
}

function Facts({ device, detail }: { device: DeviceView; detail: DeviceDetailView | null }) {
  const t = words.value;
  const f = t.device.facts;
  const host = detail?.host ?? null;
  const latest = device.latest;
  const uptime = detail?.report?.uptime_s ?? null;
  const seen = ms(device.last_seen_at);
  const facts: [string, preact.ComponentChildren][] = [
    [f.system, host ? [host.os, host.os_version].filter(Boolean).join(' ') || null : null],
    [f.kernel, host?.kernel ?? null],
    [f.arch, host?.arch ?? null],
    [f.host, host?.hostname ?? null],
    [f.cores, host?.cores ?? null],
    [f.memory, latest?.memory_total_bytes != null ? bytesText(latest.memory_total_bytes) : null],
    [f.disk, latest?.disk_used_bytes != null && latest.disk_total_bytes != null ? t.common.of(...bytesOf(latest.disk_used_bytes, latest.disk_total_bytes)) : null],
    [f.uptime, uptime === null ? null : t.span(span(uptime))],
    [f.openclaw, device.openclaw ? [t.device.gateway[device.openclaw.state], device.openclaw.version].filter(Boolean).join(' · ') : null],
    [f.clock, device.clock_skew_s === null ? null : t.device.clockOff(device.clock_skew_s)],
    [f.agent, device.agent_version],
    [f.seen, seen === null ? null : <Age at={seen} ago />],
  ];
  return (
    <dl class="facts">
      {facts.filter(([label, value]) => value !== null || label !== f.clock).map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd class="num">{value ?? <span class="dim" title={t.common.notMeasured}>{t.common.none}</span>}</dd>
        </div>
      ))}
    </dl>
  );
}
