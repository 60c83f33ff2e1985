import { expect, it } from 'vitest';
import type { ErrorGroupView } from '../api/types';
import { bySort, groupParams, listParams, newest, newSince, planOf } from './errors-plan';

const NOW = Date.parse('2026-11-20T06:30:20Z');

it('reads the address', () => {
  const plan = planOf(new URLSearchParams('view=groups&q=a+b&level=crash,nonsense,error&within=24h&state=ignored&device=d1'));
  expect(plan).toMatchObject({ groups: true, q: 'a b', levels: ['crash', 'error'], within: '24h', state: 'ignored', device: 'd1', sort: 'last_seen' });
  expect(listParams(plan, NOW)).toEqual({ q: 'a b', level: 'crash,error', device: 'd1', fingerprint: null, from: '2026-11-19T06:30:00.000Z' });
  expect(groupParams(plan, NOW)).toMatchObject({ state: 'ignored', sort: 'last_seen' });
  expect(groupParams(planOf(new URLSearchParams('state=all')), NOW).state).toBeNull();
});

it('knows which version is newer, and what came with it', () => {
  expect(newest(['2026.9.6', null, '2026.10.1', '2026.9.12'])).toBe('2026.10.1');
  const group = (versions: string[]): ErrorGroupView => ({ versions }) as ErrorGroupView;
  expect(newSince(group(['2026.9.6']), '2026.9.6')).toBe('2026.9.6');
  expect(newSince(group(['2026.9.6', '2026.9.5']), '2026.9.6')).toBeNull();
  expect(newSince(group([]), null)).toBeNull();
});

it('sorts as it was asked', () => {
  const group = (fingerprint: string, count: number, last: string): ErrorGroupView => ({ fingerprint, count, last_seen_at: last, first_seen_at: last }) as ErrorGroupView;
  const list = [group('a', 1, '2026-11-20T00:00:00Z'), group('b', 9, '2026-11-19T00:00:00Z')];
  expect([...list].sort(bySort('count')).map((g) => g.fingerprint)).toEqual(['b', 'a']);
  expect([...list].sort(bySort('last_seen')).map((g) => g.fingerprint)).toEqual(['a', 'b']);
});
