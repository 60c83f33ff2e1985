import { describe, expect, it } from 'vitest';
import type { RuleBodyView, RuleKindView } from '../api/types';
import { alertingEn } from '../i18n/alerting.en';
import { alertingZhCN } from '../i18n/alerting.zh-CN';
import { en as baseEn } from '../i18n/en';
import { zhCN as baseZhCN } from '../i18n/zh-CN';
import { channelsText, falls, manner, plain, sentence, spaced, stepChoices, withSeverity, withStep, type Around, type Part } from './sentence';

const en = { ...baseEn, ...alertingEn };
const zhCN = { ...baseZhCN, ...alertingZhCN };

const field = (word: string, unit: string, choices: RuleKindView['fields'][number]['choices'] = []): RuleKindView['fields'][number] => ({ word, label: { en: word, zh: word }, unit, choices, min: 0, max: 1e9, optional: false });
const body = (change: Partial<RuleBodyView> = {}): RuleBodyView => ({ scope: { devices: [], tags: [] }, values: {}, for_s: 0, severity: 'warning', steps: [], channels: null, remind_s: null, tell_resolved: true, quiet: true, late: false, ...change });
const kind = (word: string, en: string, zh: string, change: Partial<RuleKindView> = {}): RuleKindView => ({ word, name: { en: word, zh: word }, sentence: { en, zh }, of: 'device', lasts: true, levels: false, dry_run: true, fields: [], default: body(), default_on: true, ...change });

const memory = kind('memory', 'When the memory of {scope} stays above {level} for {for}', '{scope}的内存高于 {level} 持续 {for}', { levels: true, fields: [field('level', 'percent'), field('clear', 'percent')], default: body({ values: { level: 80, clear: 75 } }) });
const gateway = kind('gateway', 'When the gateway of {scope} is {what} for {for}', '{scope}的网关{what}超过 {for}', { fields: [field('what', 'word', [{ value: 'down', label: { en: 'down or hung', zh: '停止或无响应' } }])], default: body({ values: { what: 'down' } }) });
const full = kind('disk_full', 'When the disks of {scope} will be full within {level}', '{scope}的磁盘预计 {level} 内写满', { levels: true, lasts: false, fields: [field('level', 'hours'), field('clear', 'hours')], default: body({ values: { level: 72, clear: 96 } }) });
const budget = kind('budget', 'When {scope} together have used {level} of {amount} {measure}', '{scope}合计用量达到 {amount} {measure}的 {level}', {
  of: 'fleet',
  fields: [field('level', 'percent'), field('amount', 'count'), field('measure', 'word', [{ value: 'usd', label: { en: 'dollars', zh: '美元' } }, { value: 'tokens', label: { en: 'tokens', zh: 'token' } }])],
});

const names: Record<string, string> = { a: 'Telegram · ops', b: 'phone', '1': 'pi-1', '2': '书房 NAS', '3': 'pi-3' };
const about = (lang: 'en' | 'zh-CN'): Around => {
  const words = lang === 'en' ? en : zhCN;
  return { lang, words: words.rules, severities: words.alerts.severity, say: (text) => (lang === 'en' ? text.en : text.zh), channel: (id) => names[id] ?? null, device: (id) => names[id] ?? null };
};
const both = (of: RuleKindView, rule: RuleBodyView): string[] => [plain(sentence(of, rule, about('en'))), plain(sentence(of, rule, about('zh-CN')))];

describe('a rule', () => {
  it('reads like one sentence in both languages', () => {
    expect(both(memory, body({ values: { level: 90, clear: 85 }, for_s: 600, channels: ['a', 'b'], steps: [{ severity: 'critical', level: null, after_s: 1800 }] }))).toEqual([
      'When the memory of any device stays above 90% for 10 min, raise Warning and tell Telegram · ops and phone; Critical after 30 min. Clear below 85%.',
      '全部设备的内存高于 90% 持续 10 分钟，按警告级别告警，通知 Telegram · ops 和 phone；30 分钟未恢复升级为紧急。低于 85% 时恢复。',
    ]);
    expect(both(gateway, body({ values: { what: 'down' }, for_s: 60, severity: 'critical', scope: { devices: [], tags: ['prod', 'edge'] } }))).toEqual([
      'When the gateway of any device tagged prod or edge is down or hung for 1 min, raise Critical and tell the default channels.',
      '带 prod 或 edge 标签的设备的网关停止或无响应超过 1 分钟，按紧急级别告警，通知默认渠道。',
    ]);
  });

  it('falls where less is graver', () => {
    const rule = body({ values: { level: 72, clear: 96 }, channels: [], steps: [{ severity: 'error', level: 24, after_s: null }] });
    expect(falls(full, rule)).toBe(true);
    expect(both(full, rule)).toEqual([
      'When the disks of any device will be full within 3 days, raise Warning and tell nobody; Error below 24 h. Clear above 4 days.',
      '全部设备的磁盘预计 3 天内写满，按警告级别告警，不发送通知；低于 24 小时升级为错误。高于 4 天时恢复。',
    ]);
    expect(falls(full, body({ values: { level: 96, clear: 96 } }))).toBe(true);
    // Fires and is over at the same level: only its step tells.
    const certificate = { ...full, default: body({ values: { level: 14, clear: 14 }, steps: [{ severity: 'error' as const, level: 3, after_s: null }] }) };
    expect(falls(certificate, body({ values: { level: 30, clear: 30 } }))).toBe(true);
    expect(falls(memory, body({ values: { level: 80, clear: 80 } }))).toBe(false);
  });

  it('names devices, and what is gone', () => {
    const of = (devices: string[], tags: string[] = []): string[] => both(gateway, body({ scope: { devices, tags }, values: { what: 'down' } })).map((text) => text.split(/ is |的网关/)[0] ?? '');
    expect(of(['1', '2'])).toEqual(['When the gateway of pi-1 or 书房 NAS', 'pi-1 和书房 NAS ']);
    expect(of(['1', '2', '3'], ['lab'])[0]).toBe('When the gateway of any of 3 devices or any device tagged lab');
    expect(of(['x'])[1]).toBe('已移除的设备');
    expect(channelsText(['x'], about('en'))).toBe('a removed channel');
  });

  it('sets what is between a number and a word by what the word is', () => {
    expect(both(budget, body({ values: { level: 80, amount: 500, measure: 'usd' } }))[1]).toContain('达到 500 美元的 80%，按');
    expect(both(budget, body({ values: { level: 80, amount: 1_000_000, measure: 'tokens' } }))[1]).toContain('达到 1M token 的 80%，按');
    expect(both(budget, body({ values: { level: 80, amount: 500, measure: 'usd' } }))[0]).toContain('used 80% of 500 dollars, raise');
  });

  it('says how it is told', () => {
    expect(plain(manner(body({ remind_s: 7200, quiet: false }), about('en')))).toBe('While nobody acknowledges, tell again every 2 h; when it is over, say so; in quiet hours, tell at once; what devices tell late is not judged.');
    expect(plain(manner(body({ remind_s: 7200 }), about('zh-CN')))).toBe('未确认时每 2 小时提醒一次；恢复时发送恢复通知；免打扰时段推迟到结束后发送；延迟上报的数据不参与判断。');
  });

  it('keeps a word that the kind does not know', () => {
    expect(plain(sentence(kind('x', 'When {this} is', '{this}'), body(), about('en')))).toContain('When {this} is, raise');
  });
});

describe('steps', () => {
  it('grow in gravity', () => {
    const once = withStep(body());
    expect(once.steps).toEqual([{ severity: 'error', level: null, after_s: 1800 }]);
    const twice = withStep(once);
    expect(twice.steps.at(-1)).toEqual({ severity: 'critical', level: null, after_s: 3600 });
    expect(withStep(twice)).toBe(twice);
    expect(stepChoices(twice, 0)).toEqual(['error']);
    expect(stepChoices(once, 0)).toEqual(['critical', 'error']);
    expect(withSeverity(twice, 'error').steps.map((step) => step.severity)).toEqual(['critical']);
    expect(withSeverity(twice, 'critical').steps).toEqual([]);
  });
});

it('spaces Chinese and Latin, and nothing else', () => {
  const slot = { of: 'for' } as const;
  const check = (parts: Part[], wanted: string): void => expect(plain(spaced(parts))).toBe(wanted);
  check([{ text: '高于 ' }, { text: '全部', slot }, { text: ' 时' }], '高于全部时');
  check([{ text: '高于' }, { text: '90%', slot }, { text: '时' }], '高于 90% 时');
  check([{ text: '90%', slot }, { text: '，好' }], '90%，好');
  check([{ text: 'a', slot }, { text: ' ' }, { text: 'b', slot }], 'a b');
  check([{ text: '一', slot }, { text: ' ' }, { text: 'b', slot }], '一 b');
});
