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

export const isAdmin = (): boolean => session.value?.user?.role === 'admin';
