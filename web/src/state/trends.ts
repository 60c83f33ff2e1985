// The small pictures of the overview's rows: asked for as rows come into sight, a screenful at a time, and kept for a while.

import { signal, type Signal } from '@preact/signals';
import { getTrends } from '../api/client';
import type { TrendView } from '../api/types';
import { viewerZone } from './prefs';

/** Ids of one question; the server takes no more. */
const AT_ONCE = 60;
const GATHER_MS = 60;
/** A half hour is the bar's step: older pictures are asked for again. */
const FRESH_MS = 120_000;
const RETRY_MS = 10_000;
/** Devices that scrolled by long ago are forgotten. */
const KEPT = 2_000;

interface Known {
  picture: Signal<TrendView | null>;
  askedAt: number;
}

export class Trends {
  private readonly known = new Map<string, Known>();
  private wanted = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = false;

  constructor(
    private readonly ask: (ids: string[], at: number | null) => Promise<TrendView[]>,
    private readonly clock: () => number = Date.now,
  ) {}

  /** The moment they end at; null is the present. */
  private at: number | null = null;

  picture(id: string): Signal<TrendView | null> {
    return this.entry(id).picture;
  }

  /** Says which devices can be seen, and when. */
  want(ids: readonly string[], at: number | null): void {
    if (at !== this.at) {
      this.at = at;
      for (const entry of this.known.values()) entry.askedAt = 0;
    }
    const now = this.clock();
    const stale = ids.filter((id) => now - this.entry(id).askedAt > FRESH_MS);
    this.wanted = new Set(stale);
    if (this.wanted.size > 0 && !this.asking && this.timer === undefined) this.timer = setTimeout(() => void this.fetch(), GATHER_MS);
  }

  forget(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.known.clear();
    this.wanted.clear();
  }

  private entry(id: string): Known {
    let entry = this.known.get(id);
    if (entry === undefined) {
      entry = { picture: signal(null), askedAt: 0 };
      this.known.set(id, entry);
      if (this.known.size > KEPT) {
        const oldest = this.known.keys().next().value;
        if (oldest !== undefined) this.known.delete(oldest);
      }
    }
    return entry;
  }

  private async fetch(): Promise<void> {
    this.timer = undefined;
    const ids = [...this.wanted].slice(0, AT_ONCE);
    if (ids.length === 0) return;
    this.asking = true;
    const at = this.at;
    const now = this.clock();
    let failed = false;
    try {
      const pictures = await this.ask(ids, at);
      if (at === this.at) {
        for (const id of ids) {
          this.entry(id).askedAt = now;
          this.wanted.delete(id);
        }
        for (const picture of pictures) this.entry(picture.id).picture.value = picture;
      }
    } catch {
      // The rows stay as they are; the connection's own notice says that the server does not answer.
      failed = true;
    }
    this.asking = false;
    if (this.wanted.size > 0) this.timer = setTimeout(() => void this.fetch(), failed ? RETRY_MS : GATHER_MS);
  }
}

export const trends = new Trends((ids, at) => getTrends(ids, at === null ? null : new Date(at), viewerZone.peek()));
