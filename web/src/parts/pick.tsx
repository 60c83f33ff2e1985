import { words } from '../i18n';
import { byName } from '../list/arrange';
import { fleet } from '../state/fleet';
import { prefs } from '../state/prefs';
import { Icon } from './icon';

/** One of the devices, or all of them. */
export function DevicePick({ id, value, set }: { id: string; value: string | null; set: (device: string | null) => void }) {
  const t = words.value.pick;
  fleet.shape.value;
  const devices = fleet.all().sort(byName(prefs.value.lang));
  const known = value === null || devices.some((device) => device.id === value);
  return (
    <>
      <label class="vh" for={id}>
        {t.device}
      </label>
      <select id={id} class="sel" value={value ?? ''} onChange={(event) => set(event.currentTarget.value || null)}>
        <option value="">{t.allDevices}</option>
        {known ? null : <option value={value ?? ''}>{value}</option>}
        {devices.map((device) => (
          <option key={device.id} value={device.id}>
            {device.name}
          </option>
        ))}
      </select>
    </>
  );
}

interface SegProps<T extends string> {
  label: string;
  list: readonly T[];
  now: T;
  say: (one: T) => string;
  set: (one: T) => void;
  class?: string;
}

/** One of a few. */
export function Seg<T extends string>({ label, list, now, say, set, class: more }: SegProps<T>) {
  return (
    <span class={`seg ${more ?? ''}`} role="group" aria-label={label}>
      {list.map((one) => (
        <button key={one} type="button" aria-pressed={one === now} onClick={() => set(one)}>
          {say(one)}
        </button>
      ))}
    </span>
  );
}

/** Links to the same list as files. */
export function Exports({ csv, jsonl }: { csv: string; jsonl: string }) {
  const t = words.value.pick;
  return (
    <>
      <a class="btn sm" href={csv} download target="_self">
        <Icon name="download" size={13} />
        {t.csv}
      </a>
      <a class="btn sm hide-s" href={jsonl} download target="_self">
        {t.jsonl}
      </a>
    </>
  );
}
