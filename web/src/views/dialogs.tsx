import { useState } from 'preact/hooks';
import { ApiError, patchDevice, removeDevice, rotateKey } from '../api/client';
import type { DeviceView } from '../api/types';
import { words } from '../i18n';
import { Dialog } from '../parts/dialog';
import { explain, fieldText, Problem, TextField } from '../parts/form';
import { joinTags, splitTags, TagsField } from '../parts/tags';
import { serverNow } from '../state/clock';
import { closeDialog, dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { go, route } from '../state/router';
import { isAdmin } from '../state/session';
import { waitFor } from '../state/waiting';
import { AddDevice } from './add-device';
import { KeysHelp } from './keys-help';

export function Dialogs() {
  const open = dialog.value;
  if (!open) return null;
  if (open.kind === 'keys') return <KeysHelp />;
  if (!isAdmin()) return null;
  if (open.kind === 'add') return <AddDevice key={open.waitingFor ?? 'new'} waitingFor={open.waitingFor} />;
  const device = fleet.get(open.id)?.view.value;
  if (!device) return null;
  switch (open.kind) {
    case 'rename':
      return <Rename device={device} />;
    case 'tags':
      return <EditTags device={device} />;
    case 'rotate':
      return <Rotate device={device} />;
    case 'remove':
      return <Remove device={device} />;
  }
}

interface Work {
  busy: boolean;
  problem: string | null;
  /** The refusal itself, for the fields it names. */
  refused: unknown;
  run: (job: () => Promise<void>) => void;
}

/** One request at a time, with what went wrong in words. */
export function useWork(): Work {
  const [state, set] = useState<{ busy: boolean; problem: string | null; refused: unknown }>({ busy: false, problem: null, refused: null });
  async function run(job: () => Promise<void>): Promise<void> {
    if (state.busy) return;
    set({ busy: true, problem: null, refused: null });
    try {
      await job();
      set({ busy: false, problem: null, refused: null });
    } catch (error) {
      const named = error instanceof ApiError && Object.keys(error.fields).length > 0;
      set({ busy: false, problem: named ? null : explain(error), refused: error });
    }
  }
  return { ...state, run: (job) => void run(job) };
}

function Buttons({ go: label, busy, danger, disabled }: { go: string; busy: boolean; danger?: boolean; disabled?: boolean }) {
  return (
    <>
      <span class="grow" />
      <button type="button" class="btn" onClick={closeDialog}>
        {words.value.common.cancel}
      </button>
      <button type="submit" class={`btn ${danger ? 'danger' : 'pri'}`} disabled={busy || disabled} aria-busy={busy}>
        {label}
      </button>
    </>
  );
}

/** Shows the answer at once instead of waiting for the live frame, which says the same. */
function adopt(device: DeviceView): void {
  fleet.apply({ type: 'devices', devices: [device] });
  fleet.flush();
}

function Rename({ device }: { device: DeviceView }) {
  const t = words.value;
  const [name, setName] = useState(device.name);
  const work = useWork();
  return (
    <Dialog
      title={t.edit.renameTitle}
      close={closeDialog}
      onSubmit={() =>
        work.run(async () => {
          adopt(await patchDevice(device.id, { name: name.trim() }));
          closeDialog();
        })
      }
      footer={<Buttons go={t.common.save} busy={work.busy} disabled={name.trim() === ''} />}
    >
      {work.problem ? <Problem text={work.problem} /> : null}
      <TextField id="rename" label={t.edit.name} value={name} set={setName} error={fieldText(work.refused, 'name')} autofocus autocomplete="off" maxLength={64} />
    </Dialog>
  );
}

function EditTags({ device }: { device: DeviceView }) {
  const t = words.value;
  const [tags, setTags] = useState<string[]>(device.tags);
  const [draft, setDraft] = useState('');
  const work = useWork();
  return (
    <Dialog
      title={t.edit.tagsTitle(device.name)}
      close={closeDialog}
      onSubmit={() =>
        work.run(async () => {
          adopt(await patchDevice(device.id, { tags: joinTags(tags, splitTags(draft)) }));
          closeDialog();
        })
      }
      footer={<Buttons go={t.common.save} busy={work.busy} />}
    >
      {work.problem ? <Problem text={work.problem} /> : null}
      <TagsField
        id="tags"
        label={t.edit.tagsLabel}
        tags={tags}
        draft={draft}
        error={fieldText(work.refused, 'tags')}
        autofocus
        set={(next, text) => {
          setTags(next);
          setDraft(text);
        }}
      />
    </Dialog>
  );
}

function Rotate({ device }: { device: DeviceView }) {
  const t = words.value;
  const work = useWork();
  return (
    <Dialog
      title={t.edit.rotateTitle(device.name)}
      close={closeDialog}
      onSubmit={() =>
        work.run(async () => {
          const madeAt = serverNow();
          const added = await rotateKey(device.id);
          waitFor({ added, madeAt, rotated: true });
        })
      }
      footer={<Buttons go={t.edit.rotateGo} busy={work.busy} />}
    >
      {work.problem ? <Problem text={work.problem} /> : null}
      <p>{t.edit.rotateText}</p>
    </Dialog>
  );
}

function Remove({ device }: { device: DeviceView }) {
  const t = words.value;
  const work = useWork();
  return (
    <Dialog
      title={t.edit.removeTitle(device.name)}
      close={closeDialog}
      onSubmit={() =>
        work.run(async () => {
          await removeDevice(device.id);
          closeDialog();
          const at = route.peek();
          if (at.view === 'device' && at.id === device.id) go('/', 'replace');
          fleet.apply({ type: 'removed', ids: [device.id] });
          fleet.flush();
        })
      }
      footer={<Buttons go={t.edit.removeGo} busy={work.busy} danger />}
    >
      {work.problem ? <Problem text={work.problem} /> : null}
      <p>{t.edit.removeText}</p>
      <ul class="lost">
        {t.edit.removeLost.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <p class="hint">{t.edit.removeKeep}</p>
    </Dialog>
  );
}
