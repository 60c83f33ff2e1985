// OpenClaw on the device: its gateways with channels, jobs and agents.

import type { GatewayView } from '../api/types';
import { bytes, bytesText, short } from '../format/number';
import { ms, span } from '../format/time';
import { words } from '../i18n';
import { Glyph, type Shape } from '../parts/glyph';
import { Age, Value } from '../parts/values';
import { tick } from '../state/clock';

const GATEWAY_SHAPE: Record<GatewayView['state'], Shape> = {
  running: 'online',
  starting: 'notice',
  draining: 'notice',
  degraded: 'degraded',
  hung: 'hung',
  stopped: 'gwdown',
  not_installed: 'never',
  unknown: 'never',
};

export function OpenClawPanels({ gateways, installed }: { gateways: readonly GatewayView[]; installed: boolean }) {
  const t = words.value.claw;
  if (gateways.length === 0) {
    return (
      <section class="panel" aria-label={t.title}>
        <div class="ph">
          <h2>{t.title}</h2>
        </div>
        <p class="empty-p">{installed ? t.noGateway : t.notInstalled}</p>
      </section>
    );
  }
  return (
    <>
      {gateways.map((gateway) => (
        <GatewayPanel key={gateway.name} gateway={gateway} named={gateways.length > 1} />
      ))}
    </>
  );
}

function Figure({ label, value, unit, title }: { label: string; value: string | null; unit?: string; title?: string }) {
  return (
    <div title={title}>
      <span>{label}</span>
      <b class="num">
        <Value value={value} {...(unit ? { unit } : {})} />
      </b>
    </div>
  );
}

function GatewayPanel({ gateway, named }: { gateway: GatewayView; named: boolean }) {
  const t = words.value.claw;
  const started = ms(gateway.started_at);
  const rss = gateway.rss_bytes === null ? null : bytes(gateway.rss_bytes);
  const { cron, tasks } = gateway;
  return (
    <section class="panel claw" aria-label={named ? `${t.title} ${gateway.name}` : t.title}>
      <div class="ph">
        <Glyph shape={GATEWAY_SHAPE[gateway.state]} />
        <h2>
          {t.title}
          {named ? <bdi> {gateway.name}</bdi> : null}
        </h2>
        <span>{t.gatewayIs(words.value.device.gateway[gateway.state])}</span>
        <span class="grow" />
        <span class="dim num">
          {gateway.pid === null ? null : [started === null ? null : words.value.span(span((tick.value - started) / 1000)), t.pid(gateway.pid)].filter(Boolean).join(' · ')}
        </span>
      </div>
      {gateway.failing.length > 0 || gateway.problem ? (
        <div class="it bad wide">
          <Glyph shape={gateway.state === 'hung' || gateway.state === 'stopped' ? 'gwdown' : 'degraded'} />
          <span class="wrap">
            <bdi>{[gateway.failing.length > 0 ? t.failing(gateway.failing.map((part) => part.replace(/^channel:/, '')).join(', ')) : null, gateway.problem].filter(Boolean).join(' ')}</bdi>
          </span>
        </div>
      ) : null}
      {gateway.pid === null && gateway.last_exit ? (
        <div class="it fail wide">
          <Glyph shape="gwdown" />
          <span class="wrap">
            <bdi>{words.value.why.exit[gateway.last_exit.outcome](gateway.last_exit.reason)}</bdi>
          </span>
          <span class="r">{gateway.last_exit.at ? <Age at={ms(gateway.last_exit.at)} ago /> : null}</span>
        </div>
      ) : null}
      <div class="kv four">
        <Figure label={t.sessions} value={gateway.sessions_active === null ? null : String(gateway.sessions_active)} {...(gateway.sessions === null ? {} : { unit: ` ${t.ofAll(gateway.sessions)}` })} title={t.sessionsTitle} />
        <Figure label={t.tasks} value={tasks === null ? null : String(tasks.active)} {...(tasks && tasks.stuck > 0 ? { unit: ` ${t.stuck(tasks.stuck)}` } : {})} />
        <Figure label={t.memory} value={rss?.[0] ?? null} {...(rss ? { unit: ` ${rss[1]}` } : {})} />
        <Figure label={t.loop} value={gateway.event_loop_p99_ms === null ? null : short(gateway.event_loop_p99_ms)} unit=" ms" title={t.loopTitle} />
      </div>
      {gateway.channels.length > 0 ? (
        <>
          <div class="sub">{t.channels}</div>
          {gateway.channels.map((channel) => (
            <div key={channel.name} class={`it ${channel.connected === false ? 'bad' : ''}`}>
              <Glyph shape={channel.connected === false ? 'degraded' : channel.connected === null ? 'never' : 'online'} />
              <span class="cut">
                <bdi>{channel.name}</bdi>
              </span>
              <span class="r">{channel.connected === null ? t.configured : channel.connected ? t.connected : t.disconnected}</span>
            </div>
          ))}
        </>
      ) : null}
      {gateway.workspaces.length > 0 ? (
        <>
          <div class="sub">
            {t.agents}
            <span class="r">{t.workspace}</span>
          </div>
          {gateway.workspaces.map((workspace) => (
            <div key={workspace.agent} class="it">
              <Glyph shape="info" />
              <span class="cut">
                <bdi>{workspace.agent}</bdi>
              </span>
              <span class="r num">
                {[workspace.files === null ? null : t.files(workspace.files), workspace.bytes === null ? null : bytesText(workspace.bytes), workspace.memory_files ? t.memoryFiles(workspace.memory_files) : null].filter(Boolean).join(' · ')}
              </span>
            </div>
          ))}
        </>
      ) : null}
      {cron ? (
        <>
          <div class="sub">
            {t.cron}
            <span class="r">{t.enabled(cron.enabled)}</span>
          </div>
          {cron.troubled.length === 0 ? (
            <div class="it">
              <Glyph shape={cron.failing + cron.missed > 0 ? 'degraded' : cron.enabled > 0 ? 'online' : 'info'} />
              <span>{cron.failing + cron.missed > 0 ? t.cronTrouble(cron.failing, cron.missed) : cron.enabled > 0 ? t.cronFine : t.cronNone}</span>
              <span />
            </div>
          ) : (
            cron.troubled.map((job) => {
              const due = ms(job.due_at);
              const missed = job.consecutive_errors === 0 && due !== null && due < tick.value;
              return (
                <div key={job.id} class="it fail">
                  <Glyph shape="gwdown" />
                  <span class="cut" title={job.id}>
                    <bdi class="mono">{job.id}</bdi> <span class="err">{missed ? t.missed : t.failed(job.consecutive_errors)}</span>
                  </span>
                  <span class="r">{job.last_run_at ? <Age at={ms(job.last_run_at)} ago /> : null}</span>
                </div>
              );
            })
          )}
        </>
      ) : null}
      <div class="sub">
        {t.record}
        <span class="r num">{gateway.boots === null ? words.value.common.none : t.boots(gateway.boots, gateway.crashes ?? 0)}</span>
      </div>
    </section>
  );
}
