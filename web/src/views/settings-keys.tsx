// Keys of MQTT clients of others.

import { useState } from 'preact/hooks';
import { addKey, getKeys, revokeKey } from '../api/client';
import type { AddedKeyView, KeyView } from '../api/types';
import { date, ms } from '../format/time';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { DeviceTicks } from '../parts/device-ticks';
import { Dialog } from '../parts/dialog';
import { AreaField, Choice, fieldText, TextField } from '../parts/form';
import { Heads } from '../parts/heads';
import { Icon } from '../parts/icon';
import { Loading, useLoad } from '../parts/load';
import { Line, Secret } from '../parts/secret';
import { Age } from '../parts/values';
import { fleet } from '../state/fleet';
import { fingerprint, lines } from './settings-logic';

export function KeysSection() {
  const t = words.value;
  const keys = useLoad(getKeys);
  const [adding, setAdding] = useState(false);
  const [added, setAdded] = useState<(AddedKeyView & { name: string }) | null>(null);
  const [revoking, setRevoking] = useState<KeyView | null>(null);
  return (
    <section class="panel">
      <div class="ph">
        <span class="dim">{t.accessKeys.text}</span>
        <span class="grow" />
        <button type="button" class="btn sm" data-testid="key-add" onClick={() => setAdding(true)}>
          <Icon name="plus" size={14} />
          {t.accessKeys.add}
        </button>
      </div>
      <Loading of={keys}>
        {(list) => {
          const shown = list.filter((key) => key.kind !== 'device');
          if (shown.length === 0) return <p class="empty-p">{t.accessKeys.none}</p>;
          return (
            <div class="scroll">
              <table class="t stack">
                <Heads of={[t.settings.name, t.accessKeys.kind, t.accessKeys.reads, t.accessKeys.publishes, t.settings.lastUsed, t.settings.created]} />
                <tbody>
                  {shown.map((key) => (
                    <tr key={key.id}>
                      <td class="m">
                        <bdi>{key.name}</bdi>
                      </td>
                      <td data-label={t.accessKeys.kind}>{key.kind === 'service' ? t.accessKeys.kinds.service : t.accessKeys.kinds.reader}</td>
                      <td data-label={t.accessKeys.reads} class="wrap">
                        <Reads of={key} />
                      </td>
                      <td data-label={t.accessKeys.publishes} class="wrap">
                        <Filters of={key.publish} />
                      </td>
                      <td data-label={t.settings.lastUsed} class="num">
                        {key.last_used_at ? <Age at={ms(key.last_used_at)} ago /> : <span class="dim">{t.settings.never}</span>}
                      </td>
                      <td data-label={t.settings.created} class="num">
                        {date(ms(key.created_at) ?? 0)}
                      </td>
                      <td class="r act">
                        <button type="button" class="btn sm" onClick={() => setRevoking(key)}>
                          {t.settings.revoke}
                        </button>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          );
        }}
      </Loading>
      {adding ? (
        <Add
          close={() => setAdding(false)}
          done={async (key) => {
            setAdded(key);
            await keys.again();
          }}
        />
      ) : null}
      {added ? <Added added={added} close={() => setAdded(null)} /> : null}
      {revoking ? (
        <Ask
          title={t.settings.revokeKeyTitle(revoking.name)}
          go={t.settings.revoke}
          danger
          close={() => setRevoking(null)}
          act={async () => {
            await revokeKey(revoking.id);
            await keys.again();
          }}
        >
          <p>{t.settings.revokeKeyText}</p>
        </Ask>
      ) : null}
    </section>
  );
}

function Reads({ of: key }: { of: KeyView }) {
  const t = words.value.accessKeys;
  if (key.kind === 'service') return <Filters of={key.subscribe} />;
  if (key.devices.length === 0) return <>{t.everything}</>;
  const names = key.devices.map((id) => fleet.get(id)?.view.value.name ?? id);
  return <span title={names.join(', ')}>{key.devices.length === 1 ? <bdi>{names[0]}</bdi> : t.someDevices(key.devices.length)}</span>;
}

function Filters({ of: filters }: { of: readonly string[] }) {
  if (filters.length === 0) return <span class="dim">{words.value.common.none}</span>;
  return (
    <span class="filters">
      {filters.map((filter) => (
        <code key={filter}>{filter}</code>
      ))}
    </span>
  );
}

function Add({ close, done }: { close: () => void; done: (key: AddedKeyView & { name: string }) => Promise<void> }) {
  const t = words.value;
  const [name, setName] = useState('');
  const [kind, setKind] = useState<'reader' | 'service'>('reader');
  const [some, setSome] = useState(false);
  const [devices, setDevices] = useState<string[]>([]);
  const [publish, setPublish] = useState('');
  const [subscribe, setSubscribe] = useState('');
  const incomplete = kind === 'reader' ? some && devices.length === 0 : lines(publish).length + lines(subscribe).length === 0;
  return (
    <Ask
      title={t.accessKeys.add}
      go={t.accessKeys.add}
      close={close}
      disabled={name.trim() === '' || incomplete}
      act={async () => {
        const form = kind === 'reader' ? { devices: some ? devices : [] } : { publish: lines(publish), subscribe: lines(subscribe) };
        const key = await addKey({ kind, name: name.trim(), ...form });
        await done({ ...key, name: name.trim() });
      }}
    >
      {(work) => (
        <>
          <TextField id="key-name" label={t.settings.name} value={name} set={setName} error={fieldText(work.refused, 'name')} placeholder={t.accessKeys.namePlaceholder} autocomplete="off" maxLength={64} autofocus testid="key-name" />
          <Choice label={t.accessKeys.kind} options={[['reader', t.accessKeys.kinds.reader], ['service', t.accessKeys.kinds.service]]} value={kind} set={setKind} hint={t.accessKeys.kindHints[kind]} />
          {kind === 'reader' ? (
            <>
              <Choice label={t.accessKeys.which} options={[[0, t.accessKeys.all], [1, t.accessKeys.only]]} value={some ? 1 : 0} set={(value) => setSome(value === 1)} />
              {some ? <DeviceTicks chosen={devices} set={setDevices} /> : null}
              {fieldText(work.refused, 'devices') ? <p class="bad">{fieldText(work.refused, 'devices')}</p> : null}
            </>
          ) : (
            <>
              <AreaField id="key-subscribe" mono rows={2} label={t.accessKeys.subscribe} value={subscribe} set={setSubscribe} hint={t.accessKeys.filters} error={fieldText(work.refused, 'subscribe')} />
              <AreaField id="key-publish" mono rows={2} label={t.accessKeys.publish} value={publish} set={setPublish} hint={t.accessKeys.filters} error={fieldText(work.refused, 'publish')} />
            </>
          )}
        </>
      )}
    </Ask>
  );
}

function Added({ added, close }: { added: AddedKeyView & { name: string }; close: () => void }) {
  const t = words.value;
  return (
    <Dialog
      wide
      title={t.accessKeys.newTitle(added.name)}
      close={close}
      footer={
        <>
          <span class="grow" />
          <button type="button" class="btn pri" onClick={close}>
            {t.settings.done}
          </button>
        </>
      }
    >
      <Secret label={t.accessKeys.newTitle(added.name)} text={added.key} testid="key-text" />
      <p class="hint gap">{t.accessKeys.user}</p>
      {added.commands.map((command) => (
        <Line key={command.label} label={t.accessKeys.commands[command.label]} text={command.line} />
      ))}
      {added.pin ? (
        <p class="hint">
          {t.accessKeys.fingerprint} <code class="long">{fingerprint(added.pin)}</code>
        </p>
      ) : null}
    </Dialog>
  );
}
