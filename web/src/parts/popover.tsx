import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

const GAP = 4;

interface Props {
  label: string;
  anchor: HTMLElement;
  close: () => void;
  /** Begins where its button begins; otherwise it ends where that ends. */
  start?: boolean;
  children: ComponentChildren;
}

/** A small panel below its button. Escape and a click elsewhere close it; the focus returns to the button. */
export function Popover({ label, anchor, close, start = false, children }: Props) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const panel = ref.current;
    if (!panel) return;
    const place = (): void => {
      const at = anchor.getBoundingClientRect();
      const size = panel.getBoundingClientRect();
      panel.style.top = `${Math.max(GAP, Math.min(at.bottom + GAP, window.innerHeight - size.height - GAP))}px`;
      panel.style.left = `${Math.max(GAP, Math.min(start ? at.left : at.right - size.width, window.innerWidth - size.width - GAP))}px`;
    };
    place();
    panel.querySelector<HTMLElement>('input, button, select, a[href]')?.focus({ preventScroll: true });
    const outside = (event: Event): void => {
      if (event.target instanceof Node && !panel.contains(event.target) && !anchor.contains(event.target)) close();
    };
    document.addEventListener('pointerdown', outside, true);
    window.addEventListener('resize', close);
    window.addEventListener('scroll', place, { passive: true });
    return () => {
      document.removeEventListener('pointerdown', outside, true);
      window.removeEventListener('resize', close);
      window.removeEventListener('scroll', place);
      if (panel.contains(document.activeElement) && anchor.isConnected) anchor.focus({ preventScroll: true });
    };
  }, [anchor]);
  return (
    <div
      ref={ref}
      class="menu popover"
      role="dialog"
      aria-label={label}
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        event.stopPropagation();
        close();
      }}
    >
      {children}
    </div>
  );
}
