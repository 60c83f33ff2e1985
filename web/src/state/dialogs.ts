import { signal } from '@preact/signals';

export type OpenDialog =
  | { kind: 'add'; waitingFor: string | null }
  | { kind: 'rename' | 'tags' | 'rotate' | 'remove'; id: string }
  | { kind: 'pause'; id: string; what: 'silence' | 'maintenance' }
  | { kind: 'keys' };

/** The dialog that is open, if any. One at a time. */
export const dialog = signal<OpenDialog | null>(null);

export const closeDialog = (): void => {
  dialog.value = null;
};
