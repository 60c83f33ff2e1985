import type { DeviceView } from '../api/types';
import { clockShort, ms } from '../format/time';
import type { Messages } from '../i18n/messages';

/** Why a device is offline, in words. Codes that this page does not know yet are shown as they are. */
export function reasonText(t: Messages, device: DeviceView): string {
  const code = device.reason;
  if (code === null || code === '') return t.reason.unknown;
  const { other, ...known } = t.reason;
  return Object.hasOwn(known, code) ? known[code as keyof typeof known] : other(code.replaceAll('_', ' '));
}

/** The time of the last values of a device that is not online. */
export function asOfText(t: Messages, device: DeviceView, now: number): string | null {
  const at = ms(device.latest?.at);
  return at === null ? null : t.asOf(clockShort(at, now));
}
