import { useState } from 'preact/hooks';
import { addUser, getUsers, patchUser, removeUser } from '../api/client';
import type { PersonView } from '../api/types';
import { date, ms } from '../format/time';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { Choice, fieldText, TextField } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Heads } from '../parts/heads';
import { Icon } from '../parts/icon';
import { Loading, useLoad } from '../parts/load';
import { RowMenu } from '../parts/row-menu';
import { Age } from '../parts/values';
import { loadSession, session } from '../state/session';

/** The line for whoever is locked out. */
const RESET = 'openclaw-watch user reset-two-factor NAME';

type Open = { kind: 'add' } | { kind: 'password' | 'role' | 'remove'; user: PersonView };

export function UsersSection() {
  const t = words.value;
  const users = useLoad(getUsers);
  const [open, setOpen] = useState<Open | null>(null);
  const close = (): void => setOpen(null);
  const me = session.value?.user?.name;
  return (
    <section class="panel">
      <div class="ph">
        <span class="dim">{t.users.text}</span>
        <span class="grow" />
        <button type="button" class="btn sm" data-testid="user-add" onClick={() => setOpen({ kind: 'add' })}>
          <Icon name="plus" size={14} />
          {t.users.add}
        </button>
      </div>
      <Loading of={users}>
        {(list) => (
          <div class="scroll">
            <table class="t stack">
              <Heads of={[t.settings.name, t.users.role, t.users.twoFactor, t.users.lastLogin, t.settings.created]} />
              <tbody>
                {list.map((user) => (
                  <tr key={user.name}>
                    <td class="m">
                      <bdi>{user.name}</bdi>
                      {user.name === me ? <span class="chip">{t.users.you}</span> : null}
                    </td>
                    <td data-label={t.users.role}>{t.settings.role[user.role]}</td>
                    <td data-label={t.users.twoFactor}>
                      <span class="st-w">
                        <Glyph shape={user.two_factor ? 'online' : 'offline'} />
                        {user.two_factor ? t.users.on : t.users.off}
                      </span>
                    </td>
                    <td data-label={t.users.lastLogin} class="num">
                      {user.last_login_at ? <Age at={ms(user.last_login_at)} ago /> : <span class="dim">{t.settings.never}</span>}
                    </td>
                    <td data-label={t.settings.created} class="num">
                      {date(ms(user.created_at) ?? 0)}
                    </td>
                    <td class="r act">
                      <RowMenu
                        label={t.users.menu(user.name)}
                        items={[
                          { label: user.role === 'admin' ? t.users.makeViewer : t.users.makeAdmin, act: () => setOpen({ kind: 'role', user }) },
                          ...(user.name === me ? [] : [{ label: t.users.newPassword, act: () => setOpen({ kind: 'password', user }) }]),
                          { label: t.users.remove, act: () => setOpen({ kind: 'remove', user }), danger: true },
                        ]}
                      />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loading>
      <p class="hint note">
        {t.users.lost} <code>{RESET}</code>
      </p>
      {open ? <Dialogs open={open} close={close} done={users.again} /> : null}
    </section>
  );
}

function Dialogs({ open, close, done }: { open: Open; close: () => void; done: () => Promise<void> }) {
  switch (open.kind) {
    case 'add':
      return <Add close={close} done={done} />;
    case 'password':
      return <NewPassword user={open.user} close={close} done={done} />;
    case 'role':
      return <ChangeRole user={open.user} close={close} done={done} />;
    case 'remove':
      return <Remove user={open.user} close={close} done={done} />;
  }
}

interface OfUser {
  user: PersonView;
  close: () => void;
  done: () => Promise<void>;
}

function Add({ close, done }: { close: () => void; done: () => Promise<void> }) {
  const t = words.value;
  const [name, setName] = useState('');
  const [role, setRole] = useState<'viewer' | 'admin'>('viewer');
  const [password, setPassword] = useState('');
  return (
    <Ask
      title={t.users.add}
      go={t.users.add}
      close={close}
      disabled={name.trim() === '' || password === ''}
      act={async () => {
        await addUser({ name: name.trim(), role, password });
        await done();
      }}
    >
      {(work) => (
        <>
          <TextField id="user-name" label={t.settings.name} value={name} set={setName} error={fieldText(work.refused, 'name')} autocomplete="off" maxLength={64} autofocus testid="user-name" />
          <Choice label={t.users.role} options={[['viewer', t.settings.role.viewer], ['admin', t.settings.role.admin]]} value={role} set={setRole} />
          <TextField id="user-password" password label={t.users.password} value={password} set={setPassword} hint={t.users.passwordHint} error={fieldText(work.refused, 'password')} autocomplete="new-password" testid="user-password" />
        </>
      )}
    </Ask>
  );
}

function NewPassword({ user, close, done }: OfUser) {
  const t = words.value;
  const [password, setPassword] = useState('');
  return (
    <Ask
      title={t.users.newPasswordTitle(user.name)}
      go={t.common.save}
      close={close}
      disabled={password === ''}
      act={async () => {
        await patchUser(user.name, { password });
        await done();
      }}
    >
      {(work) => (
        <>
          <p>{t.users.endsLogins}</p>
          <TextField id="user-password" password label={t.users.newPassword} value={password} set={setPassword} hint={t.users.passwordHint} error={fieldText(work.refused, 'password')} autocomplete="new-password" autofocus />
        </>
      )}
    </Ask>
  );
}

function ChangeRole({ user, close, done }: OfUser) {
  const t = words.value;
  const role = user.role === 'admin' ? 'viewer' : 'admin';
  return (
    <Ask
      title={`${user.name}: ${role === 'admin' ? t.users.makeAdmin : t.users.makeViewer}`}
      go={role === 'admin' ? t.users.makeAdmin : t.users.makeViewer}
      close={close}
      act={async () => {
        await patchUser(user.name, { role });
        if (user.name === session.peek()?.user?.name) await loadSession();
        else await done();
      }}
    >
      <p>{t.users.endsLogins}</p>
    </Ask>
  );
}

function Remove({ user, close, done }: OfUser) {
  const t = words.value;
  return (
    <Ask
      title={t.users.removeTitle(user.name)}
      go={t.users.remove}
      danger
      close={close}
      act={async () => {
        await removeUser(user.name);
        await done();
      }}
    >
      <p>{t.users.removeText}</p>
    </Ask>
  );
}
