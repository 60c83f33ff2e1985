import { signal } from '@preact/signals';
import { getSession, setCsrf } from '../api/client';
import type { SessionView } from '../api/types';
import { setServerTime } from './clock';

/** Who is logged in; null until the server has answered. */
export const session = signal<SessionView | null>(null);

/** True when the server has been replaced by another version under the open page. */
export const outdated = signal(false);

export function takeSession(view: SessionView): void {
  if (session.peek() !== null && session.peek()?.version !== view.version) outdated.value = true;
  setCsrf(view.csrf);
  setServerTime(view.server_time);
  session.value = view;
}

/** True when somebody was logged in here and no longer is, without having asked for it. */
export const ended = signal(false);

export async function loadSession(): Promise<SessionView> {
  const view = await getSession();
  takeSession(view);
  return view;
}

/** Looks again when one comes back to a page without a login: another tab may have made one. */
export function followLogins(): () => void {
  const look = async (): Promise<void> => {
    if (session.peek()?.user !== null) return;
    const view = await getSession();
    // "Nobody" may be older than a login that is being made here.
    if (view.user) takeSession(view);
  };
  const heard = (): void => void look().catch(() => {});
  window.addEventListener('focus', heard);
  return () => window.removeEventListener('focus', heard);
}

export const isAdmin = (): boolean => session.value?.user?.role === 'admin';
