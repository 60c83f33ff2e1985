import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { words } from '../i18n';
import { explain, Problem } from './form';

export interface Loaded<T> {
  value: T | null;
  error: unknown;
  /** Asks again; what is shown stays until the answer is there. */
  again: () => Promise<void>;
  /** Shows what an answer to something else has told. */
  take: (value: T) => void;
}

/** Asks once when the view opens. The newest question counts: a slow answer to an older one is dropped. */
export function useLoad<T>(load: () => Promise<T>): Loaded<T> {
  const [state, set] = useState<{ value: T | null; error: unknown }>({ value: null, error: null });
  const asked = useRef(0);
  async function again(): Promise<void> {
    const mine = ++asked.current;
    try {
      const value = await load();
      if (mine === asked.current) set({ value, error: null });
    } catch (error) {
      if (mine === asked.current) set((before) => ({ ...before, error }));
    }
  }
  useEffect(() => {
    void again();
    return () => {
      asked.current = -1;
    };
  }, []);
  return {
    ...state,
    again,
    take: (value) => {
      asked.current += 1;
      set({ value, error: null });
    },
  };
}

/** What was asked for, or a skeleton, or what went wrong with a way to try again. */
export function Loading<T>({ of, rows = 4, children }: { of: Loaded<T>; rows?: number; children: (value: T) => ComponentChildren }) {
  if (of.value !== null) return <>{children(of.value)}</>;
  if (of.error !== null) {
    return (
      <div class="load-failed">
        <Problem text={explain(of.error)} />
        <button type="button" class="btn" onClick={() => void of.again()}>
          {words.value.common.retry}
        </button>
      </div>
    );
  }
  return (
    <div class="load-sk" role="status" aria-busy="true" aria-label={words.value.common.loading}>
      {Array.from({ length: rows }, (_, i) => (
        <span class="sk" key={i} style={{ width: `${86 - ((i * 23) % 48)}%` }} />
      ))}
    </div>
  );
}
