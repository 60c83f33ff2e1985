// The way in: the first account of a new server, and the login.

import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ApiError, logIn, setUp } from '../api/client';
import { span } from '../format/time';
import { words } from '../i18n';
import { explain, fieldText, Problem, TextField } from '../parts/form';
import { Logo } from '../parts/icon';
import { tick } from '../state/clock';
import { go, query, safeNext } from '../state/router';
import { ended, session, takeSession } from '../state/session';
import { LanguageSwitch, ThemeSwitch } from './top';
import { viewTitle } from './title';

function Frame({ title, children }: { title: string; children: ComponentChildren }) {
  useEffect(() => {
    viewTitle.value = title;
  }, [title]);
  return (
    <div class="enter">
      <header>
        <span class="brand">
          <Logo />
          <b>{words.value.product}</b>
        </span>
        <span class="grow" />
        <LanguageSwitch />
        <ThemeSwitch />
      </header>
      <main id="main" class="enter-box">
        {children}
      </main>
    </div>
  );
}

export function Login() {
  const t = words.value;
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  /** The password was right, and a code is asked for. */
  const [second, setSecond] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const [blockedUntil, setBlockedUntil] = useState(0);
  const next = query.value.get('next');
  const left = Math.max(0, Math.ceil((blockedUntil - tick.value) / 1000));
  const title = second ? t.login.codeTitle : t.login.title;

  useEffect(() => {
    if (session.value?.user) go(safeNext(next), 'replace');
  }, [session.value?.user]);

  async function submit(): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      takeSession(await logIn({ name: name.trim(), password, ...(second ? { code } : {}) }));
      go(safeNext(next), 'replace');
    } catch (error) {
      setBusy(false);
      const said = error instanceof ApiError ? error.code : '';
      if (said === 'two_factor_needed') {
        setSecond(true);
        return;
      }
      setProblem(error);
      setCode('');
      if (error instanceof ApiError && error.status === 429) setBlockedUntil(tick.peek() + (error.retryAfterS ?? 60) * 1000);
      if (said === 'two_factor_wrong') document.getElementById('login-code')?.focus();
      // A server that cannot be reached has not looked at the password.
      else if (said !== 'network' && said !== 'secrets_unreadable') back();
      if (said === 'bad_credentials') document.getElementById('login-password')?.focus();
    }
  }

  function back(): void {
    setSecond(false);
    setPassword('');
    setCode('');
  }

  return (
    <Frame title={title}>
      <form
        class="panel form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h1>{title}</h1>
        {ended.value && problem === null && left === 0 && !second ? <p class="hint">{t.login.ended}</p> : null}
        {second && problem === null ? <p class="hint">{t.login.codeText}</p> : null}
        {left > 0 ? <Problem text={t.login.wait(t.span(span(left)))} /> : problem && !(problem instanceof ApiError && problem.status === 429) ? <Problem text={explain(problem)} /> : null}
        {second ? (
          <TextField key="code" id="login-code" label={t.login.code} value={code} set={setCode} hint={t.login.codeHint} autocomplete="one-time-code" autofocus testid="login-code" />
        ) : (
          <>
            <TextField key="name" id="login-name" label={t.login.name} value={name} set={setName} autocomplete="username" autofocus testid="login-name" />
            <TextField key="password" id="login-password" password label={t.login.password} value={password} set={setPassword} autocomplete="current-password" testid="login-password" />
          </>
        )}
        <button class="btn pri tall" type="submit" disabled={busy || left > 0 || (second ? code.trim() === '' : name.trim() === '' || password === '')} aria-busy={busy} data-testid="login-submit">
          {t.login.submit}
        </button>
        {second ? (
          <button class="lk other" type="button" onClick={() => { back(); setName(''); setProblem(null); }}>
            {t.login.otherUser}
          </button>
        ) : null}
      </form>
    </Frame>
  );
}

const PASSWORD_MIN = 12;
/** The command that makes an account where the link is not valid any more. */
const USER_ADD = 'openclaw-watch user add NAME --role admin --password-stdin';

/** The token stands behind the #, which browsers do not send: it reaches no log. It leaves the address bar at once. */
function takeToken(): string {
  const token = location.hash.slice(1);
  if (token !== '') history.replaceState(null, '', location.pathname);
  return token;
}

/** The whole link may be pasted where the token is asked for. */
const tokenIn = (text: string): string => text.slice(text.indexOf('#') + 1).trim();

export function Setup() {
  const t = words.value;
  const [linked, setLinked] = useState(takeToken);
  const [token, setToken] = useState(linked);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);

  // A link that is opened where this page is open already changes only what stands behind the #.
  useEffect(() => {
    const heard = (): void => {
      const fresh = takeToken();
      if (fresh === '') return;
      setLinked(fresh);
      setToken(fresh);
      setProblem(null);
    };
    window.addEventListener('hashchange', heard);
    return () => window.removeEventListener('hashchange', heard);
  }, []);

  const known = session.value;
  if (known && !known.setup_needed && !busy) {
    return (
      <Frame title={t.setup.title}>
        <div class="panel form">
          <h1>{t.setup.done}</h1>
          <a class="btn pri tall" href={known.user ? '/' : '/login'}>
            {known.user ? t.nav.overview : t.setup.toLogin}
          </a>
        </div>
      </Frame>
    );
  }

  const fromServer = problem instanceof ApiError ? problem.fields : {};
  const expired = problem instanceof ApiError && problem.code === 'setup_token_invalid';
  // Only said once it is of use: after the first try, and not while the second password is still being typed.
  const wrong = {
    token: tokenIn(token) === '' ? t.setup.needToken : undefined,
    name: name.trim() === '' ? t.setup.needName : undefined,
    password: [...password].length < PASSWORD_MIN ? t.setup.short : undefined,
    password2: again !== password ? t.setup.differ : undefined,
  };
  const shown: Partial<typeof wrong> = tried ? wrong : {};

  async function submit(): Promise<void> {
    setTried(true);
    setProblem(null);
    if (Object.values(wrong).some(Boolean)) return;
    setBusy(true);
    try {
      takeSession(await setUp({ token: tokenIn(token), name: name.trim(), password }));
      go('/', 'replace');
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  }

  return (
    <Frame title={t.setup.title}>
      <form
        class="panel form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h1>{t.setup.title}</h1>
        {expired ? (
          <div class="problem" role="alert">
            <div>
              <b>{t.setup.invalidTitle}</b>
              <p>{t.setup.invalid}</p>
              <code class="mono line">{USER_ADD}</code>
            </div>
          </div>
        ) : problem && Object.keys(fromServer).length === 0 ? (
          <Problem text={explain(problem)} />
        ) : (
          <p class="hint">{t.setup.text}</p>
        )}
        {linked === '' || expired ? (
          <TextField id="setup-token" label={t.setup.token} value={token} set={setToken} hint={t.setup.tokenHint} error={shown.token} autofocus autocomplete="off" testid="setup-token" />
        ) : null}
        <TextField id="setup-name" label={t.setup.name} value={name} set={setName} error={fieldText(problem, 'name') ?? shown.name} autofocus={linked !== ''} autocomplete="username" testid="setup-name" />
        <TextField id="setup-password" password label={t.setup.password} value={password} set={setPassword} hint={t.setup.passwordHint} error={fieldText(problem, 'password') ?? shown.password} autocomplete="new-password" testid="setup-password" />
        <TextField id="setup-password2" password label={t.setup.password2} value={again} set={setAgain} error={shown.password2} autocomplete="new-password" testid="setup-password2" />
        <button class="btn pri tall" type="submit" disabled={busy} aria-busy={busy} data-testid="setup-submit">
          {t.setup.submit}
        </button>
      </form>
    </Frame>
  );
}
