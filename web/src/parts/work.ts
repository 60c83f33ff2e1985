import { useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import { explain } from './form';

export interface Work {
  busy: boolean;
  problem: string | null;
  /** The refusal itself, for the fields it names. */
  refused: unknown;
  run: (job: () => Promise<void>) => void;
}

/** One request at a time, with what went wrong in words. */
export function useWork(): Work {
  const [state, set] = useState<{ busy: boolean; problem: string | null; refused: unknown }>({ busy: false, problem: null, refused: null });
  async function run(job: () => Promise<void>): Promise<void> {
    if (state.busy) return;
    set({ busy: true, problem: null, refused: null });
    try {
      await job();
      set({ busy: false, problem: null, refused: null });
    } catch (error) {
      const named = error instanceof ApiError && Object.keys(error.fields).length > 0;
      set({ busy: false, problem: named ? null : explain(error), refused: error });
    }
  }
  return { ...state, run: (job) => void run(job) };
}
