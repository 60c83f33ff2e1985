// Versions of OpenClaw over the fleet: which is newer, and how far behind a device is. Pure.

/** Compares by numbers, part by part; what follows a dash is older than nothing (`2026.9.6-beta` before `2026.9.6`). */
export function compareVersions(a: string, b: string): number {
  const [mainA = '', preA] = splitPre(a);
  const [mainB = '', preB] = splitPre(b);
  const one = mainA.split('.').map(Number);
  const two = mainB.split('.').map(Number);
  for (let i = 0; i < Math.max(one.length, two.length); i++) {
    const order = (one[i] || 0) - (two[i] || 0);
    if (order !== 0) return order;
  }
  if (preA === preB) return 0;
  if (preA === undefined) return 1;
  if (preB === undefined) return -1;
  return preA < preB ? -1 : 1;
}

const splitPre = (version: string): string[] => version.replace(/^v/, '').split(/-(.*)/s, 2);

export interface VersionCount {
  version: string;
  devices: number;
  /** How many newer versions there are in the fleet. */
  behind: number;
}

/** The versions of the fleet, newest first. */
export function countVersions(versions: Iterable<string | null | undefined>): VersionCount[] {
  const counts = new Map<string, number>();
  for (const version of versions) if (version) counts.set(version, (counts.get(version) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => compareVersions(b, a) || (a < b ? -1 : 1)).map(([version, devices], behind) => ({ version, devices, behind }));
}
