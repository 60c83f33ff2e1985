// What the settings decide without drawing it.

import type { AttemptView, KeyView, RetentionView, UnpricedModelView } from '../api/types';
import { ms } from '../format/time';

export const SECTIONS = ['display', 'account', 'devices', 'keys', 'users', 'tokens', 'prices', 'retention', 'backups', 'status-page'] as const;
export type Section = (typeof SECTIONS)[number];

/** What somebody who may only look has of the settings. */
const FOR_VIEWERS: readonly Section[] = ['display', 'account', 'prices', 'retention'];

export const isSection = (text: string): text is Section => (SECTIONS as readonly string[]).includes(text);
export const forViewers = (section: Section): boolean => FOR_VIEWERS.includes(section);

/** Lines that somebody typed, without empty ones. */
export const lines = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter(Boolean);

/** Keys by device, the newest first. */
export function keysByDevice(keys: readonly KeyView[]): Map<string, KeyView[]> {
  const all = new Map<string, KeyView[]>();
  for (const key of keys) {
    if (key.device === null) continue;
    all.set(key.device, [key, ...(all.get(key.device) ?? [])]);
  }
  for (const some of all.values()) some.sort((a, b) => (ms(b.created_at) ?? 0) - (ms(a.created_at) ?? 0));
  return all;
}

/** A pin as `openssl x509 -fingerprint` writes it: `AB:CD:…`. */
export const fingerprint = (pin: string): string => (pin.replace(/^sha256:/, '').toUpperCase().match(/../g) ?? []).join(':');

/** A text as TOML writes it. */
export const toml = (text: string): string => JSON.stringify(text).replace(/\u007f/g, '\\u007f');

/** An entry of the price table to be filled in. */
export const priceSnippet = ({ provider, model }: Pick<UnpricedModelView, 'provider' | 'model'>, from: string): string =>
  `[[price]]\nprovider = ${toml(provider)}\nmodel = ${toml(model)}\nfrom = ${toml(from)}\ninput = 0.0\noutput = 0.0\ncache_read = 0.0\ncache_write = 0.0`;

/** Below this a day, nobody notices. */
const STILL = 64 * 1024;
/** A disk that is full in more than ten years is large enough. */
export interface Outlook {
  /** Grows so fast that it is worth a word. */
  grows: boolean;
  settlesAt: number | null;
  fullAt: number | null;
  /** Shares of the disk, in percent: of the database now, what it will still take, and the rest; null when the disk is not known. */
  bar: [number, number, number] | null;
}

export function outlook(view: RetentionView): Outlook {
  const free = view.disk_free_bytes;
  const whole = free === null ? 0 : view.database_bytes + free;
  const later = Math.max(0, view.settled_bytes - view.database_bytes);
  const share = (bytes: number): number => Math.min(100, (bytes / whole) * 100);
  const now = whole > 0 ? share(view.database_bytes) : 0;
  const more = whole > 0 ? Math.min(100 - now, share(later)) : 0;
  return {
    grows: view.growth_bytes_per_day > STILL,
    settlesAt: ms(view.settles_at),
    fullAt: ms(view.full_at),
    bar: whole > 0 ? [now, more, 100 - now - more] : null,
  };
}

/** Attempts that may be those of a device that is waited for, since its key was made: its own, and such as named no device. */
export function aboutWaiting(attempts: readonly AttemptView[], device: string, since: number): AttemptView[] {
  // A little before: the entry of an attempt that is repeated is dated by the last one, and clocks of requests differ.
  return attempts
    .filter((attempt) => (ms(attempt.at) ?? 0) >= since - 1000)
    .filter((attempt) => attempt.device === device || (attempt.device === null && attempt.outcome !== 'accepted'))
    .slice(0, 5);
}
