import type { Messages } from '../i18n/messages';
import type { MenuItem } from '../parts/menu';
import { dialog } from '../state/dialogs';
import { deviceHref, go } from '../state/router';

/** What can be done with a device, the same in the list and on its page. */
export function deviceMenu(t: Messages, id: string, withOpen: boolean): MenuItem[] {
  const open = (kind: 'rename' | 'tags' | 'rotate' | 'remove') => (): void => {
    dialog.value = { kind, id };
  };
  return [
    ...(withOpen ? [{ label: t.edit.menuOpen, act: () => go(deviceHref(id)) }] : []),
    { label: t.edit.rename, act: open('rename') },
    { label: t.edit.tags, act: open('tags') },
    { label: t.edit.rotate, act: open('rotate') },
    { label: t.edit.remove, act: open('remove'), danger: true },
  ];
}
