// One's own password and second factor.

import { useRef, useState } from 'preact/hooks';
import { beginTwoFactor, changePassword, confirmTwoFactor, getMe, removeTwoFactor, renewRecoveryCodes } from '../api/client';
import type { MyAccountView, NewTwoFactorView } from '../api/types';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { Dialog } from '../parts/dialog';
import { CopyButton, fieldText, Problem, TextField } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Loading, useLoad } from '../parts/load';
import { loadSession } from '../state/session';
import { useWork } from '../parts/work';

export function AccountSection() {
  return (
    <>
      <Password />
      <TwoFactor />
    </>
  );
}

const PASSWORD_MIN = 12;

function Password() {
  const t = words.value;
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  const [again, setAgain] = useState('');
  const [tried, setTried] = useState(false);
  const [done, setDone] = useState(false);
  const work = useWork();
  const short = [...fresh].length < PASSWORD_MIN ? t.setup.short : undefined;
  const differ = fresh !== again ? t.setup.differ : undefined;
  return (
    <section class="panel">
      <div class="ph">
        <h2>{t.account.password}</h2>
        <span class="dim">{t.account.passwordText}</span>
      </div>
      <form
        class="pad narrow"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          setDone(false);
          if (short || differ || old === '') return;
          work.run(async () => {
            await changePassword({ old, new: fresh });
            setOld('');
            setFresh('');
            setAgain('');
            setTried(false);
            setDone(true);
          });
        }}
      >
        {work.problem ? <Problem text={work.problem} /> : null}
        <TextField id="old-password" password label={t.account.old} value={old} set={setOld} error={fieldText(work.refused, 'old')} autocomplete="current-password" />
        <TextField id="new-password" password label={t.account.new} value={fresh} set={setFresh} hint={t.setup.passwordHint} error={tried ? short : fieldText(work.refused, 'new')} autocomplete="new-password" />
        <TextField id="new-password2" password label={t.setup.password2} value={again} set={setAgain} error={tried ? differ : undefined} autocomplete="new-password" />
        <button class="btn" type="submit" disabled={work.busy || old === '' || fresh === ''} aria-busy={work.busy}>
          {t.account.change}
        </button>
        <p class="hint" role="status">
          {done ? t.account.changed : ''}
        </p>
      </form>
    </section>
  );
}

const FEW = 3;

function TwoFactor() {
  const t = words.value;
  const me = useLoad(getMe);
  const begin = useWork();
  const [scan, setScan] = useState<NewTwoFactorView | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const [ask, setAsk] = useState<'renew' | 'off' | null>(null);
  const told = async (): Promise<void> => {
    await me.again();
    // The session says it, too.
    await loadSession().catch(() => {});
  };
  return (
    <section class="panel">
      <div class="ph">
        <h2>{t.account.twoFactor}</h2>
        {me.value ? (
          <span class="st-w">
            <Glyph shape={me.value.two_factor ? 'online' : 'offline'} />
            {me.value.two_factor ? t.account.on : t.account.off}
          </span>
        ) : null}
      </div>
      <Loading of={me} rows={2}>
        {(value) => (
          <div class="pad">
            {begin.problem ? <Problem text={begin.problem} /> : null}
            {value.two_factor ? <On value={value} ask={setAsk} /> : <p>{t.account.offText}</p>}
            {value.two_factor ? null : (
              <button
                type="button"
                class="btn pri"
                data-testid="two-factor-on"
                disabled={begin.busy}
                aria-busy={begin.busy}
                onClick={() => begin.run(async () => setScan(await beginTwoFactor()))}
              >
                {t.account.turnOn}
              </button>
            )}
          </div>
        )}
      </Loading>
      {scan ? <Scan secret={scan} close={() => setScan(null)} done={(fresh) => { setScan(null); setCodes(fresh); void told(); }} /> : null}
      {codes ? <Codes codes={codes} close={() => setCodes(null)} /> : null}
      {ask ? <WithCode what={ask} close={() => setAsk(null)} done={(fresh) => { setCodes(fresh); void told(); }} /> : null}
    </section>
  );
}

function On({ value, ask }: { value: MyAccountView; ask: (what: 'renew' | 'off') => void }) {
  const t = words.value.account;
  return (
    <>
      <p>{t.onText(value.recovery_codes)}</p>
      {value.recovery_codes < FEW ? (
        <p class="warned">
          <Glyph shape="warning" />
          <span>{t.fewCodes}</span>
        </p>
      ) : null}
      <div class="acts">
        <button type="button" class="btn" onClick={() => ask('renew')}>
          {t.newCodes}
        </button>
        <button type="button" class="btn" onClick={() => ask('off')}>
          {t.turnOff}
        </button>
      </div>
    </>
  );
}

/** Empty squares that a scanner needs around the picture. */
const QUIET = 4;

function Scan({ secret, close, done }: { secret: NewTwoFactorView; close: () => void; done: (codes: string[]) => void }) {
  const t = words.value.account;
  const [code, setCode] = useState('');
  const text = useRef<HTMLElement>(null);
  const size = secret.qr_size + 2 * QUIET;
  return (
    <Ask title={t.scanTitle} go={t.confirmGo} close={close} disabled={code.trim() === ''} act={async () => done((await confirmTwoFactor(code)).recovery_codes)}>
      {(work) => (
        <>
          <p>{t.scan}</p>
          <svg class="qr" viewBox={`${-QUIET} ${-QUIET} ${size} ${size}`} role="img" aria-label={t.qr} shape-rendering="crispEdges">
            <rect x={-QUIET} y={-QUIET} width={size} height={size} fill="#fff" />
            <path d={secret.qr_path} fill="#000" />
          </svg>
          <p class="hint">{t.byHand}</p>
          <div class="key">
            <code ref={text} data-testid="two-factor-secret">
              {secret.secret.replace(/(.{4})(?=.)/g, '$1 ')}
            </code>
            <CopyButton text={secret.secret} label={words.value.common.copy} select={() => text.current} />
          </div>
          <TextField id="two-factor-code" label={t.confirm} value={code} set={setCode} error={fieldText(work.refused, 'code')} autocomplete="one-time-code" inputmode="numeric" autofocus testid="two-factor-code" />
        </>
      )}
    </Ask>
  );
}

function WithCode({ what, close, done }: { what: 'renew' | 'off'; close: () => void; done: (codes: string[] | null) => void }) {
  const t = words.value.account;
  const [code, setCode] = useState('');
  async function act(): Promise<void> {
    if (what === 'renew') done((await renewRecoveryCodes(code)).recovery_codes);
    else {
      await removeTwoFactor(code);
      done(null);
    }
  }
  return (
    <Ask title={what === 'renew' ? t.newCodes : t.turnOff} go={what === 'renew' ? t.newCodes : t.turnOff} danger={what === 'off'} close={close} disabled={code.trim() === ''} act={act}>
      {(work) => (
        <>
          <p>{what === 'renew' ? t.newCodesText : t.offConfirm}</p>
          <TextField id="with-code" label={t.codeOrRecovery} value={code} set={setCode} error={fieldText(work.refused, 'code')} autocomplete="one-time-code" autofocus />
        </>
      )}
    </Ask>
  );
}

function Codes({ codes, close }: { codes: readonly string[]; close: () => void }) {
  const t = words.value.account;
  const list = useRef<HTMLUListElement>(null);
  const text = `${codes.join('\n')}\n`;
  function save(): void {
    const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = t.codesFile;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
  return (
    <Dialog
      title={t.codesTitle}
      close={close}
      footer={
        <>
          <CopyButton text={text} label={t.copyCodes} select={() => list.current} />
          <button type="button" class="btn" onClick={save}>
            {t.saveCodes}
          </button>
          <span class="grow" />
          <button type="button" class="btn pri" data-testid="codes-kept" onClick={close}>
            {t.codesKept}
          </button>
        </>
      }
    >
      <p class="key-h">
        <span>{t.codesText}</span>
        <span class="grow" />
        <span class="once">
          <Glyph shape="notice" />
          {words.value.settings.shownOnce}
        </span>
      </p>
      <ul class="codes mono" ref={list}>
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
    </Dialog>
  );
}
