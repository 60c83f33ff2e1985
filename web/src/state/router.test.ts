import { describe, expect, it } from 'vitest';
import { deviceHref, parsePath, safeNext } from './router';

describe('addresses', () => {
  it.each([
    ['/', { view: 'overview' }],
    ['/devices/k7p2m9x4tq1c', { view: 'device', id: 'k7p2m9x4tq1c' }],
    ['/devices/a%2Fb', { view: 'device', id: 'a/b' }],
    ['/devices/%', { view: 'not-found' }],
    ['/devices', { view: 'not-found' }],
    ['/login', { view: 'login' }],
    ['/setup/', { view: 'setup' }],
    ['/settings', { view: 'settings', section: null }],
    ['/settings/users', { view: 'settings', section: 'users' }],
    ['/settings/users/x', { view: 'not-found' }],
    ['/errors/12', { view: 'errors', no: '12' }],
    ['/audit-log', { view: 'audit-log' }],
    ['/login/x', { view: 'not-found' }],
  ])('%s', (path, want) => expect(parsePath(path)).toEqual(want));

  it('round-trips a device', () => expect(parsePath(deviceHref('a/b c'))).toEqual({ view: 'device', id: 'a/b c' }));

  it.each([
    ['/devices/x?range=1h', '/devices/x?range=1h'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['/login?next=/login', '/'],
    [null, '/'],
  ])('returns after a login only to a place of ours: %s', (text, want) => expect(safeNext(text)).toBe(want));
});
