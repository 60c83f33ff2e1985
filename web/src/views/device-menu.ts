import type { DeviceView } from '../api/types';
import type { BaseMessages } from '../i18n/messages';
import type { MenuItem } from '../parts/menu';
import { dialog } from '../state/dialogs';
import { deviceHref, go } from '../state/router';

/** What can be done with a device, the same in the list and on its page. */
export function deviceMenu(t: BaseMessages, { id, kind }: DeviceView, withOpen: boolean): MenuItem[] {
  const open = (edit: 'rename' | 'tags' | 'rotate' | 'remove') => (): void => {
    dialog.value = { kind: edit, id };
  };
  const pause = (what: 'silence' | 'maintenance') => (): void => {
    dialog.value = { kind: 'pause', id, what };
  };
  return [
    ...(withOpen ? [{ label: t.edit.menuOpen, act: () => go(deviceHref(id)) }] : []),
    { label: t.edit.rename, act: open('rename') },
    { label: t.edit.tags, act: open('tags') },
    // The server's own machine reports without a key.
    ...(kind === 'local' ? [] : [{ label: t.edit.rotate, act: open('rotate') }]),
    { label: t.paused.deviceSilence, act: pause('silence') },
    { label: t.paused.deviceMaintenance, act: pause('maintenance') },
    { label: t.edit.remove, act: open('remove'), danger: true },
  ];
}
