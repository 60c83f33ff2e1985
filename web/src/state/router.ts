// Where we are: path and query of the address. Views are history URLs; filters and ranges live in the query.

import { computed, signal } from '@preact/signals';

export type Route =
  | { view: 'overview' }
  | { view: 'device'; id: string }
  | { view: 'login' }
  | { view: 'setup' }
  | { view: 'settings'; section: string | null }
  | { view: 'cost' }
  | { view: 'errors'; no: string | null }
  | { view: 'alerts'; section: AlertSection }
  | { view: 'outages' }
  | { view: 'security' }
  | { view: 'audit-log' }
  | { view: 'status' }
  | { view: 'not-found' };

/** Parts of alerting; the rules stand at its own address. */
export const ALERT_SECTIONS = ['rules', 'history', 'deliveries', 'channels', 'quiet'] as const;
export type AlertSection = (typeof ALERT_SECTIONS)[number];
export const alertHref = (section: AlertSection): string => (section === 'rules' ? '/alerts' : `/alerts/${section}`);

/** Views whose address is one word. */
const PLAIN = ['login', 'setup', 'cost', 'outages', 'security', 'audit-log', 'status'] as const;

export function parsePath(path: string): Route {
  const parts = path.split('/').filter(Boolean);
  if (parts.length === 0) return { view: 'overview' };
  if (parts.length === 2 && parts[0] === 'devices' && parts[1] !== undefined) {
    try {
      return { view: 'device', id: decodeURIComponent(parts[1]) };
    } catch {
      return { view: 'not-found' };
    }
  }
  const [first, second = null] = parts;
  if (parts.length <= 2 && first === 'settings') return { view: 'settings', section: second };
  if (parts.length <= 2 && first === 'errors') return { view: 'errors', no: second };
  if (parts.length <= 2 && first === 'alerts') {
    const section = second === null ? 'rules' : ALERT_SECTIONS.find((one) => one !== 'rules' && one === second);
    return section === undefined ? { view: 'not-found' } : { view: 'alerts', section };
  }
  const plain = PLAIN.find((view) => view === first);
  return parts.length === 1 && plain !== undefined ? { view: plain } : { view: 'not-found' };
}

export const deviceHref = (id: string): string => `/devices/${encodeURIComponent(id)}`;

/** An address to return to after the login: only within this page, never another host. */
export function safeNext(text: string | null): string {
  return text !== null && /^\/(?![/\\])/.test(text) && !text.startsWith('/login') && !text.startsWith('/setup') ? text : '/';
}

interface Place {
  path: string;
  search: string;
}
const here = (): Place => (typeof location === 'undefined' ? { path: '/', search: '' } : { path: location.pathname, search: location.search });

export const place = signal<Place>(here());
const path = computed(() => place.value.path);
export const route = computed<Route>(() => parsePath(path.value));
export const query = computed(() => new URLSearchParams(place.value.search));

export function go(href: string, how: 'push' | 'replace' = 'push'): void {
  if (href === place.peek().path + place.peek().search) return;
  const moved = new URL(href, location.href).pathname !== place.peek().path;
  if (how === 'push') history.pushState(null, '', href);
  else history.replaceState(null, '', href);
  place.value = here();
  if (moved) window.scrollTo(0, 0);
}

/** Changes parts of the query in place; null takes a part out. */
export function setQuery(change: Record<string, string | null>): void {
  const next = new URLSearchParams(place.peek().search);
  for (const [key, value] of Object.entries(change)) {
    if (value === null || value === '') next.delete(key);
    else next.set(key, value);
  }
  // Colons and commas are legal in a query and these addresses are read by people.
  const text = next.toString().replace(/%3A/gi, ':').replace(/%2C/gi, ',');
  go(place.peek().path + (text ? `?${text}` : ''), 'replace');
}

/** Follows the browser's buttons and plain clicks on links of ours. */
export function followLinks(): () => void {
  const popped = (): void => {
    place.value = here();
  };
  const clicked = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (!(link instanceof HTMLAnchorElement) || link.target || link.origin !== location.origin) return;
    event.preventDefault();
    go(link.pathname + link.search);
  };
  window.addEventListener('popstate', popped);
  document.addEventListener('click', clicked);
  return () => {
    window.removeEventListener('popstate', popped);
    document.removeEventListener('click', clicked);
  };
}
