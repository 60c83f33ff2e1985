import type { StateWord } from '../state/fleet';

/** Each state has its own shape, so that colour is never the only sign. `degraded` and `restart` also serve as warnings. */
const SHAPES = {
  online: { tone: 'ok', draw: <circle cx="6" cy="6" r="4" fill="currentColor" /> },
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
