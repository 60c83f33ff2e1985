// Notifications of this desktop for new critical alerts: only after somebody has asked for them here.

import { effect } from '@preact/signals';
import { getAlerts } from '../api/client';
import type { AlertView } from '../api/types';
import { firing } from './fleet-news';
import { prefs, setPrefs } from './prefs';
import { go } from './router';

/** At most this many at once; a storm is one look at the page. */
const MOST = 3;

export const canNotify = (): boolean => typeof Notification !== 'undefined';

/** Asks the browser, and remembers the wish if it allows; false when it does not. */
export async function askToNotify(): Promise<boolean> {
  const allowed = (await Notification.requestPermission()) === 'granted';
  setPrefs({ notify: allowed });
  return allowed;
}

/** Those that were not known before. With none known yet, everything is: what fires when the page opens can be seen on it. */
export function newOnes(known: ReadonlySet<number> | null, alerts: readonly AlertView[]): AlertView[] {
  return known === null ? [] : alerts.filter((alert) => !known.has(alert.no));
}

export function followAlerts(): () => void {
  let known: Set<number> | null = null;
  return effect(() => {
    const wanted = prefs.value.notify && canNotify() && Notification.permission === 'granted';
    const { critical } = firing.value;
    if (!wanted) {
      known = null;
      return;
    }
    if (critical === 0 && known !== null) {
      known.clear();
      return;
    }
    const request = new AbortController();
    getAlerts({ state: 'firing', severity: 'critical', limit: 100 }, request.signal).then(
      ({ items }) => {
        const zh = prefs.peek().lang === 'zh-CN';
        for (const alert of newOnes(known, items).slice(0, MOST)) {
          const shown = new Notification(zh ? alert.title.zh : alert.title.en, { body: alert.device_name ?? '', tag: `alert-${alert.no}`, icon: '/icon-192.png' });
          shown.onclick = () => {
            window.focus();
            go('/alerts');
          };
        }
        known = new Set(items.map((alert) => alert.no));
      },
      () => {},
    );
    return () => request.abort();
  });
}
