// Devices that were given a key in this page and have not reported with it yet. The dialog may be closed meanwhile: the
// key stays here, in memory only, until the device is online or removed, the login ends or the page is closed.

import { effect, signal } from '@preact/signals';
import type { AddedDeviceView, DeviceView } from '../api/types';
import { ms } from '../format/time';
import { fleet } from './fleet';
import { closeDialog, dialog } from './dialogs';
import { isAdmin } from './session';

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

/** Shows the key and waits, unless the login ended while the key was being made. */
export function waitFor(wait: Waiting): void {
  if (!isAdmin()) return;
  waiting.value = [...waiting.value.filter((other) => other.added.id !== wait.added.id), wait];
  dialog.value = { kind: 'add', waitingFor: wait.added.id };
}

export function stopWaiting(id: string): void {
  waiting.value = waiting.value.filter((wait) => wait.added.id !== id);
}

/** Nothing of it is for whoever logs in next. */
export function forgetWaiting(): void {
  waiting.value = [];
  arrived.value = null;
}

/** Tells when a device arrives behind a closed dialog, and drops one that is removed; the function given back stops it. */
export function followWaiting(): () => void {
  // What is not in the fleet yet is still to be told; what was there and is gone was removed.
  const seen = new Set<string>();
  return effect(() => {
    const open = dialog.value;
    fleet.shape.value;
    for (const wait of waiting.value) {
      const id = wait.added.id;
      const shown = open?.kind === 'add' && open.waitingFor === id;
      const entry = fleet.get(id);
      if (entry) seen.add(id);
      else if (fleet.loaded.value && seen.delete(id)) {
        stopWaiting(id);
        if (shown) closeDialog();
      }
      if (entry && !shown && hasArrived(wait, entry.view.value)) {
        arrived.value = { id, name: entry.view.value.name };
        stopWaiting(id);
      }
    }
  });
}
