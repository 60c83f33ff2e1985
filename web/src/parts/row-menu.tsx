import { useRef, useState } from 'preact/hooks';
import { Icon } from './icon';
import { Menu, type MenuItem } from './menu';

/** The button of a row with what can be done to it. */
export function RowMenu({ label, items }: { label: string; items: readonly MenuItem[] }) {
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  if (items.length === 0) return null;
  return (
    <>
      <button ref={button} type="button" class="ib" aria-label={label} aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="more" />
      </button>
      {open && button.current ? <Menu label={label} anchor={button.current} items={items} close={() => setOpen(false)} /> : null}
    </>
  );
}
