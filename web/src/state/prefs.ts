// What this browser remembers: language and theme. `public/assets/boot.js` reads the same record before the first paint.

import { computed, effect, signal } from '@preact/signals';
import { browserZone, setZone } from '../format/time';
import type { Lang } from '../i18n/messages';
import { parseColumns, USUAL, type Column } from '../list/columns';

export type Theme = 'auto' | 'light' | 'dark';
export interface Prefs {
  lang: Lang;
  theme: Theme;
  /** The time zone in which times and days are told; null: the browser's own. */
  zone: string | null;
  /** Columns of the overview. */
  columns: readonly Column[];
  /** Whether the overview has its side panel. */
  rail: boolean;
  /** Whether this desktop wants to be told of critical alerts. */
  notify: boolean;
}

const KEY = 'openclaw-watch';

/** Whether this browser knows a time zone by this name. */
export function knownZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export function readPrefs(text: string | null, navigatorLanguage: string): Prefs {
  let saved: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    if (typeof value === 'object' && value !== null) saved = value as Record<string, unknown>;
  } catch {
    // Written by something else: start from the defaults.
  }
  return {
    lang: saved.lang === 'zh-CN' || saved.lang === 'en' ? saved.lang : /^zh/i.test(navigatorLanguage) ? 'zh-CN' : 'en',
    theme: saved.theme === 'light' || saved.theme === 'dark' ? saved.theme : 'auto',
    zone: typeof saved.zone === 'string' && knownZone(saved.zone) ? saved.zone : null,
    columns: parseColumns(saved.columns),
    rail: saved.rail !== false,
    notify: saved.notify === true,
  };
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export const prefs = signal<Prefs>(typeof document === 'undefined' ? { lang: 'en', theme: 'auto', zone: null, columns: USUAL, rail: true, notify: false } : readPrefs(stored(), navigator.language));

export function setPrefs(change: Partial<Prefs>): void {
  prefs.value = { ...prefs.value, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs.value));
  } catch {
    // Storage refused: the choice holds until the page is closed.
  }
}

/** The zone in force: whose days are "today", whose clock is shown. */
export const viewerZone = computed(() => prefs.value.zone ?? browserZone());

const systemDark = signal(false);

/** The theme in force, after "as the system" is resolved. */
export const theme = computed<'light' | 'dark'>(() => (prefs.value.theme === 'auto' ? (systemDark.value ? 'dark' : 'light') : prefs.value.theme));

/** Keeps <html> in step with the choice; the function given back stops it. */
export function followPrefs(): () => void {
  const media = matchMedia('(prefers-color-scheme: dark)');
  const heard = (): void => {
    systemDark.value = media.matches;
  };
  heard();
  media.addEventListener('change', heard);
  const end = effect(() => {
    setZone(prefs.value.zone);
    document.documentElement.dataset.theme = theme.value;
    document.documentElement.lang = prefs.value.lang;
  });
  return () => {
    media.removeEventListener('change', heard);
    end();
  };
}
