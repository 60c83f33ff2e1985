// Events of a device as marks above its charts.

import type { AlertView, FleetEventView } from '../api/types';
import type { Placed } from '../charts/events';
import { oneLine } from '../format/text';
import { clockShort, ms, span } from '../format/time';
import { words } from '../i18n';
import type { BaseMessages } from '../i18n/messages';
import { said } from './rule-words';

type Kind = keyof BaseMessages['event'];

interface Look {
  tone: 'err' | 'warn' | 'off' | 'ink';
  shape: 'square' | 'triangle' | 'hollow' | 'arrow' | 'ring' | 'dot';
}

const LOOK: Record<Exclude<Kind, 'other'>, Look> = {
  gateway_crashed: { tone: 'err', shape: 'square' },
  gateway_start_failed: { tone: 'err', shape: 'square' },
  gateway_hung: { tone: 'err', shape: 'square' },
  gateway_degraded: { tone: 'warn', shape: 'triangle' },
  gateway_stopped: { tone: 'off', shape: 'ring' },
  gateway_started: { tone: 'ink', shape: 'dot' },
  gateway_recovered: { tone: 'ink', shape: 'dot' },
  gateway_upgraded: { tone: 'ink', shape: 'arrow' },
  host_rebooted: { tone: 'off', shape: 'ring' },
  host_slept: { tone: 'off', shape: 'ring' },
  clock_stepped: { tone: 'warn', shape: 'hollow' },
  agent_started: { tone: 'ink', shape: 'dot' },
  spool_dropped: { tone: 'warn', shape: 'hollow' },
  usage_backfilled: { tone: 'ink', shape: 'dot' },
  server_away: { tone: 'off', shape: 'dot' },
  away: { tone: 'off', shape: 'ring' },
};

/** What happened to a device, or what was said of it. */
export type DeviceEvent = FleetEventView & { alert?: AlertView };

const OF_ALERT: Readonly<Record<AlertView['severity'], Look>> = { critical: { tone: 'err', shape: 'square' }, error: { tone: 'err', shape: 'square' }, warning: { tone: 'warn', shape: 'triangle' }, info: { tone: 'off', shape: 'dot' } };

/** An alert as an event: where it began. */
export function alertEvent(alert: AlertView): DeviceEvent {
  const [from, to] = [Date.parse(alert.fired_at), alert.resolved_at === null ? null : Date.parse(alert.resolved_at)];
  // Numbers of alerts and of events are no strangers to each other.
  return { ...awayEvent(from, to, ''), no: -0.5 - alert.no, kind: 'alert', alert };
}

/** An absence as an event; of reboots and sleep the device tells itself. */
export const awayEvent = (from: number, to: number | null, reason: string): FleetEventView => ({
  no: -from,
  device: null,
  device_name: null,
  at: new Date(from).toISOString(),
  received_at: '',
  kind: reason === 'server_down' ? 'server_away' : 'away',
  gateway: null,
  from: null,
  to: null,
  reason,
  duration_ms: to === null ? null : to - from,
  count: null,
  action: null,
  status: null,
});

/** What OpenClaw did day by day is no event of the device. */
export const isShown = (kind: string): boolean => kind !== 'activity';

const lookOf = ({ kind, alert }: DeviceEvent): Look => (alert ? OF_ALERT[alert.severity] : Object.hasOwn(LOOK, kind) ? LOOK[kind as keyof typeof LOOK] : { tone: 'ink', shape: 'dot' });

export function eventText(t: BaseMessages, event: DeviceEvent): string {
  if (event.alert) return t.device.alertEvent(oneLine(said(event.alert.title)), event.duration_ms === null ? null : t.span(span(event.duration_ms / 1000)));
  const { other, ...known } = t.event;
  if (!Object.hasOwn(known, event.kind)) return other(event.kind.replaceAll('_', ' '));
  const labels: Record<string, string> = { ...t.device.gapReason, ...t.label };
  const say = known[event.kind as keyof typeof known];
  return say({ from: event.from, to: event.to, reason: event.kind === 'away' && event.reason !== null ? (labels[event.reason] ?? event.reason) : event.reason, count: event.count, duration: event.duration_ms === null ? null : t.span(span(event.duration_ms / 1000)) });
}

/** The worst of several that stand on one spot gives the mark its look and its words. */
const RANK: readonly Look['shape'][] = ['dot', 'ring', 'hollow', 'arrow', 'triangle', 'square'];
export const weightOf = (event: DeviceEvent): number => RANK.indexOf(lookOf(event).shape);

function Shape({ look }: { look: Look }) {
  const common = { class: `gl ${look.tone}`, viewBox: '0 0 12 12', width: 12, height: 12, 'aria-hidden': true } as const;
  switch (look.shape) {
    case 'square':
      return <svg {...common}><path d="M2 2h8v8H2Z" fill="currentColor" /></svg>;
    case 'triangle':
      return <svg {...common}><path d="M6 1.5 11 10.5H1Z" fill="currentColor" /></svg>;
    case 'hollow':
      return <svg {...common}><path d="M6 2.5 10.2 9.8H1.8Z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" /></svg>;
    case 'arrow':
      return <svg {...common}><path d="M6 10.5v-8M2.5 5.8 6 2.3l3.5 3.5" fill="none" stroke="currentColor" stroke-width="1.5" /></svg>;
    case 'ring':
      return <svg {...common}><circle cx="6" cy="6" r="3.8" fill="none" stroke="currentColor" stroke-width="1.5" /></svg>;
    case 'dot':
      return <svg {...common}><circle cx="6" cy="6" r="2" fill="currentColor" /></svg>;
  }
}


export function EventMark({ placed, now }: { placed: Placed<DeviceEvent>; now: number }) {
  const t = words.value;
  const worst = placed.events.reduce<DeviceEvent | undefined>((best, event) => (!best || weightOf(event) > weightOf(best) ? event : best), undefined);
  const lines = placed.events.map((event) => `${clockShort(ms(event.at) ?? now, now)} ${eventText(t, event)}`);
  const many = placed.events.length;
  return (
    <span class={`evm ${placed.side}`} style={{ left: `${placed.x}px`, top: `${placed.row * 17}px` }} title={lines.slice(0, 12).join('\n')}>
      {worst ? <Shape look={lookOf(worst)} /> : null}
      {placed.text !== null ? (
        <span class="cut">
          <bdi>{placed.text}</bdi>
          {many > 1 ? <i> ×{many}</i> : null}
        </span>
      ) : (
        <span class="vh">{lines.join('; ')}</span>
      )}
    </span>
  );
}
