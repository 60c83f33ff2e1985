import type { DeviceView, OutageView } from '../api/types';
import { clockShort, ms } from '../format/time';
import type { BaseMessages } from '../i18n/messages';
import { stateOf } from '../state/fleet';

/** Why a device is as it is, in words; null when there is nothing to say. */
export function reasonText(t: BaseMessages, device: DeviceView): string | null {
  const w = t.why;
  const openclaw = device.openclaw;
  switch (stateOf(device)) {
    case 'offline':
      return offlineText(t, device.reason);
    case 'gwdown': {
      const exit = openclaw?.exit;
      if (exit == null) return w.ended;
      return w.exit[exit.outcome](exit.reason);
    }
    case 'hung':
      return w.hung;
    case 'degraded': {
      const channels = (openclaw?.failing ?? []).filter((part) => part.startsWith('channel:')).map((part) => part.slice('channel:'.length));
      const parts = (openclaw?.failing ?? []).filter((part) => !part.startsWith('channel:'));
      const said = [channels.length > 0 ? w.channels(channels.join(w.and)) : null, parts.length > 0 ? w.parts(parts.join(w.and)) : null, openclaw?.problem ?? null];
      return said.filter(Boolean).join(w.then) || w.degraded;
    }
    case 'restart':
      return w.restart(openclaw?.restart_for ?? '', openclaw?.version ?? '');
    default:
      return null;
  }
}

/** Why a device is offline. Codes that this page does not know yet are shown as they are. */
export function offlineText(t: BaseMessages, code: string | null): string {
  if (code === null || code === '') return t.reason.unknown;
  const { other, ...known } = t.reason;
  return Object.hasOwn(known, code) ? known[code as keyof typeof known] : other(code.replaceAll('_', ' '));
}

/** What an outage was. That OpenClaw kept running is said only where it was measured. */
export function outageText(t: BaseMessages, outage: OutageView): string {
  const label = outage.label ?? 'unknown';
  return label === 'network_only' && outage.openclaw_kept_running !== true ? t.outages.networkOnly : t.outages.label[label];
}

/** The time of the last values of a device that is not online. */
export function asOfText(t: BaseMessages, device: DeviceView, now: number): string | null {
  const at = ms(device.latest?.at);
  return at === null ? null : t.asOf(clockShort(at, now));
}
