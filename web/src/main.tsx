// The story of the page: take over theme and language, ask who is logged in, connect, show the view that the address names.

import './styles/tokens.css';
import './styles/ui.css';
import { computed, effect, untracked } from '@preact/signals';
import { render } from 'preact';
import { ApiError, whenSignedOut } from './api/client';
import { startClock } from './state/clock';
import { closeDialog } from './state/dialogs';
import { fleet } from './state/fleet';
import { connectFleet, snapshots } from './state/live';
import { followAlerts } from './state/notify';
import { followPauses } from './state/pauses';
import { followPrefs } from './state/prefs';
import { followLinks, go, place, route } from './state/router';
import { ended, followLogins, loadSession, session } from './state/session';
import { trends } from './state/trends';
import { followWaiting, forgetWaiting } from './state/waiting';
import { followScreen } from './parts/screen';
import { speak } from './i18n';
import { App, bootError } from './views/app';
import { followTitle } from './views/title';

const BOOT_RETRY_MS = 2000;

followPrefs();
followScreen();
followLinks();
startClock();
followWaiting();
followLogins();

function toLogin(): void {
  const known = session.peek();
  if (known?.user) {
    ended.value = true;
    session.value = { ...known, user: null, csrf: null };
  }
  const view = route.peek().view;
  if (view === 'login' || view === 'setup' || view === 'status') return;
  const { path, search } = place.peek();
  go(`/login?next=${encodeURIComponent(path + search)}`, 'replace');
}
whenSignedOut(toLogin);

const who = computed(() => {
  const user = session.value?.user;
  return user ? `${user.role} ${user.name}` : null;
});

// The live connection exists exactly while somebody is logged in. Whoever is next, even without a login page in between,
// finds nothing of it: they may see other devices, and no keys.
effect(() => {
  if (who.value === null) return;
  ended.value = false;
  const disconnect = untracked(() => connectFleet(toLogin));
  const quiet = untracked(followAlerts);
  const calm = untracked(followPauses);
  return () => {
    disconnect();
    quiet();
    calm();
    fleet.clear();
    trends.forget();
    forgetWaiting();
    closeDialog();
  };
});

// Where one may be: without an account only the set-up, without a login only the login.
effect(() => {
  const view = session.value;
  if (!view) return;
  const at = route.value.view;
  if (view.setup_needed && at !== 'setup' && at !== 'status') go('/setup', 'replace');
  else if (!view.setup_needed && !view.user && at !== 'login' && at !== 'setup' && at !== 'status') toLogin();
});

// A second snapshot means that the server was away: it may be another version, or not know this login any more.
effect(() => {
  if (snapshots.value > 1) loadSession().catch(() => {});
});

async function boot(): Promise<void> {
  try {
    await loadSession();
    bootError.value = null;
  } catch (error) {
    bootError.value = error instanceof ApiError ? error : new ApiError(0, 'network', String(error));
    setTimeout(() => void boot(), BOOT_RETRY_MS);
  }
}

const root = document.getElementById('app');
void boot();
void speak().then(() => {
  followTitle();
  if (root) render(<App />, root);
});
