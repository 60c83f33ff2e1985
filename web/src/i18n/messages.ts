import type { en } from './en';

type Widen<T> = T extends string
  ? string
  : T extends (...args: infer A) => infer R
    ? (...args: A) => R
    : T extends readonly string[]
      ? string[]
      : { [K in keyof T]: Widen<T[K]> };

/** What a language must say: the shape of the English one. */
export type Messages = Widen<typeof en>;
export type Lang = 'en' | 'zh-CN';
