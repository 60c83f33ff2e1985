// A rule as a sentence: the condition of its kind and what happens then, as pieces of text and words that can be changed.
// Pure; the words of the language are an argument.

import type { AlertChannelView, RuleBodyView, RuleKindView } from '../api/types';
import type { Lang, Messages } from '../i18n/messages';
import { lengthText, numberText, valueText, type SaidIn } from './value';

export type Severity = RuleBodyView['severity'];
export const SEVERITIES: readonly Severity[] = ['critical', 'error', 'warning', 'info'];

/** What a word of the sentence stands for. */
export type Slot =
  | { of: 'scope' | 'for' | 'severity' | 'channels' | 'remind' | 'resolved' | 'quiet' | 'late' }
  | { of: 'field'; word: string }
  | { of: 'step-severity' | 'step-when'; step: number };

export type Part = { text: string; slot?: undefined } | { text: string; slot: Slot; severity?: Severity };

/** What the sentence needs to know besides the rule. */
export interface Around {
  lang: Lang;
  words: Messages['rules'];
  severities: Messages['alerts']['severity'];
  say: SaidIn;
  /** Names of channels by id; null for one that is gone. */
  channel: (id: string) => string | null;
  device: (id: string) => string | null;
}

const HAN = /[\p{Script=Han}]/u;
const LATIN = /[\p{Script=Latin}\d$%×+\-]/u;

/** The space between two characters: Chinese and Latin stand apart, Chinese and Chinese do not. */
function between(before: string, after: string, had: boolean): string {
  if ((HAN.test(before) && LATIN.test(after)) || (LATIN.test(before) && HAN.test(after))) return ' ';
  return had && !HAN.test(before) && !HAN.test(after) && LATIN.test(before) && LATIN.test(after) ? ' ' : '';
}

const first = (text: string): string => [...text][0] ?? '';
const last = (text: string): string => [...text].at(-1) ?? '';

/** Sets the spaces around the words of a Chinese sentence: what stands in a template cannot know what comes into it. */
export function spaced(parts: readonly Part[]): Part[] {
  const out: Part[] = [];
  let had = false;
  for (const part of parts) {
    const bare = part.slot ? part.text : part.text.trim();
    if (!part.slot && bare === '') {
      had ||= part.text !== '';
      continue;
    }
    const before = out.at(-1);
    const gap = before ? between(last(before.text), first(bare), had || /^\s/.test(part.text)) : '';
    if (gap !== '') {
      if (!part.slot) out.push({ ...part, text: gap + bare });
      else if (before && !before.slot) {
        out[out.length - 1] = { ...before, text: before.text + gap };
        out.push(part);
      } else out.push({ text: gap }, part);
    } else out.push({ ...part, text: bare });
    had = !part.slot && /\s$/.test(part.text);
  }
  return out;
}

/** A template with words in braces, as parts. A word that nobody knows stays as it is. */
function fill(template: string, of: (word: string) => Part | null): Part[] {
  return template.split(/(\{[a-z_]+\})/).flatMap((piece): Part[] => {
    const word = /^\{([a-z_]+)\}$/.exec(piece)?.[1];
    const part = word === undefined ? null : of(word);
    return part ? [part] : piece === '' ? [] : [{ text: piece }];
  });
}

/** Which devices: all of them together, or any one of them. */
export function scopeText(scope: RuleBodyView['scope'], around: Pick<Around, 'words' | 'device'>, any = false): string {
  const t = any ? { ...around.words, ...around.words.any } : around.words;
  const names = scope.devices.map((id) => around.device(id) ?? t.goneDevice);
  const parts = [names.length > 2 ? t.devices(names.length) : names.length > 0 ? t.join(names) : '', scope.tags.length > 0 ? t.tagged(t.or(scope.tags)) : ''];
  const said = parts.filter((part) => part !== '');
  return said.length === 0 ? t.allDevices : t.join(said);
}

export function channelsText(ids: readonly string[] | null, around: Around): string {
  const t = around.words;
  if (ids === null) return t.tellDefault;
  if (ids.length === 0) return t.tellNobody;
  return t.tellThese(t.and(ids.map((id) => around.channel(id) ?? t.goneChannel)));
}

/** Whether graver is lower, as far as the levels of a rule tell. */
function lower({ values: { level, clear }, steps }: RuleBodyView): boolean | null {
  if (typeof level !== 'number') return null;
  const step = steps.find((one) => one.level !== null && one.level !== level)?.level;
  if (step != null) return step < level;
  return typeof clear === 'number' && clear !== level ? clear > level : null;
}

/** A rule of this kind is over on the other side of its level: the lower the graver. What a rule does not tell, its kind does. */
export const falls = (kind: RuleKindView, body: RuleBodyView): boolean => lower(kind.default) ?? lower({ ...body, values: { ...kind.default.values, ...body.values } }) ?? false;

/** The sentence. */
export function sentence(kind: RuleKindView, body: RuleBodyView, around: Around): Part[] {
  const { words: t, say, severities } = around;
  const fieldOf = (word: string) => kind.fields.find((field) => field.word === word);
  const part = (word: string): Part | null => {
    if (word === 'scope') return { text: scopeText(body.scope, around, kind.of === 'device'), slot: { of: 'scope' } };
    if (word === 'for') return { text: body.for_s === 0 ? t.anyTime : lengthText(body.for_s, t), slot: { of: 'for' } };
    if (word === 'severity') return { text: severities[body.severity], slot: { of: 'severity' }, severity: body.severity };
    if (word === 'channels') return { text: channelsText(body.channels, around), slot: { of: 'channels' } };
    const field = fieldOf(word);
    return field ? { text: valueText(field, body.values[word] ?? kind.default.values[word], t, say), slot: { of: 'field', word } } : null;
  };
  const template = say(kind.sentence).trim().replace(/[.。]$/, '');
  const parts = [...fill(template, part), ...fill(t.raise, part)];
  const falling = falls(kind, body);
  const level = fieldOf('level');
  for (const [step, { severity, level: from, after_s }] of body.steps.entries()) {
    const when = from !== null && level ? numberText(level.unit, from, t) : lengthText(after_s ?? 0, t);
    const stepPart = (word: string): Part | null =>
      word === 'severity' ? { text: severities[severity], slot: { of: 'step-severity', step }, severity } : word === 'when' ? { text: when, slot: { of: 'step-when', step } } : null;
    parts.push(...fill(from === null ? t.stepAfter : falling ? t.stepBelow : t.stepAbove, stepPart));
  }
  const clear = kind.levels && !say(kind.sentence).includes('{clear}') && fieldOf('clear') !== undefined;
  parts.push(...fill(clear ? (falling ? t.clearAbove : t.clearBelow) : t.end, part));
  return finish(parts, around.lang);
}

/** How it is told, as a sentence of its own. */
export function manner(body: RuleBodyView, { words: t, lang }: Around): Part[] {
  const part = (word: string): Part | null => {
    switch (word) {
      case 'remind':
        return { text: body.remind_s === null ? t.remindNever : t.remindEvery(lengthText(body.remind_s, t)), slot: { of: 'remind' } };
      case 'resolved':
        return { text: body.tell_resolved ? t.resolvedTell : t.resolvedSilent, slot: { of: 'resolved' } };
      case 'quiet':
        return { text: body.quiet ? t.quietWait : t.quietTell, slot: { of: 'quiet' } };
      case 'late':
        return { text: body.late ? t.lateJudged : t.lateIgnored, slot: { of: 'late' } };
      default:
        return null;
    }
  };
  return finish(fill(t.manner, part), lang);
}

function finish(parts: readonly Part[], lang: Lang): Part[] {
  return lang === 'zh-CN' ? spaced(parts) : [...parts];
}

/** The sentence as plain text: for names of things, and for tests. */
export const plain = (parts: readonly Part[]): string => parts.map((part) => part.text).join('');

/** The next graver severity, if there is one. */
export const graver = (severity: Severity): Severity | null => SEVERITIES[SEVERITIES.indexOf(severity) - 1] ?? null;

/** The severities that a step may have: graver than the one before it, less grave than the one after it. */
export function stepChoices(body: RuleBodyView, step: number): Severity[] {
  const before = body.steps[step - 1]?.severity ?? body.severity;
  const after = body.steps[step + 1]?.severity;
  return SEVERITIES.filter((one) => SEVERITIES.indexOf(one) < SEVERITIES.indexOf(before) && (after === undefined || SEVERITIES.indexOf(one) > SEVERITIES.indexOf(after)));
}

const STEP_S = 1800;

/** With one more step, after half an hour; the same when there is no graver one. */
export function withStep(body: RuleBodyView): RuleBodyView {
  const next = graver(body.steps.at(-1)?.severity ?? body.severity);
  if (next === null) return body;
  const longest = Math.max(0, ...body.steps.map((step) => step.after_s ?? 0));
  return { ...body, steps: [...body.steps, { severity: next, level: null, after_s: longest + STEP_S }] };
}

/** With another first severity: steps that are not graver any more go. */
export function withSeverity(body: RuleBodyView, severity: Severity): RuleBodyView {
  return { ...body, severity, steps: body.steps.filter((step) => SEVERITIES.indexOf(step.severity) < SEVERITIES.indexOf(severity)) };
}

/** The channels that are told by a rule that names none. */
export const takers = (channels: readonly AlertChannelView[]): AlertChannelView[] => channels.filter((channel) => channel.enabled && channel.takes_all);
