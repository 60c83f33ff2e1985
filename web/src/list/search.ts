// What people type into the search box. Words are joined by "and"; each is looked for in the name, the tags and the
// state words of both languages. `tag:x` looks in tags only, `version:x` in OpenClaw's version, also `version:<2026.9`,
// `agent:x` in the agent's. Pure.

import type { DeviceView } from '../api/types';
import { STATES, stateOf, type StateWord } from '../state/fleet';
import { compareVersions } from './versions';

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
  const agent = /^(?:agent|探针)[:：](.*)$/.exec(word);
  if (agent) return (device) => (device.agent_version ?? '').toLowerCase().startsWith(agent[1] ?? '');
  const version = /^(?:version|版本)[:：](<=?|>=?)?(.*)$/.exec(word);
  if (version) return (device) => versionFits(device.openclaw?.version ?? null, version[1], version[2] ?? '');
  // A whole state word means the state alone, so that "online" does not find a device named "online-shop" that is down.
  for (const state of STATES) {
    if (STATE_WORDS[state].includes(word)) return (device) => stateOf(device) === state;
  }
  return (device) =>
    device.name.toLowerCase().includes(word) || (device.openclaw?.version ?? '').startsWith(word) || device.tags.some((value) => value.toLowerCase().includes(word)) || device.id === word;
}

/** Versions compare as far as they are typed: 2026.9.6 is neither before nor after 2026.9. */
function versionFits(version: string | null, sign: string | undefined, wanted: string): boolean {
  if (version === null) return false;
  if (wanted === '' || sign === undefined) return version.toLowerCase().startsWith(wanted);
  const parts = wanted.split('.').length;
  const order = compareVersions(version.split('.').slice(0, parts).join('.'), wanted);
  return sign === '<' ? order < 0 : sign === '<=' ? order <= 0 : sign === '>' ? order > 0 : order >= 0;
}

export const matches = (terms: readonly Term[], device: DeviceView): boolean => terms.every((term) => term(device));
