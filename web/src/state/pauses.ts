// Silences and maintenance, for whoever shows devices. They are few: the page judges by itself whom they are about.

import { computed, effect, signal } from '@preact/signals';
import { getPauses } from '../api/client';
import type { DeviceView, PauseView } from '../api/types';
import { activeUntil, isOf, MINUTE, pauseOf } from '../rules/pauses';
import { tick } from './clock';
import { alertingNews } from './fleet-news';
import { snapshots } from './live';

const known = signal<readonly PauseView[]>([]);

/** They begin and end on the minute: nobody looks at them each second. */
const minute = computed(() => Math.floor(tick.value / MINUTE));

/** Those that last now and are about whole devices. */
const lasting = computed(() => known.value.filter((pause) => pause.rules.length === 0 && activeUntil(pause.when, minute.value * MINUTE) !== null));
const maintenance = computed(() => lasting.value.filter((pause) => pause.kind === 'maintenance'));

/** Whether a device is in maintenance. */
export const inMaintenance = (device: Pick<DeviceView, 'id' | 'tags'>): boolean => maintenance.value.some((pause) => isOf(pause, device));

/** Until when a pause of this kind holds for a device, if one does. */
export const pausedUntil = (kind: PauseView['kind'], device: Pick<DeviceView, 'id' | 'tags'>): number | null => pauseOf(lasting.value, kind, device, minute.value * MINUTE);

/** Asks for them, and again when there is news of them. */
export function followPauses(): () => void {
  let request: AbortController | null = null;
  const end = effect(() => {
    alertingNews.value;
    if (snapshots.value === 0) return;
    request?.abort();
    request = new AbortController();
    const { signal: ended } = request;
    getPauses(ended).then(
      (pauses) => {
        if (!ended.aborted) known.value = pauses;
      },
      // Without them devices are shown as they are.
      () => {},
    );
  });
  return () => {
    end();
    request?.abort();
    known.value = [];
  };
}
