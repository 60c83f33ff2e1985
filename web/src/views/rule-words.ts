// What sentences of rules need to know, from what is on the page.

import type { AlertChannelView } from '../api/types';
import { words } from '../i18n';
import type { Around } from '../rules/sentence';
import type { SaidIn } from '../rules/value';
import { fleet } from '../state/fleet';
import { prefs } from '../state/prefs';

/** A text of the server in the language of the page. */
export const said: SaidIn = (text) => (prefs.value.lang === 'zh-CN' ? text.zh : text.en);

export function around(channels: readonly AlertChannelView[]): Around {
  const t = words.value;
  fleet.shape.value;
  return {
    lang: prefs.value.lang,
    words: t.rules,
    severities: t.alerts.severity,
    say: said,
    channel: (id) => channels.find((channel) => channel.id === id)?.name ?? null,
    device: (id) => fleet.get(id)?.view.value.name ?? null,
  };
}
