// What somebody filled into the form of a channel, and what is sent of it. Pure.

import type { AlertChannelView, ChannelFieldView, ChannelKindView, ChannelPatch, ChannelTest, NewChannel } from '../api/types';

type Setting = string | number | boolean;

export interface Form {
  name: string;
  enabled: boolean;
  language: 'en' | 'zh-CN';
  least: NewChannel['least'];
  takes_all: boolean;
  always: boolean;
  /** As typed; of a toggle `true` or `false`. */
  texts: Record<string, string>;
  /** Saved secrets that are to go. */
  away: readonly string[];
}

export function emptyForm(kind: ChannelKindView, language: 'en' | 'zh-CN'): Form {
  return { name: '', enabled: true, language, least: 'info', takes_all: true, always: false, texts: Object.fromEntries(kind.fields.map((field) => [field.word, field.default])), away: [] };
}

export function formOf(kind: ChannelKindView, channel: AlertChannelView): Form {
  const text = (field: ChannelFieldView): string => {
    if (field.kind === 'secret') return '';
    const value = channel.settings[field.word];
    return value === undefined ? field.default : String(value);
  };
  const { name, enabled, language, least, takes_all, always } = channel;
  return { name, enabled, language, least, takes_all, always, texts: Object.fromEntries(kind.fields.map((field) => [field.word, text(field)])), away: [] };
}

/** What is no secret. What is empty is left out. */
export function settingsOf(kind: ChannelKindView, form: Form): Record<string, Setting> {
  const all: Record<string, Setting> = {};
  for (const { word, kind: what } of kind.fields) {
    const text = (form.texts[word] ?? '').trim();
    if (what === 'secret' || text === '') continue;
    if (what === 'toggle') all[word] = text === 'true';
    else if (what === 'number') all[word] = Number.isInteger(Number(text)) ? Number(text) : text;
    // Lines keep their ends: a template may begin with spaces.
    else all[word] = what === 'lines' ? (form.texts[word] ?? '') : text;
  }
  return all;
}

/** Secrets that are new, and those that are to go as empty texts. */
export function secretsOf(kind: ChannelKindView, form: Form): Record<string, string> {
  const all: Record<string, string> = Object.fromEntries(form.away.map((word) => [word, '']));
  for (const { word, kind: what } of kind.fields) {
    const text = (form.texts[word] ?? '').trim();
    if (what === 'secret' && text !== '') all[word] = text;
  }
  return all;
}

/** The words of fields that must not be empty and are. */
export function missing(kind: ChannelKindView, form: Form, saved: readonly string[]): string[] {
  const there = (field: ChannelFieldView): boolean => (form.texts[field.word] ?? '').trim() !== '' || (field.kind === 'secret' && saved.includes(field.word) && !form.away.includes(field.word));
  return kind.fields.filter((field) => field.required && !there(field)).map((field) => field.word);
}

const common = (kind: ChannelKindView, form: Form) => ({
  name: form.name.trim(),
  enabled: form.enabled,
  settings: settingsOf(kind, form),
  secrets: secretsOf(kind, form),
  language: form.language,
  least: form.least,
  takes_all: form.takes_all,
  always: form.always,
});

export const newChannel = (kind: ChannelKindView, form: Form): NewChannel => ({ kind: kind.word, ...common(kind, form) });
export const patchOf = (kind: ChannelKindView, form: Form, rev: number): ChannelPatch => ({ rev, ...common(kind, form) });

export function testOf(kind: ChannelKindView, form: Form, id: string | null): ChannelTest {
  return { kind: kind.word, settings: settingsOf(kind, form), secrets: secretsOf(kind, form), language: form.language, ...(id === null ? {} : { id }) };
}
