import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { words } from '../i18n';
import { Icon } from './icon';

interface Props {
  title: string;
  close: () => void;
  children: ComponentChildren;
  footer?: ComponentChildren;
  banner?: ComponentChildren;
  wide?: boolean;
  onSubmit?: () => void;
}

/** A modal dialog: the browser keeps the focus inside, Escape closes, the focus returns to where it was. */
export function Dialog({ title, close, children, footer, banner, wide, onSubmit }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    const before = document.activeElement;
    element?.showModal();
    element?.querySelector<HTMLElement>('[data-autofocus]')?.focus();
    return () => {
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  const body = (
    <>
      <header>
        <h2 id="dialog-title">{title}</h2>
        <span class="grow" />
        <button type="button" class="ib" aria-label={words.value.common.close} onClick={close}>
          <Icon name="close" size={14} />
        </button>
      </header>
      {banner}
      <div class="bd">{children}</div>
      {footer ? <footer>{footer}</footer> : null}
    </>
  );
  return (
    <dialog
      ref={ref}
      class={`dlg ${wide ? 'wide' : ''}`}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onMouseDown={(event) => {
        if (event.target === event.currentTarget) close();
      }}
    >
      {onSubmit ? (
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            onSubmit();
          }}
        >
          {body}
        </form>
      ) : (
        <div class="in-dlg">{body}</div>
      )}
    </dialog>
  );
}
