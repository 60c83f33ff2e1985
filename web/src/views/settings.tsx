// The settings: a list of sections, and the one that the address names.

import '../styles/settings.css';
import type { ComponentType } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { words } from '../i18n';
import { isAdmin } from '../state/session';
import { AccountSection } from './settings-account';
import { BackupsSection } from './settings-backups';
import { DevicesSection } from './settings-devices';
import { DisplaySection } from './settings-display';
import { KeysSection } from './settings-keys';
import { forViewers, isSection, type Section } from './settings-logic';
import { PricesSection } from './settings-prices';
import { RetentionSection } from './settings-retention';
import { StatusPageSection } from './settings-status';
import { TokensSection } from './settings-tokens';
import { UsersSection } from './settings-users';
import { viewTitle } from './title';

const VIEWS: Readonly<Record<Section, ComponentType>> = {
  display: DisplaySection,
  account: AccountSection,
  devices: DevicesSection,
  keys: KeysSection,
  users: UsersSection,
  tokens: TokensSection,
  prices: PricesSection,
  retention: RetentionSection,
  backups: BackupsSection,
  'status-page': StatusPageSection,
};

const GROUPS: readonly ['you' | 'access' | 'server', readonly Section[]][] = [
  ['you', ['display', 'account']],
  ['access', ['devices', 'keys', 'users', 'tokens']],
  ['server', ['prices', 'retention', 'backups', 'status-page']],
];

function nameOf(section: Section): string {
  const t = words.value;
  const names: Record<Section, string> = {
    display: t.settings.display,
    account: t.account.title,
    devices: t.settings.devices,
    keys: t.accessKeys.title,
    users: t.users.title,
    tokens: t.tokens.title,
    prices: t.prices.title,
    retention: t.retention.title,
    backups: t.backups.title,
    'status-page': t.statusPage.title,
  };
  return names[section];
}

export function Settings({ section: asked }: { section: string | null }) {
  const t = words.value;
  const section = asked === null ? 'display' : isSection(asked) ? asked : null;
  const title = section ? nameOf(section) : t.settings.title;
  const list = useRef<HTMLElement>(null);
  useEffect(() => {
    viewTitle.value = section === 'display' ? t.settings.title : `${title} · ${t.settings.title}`;
    // On a phone the sections stand in one line: the open one is brought into it.
    list.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [title, t]);
  const may = (each: Section): boolean => isAdmin() || forViewers(each);
  const View = section ? VIEWS[section] : null;
  return (
    <div class="set">
      <nav class="set-nav" ref={list} aria-label={t.settings.sections}>
        {GROUPS.map(([group, sections]) => {
          const shown = sections.filter(may);
          if (shown.length === 0) return null;
          return (
            <div key={group} class="set-g">
              <span class="set-gn">{t.settings.groups[group]}</span>
              {shown.map((each) => (
                <a key={each} href={each === 'display' ? '/settings' : `/settings/${each}`} aria-current={each === section ? 'page' : undefined}>
                  {nameOf(each)}
                </a>
              ))}
            </div>
          );
        })}
      </nav>
      <div class="set-body settings">
        <h1>{title}</h1>
        {View === null || section === null ? <p class="hint">{t.pageNotFound}</p> : may(section) ? <View key={section} /> : <p class="hint">{t.settings.adminOnly}</p>}
      </div>
    </div>
  );
}
