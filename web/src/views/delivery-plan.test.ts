import { expect, it } from 'vitest';
import type { DeliveryView } from '../api/types';
import { alertingEn } from '../i18n/alerting.en';
import { alertingZhCN } from '../i18n/alerting.zh-CN';
import { en as baseEn } from '../i18n/en';
import { zhCN as baseZhCN } from '../i18n/zh-CN';
import { planOf, shapeOf, stateText } from './delivery-plan';

const en = { ...baseEn, ...alertingEn };
const zhCN = { ...baseZhCN, ...alertingZhCN };

const now = Date.parse('2026-11-20T12:00:00Z');
const tried = { at: '2026-11-20T11:59:00Z', took_ms: 420, ok: false, answer: '503' };
const delivery = (change: Partial<DeliveryView>): DeliveryView => ({ no: 1, id: 'x', channel: 'c', channel_name: 'ops', alert: 1, occasion: 'fired', title: null, device_name: null, state: 'sent', why: null, made_at: '2026-11-20T11:58:00Z', due_at: '2026-11-20T12:00:40Z', done_at: null, attempts: [], ...change });
const say = (change: Partial<DeliveryView>): string[] => [en, zhCN].map((words) => stateText(delivery(change), now, words, () => '08:00'));

it('says what became of it', () => {
  expect(say({ attempts: [{ ...tried, ok: true }] })).toEqual(['0.4 s', '0.4 秒']);
  expect(say({ state: 'waiting', attempts: [tried, tried] })).toEqual(['try 3 in 40 s', '40 秒后第 3 次']);
  expect(say({ state: 'waiting', attempts: [tried], due_at: '2026-11-20T11:00:00Z' })[0]).toBe('try 2 now');
  expect(say({ state: 'waiting' })).toEqual(['On its way', '发送中']);
  expect(say({ state: 'held' })).toEqual(['held until 08:00', '暂缓至 08:00']);
  expect(say({ state: 'failed', why: 'settings' })[1]).toBe('发送失败：渠道设置有误');
  expect(say({ state: 'skipped', why: 'a_new_word' })[0]).toBe('Not needed: a_new_word');
});

it('has a shape for each', () => {
  expect((['sent', 'failed', 'held', 'skipped', 'waiting'] as const).map((state) => shapeOf(delivery({ state })))).toEqual(['online', 'error', 'maint', 'info', 'never']);
  expect(shapeOf(delivery({ state: 'waiting', attempts: [tried] }))).toBe('warning');
});

it('reads the address', () => {
  expect(planOf(new URLSearchParams('state=failed&channel=c&occasion=party&alert=x'))).toEqual({ channel: 'c', state: 'failed', occasion: null, alert: null });
});
