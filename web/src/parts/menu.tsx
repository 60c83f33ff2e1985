import { useLayoutEffect, useRef } from 'preact/hooks';

export interface MenuItem {
  label: string;
  act: () => void;
  danger?: boolean;
}

interface Props {
  label: string;
  anchor: HTMLElement;
  items: readonly MenuItem[];
  close: () => void;
}

const GAP = 4;
const FAR = 24;

/** A menu below its button. Arrow keys move, Escape and Tab close, and the focus returns to the button. */
export function Menu({ label, anchor, items, close }: Props) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const menu = ref.current;
    if (!menu) return;
    const at = anchor.getBoundingClientRect();
    const size = menu.getBoundingClientRect();
    const below = at.bottom + GAP + size.height <= window.innerHeight;
    menu.style.top = `${Math.max(GAP, below ? at.bottom + GAP : at.top - GAP - size.height)}px`;
    menu.style.left = `${Math.max(GAP, Math.min(at.right - size.width, window.innerWidth - size.width - GAP))}px`;
    menu.querySelector('button')?.focus({ preventScroll: true });
    const outside = (event: Event): void => {
      if (event.target instanceof Node && !menu.contains(event.target) && !anchor.contains(event.target)) close();
    };
    // The last breath of a scroll still arrives after the click; a real scroll takes the button away from under the menu.
    const moved = (): void => {
      if (!anchor.isConnected || Math.abs(anchor.getBoundingClientRect().top - at.top) > FAR) close();
    };
    document.addEventListener('pointerdown', outside, true);
    window.addEventListener('scroll', moved, { passive: true });
    window.addEventListener('resize', close);
    return () => {
      document.removeEventListener('pointerdown', outside, true);
      window.removeEventListener('scroll', moved);
      window.removeEventListener('resize', close);
      if (menu.contains(document.activeElement) && anchor.isConnected) anchor.focus({ preventScroll: true });
    };
  }, [anchor]);

  function onKeyDown(event: KeyboardEvent): void {
    const buttons = Array.from(ref.current?.querySelectorAll('button') ?? []);
    const now = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to !== undefined) buttons[(to + buttons.length) % buttons.length]?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div ref={ref} class="menu" role="menu" aria-label={label} onKeyDown={onKeyDown}>
      {items.map((item) => (
        <button
          key={item.label}
          type="button"
          role="menuitem"
          tabIndex={-1}
          class={item.danger ? 'danger' : ''}
          onClick={() => {
            close();
            item.act();
          }}
        >
          {item.label}
        </button>
      ))}
    </div>
  );
}
