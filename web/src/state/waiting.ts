// Devices that were given a key in this page and have not reported with it yet. The dialog may be closed meanwhile: the
// key stays here, in memory only, until the device is online or the page is closed.

import { effect, signal } from '@preact/signals';
import type { AddedDeviceView, DeviceView } from '../api/types';
import { ms } from '../format/time';
import { fleet } from './fleet';
import { dialog } from './dialogs';

export interface Waiting {
  added: AddedDeviceView;
  /** Server time at which the key was made. */
  madeAt: number;
  /** A new key of a device that had one before. */
  rotated: boolean;
}

export const waiting = signal<readonly Waiting[]>([]);
/** A device that came online after its dialog had been closed. */
export const arrived = signal<{ id: string; name: string } | null>(null);

/** Online with the key we are waiting for: a rotated device that is still connected with its old one does not count. */
export function hasArrived(wait: Waiting, device: DeviceView | undefined): boolean {
  if (!device?.online) return false;
  return !wait.rotated || (ms(device.since) ?? 0) >= wait.madeAt;
}

export function waitFor(wait: Waiting): void {
  waiting.value = [...waiting.value.filter((other) => other.added.id !== wait.added.id), wait];
}

export function stopWaiting(id: string): void {
  waiting.value = waiting.value.filter((wait) => wait.added.id !== id);
}

/** Tells when a device arrives behind a closed dialog; the function given back stops it. */
export function followWaiting(): () => void {
  return effect(() => {
    const open = dialog.value;
    fleet.shape.value;
    for (const wait of waiting.value) {
      const id = wait.added.id;
      if (open?.kind === 'add' && open.waitingFor === id) continue;
      const entry = fleet.get(id);
      if (entry && hasArrived(wait, entry.view.value)) {
        arrived.value = { id, name: entry.view.value.name };
        stopWaiting(id);
      }
    }
  });
}
