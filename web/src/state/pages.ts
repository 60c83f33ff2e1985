// A long list that the server tells page by page, newest first, and whose beginning is asked for again for news.

import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import { snapshots } from './live';

export interface PageOf<T> {
  items: readonly T[];
  next?: string | null;
}

/** Rows that were known and rows that were told just now: each once, as it was told last, in their order. */
export function merge<T>(known: readonly T[], told: readonly T[], idOf: (row: T) => number | string, order: (a: T, b: T) => number): T[] {
  const fresh = new Map(told.map((row) => [idOf(row), row]));
  const rows = known.map((row) => {
    const id = idOf(row);
    const newer = fresh.get(id);
    fresh.delete(id);
    return newer ?? row;
  });
  return fresh.size === 0 ? rows : [...fresh.values(), ...rows].sort(order);
}

export interface Pages<T> {
  rows: readonly T[];
  /** False until the first answer. */
  loaded: boolean;
  /** What is shown was asked for with other words. */
  stale: boolean;
  more: boolean;
  error: ApiError | null;
  loadMore: () => void;
  /** Asks for the beginning again; the promise is kept when it is there. */
  refresh: () => Promise<void>;
  /** Begins anew, after a failure. */
  reload: () => void;
  /** Changes rows in place, until the next answer. */
  put: (change: (row: T) => T) => void;
}

interface Options<T> {
  idOf: (row: T) => number | string;
  order: (a: T, b: T) => number;
  everyMs?: number;
}

export function usePages<T>(key: string, ask: (cursor: string | null, signal: AbortSignal) => Promise<PageOf<T>>, { idOf, order, everyMs }: Options<T>): Pages<T> {
  const [state, setState] = useState<{ key: string | null; rows: readonly T[]; next: string | null; error: ApiError | null }>({ key: null, rows: [], next: null, error: null });
  const [round, setRound] = useState(0);
  const now = useRef({ ask, state, key });
  now.current = { ask, state, key };
  const request = useRef<AbortController | null>(null);
  const busy = useRef(false);
  const failed = (error: unknown): ApiError => (error instanceof ApiError ? error : new ApiError(0, 'page', String(error)));

  useEffect(() => {
    const mine = new AbortController();
    request.current = mine;
    busy.current = false;
    now.current.ask(null, mine.signal).then(
      ({ items, next }) => {
        if (!mine.signal.aborted) setState({ key, rows: items, next: next ?? null, error: null });
      },
      (error: unknown) => {
        if (!mine.signal.aborted) setState((before) => ({ ...before, error: failed(error) }));
      },
    );
    return () => mine.abort();
  }, [key, round]);

  const refresh = async (): Promise<void> => {
    const { signal } = request.current ?? new AbortController();
    const asked = now.current.key;
    if (now.current.state.key !== asked) return;
    try {
      const { items, next } = await now.current.ask(null, signal);
      if (signal.aborted) return;
      setState((before) => {
        if (before.key !== asked) return before;
        const known = new Set(before.rows.map(idOf));
        // Nothing in common: more came than a page holds.
        if (before.rows.length > 0 && items.length > 0 && !items.some((row) => known.has(idOf(row)))) return { key: asked, rows: items, next: next ?? null, error: null };
        // A list that is wholly known also forgets.
        if (next == null) return { key: asked, rows: items, next: null, error: null };
        return { ...before, rows: merge(before.rows, items, idOf, order), error: null };
      });
    } catch {
      // What is on the screen stays; the next round asks again.
    }
  };

  useEffect(() => {
    let first = true;
    const end = snapshots.subscribe(() => {
      if (!first) void refresh();
      first = false;
    });
    const again = (): void => {
      if (!document.hidden) void refresh();
    };
    const timer = everyMs === undefined ? undefined : setInterval(again, everyMs);
    document.addEventListener('visibilitychange', again);
    return () => {
      end();
      clearInterval(timer);
      document.removeEventListener('visibilitychange', again);
    };
  }, [everyMs]);

  const loadMore = (): void => {
    const { state: before, key: asked } = now.current;
    const signal = request.current?.signal;
    if (busy.current || before.next === null || before.key !== asked || !signal) return;
    busy.current = true;
    now.current.ask(before.next, signal).then(
      ({ items, next }) => {
        if (signal.aborted) return;
        busy.current = false;
        setState((known) => ({ ...known, rows: merge(known.rows, items, idOf, order), next: next ?? null, error: null }));
      },
      (error: unknown) => {
        if (signal.aborted) return;
        busy.current = false;
        setState((known) => ({ ...known, error: failed(error) }));
      },
    );
  };

  return {
    rows: state.rows,
    loaded: state.key !== null,
    stale: state.key !== null && state.key !== key,
    more: state.next !== null,
    error: state.error,
    loadMore,
    refresh,
    reload: () => setRound((n) => n + 1),
    put: (change) => setState((before) => ({ ...before, rows: before.rows.map(change) })),
  };
}
