// What a view asks the server for, kept while newer is asked for. One question at a time: a newer one ends the older.

import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import type { ReadonlySignal } from '@preact/signals';
import { snapshots } from './live';

export interface Loaded<T> {
  /** The newest answer; null before the first one. */
  data: T | null;
  /** Why the last question has no answer. What was there before stays. */
  error: ApiError | null;
  /** What is shown was asked for with other words. */
  stale: boolean;
  reload: () => void;
  /** Changes what is shown, until the next answer. */
  put: (change: (data: T) => T) => void;
}

interface Options {
  /** Asks again after so many milliseconds, while the page can be seen. */
  everyMs?: number;
  /** Asks again when this changes. */
  news?: ReadonlySignal<number>;
}

/** Asks when `key` changes, after the connection was lost, and every now and then. A null key asks nothing. */
export function useLoad<T>(key: string | null, ask: (signal: AbortSignal) => Promise<T>, { everyMs, news }: Options = {}): Loaded<T> {
  const [state, setState] = useState<{ key: string | null; data: T | null; error: ApiError | null }>({ key: null, data: null, error: null });
  const [round, setRound] = useState(0);
  const asked = useRef(ask);
  asked.current = ask;
  const reload = (): void => setRound((n) => n + 1);

  useEffect(() => {
    if (key === null) return;
    const request = new AbortController();
    asked.current(request.signal).then(
      (data) => {
        if (!request.signal.aborted) setState({ key, data, error: null });
      },
      (error: unknown) => {
        if (request.signal.aborted) return;
        const why = error instanceof ApiError ? error : new ApiError(0, 'page', String(error));
        setState((now) => ({ ...now, error: why }));
      },
    );
    return () => request.abort();
  }, [key, round]);

  useEffect(() => {
    if (key === null) return;
    let first = true;
    // A new snapshot means that news may have been missed.
    const end = snapshots.subscribe(() => {
      if (!first) reload();
      first = false;
    });
    const again = (): void => {
      if (!document.hidden) reload();
    };
    const timer = everyMs === undefined ? undefined : setInterval(again, everyMs);
    if (everyMs !== undefined) document.addEventListener('visibilitychange', again);
    return () => {
      end();
      clearInterval(timer);
      document.removeEventListener('visibilitychange', again);
    };
  }, [key === null, everyMs]);

  useEffect(() => {
    if (key === null || !news) return;
    let first = true;
    return news.subscribe(() => {
      if (!first) reload();
      first = false;
    });
  }, [key === null, news]);

  const put = (change: (data: T) => T): void => setState((now) => (now.data === null ? now : { ...now, data: change(now.data) }));
  return { data: state.data, error: state.error, stale: state.data !== null && state.key !== key, reload, put };
}
