import { useState } from 'preact/hooks';
import { ApiError, logOut } from '../api/client';
import { browserZone } from '../format/time';
import { LANGUAGES, words } from '../i18n';
import { explain, Problem } from '../parts/form';
import { askToNotify, canNotify } from '../state/notify';
import { prefs, setPrefs, type Theme } from '../state/prefs';
import { go } from '../state/router';
import { ended, session } from '../state/session';

const THEMES: readonly Theme[] = ['auto', 'light', 'dark'];

const zones = (): string[] => ['UTC', ...Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'UTC')];

export function DisplaySection() {
  const t = words.value;
  const user = session.value?.user;
  const [problem, setProblem] = useState<unknown>(null);
  const chosen = prefs.value.zone;
  const [refused, setRefused] = useState(false);

  async function leave(): Promise<void> {
    setProblem(null);
    try {
      await logOut();
    } catch (error) {
      // Only the server can end a login: without its word this browser still has one.
      if (!(error instanceof ApiError && error.status === 401)) {
        setProblem(error);
        return;
      }
    }
    const now = session.peek();
    ended.value = false;
    if (now) session.value = { ...now, user: null, csrf: null };
    go('/login', 'replace');
  }

  return (
    <>
      <section class="panel">
        <div class="ph">
          <h2>{t.settings.appearance}</h2>
          <span class="dim">{t.settings.keptHere}</span>
        </div>
        <div class="li">
          <span class="k">{t.language}</span>
          <span class="seg" role="group" aria-label={t.language}>
            {LANGUAGES.map(([lang, name]) => (
              <button key={lang} type="button" lang={lang} aria-pressed={prefs.value.lang === lang} onClick={() => setPrefs({ lang })}>
                {name}
              </button>
            ))}
          </span>
        </div>
        <div class="li">
          <span class="k">{t.theme.label}</span>
          <span class="seg" role="group" aria-label={t.theme.label}>
            {THEMES.map((theme) => (
              <button key={theme} type="button" aria-pressed={prefs.value.theme === theme} onClick={() => setPrefs({ theme })}>
                {t.theme[theme]}
              </button>
            ))}
          </span>
        </div>
        <div class="li">
          <label class="k" for="zone">
            {t.settings.timeZone}
          </label>
          <select id="zone" class="in pick" value={chosen ?? ''} aria-describedby="zone-note" onChange={(event) => setPrefs({ zone: event.currentTarget.value || null })}>
            <option value="">{t.settings.browserZone(browserZone())}</option>
            {zones().map((zone) => (
              <option key={zone} value={zone}>
                {zone}
              </option>
            ))}
          </select>
        </div>
        <div class="li">
          <span class="k">{t.settings.notify}</span>
          <span class="seg" role="group" aria-label={t.settings.notify}>
            <button type="button" aria-pressed={!prefs.value.notify} onClick={() => setPrefs({ notify: false })}>
              {t.settings.notifyOff}
            </button>
            <button type="button" aria-pressed={prefs.value.notify} disabled={!canNotify()} onClick={() => void askToNotify().then((allowed) => setRefused(!allowed))}>
              {t.settings.notifyOn}
            </button>
          </span>
          {refused || !canNotify() ? <span class="hint">{t.settings.notifyRefused}</span> : null}
        </div>
        <p class="hint note" id="zone-note">
          {t.settings.zoneHint}
        </p>
      </section>
      {user ? (
        <section class="panel">
          <div class="ph">
            <h2>{t.settings.account}</h2>
          </div>
          <div class="li">
            <span class="cut">
              <bdi>{t.settings.signedIn(user.name)}</bdi>
            </span>
            <span class="chip">{t.settings.role[user.role]}</span>
            <span class="grow" />
            <button type="button" class="btn" data-testid="logout" onClick={() => void leave()}>
              {t.settings.logout}
            </button>
          </div>
          {problem ? <Problem text={t.settings.stillIn(explain(problem))} /> : null}
        </section>
      ) : null}
      <section class="panel">
        <div class="ph">
          <h2>{t.settings.about}</h2>
        </div>
        <div class="li">
          <span class="k">{t.settings.version}</span>
          <span class="mono">{session.value?.version}</span>
        </div>
        <div class="li">
          <a class="lk" href="/licenses.txt" target="_blank" rel="noreferrer">
            {t.settings.licences}
          </a>
        </div>
      </section>
    </>
  );
}
