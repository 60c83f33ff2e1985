import { expect, it } from 'vitest';
import type { OutageView } from '../api/types';
import { en } from '../i18n/en';
import { outageText } from './reason';

it('says that OpenClaw kept running only where it was measured', () => {
  const said = (label: OutageView['label'], openclaw_kept_running: boolean | null) => outageText(en, { label, openclaw_kept_running } as OutageView);
  expect(said('network_only', true)).toBe('Network only, OpenClaw kept running');
  expect([said('network_only', false), said('network_only', null)]).toEqual(['Network only', 'Network only']);
  expect(said('host_rebooted', null)).toBe('Host rebooted or lost power');
  expect(said(null, null)).toBe('Cause unknown');
});
