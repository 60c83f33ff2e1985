import { useState } from 'preact/hooks';
import { words } from '../i18n';
import { Icon } from './icon';
import { Field } from './form';

/** Splits typed text into tags: spaces and commas of both languages divide. */
export const splitTags = (text: string): string[] => text.split(/[\s,，、]+/).filter(Boolean);

/** Adds tags without repeating one. */
export const joinTags = (tags: readonly string[], more: readonly string[]): string[] => [...new Set([...tags, ...more])];

interface Props {
  id: string;
  label: string;
  tags: readonly string[];
  draft: string;
  error?: string | undefined;
  autofocus?: boolean;
  set: (tags: string[], draft: string) => void;
}

/** Tags as chips with a text field behind them. The draft belongs to the form, so that unfinished text is not lost on submit. */
export function TagsField({ id, label, tags, draft, error, autofocus, set }: Props) {
  const [focused, setFocused] = useState(false);
  const take = (): void => set(joinTags(tags, splitTags(draft)), '');
  return (
    <Field id={id} label={label} hint={words.value.edit.tagsHint} error={error}>
      <div class={`in tagbox ${focused ? 'focus' : ''}`}>
        {tags.map((tag) => (
          <span class="chip" key={tag}>
            {tag}
            <button type="button" aria-label={words.value.edit.removeTag(tag)} onClick={() => set(tags.filter((other) => other !== tag), draft)}>
              <Icon name="close" size={10} />
            </button>
          </span>
        ))}
        <input
          id={id}
          value={draft}
          data-autofocus={autofocus ? '' : undefined}
          placeholder={tags.length === 0 ? '' : words.value.edit.addTag}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-describedby={`${id}-note`}
          onFocus={() => setFocused(true)}
          onBlur={() => {
            setFocused(false);
            take();
          }}
          onInput={(event) => {
            const text = event.currentTarget.value;
            if (/[\s,，、]$/.test(text)) set(joinTags(tags, splitTags(text)), '');
            else set([...tags], text);
          }}
          onKeyDown={(event) => {
            if (event.isComposing) return;
            if (event.key === 'Backspace' && draft === '' && tags.length > 0) set(tags.slice(0, -1), '');
            if (event.key === 'Enter' && draft.trim() !== '') {
              event.preventDefault();
              take();
            }
          }}
        />
      </div>
    </Field>
  );
}
