import { expect, it } from 'vitest';
import { alertingEn } from '../i18n/alerting.en';
import { alertingZhCN } from '../i18n/alerting.zh-CN';
import { en as baseEn } from '../i18n/en';
import { zhCN as baseZhCN } from '../i18n/zh-CN';
import { fits, lengthParts, numberText, readNumber, valueText } from './value';

const en = { ...baseEn, ...alertingEn };
const zhCN = { ...baseZhCN, ...alertingZhCN };

it('says numbers with their unit', () => {
  const say = (unit: string, n: number): string[] => [numberText(unit, n, en.rules), numberText(unit, n, zhCN.rules)];
  expect(say('percent', 92.5)).toEqual(['92.5%', '92.5%']);
  expect(say('seconds', 90)).toEqual(['90 s', '90 秒']);
  expect(say('minutes', 10)).toEqual(['10 min', '10 分钟']);
  expect(say('hours', 72)).toEqual(['3 days', '3 天']);
  expect(say('days', 1)).toEqual(['24 h', '24 小时']);
  expect(say('usd', 2)).toEqual(['$2', '$2']);
  expect(say('tokens', 500_000)).toEqual(['500K tokens', '500K token']);
  expect(say('times', 3)).toEqual(['3×', '3 倍']);
  expect(say('mib', 2048)).toEqual(['2 GiB', '2 GiB']);
  expect(say('count', 123_456)[0]).toBe('123,456');
  expect(lengthParts(0)).toEqual([0, 's']);
});

it('reads numbers as they are typed', () => {
  const read = (...texts: string[]): (number | null)[] => texts.map(readNumber);
  expect(read('90', ' 90 % ', '1,5', '1.5', '500K', '1,000,000', '50万', '$20')).toEqual([90, 90, 1.5, 1.5, 500_000, 1_000_000, 500_000, 20]);
  expect(read('', 'x', '-1', '1e9', '9 9')).toEqual([null, null, null, null, null]);
  expect(fits(5, 1, 10) && !fits(null, 1, 10) && !fits(11, 1, 10)).toBe(true);
});

it('says what is left out', () => {
  const field = { word: 'x', label: { en: 'x', zh: 'x' }, unit: 'word', choices: [{ value: 'down', label: { en: 'down', zh: '停止' } }], min: 0, max: 0, optional: true };
  const say = (value: string | null): string => valueText(field, value, en.rules, (text) => text.en);
  expect([say('down'), say(null), say('new-word')]).toEqual(['down', 'not set', 'new-word']);
});
