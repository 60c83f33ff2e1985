// The devices with their keys: since when, last used, replaced or revoked.

import { useEffect, useState } from 'preact/hooks';
import { getKeys, revokeKey } from '../api/client';
import type { DeviceView, KeyView } from '../api/types';
import { clockShort, date, ms } from '../format/time';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { Glyph } from '../parts/glyph';
import { Heads } from '../parts/heads';
import { Icon } from '../parts/icon';
import { Loading, useLoad } from '../parts/load';
import { RowMenu } from '../parts/row-menu';
import { Age } from '../parts/values';
import { serverNow, tick } from '../state/clock';
import { dialog } from '../state/dialogs';
import { fleet, stateOf } from '../state/fleet';
import { deviceHref } from '../state/router';
import { deviceMenu } from './device-menu';
import { keysByDevice } from './settings-logic';

/** Rows at first; a fleet of thousands is searched in the overview. */
const STEP = 100;

export function DevicesSection() {
  const t = words.value;
  const keys = useLoad(getKeys);
  const [find, setFind] = useState('');
  const [most, setMost] = useState(STEP);
  const [revoking, setRevoking] = useState<{ key: KeyView; name: string } | null>(null);
  fleet.shape.value;
  // A dialog that closes may have made or ended a key.
  const open = dialog.value;
  useEffect(() => {
    if (open === null) void keys.again();
  }, [open === null]);
  const wanted = find.trim().toLowerCase();
  const devices = fleet.all().filter((device) => device.name.toLowerCase().includes(wanted) || device.tags.some((tag) => tag.toLowerCase() === wanted));
  devices.sort((a, b) => a.name.localeCompare(b.name));
  return (
    <section class="panel">
      <div class="ph">
        <input class="in small" type="search" value={find} placeholder={t.accessKeys.find} aria-label={t.accessKeys.find} onInput={(event) => setFind(event.currentTarget.value)} />
        <span class="dim">{t.overview.devices(devices.length)}</span>
        <span class="grow" />
        <button type="button" class="btn sm" onClick={() => { dialog.value = { kind: 'add', waitingFor: null }; }}>
          <Icon name="plus" size={14} />
          {t.add.title}
        </button>
      </div>
      <Loading of={keys} rows={6}>
        {(list) => {
          const byDevice = keysByDevice(list);
          return (
            <div class="scroll">
              <table class="t stack">
                <Heads of={[t.overview.columns.name, t.settings.keySince, t.settings.lastUsed]} />
                <tbody>
                  {devices.slice(0, most).map((device) => (
                    <Row key={device.id} device={device} keys={byDevice.get(device.id) ?? []} revoke={(key) => setRevoking({ key, name: device.name })} />
                  ))}
                </tbody>
              </table>
              {devices.length > most ? (
                <p class="empty-p">
                  <button type="button" class="lk" onClick={() => setMost(most + STEP)}>
                    {t.common.of(String(most), String(devices.length))}
                  </button>
                </p>
              ) : null}
            </div>
          );
        }}
      </Loading>
      {revoking ? (
        <Ask
          title={t.settings.revokeKeyTitle(revoking.name)}
          go={t.settings.revoke}
          danger
          close={() => setRevoking(null)}
          act={async () => {
            await revokeKey(revoking.key.id);
            await keys.again();
          }}
        >
          <p>{t.settings.revokeKeyText}</p>
        </Ask>
      ) : null}
    </section>
  );
}

function Row({ device, keys, revoke }: { device: DeviceView; keys: readonly KeyView[]; revoke: (key: KeyView) => void }) {
  const t = words.value;
  const [newest, ...older] = keys;
  return (
    <>
      <tr>
        <td class="m">
          <Glyph shape={stateOf(device)} />
          <a class="name" href={deviceHref(device.id)}>
            <bdi>{device.name}</bdi>
          </a>
          {device.tags.map((tag) => (
            <span key={tag} class="tag">
              {tag}
            </span>
          ))}
        </td>
        <KeyCells of={newest} />
        <td class="r act">
          <RowMenu
            label={t.overview.menu(device.name)}
            items={[...deviceMenu(t, device, true), ...(newest && device.kind !== 'local' ? [{ label: t.settings.revoke, act: () => revoke(newest), danger: true }] : [])]}
          />
        </td>
      </tr>
      {older.map((key) => {
        const ends = ms(key.expires_at);
        return (
          <tr key={key.id} class="older">
            <td class="m">
              <Glyph shape="notice" />
              <span>
                {t.settings.oldKey}
                {ends === null ? '' : `, ${t.settings.until(clockShort(ends, tick.value))}`}
              </span>
            </td>
            <KeyCells of={key} />
            <td class="r act">
              <button type="button" class="btn sm" onClick={() => revoke(key)}>
                {t.settings.revoke}
              </button>
            </td>
          </tr>
        );
      })}
    </>
  );
}

function KeyCells({ of: key }: { of: KeyView | undefined }) {
  const t = words.value.settings;
  return (
    <>
      <td data-label={t.keySince} class="num">
        {key ? date(ms(key.created_at) ?? serverNow()) : <span class="dim">{t.noKey}</span>}
      </td>
      <td data-label={t.lastUsed} class="num">
        {key?.last_used_at ? <Age at={ms(key.last_used_at)} ago /> : <span class="dim">{t.never}</span>}
      </td>
    </>
  );
}
