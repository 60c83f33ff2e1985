import { expect, it } from 'vitest';
import type { AlertChannelView, ChannelKindView } from '../api/types';
import { emptyForm, formOf, missing, newChannel, patchOf, testOf } from './channel-form';

const field = (word: string, kind: ChannelKindView['fields'][number]['kind'], change: Partial<ChannelKindView['fields'][number]> = {}): ChannelKindView['fields'][number] => ({ word, kind, label: { en: word, zh: word }, help: null, placeholder: '', choices: [], min: null, max: null, required: false, default: '', ...change });
const kind: ChannelKindView = {
  word: 'webhook',
  name: { en: 'Webhook', zh: 'Webhook' },
  help: { en: '', zh: '' },
  fields: [field('url', 'url', { required: true }), field('token', 'secret', { required: true }), field('key', 'secret'), field('retries', 'number', { default: '3' }), field('tls', 'toggle', { default: 'true' }), field('body', 'lines')],
};
const channel: AlertChannelView = { id: 'c1', kind: 'webhook', name: 'ours', enabled: true, rev: 4, made_at: '', settings: { url: 'https://x', tls: false }, secrets: ['token', 'key'], language: 'en', least: 'info', takes_all: true, always: false, trouble: null };

it('sends what a new channel is', () => {
  const form = { ...emptyForm(kind, 'zh-CN'), name: ' ops ' };
  expect(missing(kind, form, [])).toEqual(['url', 'token']);
  form.texts = { ...form.texts, url: ' https://x ', token: 't', body: '  {"a": 1}' };
  expect(missing(kind, form, [])).toEqual([]);
  expect(newChannel(kind, form)).toEqual({ kind: 'webhook', name: 'ops', enabled: true, settings: { url: 'https://x', retries: 3, tls: true, body: '  {"a": 1}' }, secrets: { token: 't' }, language: 'zh-CN', least: 'info', takes_all: true, always: false });
});

it('keeps saved secrets unless they are given anew or taken away', () => {
  const form = formOf(kind, channel);
  expect(form.texts).toMatchObject({ url: 'https://x', token: '', tls: 'false' });
  expect(missing(kind, form, channel.secrets)).toEqual([]);
  expect(patchOf(kind, form, 4)).toMatchObject({ rev: 4, secrets: {}, settings: { url: 'https://x', tls: false, retries: 3 } });
  expect(patchOf(kind, { ...form, away: ['key'], texts: { ...form.texts, token: 'new' } }, 4).secrets).toEqual({ key: '', token: 'new' });
  expect(missing(kind, { ...form, away: ['token'] }, channel.secrets)).toEqual(['token']);
  expect(testOf(kind, form, 'c1')).toMatchObject({ id: 'c1', kind: 'webhook', secrets: {} });
  expect(testOf(kind, form, null)).not.toHaveProperty('id');
});
