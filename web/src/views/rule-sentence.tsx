// A rule as a sentence on the page: its words open their editors.

import type { Part, Slot } from '../rules/sentence';
import { Glyph } from '../parts/glyph';
import { SHAPE_OF } from './alerts-plan';

/** A word's own name, the same from one drawing to the next. */
export const slotKey = (slot: Slot): string => `${slot.of}${slot.of === 'field' ? `:${slot.word}` : 'step' in slot ? `:${slot.step}` : ''}`;

/** The marks at the beginning of a text that close what stands before it. */
const closing = (text: string): string => /^[,.;:)，。；：、）]+/.exec(text)?.[0] ?? '';

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
        if (!part.slot) return <span key={`t${i}`}>{parts[i - 1]?.slot ? part.text.slice(closing(part.text).length) : part.text}</span>;
        const { slot, severity, text } = part;
        const key = slotKey(slot);
        const next = parts[i + 1];
        // No line begins with a full stop: it stays with the word before it.
        const end = next && !next.slot ? closing(next.text) : '';
        const tone = severity ? `sv ${severity}` : '';
        const inside = (
          <>
            {severity ? <Glyph shape={SHAPE_OF[severity]} size={11} /> : null}
            {text}
          </>
        );
        if (!choose) {
          return (
            <span key={key} class="nb">
              <span class={`tk-t ${tone}`}>{inside}</span>
              {end}
            </span>
          );
        }
        return (
          <span key={key} class="nb">
            <button type="button" class={`tk ${tone} ${open === key ? 'on' : ''}`} data-slot={key} aria-haspopup="dialog" aria-expanded={open === key} onClick={(event) => choose(slot, event.currentTarget)}>
              {inside}
            </button>
            {end}
          </span>
        );
      })}
    </>
  );
}
