import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import { span } from '../format/time';
import { words } from '../i18n';
import { prefs } from '../state/prefs';
import { Glyph } from './glyph';
import { Icon } from './icon';

interface FieldProps {
  id: string;
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  children?: ComponentChildren;
}

/** A labelled place for an input, with its hint or what is wrong with it. */
export function Field({ id, label, hint, error, children }: FieldProps) {
  return (
    <div class="fl">
      <label for={id}>{label}</label>
      {children}
      {error ? (
        <p class="bad" id={`${id}-note`} role="alert">
          {error}
        </p>
      ) : hint ? (
        <p class="hint" id={`${id}-note`}>
          {hint}
        </p>
      ) : null}
    </div>
  );
}

interface InputProps extends FieldProps {
  value: string;
  set: (value: string) => void;
  password?: boolean;
  autofocus?: boolean;
  autocomplete: string;
  maxLength?: number;
  placeholder?: string;
  testid?: string;
  inputmode?: 'numeric';
}

export function TextField({ id, label, hint, error, value, set, password, autofocus, autocomplete, maxLength, placeholder, testid, inputmode }: InputProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (autofocus) input.current?.focus();
  }, [autofocus]);
  return (
    <Field id={id} label={label} hint={hint} error={error}>
      <input
        ref={input}
        {...(password ? { type: 'password' as const } : { type: 'text' as const })}
        id={id}
        class="in"
        value={value}
        autocomplete={autocomplete}
        autocapitalize="off"
        spellcheck={false}
        maxLength={maxLength}
        placeholder={placeholder}
        inputMode={inputmode}
        data-testid={testid}
        data-autofocus={autofocus ? '' : undefined}
        aria-invalid={error ? 'true' : undefined}
        aria-describedby={error || hint ? `${id}-note` : undefined}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </Field>
  );
}

export function AreaField({ id, label, hint, error, value, set, maxLength, rows = 3, mono, placeholder }: Omit<InputProps, 'autocomplete'> & { rows?: number; mono?: boolean }) {
  return (
    <Field id={id} label={label} hint={hint} error={error}>
      <textarea
        id={id}
        class={`in area ${mono ? 'mono' : ''}`}
        value={value}
        rows={rows}
        maxLength={maxLength}
        placeholder={placeholder}
        spellcheck={!mono}
        aria-invalid={error ? 'true' : undefined}
        aria-describedby={error || hint ? `${id}-note` : undefined}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </Field>
  );
}

/** One of a few, side by side. */
export function Choice<T extends string | number>({ label, options, value, set, hint }: { label: string; options: readonly (readonly [T, string])[]; value: T; set: (value: T) => void; hint?: string }) {
  return (
    <div class="fl">
      <span>{label}</span>
      <div class="seg wrap" role="group" aria-label={label}>
        {options.map(([each, text]) => (
          <button key={each} type="button" aria-pressed={value === each} onClick={() => set(each)}>
            {text}
          </button>
        ))}
      </div>
      {hint ? <p class="hint">{hint}</p> : null}
    </div>
  );
}

export function Check({ label, value, set }: { label: string; value: boolean; set: (value: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={value} onChange={(event) => set(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

/** What the server says about one field. Its sentences are English: in another language our own words stand for them. */
export function fieldText(error: unknown, field: string): string | undefined {
  if (!(error instanceof ApiError) || !Object.hasOwn(error.fields, field)) return undefined;
  const said: Record<string, string> = words.value.fields;
  if (Object.hasOwn(said, error.code)) return said[error.code];
  return prefs.value.lang === 'en' || !Object.hasOwn(said, field) ? error.fields[field] : said[field];
}

/** What went wrong, in words that say what to do. */
export function explain(error: unknown): string {
  const t = words.value;
  if (!(error instanceof ApiError)) return t.errors.server(String(error));
  const wait = t.span(span(error.retryAfterS ?? 60));
  if (error.code === 'network') return t.errors.network;
  if (error.code === 'bad_credentials') return t.login.bad;
  if (error.code === 'two_factor_wrong') return t.login.codeWrong;
  if (error.code === 'conflict') return t.errors.conflict;
  if (error.code === 'last_admin') return t.errors.lastAdmin;
  if (error.code === 'secrets_unreadable') return t.errors.secrets;
  if (error.code === 'backup_running') return t.errors.backupRunning;
  if (error.code === 'too_many_attempts') return t.login.wait(wait);
  if (error.status === 429) return t.errors.tooMany(wait);
  if (error.status === 403) return t.errors.forbidden;
  if (error.status === 404) return t.errors.notFound;
  return t.errors.server(error.message);
}

export function Problem({ text }: { text: string }) {
  return (
    <p class="problem" role="alert">
      <Glyph shape="error" />
      <span>{text}</span>
    </p>
  );
}

/** Copies text; where the browser does not allow it (plain http), selects it for the hand. */
export function CopyButton({ text, label, primary, select }: { text: string; label: string; primary?: boolean; select: () => HTMLElement | null }) {
  const [done, setDone] = useState<'' | 'copied' | 'failed'>('');
  async function copy(): Promise<void> {
    let ok = false;
    try {
      await navigator.clipboard.writeText(text);
      ok = true;
    } catch {
      const element = select();
      if (element) {
        getSelection()?.selectAllChildren(element);
        try {
          ok = document.execCommand('copy');
        } catch {
          ok = false;
        }
      }
    }
    setDone(ok ? 'copied' : 'failed');
    setTimeout(() => setDone(''), 2500);
  }
  return (
    <>
      <button type="button" class={`btn ${primary ? 'pri' : ''}`} onClick={copy}>
        <Icon name={done === 'copied' ? 'check' : 'copy'} size={14} />
        {done === 'copied' ? words.value.common.copied : label}
      </button>
      <span class="vh" role="status">
        {done === 'copied' ? words.value.common.copied : done === 'failed' ? words.value.errors.copyFailed : ''}
      </span>
    </>
  );
}
