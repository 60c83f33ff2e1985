// Findings of the whole fleet, by what was looked at. Pure.

import type { FindingView, SecurityView } from '../api/types';
import type { Shape } from '../parts/glyph';

export const SEVERITIES = ['critical', 'warning', 'info', 'unknown'] as const;
export type Severity = (typeof SEVERITIES)[number];
export const SHAPE_OF: Readonly<Record<Severity, Shape>> = { critical: 'critical', warning: 'warning', info: 'info', unknown: 'never' };

/** Older than this a look at a device says little: agents look once a day. */
export const OLD_MS = 3 * 86_400_000;

export interface Plan {
  byDevice: boolean;
  severities: readonly Severity[];
  device: string | null;
  check: string | null;
}

export function planOf(query: URLSearchParams): Plan {
  const asked = (query.get('severity') ?? '').split(',');
  return { byDevice: query.get('view') === 'devices', severities: SEVERITIES.filter((one) => asked.includes(one)), device: query.get('device'), check: query.get('check') };
}

export interface Found {
  device: SecurityView;
  finding: FindingView;
}

/** A check that found something. */
export interface Check {
  check: string;
  severity: Severity;
  title: string;
  remediation: string | null;
  found: Found[];
}

const rank = (severity: Severity): number => SEVERITIES.indexOf(severity);

export function matching(devices: readonly SecurityView[], plan: Plan): Found[] {
  return devices
    .filter((device) => plan.device === null || device.device === plan.device)
    .flatMap((device) => device.findings.map((finding) => ({ device, finding })))
    .filter(({ finding }) => (plan.severities.length === 0 || plan.severities.includes(finding.severity)) && (plan.check === null || finding.check === plan.check));
}

/** The gravest first, then what most devices have. */
export function checks(found: readonly Found[]): Check[] {
  const all = new Map<string, Check>();
  for (const one of found) {
    const { check, severity, title, remediation } = one.finding;
    const known = all.get(check) ?? { check, severity, title, remediation, found: [] };
    if (rank(severity) < rank(known.severity)) known.severity = severity;
    known.remediation ??= remediation;
    known.found.push(one);
    all.set(check, known);
  }
  return [...all.values()].sort((a, b) => rank(a.severity) - rank(b.severity) || b.found.length - a.found.length || (a.check < b.check ? -1 : 1));
}

/** Devices with their findings, the worst first. */
export function byDevice(found: readonly Found[]): { device: SecurityView; findings: FindingView[] }[] {
  const all = new Map<string, { device: SecurityView; findings: FindingView[] }>();
  for (const { device, finding } of found) {
    const known = all.get(device.device) ?? { device, findings: [] };
    known.findings.push(finding);
    all.set(device.device, known);
  }
  const count = (findings: readonly FindingView[], severity: Severity): number => findings.filter((finding) => finding.severity === severity).length;
  for (const one of all.values()) one.findings.sort((a, b) => rank(a.severity) - rank(b.severity));
  return [...all.values()].sort((a, b) => SEVERITIES.reduce((sign, severity) => sign || count(b.findings, severity) - count(a.findings, severity), 0) || (a.device.device_name < b.device.device_name ? -1 : 1));
}

/** How many findings of each severity, and on how many devices. */
export function counts(devices: readonly SecurityView[]): Record<Severity, { findings: number; devices: number }> {
  const of = (severity: Severity) => {
    const each = devices.map((device) => device.findings.filter((finding) => finding.severity === severity).length);
    return { findings: each.reduce((a, b) => a + b, 0), devices: each.filter((n) => n > 0).length };
  };
  return { critical: of('critical'), warning: of('warning'), info: of('info'), unknown: of('unknown') };
}

/** Devices that were never looked at, whose look failed, and whose look is old. */
export function unseen(devices: readonly SecurityView[], now: number): { never: SecurityView[]; failed: SecurityView[]; old: SecurityView[] } {
  return {
    never: devices.filter((device) => device.at === null),
    failed: devices.filter((device) => device.failed.length > 0),
    old: devices.filter((device) => device.at !== null && now - Date.parse(device.at) > OLD_MS),
  };
}
