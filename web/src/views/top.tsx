import { useRef, useState } from 'preact/hooks';
import { clock, offsetMinutes, zone } from '../format/time';
import { LANGUAGES, words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { Icon, Logo, type IconName } from '../parts/icon';
import { Menu } from '../parts/menu';
import { tick } from '../state/clock';
import { dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { firing } from '../state/fleet-news';
import { liveNow, liveState } from '../state/live';
import { pastAt } from '../state/past';
import { prefs, setPrefs, theme, viewerZone } from '../state/prefs';
import { go, route } from '../state/router';
import { isAdmin } from '../state/session';

export function LanguageSwitch() {
  return (
    <span class="seg lang" role="group" aria-label={words.value.language}>
      {LANGUAGES.map(([lang, , short]) => (
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

export function Live() {
  const t = words.value.live;
  const now = liveNow.value;
  const place = viewerZone.value;
  const heard = liveState.value.heardAt;
  const past = pastAt.value;
  if (past !== null) {
    return (
      <span class="live" data-testid="live-state" data-live="past" title={t.zone(place)}>
        <Icon name="history" size={12} />
        <span role="status">{words.value.past.state}</span>
        <time class="num">{clock(past)}</time>
      </span>
    );
  }
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
      {now === 'live' ? <i>{zone(offsetMinutes(tick.value))}</i> : null}
    </span>
  );
}

interface Place {
  view: 'overview' | 'cost' | 'errors' | 'alerts' | 'outages' | 'security' | 'settings';
  href: string;
  icon: IconName;
}

const VIEWS: readonly Place[] = [
  { view: 'overview', href: '/', icon: 'fleet' },
  { view: 'cost', href: '/cost', icon: 'coin' },
  { view: 'errors', href: '/errors', icon: 'alert' },
  { view: 'alerts', href: '/alerts', icon: 'bell' },
  { view: 'outages', href: '/outages', icon: 'gap' },
  { view: 'security', href: '/security', icon: 'shield' },
  { view: 'settings', href: '/settings', icon: 'gear' },
];
/** So many stand at the bottom of a phone; the rest is behind "More". */
const ON_PHONE = 4;

const isCurrent = (view: string): boolean =>
  route.value.view === view || (view === 'overview' && route.value.view === 'device') || (view === 'settings' && route.value.view === 'audit-log');

function Firing() {
  const { critical, error, warning } = firing.value;
  const count = critical + error + warning;
  return count > 0 ? <span class="n" aria-label={words.value.nav.firing(count)}>{count > 99 ? '99+' : count}</span> : null;
}

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
            {view === 'alerts' ? <Firing /> : null}
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
  const more = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const problems = fleet.counts.value.problems;
  const rest = VIEWS.slice(ON_PHONE);
  return (
    <nav class="tabs" aria-label={t.nav.main}>
      {VIEWS.slice(0, ON_PHONE).map(({ view, href, icon }) => (
        <a key={view} href={href} aria-current={isCurrent(view) ? 'page' : undefined}>
          <Icon name={icon} size={18} />
          <span>{t.nav[view]}</span>
          {view === 'overview' && problems > 0 ? <em aria-hidden="true">{problems > 99 ? '99+' : problems}</em> : null}
          {view === 'alerts' ? <Firing /> : null}
        </a>
      ))}
      <button ref={more} type="button" aria-haspopup="menu" aria-expanded={open} aria-current={rest.some(({ view }) => isCurrent(view)) ? 'page' : undefined} onClick={() => setOpen(!open)}>
        <Icon name="more" size={18} />
        <span>{t.nav.more}</span>
      </button>
      {open && more.current ? (
        <Menu label={t.nav.more} anchor={more.current} items={rest.map(({ view, href }) => ({ label: t.nav[view], act: () => go(href) }))} close={() => setOpen(false)} />
      ) : null}
    </nav>
  );
}
