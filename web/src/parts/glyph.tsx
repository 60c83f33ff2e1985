import type { ErrorGroupView } from '../api/types';
import type { StateWord } from '../state/fleet';

/** Each state has its own shape, so that colour is never the only sign. `degraded` and `restart` also serve as warnings. */
const SHAPES = {
  online: { tone: 'ok', draw: <circle cx="6" cy="6" r="4" fill="currentColor" /> },
  gwdown: { tone: 'err', draw: <rect x="1.5" y="1.5" width="9" height="9" rx="1" fill="currentColor" /> },
  hung: { tone: 'err', draw: <path d="M2.5 1.5h7a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1ZM3.6 5.2v1.6h4.8V5.2Z" fill="currentColor" fill-rule="evenodd" /> },
  degraded: { tone: 'warn', draw: <path d="M6 1 11.4 10.6H.6Z" fill="currentColor" /> },
  restart: { tone: 'warn', draw: <path d="M6 2.2 10.4 9.9H1.6Z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" /> },
  maint: { tone: 'maint', draw: <path d="M6 1.4 10.6 6 6 10.6 1.4 6Z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" /> },
  critical: { tone: 'err', draw: <path d="M2.5 1.5h7a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1ZM5.3 3v3.6h1.4V3ZM5.3 7.6V9h1.4V7.6Z" fill="currentColor" fill-rule="evenodd" /> },
  info: { tone: 'off', draw: <rect x="2" y="5.2" width="8" height="1.8" rx=".6" fill="currentColor" /> },
  offline: { tone: 'off', draw: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="2" /> },
  never: { tone: 'off', draw: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="2.2 1.98" /> },
  warning: { tone: 'warn', draw: <path d="M6 1 11.4 10.6H.6Z" fill="currentColor" /> },
  notice: { tone: 'warn', draw: <path d="M6 2.2 10.4 9.9H1.6Z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" /> },
  error: { tone: 'err', draw: <rect x="1.5" y="1.5" width="9" height="9" rx="1" fill="currentColor" /> },
} as const;

export type Shape = StateWord | keyof typeof SHAPES;

export function Glyph({ shape, size = 12 }: { shape: Shape; size?: number }) {
  const { tone, draw } = SHAPES[shape];
  return (
    <svg class={`gl ${tone}`} viewBox="0 0 12 12" width={size} height={size} aria-hidden="true">
      {draw}
    </svg>
  );
}

/** How bad an error is, as a shape. */
export const LEVEL_SHAPE: Record<ErrorGroupView['level'], Shape> = { crash: 'critical', exception: 'hung', error: 'error', warning: 'warning', unknown: 'info' };
