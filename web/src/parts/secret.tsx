import { useRef } from 'preact/hooks';
import { words } from '../i18n';
import { CopyButton } from './form';
import { Glyph } from './glyph';

/** A secret that is shown this once. */
export function Secret({ label, text, testid }: { label: string; text: string; testid?: string }) {
  const code = useRef<HTMLElement>(null);
  return (
    <>
      <div class="key-h">
        <span>{label}</span>
        <span class="grow" />
        <span class="once">
          <Glyph shape="notice" />
          {words.value.settings.shownOnce}
        </span>
      </div>
      <div class="key">
        <code ref={code} data-testid={testid}>
          {text}
        </code>
        <CopyButton text={text} label={words.value.common.copy} select={() => code.current} />
      </div>
    </>
  );
}

/** A line to copy. */
export function Line({ label, text }: { label: string; text: string }) {
  const code = useRef<HTMLElement>(null);
  return (
    <div class="fl">
      <span>{label}</span>
      <div class="key">
        <code ref={code} tabIndex={0}>
          {text}
        </code>
        <CopyButton text={text} label={words.value.common.copy} select={() => code.current} />
      </div>
    </div>
  );
}
