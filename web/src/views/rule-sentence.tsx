// A rule as a sentence on the page: its words open their editors.

import type { Part, Slot } from '../rules/sentence';
import { Glyph } from '../parts/glyph';
import { SHAPE_OF } from './alerts-plan';

/** A word's own name, the same from one drawing to the next. */
export const slotKey = (slot: Slot): string => `${slot.of}${slot.of === 'field' ? `:${slot.word}` : 'step' in slot ? `:${slot.step}` : ''}`;

interface Props {
  parts: readonly Part[];
  /** The word whose editor is open. */
  open: string | null;
  /** Opens the editor of a word; absent: nothing can be changed. */
  choose?: ((slot: Slot, anchor: HTMLElement) => void) | undefined;
}

export function Sentence({ parts, open, choose }: Props) {
  return (
    <>
      {parts.map((part, i) => {
        if (!part.slot) return <span key={`t${i}`}>{part.text}</span>;
        const { slot, severity, text } = part;
        const key = slotKey(slot);
        const tone = severity ? `sv ${severity}` : '';
        const inside = (
          <>
            {severity ? <Glyph shape={SHAPE_OF[severity]} size={11} /> : null}
            {text}
          </>
        );
        if (!choose) {
          return (
            <span key={key} class={`tk-t ${tone}`}>
              {inside}
            </span>
          );
        }
        return (
          <button
            key={key}
            type="button"
            class={`tk ${tone} ${open === key ? 'on' : ''}`}
            data-slot={key}
            aria-haspopup="dialog"
            aria-expanded={open === key}
            onClick={(event) => choose(slot, event.currentTarget)}
          >
            {inside}
          </button>
        );
      })}
    </>
  );
}
