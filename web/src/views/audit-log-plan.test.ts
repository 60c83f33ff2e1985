import { expect, it } from 'vitest';
import { differences, params, planOf } from './audit-log-plan';

it('reads the address', () => {
  const plan = planOf(new URLSearchParams('actor=+lin+&action=login&within=24h'));
  expect(params(plan, Date.parse('2026-11-20T06:30:20Z'))).toEqual({ actor: 'lin', subject: null, action: 'login.', from: '2026-11-19T06:30:00.000Z' });
});

it('says what changed, and only that', () => {
  expect(differences({ name: 'a', tags: ['x'] }, { name: 'b', tags: ['x'] })).toEqual([{ field: 'name', before: 'a', after: 'b' }]);
  expect(differences(null, { role: 'admin', n: 3 })).toEqual([
    { field: 'role', before: '', after: 'admin' },
    { field: 'n', before: '', after: '3' },
  ]);
  expect(differences({ tags: ['x', 'y'] }, null)).toEqual([{ field: 'tags', before: 'x y', after: '' }]);
  expect(differences('[too long]', null)[0]?.before).toBe('[too long]');
  expect(differences(null, { a: 'x'.repeat(99) })[0]?.after).toHaveLength(61);
});
