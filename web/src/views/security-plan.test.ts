import { expect, it } from 'vitest';
import type { FindingView, SecurityView } from '../api/types';
import { byDevice, checks, counts, matching, planOf, unseen } from './security-plan';

const finding = (check: string, severity: FindingView['severity'], remediation: string | null = null): FindingView => ({ gateway: null, check, severity, title: check, detail: null, remediation });
const device = (name: string, findings: FindingView[], at: string | null = '2026-11-20T00:00:00Z'): SecurityView => ({ device: name, device_name: name, at, findings, failed: [] });
const FLEET = [
  device('a', [finding('x', 'warning'), finding('y', 'info')]),
  device('b', [finding('x', 'critical', 'mend it'), finding('z', 'warning')]),
  device('c', [], null),
  device('d', [finding('z', 'warning')], '2026-11-01T00:00:00Z'),
];
const all = planOf(new URLSearchParams(''));

it('groups by check, the gravest first', () => {
  const list = checks(matching(FLEET, all));
  expect(list.map((one) => [one.check, one.severity, one.found.length])).toEqual([['x', 'critical', 2], ['z', 'warning', 2], ['y', 'info', 1]]);
  expect(list[0]?.remediation).toBe('mend it');
});

it('lists devices, the worst first, and filters', () => {
  expect(byDevice(matching(FLEET, all)).map((one) => one.device.device)).toEqual(['b', 'a', 'd']);
  const plan = planOf(new URLSearchParams('severity=critical,nonsense&device=b'));
  expect(matching(FLEET, plan).map((one) => one.finding.check)).toEqual(['x']);
  expect(matching(FLEET, planOf(new URLSearchParams('check=z')))).toHaveLength(2);
});

it('counts, and says of which devices nothing is known', () => {
  expect(counts(FLEET).warning).toEqual({ findings: 3, devices: 3 });
  const blind = unseen(FLEET, Date.parse('2026-11-20T12:00:00Z'));
  expect([blind.never.map((d) => d.device), blind.old.map((d) => d.device), blind.failed]).toEqual([['c'], ['d'], []]);
});
