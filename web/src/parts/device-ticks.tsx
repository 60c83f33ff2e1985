import { useState } from 'preact/hooks';
import type { DeviceView } from '../api/types';
import { words } from '../i18n';
import { byName } from '../list/arrange';
import { fleet } from '../state/fleet';
import { prefs } from '../state/prefs';
import { Check } from './form';

/** More than this are found by typing. */
const MOST = 60;

/** Devices to tick. */
export function DeviceTicks({ chosen, set }: { chosen: readonly string[]; set: (ids: string[]) => void }) {
  const t = words.value.accessKeys;
  const [find, setFind] = useState('');
  fleet.shape.value;
  const wanted = find.trim().toLowerCase();
  const match = (device: DeviceView): boolean => wanted === '' || device.name.toLowerCase().includes(wanted) || device.tags.some((tag) => tag.toLowerCase() === wanted);
  // What was chosen stands first, and stays where it is while others are.
  const [before] = useState(chosen);
  const late = (device: DeviceView): number => Number(!before.includes(device.id));
  const names = byName(prefs.value.lang);
  const all = fleet.all().filter(match).sort((a, b) => late(a) - late(b) || names(a, b));
  return (
    <div class="dpick">
      <input class="in" type="search" value={find} placeholder={t.find} aria-label={t.find} onInput={(event) => setFind(event.currentTarget.value)} />
      <div class="dlist">
        {all.slice(0, MOST).map((device) => (
          <Check
            key={device.id}
            label={device.name}
            value={chosen.includes(device.id)}
            set={(on) => set(on ? [...chosen, device.id] : chosen.filter((id) => id !== device.id))}
          />
        ))}
        {all.length > MOST ? <span class="hint">{words.value.common.of(String(MOST), String(all.length))}</span> : null}
      </div>
    </div>
  );
}
