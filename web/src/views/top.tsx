import { clock, zone } from '../format/time';
import { words } from '../i18n';
import type { Lang } from '../i18n/messages';
import { Glyph } from '../parts/glyph';
import { Icon, Logo } from '../parts/icon';
import { tick } from '../state/clock';
import { dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { liveNow, liveState } from '../state/live';
import { prefs, setPrefs, theme } from '../state/prefs';
import { route } from '../state/router';
import { isAdmin } from '../state/session';

const LANGS: readonly [Lang, string][] = [
  ['zh-CN', '中'],
  ['en', 'EN'],
];

export function LanguageSwitch() {
  return (
    <span class="seg lang" role="group" aria-label={words.value.language}>
      {LANGS.map(([lang, short]) => (
        <button key={lang} type="button" lang={lang} aria-pressed={prefs.value.lang === lang} onClick={() => setPrefs({ lang })}>
          {short}
        </button>
      ))}
    </span>
  );
}

export function ThemeSwitch() {
  const t = words.value.theme;
  const other = theme.value === 'dark' ? 'light' : 'dark';
  return (
    <button class="ib" type="button" aria-label={t.to(t[other])} title={t.to(t[other])} onClick={() => setPrefs({ theme: other })}>
      <Icon name={other === 'light' ? 'sun' : 'moon'} />
    </button>
  );
}

function Live() {
  const t = words.value.live;
  const now = liveNow.value;
  const place = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const heard = liveState.value.heardAt;
  return (
    <span class={`live ${now}`} data-testid="live-state" data-live={now} title={t.zone(place)}>
      {now === 'live' ? (
        <svg viewBox="0 0 12 12" width="10" height="10" aria-hidden="true">
          <path d="M1 7h2l1.5-4 2.4 6.4L8.6 5.6H11" fill="none" stroke="currentColor" stroke-width="1.4" />
        </svg>
      ) : (
        <Glyph shape="notice" />
      )}
      <span role="status">{t[now]}</span>
      {now === 'live' ? <time class="num">{clock(tick.value)}</time> : heard !== null ? <time class="num">{clock(heard)}</time> : null}
      {now === 'live' ? <i>{zone(-new Date(tick.value).getTimezoneOffset())}</i> : null}
    </span>
  );
}

/** Views that exist. More are added here as they are built. */
const VIEWS = [
  { view: 'overview', href: '/', icon: 'fleet' },
  { view: 'settings', href: '/settings', icon: 'gear' },
] as const;

const isCurrent = (view: string): boolean => route.value.view === view || (view === 'overview' && route.value.view === 'device');

export function Top() {
  const t = words.value;
  return (
    <header class="top">
      <a class="brand" href="/" aria-label={t.product}>
        <Logo />
        <b>{t.product}</b>
      </a>
      <nav class="nav" aria-label={t.nav.main}>
        {VIEWS.map(({ view, href }) => (
          <a key={view} href={href} aria-current={isCurrent(view) ? 'page' : undefined}>
            {t.nav[view]}
          </a>
        ))}
      </nav>
      <span class="grow" />
      <Live />
      <LanguageSwitch />
      <ThemeSwitch />
      {isAdmin() ? (
        <button class="btn pri" type="button" data-testid="add-device-open" aria-label={t.add.title} onClick={() => { dialog.value = { kind: 'add', waitingFor: null }; }}>
          <Icon name="plus" size={14} />
          <span>{t.add.title}</span>
        </button>
      ) : null}
    </header>
  );
}

export function Tabs() {
  const t = words.value;
  const problems = fleet.counts.value.offline;
  return (
    <nav class="tabs" aria-label={t.nav.main}>
      {VIEWS.map(({ view, href, icon }) => (
        <a key={view} href={href} aria-current={isCurrent(view) ? 'page' : undefined}>
          <Icon name={icon} size={18} />
          <span>{t.nav[view]}</span>
          {view === 'overview' && problems > 0 ? <em aria-hidden="true">{problems > 99 ? '99+' : problems}</em> : null}
        </a>
      ))}
    </nav>
  );
}
