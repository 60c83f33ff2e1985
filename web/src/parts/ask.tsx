import type { ComponentChildren } from 'preact';
import { words } from '../i18n';
import { useWork, type Work } from './work';
import { Dialog } from './dialog';
import { Problem } from './form';

interface Props {
  title: string;
  /** The word on the button. */
  go: string;
  danger?: boolean;
  disabled?: boolean;
  close: () => void;
  /** What is asked of the server; the dialog closes when it is done. */
  act: () => Promise<void>;
  children: ComponentChildren | ((work: Work) => ComponentChildren);
}

/** A dialog that asks, does one thing, and says what went wrong with it. */
export function Ask({ title, go, danger, disabled, close, act, children }: Props) {
  const work = useWork();
  return (
    <Dialog
      title={title}
      close={close}
      onSubmit={() =>
        work.run(async () => {
          await act();
          close();
        })
      }
      footer={
        <>
          <span class="grow" />
          <button type="button" class="btn" onClick={close}>
            {words.value.common.cancel}
          </button>
          <button type="submit" class={`btn ${danger ? 'danger' : 'pri'}`} disabled={work.busy || disabled} aria-busy={work.busy}>
            {go}
          </button>
        </>
      }
    >
      {work.problem ? <Problem text={work.problem} /> : null}
      {typeof children === 'function' ? children(work) : children}
    </Dialog>
  );
}
