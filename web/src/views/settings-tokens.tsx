import { useState } from 'preact/hooks';
import { addToken, API_DOCS, getTokens, revokeToken } from '../api/client';
import type { AddedTokenView, TokenView } from '../api/types';
import { date, ms } from '../format/time';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { Dialog } from '../parts/dialog';
import { Choice, fieldText, TextField } from '../parts/form';
import { Heads } from '../parts/heads';
import { Icon } from '../parts/icon';
import { Loading, useLoad } from '../parts/load';
import { Line, Secret } from '../parts/secret';
import { Age } from '../parts/values';
import { serverNow } from '../state/clock';

/** Days that a token may be good for; null: for ever. */
const DAYS = [30, 90, 365, null] as const;
const DAY_MS = 86_400_000;

export function TokensSection() {
  const t = words.value;
  const tokens = useLoad(getTokens);
  const [adding, setAdding] = useState(false);
  const [added, setAdded] = useState<(AddedTokenView & { name: string }) | null>(null);
  const [revoking, setRevoking] = useState<TokenView | null>(null);
  const now = serverNow();
  return (
    <section class="panel">
      <div class="ph">
        <span class="dim">{t.tokens.text}</span>
        <span class="grow" />
        <button type="button" class="btn sm" data-testid="token-add" onClick={() => setAdding(true)}>
          <Icon name="plus" size={14} />
          {t.tokens.add}
        </button>
      </div>
      <Loading of={tokens}>
        {(list) =>
          list.length === 0 ? (
            <p class="empty-p">{t.tokens.none}</p>
          ) : (
            <div class="scroll">
              <table class="t stack">
                <Heads of={[t.settings.name, t.users.role, t.settings.lastUsed, t.tokens.expires, t.settings.created]} />
                <tbody>
                  {list.map((token) => {
                    const ends = ms(token.expires_at);
                    const over = ends !== null && ends <= now;
                    return (
                      <tr key={token.id} class={over ? 'over' : ''}>
                        <td class="m">
                          <bdi>{token.name || token.id}</bdi>
                        </td>
                        <td data-label={t.users.role}>{t.settings.role[token.role]}</td>
                        <td data-label={t.settings.lastUsed} class="num">
                          {token.last_used_at ? <Age at={ms(token.last_used_at)} ago /> : <span class="dim">{t.settings.never}</span>}
                        </td>
                        <td data-label={t.tokens.expires} class="num">
                          {ends === null ? t.tokens.expiries[3] : over ? t.tokens.expired : date(ends)}
                        </td>
                        <td data-label={t.settings.created} class="num">
                          {date(ms(token.created_at) ?? 0)}
                        </td>
                        <td class="r act">
                          <button type="button" class="btn sm" onClick={() => setRevoking(token)}>
                            {t.settings.revoke}
                          </button>
                        </td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </div>
          )
        }
      </Loading>
      <p class="hint note">
        <a class="lk" href={API_DOCS} target="_blank" rel="noreferrer">
          {t.tokens.docs}
        </a>
      </p>
      {adding ? (
        <Add
          close={() => setAdding(false)}
          done={async (token) => {
            setAdded(token);
            await tokens.again();
          }}
        />
      ) : null}
      {added ? (
        <Dialog
          wide
          title={t.tokens.newTitle(added.name)}
          close={() => setAdded(null)}
          footer={
            <>
              <span class="grow" />
              <button type="button" class="btn pri" onClick={() => setAdded(null)}>
                {t.settings.done}
              </button>
            </>
          }
        >
          <Secret label={t.tokens.newTitle(added.name)} text={added.token} testid="token-text" />
          <Line label={t.tokens.send} text={`curl -H 'Authorization: Bearer ${added.token}' ${location.origin}/api/v1/devices`} />
        </Dialog>
      ) : null}
      {revoking ? (
        <Ask
          title={t.tokens.revokeTitle(revoking.name || revoking.id)}
          go={t.settings.revoke}
          danger
          close={() => setRevoking(null)}
          act={async () => {
            await revokeToken(revoking.id);
            await tokens.again();
          }}
        >
          <p>{t.tokens.revokeText}</p>
        </Ask>
      ) : null}
    </section>
  );
}

function Add({ close, done }: { close: () => void; done: (token: AddedTokenView & { name: string }) => Promise<void> }) {
  const t = words.value;
  const [name, setName] = useState('');
  const [role, setRole] = useState<'viewer' | 'admin'>('viewer');
  const [span, setSpan] = useState(1);
  return (
    <Ask
      title={t.tokens.add}
      go={t.tokens.add}
      close={close}
      disabled={name.trim() === ''}
      act={async () => {
        const days = DAYS[span] ?? null;
        const ends = days === null ? {} : { expires_at: new Date(serverNow() + days * DAY_MS).toISOString() };
        const token = await addToken({ name: name.trim(), role, ...ends });
        await done({ ...token, name: name.trim() });
      }}
    >
      {(work) => (
        <>
          <TextField id="token-name" label={t.settings.name} value={name} set={setName} error={fieldText(work.refused, 'name')} placeholder={t.tokens.namePlaceholder} autocomplete="off" maxLength={64} autofocus testid="token-name" />
          <Choice label={t.users.role} options={[['viewer', t.settings.role.viewer], ['admin', t.settings.role.admin]]} value={role} set={setRole} />
          <Choice label={t.tokens.expiry} options={t.tokens.expiries.map((text, i) => [i, text] as const)} value={span} set={setSpan} />
        </>
      )}
    </Ask>
  );
}
