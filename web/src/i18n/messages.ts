import type { alertingEn } from './alerting.en';
import type { en } from './en';

type Widen<T> = T extends string
  ? string
  : T extends (...args: infer A) => infer R
    ? (...args: A) => R
    : T extends readonly string[]
      ? string[]
      : { [K in keyof T]: Widen<T[K]> };

/** What a language must say: the shape of the English one. */
export type BaseMessages = Widen<typeof en>;
/** What only the views of alerting say. */
export type AlertingMessages = Widen<typeof alertingEn>;
/** All of it; views of alerting have waited for theirs. */
export type Messages = BaseMessages & AlertingMessages;
export type Lang = 'en' | 'zh-CN';
