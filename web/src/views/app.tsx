import { signal } from '@preact/signals';
import { Component, type ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { ApiError } from '../api/client';
import { speakAlerting, words } from '../i18n';
import { explain, Problem } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { closeDialog, dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { go, route } from '../state/router';
import { isAdmin, outdated, session } from '../state/session';
import { arrived } from '../state/waiting';
import { trouble } from '../state/live';
import { lazy } from './lazy';
import { ViewSkeleton } from './skeleton';
import { Overview, OverviewSkeleton } from './overview';
import { Tabs, Top } from './top';

/** Why the first request failed; it is tried again by itself. */
export const bootError = signal<ApiError | null>(null);

const Dialogs = lazy(() => import('./dialogs').then((module) => module.Dialogs), () => null);
const Device = lazy(() => import('./device').then((module) => module.Device), () => <div class="dev-sk" />);
const Login = lazy(() => import('./enter').then((module) => module.Login), () => null);
const Setup = lazy(() => import('./enter').then((module) => module.Setup), () => null);
const Settings = lazy(() => import('./settings').then((module) => module.Settings), ViewSkeleton);
const Cost = lazy(() => import('./cost').then((module) => module.Cost), ViewSkeleton);
const Errors = lazy(() => import('./errors').then((module) => module.Errors), ViewSkeleton);
const Alerts = lazy(() => Promise.all([import('./alerts'), speakAlerting()]).then(([module]) => module.Alerts), ViewSkeleton);
const Outages = lazy(() => import('./outages').then((module) => module.Outages), ViewSkeleton);
const Security = lazy(() => import('./security').then((module) => module.Security), ViewSkeleton);
const AuditLog = lazy(() => import('./audit-log').then((module) => module.AuditLog), ViewSkeleton);
const Status = lazy(() => import('./status').then((module) => module.Status), () => null);

/** Keeps a failure in one view from taking the rest of the page with it. */
class Guard extends Component<{ children: ComponentChildren; at: string }, { failed: boolean }> {
  override state = { failed: false };
  static override getDerivedStateFromError() {
    return { failed: true };
  }
  override componentDidCatch(error: unknown) {
    console.error(error);
  }
  override componentDidUpdate(before: { at: string }) {
    if (before.at !== this.props.at && this.state.failed) this.setState({ failed: false });
  }
  override render() {
    if (!this.state.failed) return <>{this.props.children}</>;
    return (
      <div class="page-note">
        <Problem text={words.value.errors.crashed} />
        <button class="btn" type="button" onClick={() => location.reload()}>
          {words.value.common.reload}
        </button>
      </div>
    );
  }
}

function View() {
  const at = route.value;
  switch (at.view) {
    case 'overview':
      return <Overview />;
    case 'device':
      return <Device key={at.id} id={at.id} />;
    case 'settings':
      return <Settings section={at.section} />;
    case 'cost':
      return <Cost />;
    case 'errors':
      return <Errors no={at.no} />;
    case 'alerts':
      return <Alerts section={at.section} />;
    case 'outages':
      return <Outages />;
    case 'security':
      return <Security />;
    case 'audit-log':
      return <AuditLog />;
    case 'status':
      return <Status />;
    case 'login':
      return <Login />;
    case 'setup':
      return <Setup />;
    case 'not-found':
      return (
        <div class="page-note">
          <h1 class="note-h">{words.value.pageNotFound}</h1>
          <a class="lk" href="/">
            {words.value.nav.overview}
          </a>
        </div>
      );
  }
}

export function App() {
  useEffect(shortcuts, []);
  const at = route.value.view;
  const entering = at === 'login' || at === 'setup' || at === 'status';
  const known = session.value;
  if (entering) {
    return (
      <Guard at={at}>
        <View />
        {bootError.value && !known ? <Toast text={explain(bootError.value)} /> : null}
      </Guard>
    );
  }
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById('main')?.focus(); }}>
        {words.value.nav.skip}
      </a>
      <Top />
      <main id="main" tabIndex={-1}>
        <Guard at={JSON.stringify(route.value)}>{known?.user ? <View /> : at === 'overview' ? <OverviewSkeleton /> : null}</Guard>
      </main>
      <Tabs />
      {dialog.value ? <Dialogs /> : null}
      <Notices />
    </>
  );
}

function Toast({ text }: { text: string }) {
  return (
    <div class="toast" role="status">
      <Glyph shape="notice" />
      <span>{text}</span>
    </div>
  );
}

const ARRIVED_MS = 10_000;

function Notices() {
  const came = arrived.value;
  const why = trouble.value;
  useEffect(() => {
    if (!came) return;
    const timer = setTimeout(() => { arrived.value = null; }, ARRIVED_MS);
    return () => clearTimeout(timer);
  }, [came]);
  if (bootError.value && !session.value) return <Toast text={explain(bootError.value)} />;
  if (why) {
    return (
      <div class="toast trouble" role="alert">
        <Glyph shape="notice" />
        <span>{words.value.trouble[why]}</span>
      </div>
    );
  }
  if (came) {
    return (
      <div class="toast" role="status">
        <Glyph shape="online" />
        <span>{words.value.overview.arrived(came.name)}</span>
        <a class="lk" href={`/devices/${encodeURIComponent(came.id)}`} onClick={() => { arrived.value = null; }}>
          {words.value.overview.open}
        </a>
      </div>
    );
  }
  if (outdated.value) {
    return (
      <div class="toast" role="status">
        <Glyph shape="notice" />
        <span>{words.value.errors.newVersion}</span>
        <button class="lk" type="button" onClick={() => location.reload()}>
          {words.value.common.reload}
        </button>
      </div>
    );
  }
  return null;
}

const CHORD_MS = 1200;
/** Where `g` and a letter lead. */
const CHORDS: Readonly<Record<string, string>> = { o: '/', d: '/', c: '/cost', e: '/errors', a: '/alerts', u: '/outages', y: '/security', s: '/settings', l: '/audit-log' };

/** Keys that work everywhere. The list's own keys are in `overview-list.tsx`. */
function shortcuts(): () => void {
  let chordAt = 0;
  const pressed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !session.peek()?.user) return;
    const target = event.target;
    if (target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))) return;
    if (dialog.peek()) {
      if (event.key === '?' && dialog.peek()?.kind === 'keys') closeDialog();
      return;
    }
    const chord = Date.now() - chordAt < CHORD_MS;
    chordAt = 0;
    const to = chord ? CHORDS[event.key] : undefined;
    if (to !== undefined) go(to);
    else if (event.key === 'g') chordAt = Date.now();
    else if (event.key === '?') dialog.value = { kind: 'keys' };
    else if (event.key === 'a' && isAdmin() && fleet.loaded.peek()) dialog.value = { kind: 'add', waitingFor: null };
    else if (event.key === '/' && document.getElementById('search')) document.getElementById('search')?.focus();
    else return;
    event.preventDefault();
  };
  document.addEventListener('keydown', pressed);
  return () => document.removeEventListener('keydown', pressed);
}
