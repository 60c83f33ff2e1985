import { effect, signal, untracked, type ReadonlySignal } from '@preact/signals';
import { prefs } from '../state/prefs';
import type { AlertingMessages, BaseMessages, Lang, Messages } from './messages';

/** Each language is a file of its own: a browser fetches the one it reads. */
const LOAD: Record<Lang, () => Promise<BaseMessages>> = {
  en: () => import('./en').then(({ en }) => en),
  'zh-CN': () => import('./zh-CN').then(({ zhCN }) => zhCN),
};

/** The words of alerting: they come with its views. */
const ALERTING: Record<Lang, () => Promise<AlertingMessages>> = {
  en: () => import('./alerting.en').then(({ alertingEn }) => alertingEn),
  'zh-CN': () => import('./alerting.zh-CN').then(({ alertingZhCN }) => alertingZhCN),
};
let alerting = false;

/** Loads the words of alerting in the chosen language, and in each that is chosen later. */
export async function speakAlerting(): Promise<void> {
  alerting = true;
  const lang = prefs.peek().lang;
  const more = await ALERTING[lang]();
  // Another that was chosen meanwhile comes with its own.
  if (spoken.peek() !== null && prefs.peek().lang === lang) spoken.value = { ...(spoken.peek() as Messages), ...more };
}

/** The languages by their own names. */
export const LANGUAGES: readonly [Lang, string, string][] = [
  ['zh-CN', '中文', '中'],
  ['en', 'English', 'EN'],
];

const spoken = signal<Messages | null>(null);

/** The words of the chosen language. Reading it in a component redraws the component when the language changes. */
export const words = {
  get value(): Messages {
    if (spoken.value === null) throw new Error('no language is loaded yet');
    return spoken.value;
  },
  peek(): Messages {
    return untracked(() => words.value);
  },
} as Pick<ReadonlySignal<Messages>, 'value' | 'peek'>;

/** Loads the chosen language, and each that is chosen later; the promise is kept when the first one is there. */
export function speak(): Promise<void> {
  return new Promise((done) => {
    effect(() => {
      const lang = prefs.value.lang;
      const load = (tries: number): void => {
        Promise.all([LOAD[lang](), alerting ? ALERTING[lang]() : null]).then(
          ([base, more]) => {
            // Another may have been chosen meanwhile.
            if (prefs.peek().lang !== lang) return;
            // Whoever says more has waited for it.
            spoken.value = { ...base, ...more } as Messages;
            done();
          },
          () => {
            if (tries > 0) setTimeout(() => load(tries - 1), RETRY_MS);
          },
        );
      };
      load(RETRIES);
    });
  });
}

const RETRIES = 5;
const RETRY_MS = 1000;
