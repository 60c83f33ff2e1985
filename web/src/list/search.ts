// What people type into the search box. Words are joined by "and"; each is looked for in the name, the tags and the
// state words of both languages. `tag:x` looks in tags only, `version:x` in the agent's version. Pure.

import type { DeviceView } from '../api/types';
import { STATES, stateOf, type StateWord } from '../state/fleet';

const STATE_WORDS: Record<StateWord, readonly string[]> = {
  gwdown: ['down', 'gwdown', '停止', '网关停止'],
  hung: ['hung', '无响应', '网关无响应'],
  offline: ['offline', '离线'],
  degraded: ['degraded', '异常', '部分异常'],
  restart: ['restart', '待重启'],
  online: ['online', '在线'],
  never: ['never', '从未上线'],
};

export type Term = (device: DeviceView) => boolean;

export function parseSearch(text: string): Term[] {
  return text.trim().toLowerCase().split(/\s+/).filter(Boolean).map(term);
}

function term(word: string): Term {
  const tag = /^(?:tag|标签)[:：](.*)$/.exec(word);
  if (tag) return (device) => device.tags.some((value) => value.toLowerCase().startsWith(tag[1] ?? ''));
  const version = /^(?:version|agent|版本|探针)[:：](.*)$/.exec(word);
  if (version) return (device) => (device.agent_version ?? '').toLowerCase().startsWith(version[1] ?? '');
  // A whole state word means the state alone, so that "online" does not find a device named "online-shop" that is down.
  for (const state of STATES) {
    if (STATE_WORDS[state].includes(word)) return (device) => stateOf(device) === state;
  }
  return (device) =>
    device.name.toLowerCase().includes(word) || device.tags.some((value) => value.toLowerCase().includes(word)) || device.id === word;
}

export const matches = (terms: readonly Term[], device: DeviceView): boolean => terms.every((term) => term(device));
