// The list that only has in the page what is on the screen. It scrolls with the page; the maths is in `window.ts`.

import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { fullHeight, layout, topOf, windowOf, type Tops, type Window } from './window';

const SPARE = 6;

interface Props<T> {
  lines: readonly T[];
  heightOf: (line: T) => number;
  /** Lines of one kind share DOM nodes: a node that scrolls out is used again for the line that scrolls in. */
  kindOf: (line: T) => string;
  render: (line: T, index: number, top: number, key: string) => VNode;
  class: string;
  role?: 'rowgroup' | 'list';
  /** Hears which lines can be seen, spare ones included. */
  onSeen?: (first: number, end: number) => void;
  /** Receives the positions, for scrolling to a line. */
  onLayout?: (tops: Tops, element: HTMLElement) => void;
}

export function VirtualList<T>({ lines, heightOf, kindOf, render, class: className, role, onSeen, onLayout }: Props<T>) {
  const ref = useRef<HTMLDivElement>(null);
  const tops = useMemo(() => layout(lines.length, (i) => heightOf(lines[i] as T)), [lines, heightOf]);
  const [seen, setSeen] = useState<Window>({ first: 0, end: Math.min(lines.length, 40) });
  const pool = useRef(0);

  useLayoutEffect(() => {
    let frame = 0;
    const measure = (): void => {
      frame = 0;
      const element = ref.current;
      if (!element) return;
      const next = windowOf(tops, -element.getBoundingClientRect().top, window.innerHeight, SPARE);
      setSeen((now) => (now.first === next.first && now.end === next.end ? now : next));
    };
    const plan = (): void => {
      if (frame === 0) frame = requestAnimationFrame(measure);
    };
    measure();
    if (ref.current) onLayout?.(tops, ref.current);
    window.addEventListener('scroll', plan, { passive: true });
    window.addEventListener('resize', plan);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener('scroll', plan);
      window.removeEventListener('resize', plan);
    };
  }, [tops]);

  const end = Math.min(seen.end, lines.length);
  const first = Math.min(seen.first, end);
  useEffect(() => onSeen?.(first, end), [first, end, lines]);
  pool.current = Math.max(pool.current, end - first);
  const rows: VNode[] = [];
  for (let i = first; i < end; i++) {
    const line = lines[i] as T;
    rows.push(render(line, i, topOf(tops, i), `${kindOf(line)}${i % pool.current}`));
  }
  return (
    <div ref={ref} class={className} role={role} style={{ height: `${fullHeight(tops)}px` }}>
      {rows}
    </div>
  );
}
