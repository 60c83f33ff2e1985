// The devices, as the live connection tells them.
//
// Frames change plain objects at once and mark devices dirty; signals are set once per animation frame (or four
// times a second in a hidden tab, for the title). A row listens to its own device only, so that a fleet
// of 10,000 costs what is on the screen. `shape` grows when something changed that can move, add or remove a row; the list is arranged
// again then, and not for every new number.

import { batch, computed, signal, type Signal } from '@preact/signals';
import type { DeviceView } from '../api/types';
import { ms } from '../format/time';

/** How a device is, in the order of the list: what needs a hand first. */
export const STATES = ['gwdown', 'hung', 'offline', 'degraded', 'restart', 'online', 'never'] as const;
export type StateWord = (typeof STATES)[number];
/** States that need a hand. One that was never seen is only expected. */
export const PROBLEMS: readonly StateWord[] = ['gwdown', 'hung', 'offline', 'degraded', 'restart'];

export function stateOf(device: DeviceView): StateWord {
  if (!device.online) return device.since === null && device.last_seen_at === null ? 'never' : 'offline';
  const openclaw = device.openclaw;
  switch (openclaw?.state) {
    case 'stopped':
      return 'gwdown';
    case 'hung':
      return 'hung';
    case 'degraded':
      return 'degraded';
    default:
      return openclaw?.restart_for != null ? 'restart' : 'online';
  }
}

export const isProblem = (device: DeviceView): boolean => PROBLEMS.includes(stateOf(device));

/** Since when a device is in its state, as far as that is known. */
export function sinceOf(device: DeviceView): number | null {
  switch (stateOf(device)) {
    case 'offline':
      return ms(device.since);
    case 'never':
      return ms(device.created_at);
    case 'gwdown':
      return ms(device.openclaw?.exit?.at);
    default:
      return null;
  }
}

export type Counts = Record<StateWord, number> & { all: number; problems: number };

export function countStates(devices: Iterable<DeviceView>): Counts {
  const counts: Counts = { all: 0, problems: 0, gwdown: 0, hung: 0, offline: 0, degraded: 0, restart: 0, online: 0, never: 0 };
  for (const device of devices) {
    const state = stateOf(device);
    counts.all += 1;
    counts[state] += 1;
    if (PROBLEMS.includes(state)) counts.problems += 1;
  }
  return counts;
}

export interface Entry {
  readonly view: Signal<DeviceView>;
  /** The newest value that `view` does not have yet. */
  next: DeviceView;
}

/** What of a frame is about devices. */
export type Told = { type: 'snapshot' | 'devices'; devices: readonly DeviceView[] } | { type: 'removed'; ids: readonly string[] } | { type: 'alive' };

export class Fleet {
  readonly shape = signal(0);
  /** False until the first snapshot: skeletons, not "no devices". */
  readonly loaded = signal(false);
  private readonly entries = new Map<string, Entry>();
  private readonly dirty = new Set<Entry>();
  private reshaped = false;

  readonly counts = computed(() => {
    this.shape.value;
    return countStates(this.all());
  });

  get(id: string): Entry | undefined {
    return this.entries.get(id);
  }

  /** Every device as last heard. */
  all(): DeviceView[] {
    return Array.from(this.entries.values(), (entry) => entry.next);
  }

  /** Takes a frame in; true if there is something for `flush`. */
  apply(frame: Told): boolean {
    switch (frame.type) {
      case 'snapshot': {
        const known = new Set(frame.devices.map((device) => device.id));
        for (const id of [...this.entries.keys()]) if (!known.has(id)) this.drop(id);
        for (const device of frame.devices) this.put(device);
        if (!this.loaded.peek()) {
          this.reshaped = true;
          this.loaded.value = true;
        }
        break;
      }
      case 'devices':
        for (const device of frame.devices) this.put(device);
        break;
      case 'removed':
        for (const id of frame.ids) this.drop(id);
        break;
      case 'alive':
        break;
    }
    return this.reshaped || this.dirty.size > 0;
  }

  /** Shows what was taken in. */
  flush(): void {
    batch(() => {
      for (const entry of this.dirty) entry.view.value = entry.next;
      this.dirty.clear();
      if (this.reshaped) {
        this.reshaped = false;
        this.shape.value = this.shape.peek() + 1;
      }
    });
  }

  clear(): void {
    this.entries.clear();
    this.dirty.clear();
    this.reshaped = true;
    this.loaded.value = false;
    this.flush();
  }

  private put(device: DeviceView): void {
    const entry = this.entries.get(device.id);
    if (entry === undefined) {
      const made: Entry = { view: signal(device), next: device };
      this.entries.set(device.id, made);
      this.reshaped = true;
      return;
    }
    if (moves(entry.next, device)) this.reshaped = true;
    entry.next = device;
    this.dirty.add(entry);
  }

  private drop(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.entries.delete(id);
    this.dirty.delete(entry);
    this.reshaped = true;
  }
}

/** Whether a change can move the device in the list, or change a count. */
function moves(before: DeviceView, after: DeviceView): boolean {
  return (
    stateOf(before) !== stateOf(after) ||
    before.since !== after.since ||
    before.name !== after.name ||
    (before.last_seen_at === null) !== (after.last_seen_at === null) ||
    before.agent_version !== after.agent_version ||
    before.openclaw?.version !== after.openclaw?.version ||
    before.last_error_at !== after.last_error_at ||
    before.tags.length !== after.tags.length ||
    before.tags.some((tag, i) => tag !== after.tags[i])
  );
}

export const fleet = new Fleet();
