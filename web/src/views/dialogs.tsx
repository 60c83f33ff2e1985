import { useState } from 'preact/hooks';
import { ApiError, getDevice, patchDevice, removeDevice, rotateKey } from '../api/client';
import type { DeviceView } from '../api/types';
import { speakAlerting, words } from '../i18n';
import { Dialog } from '../parts/dialog';
import { Choice, fieldText, Problem, TextField } from '../parts/form';
import { joinTags, splitTags, TagsField } from '../parts/tags';
import { serverNow } from '../state/clock';
import { closeDialog, dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { go, route } from '../state/router';
import { isAdmin } from '../state/session';
import { waitFor } from '../state/waiting';
import { useWork } from '../parts/work';
import { AddDevice } from './add-device';
import { KeysHelp } from './keys-help';
import { lazy } from './lazy';
import { pauseFor } from '../rules/pauses';

const PauseForm = lazy(() => Promise.all([import('./pause-form'), speakAlerting()]).then(([module]) => module.PauseForm), () => null);

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
    case 'pause':
      return <PauseForm of={pauseFor(open.what, serverNow(), device.id)} known={null} close={closeDialog} done={() => {}} />;
  }
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

type Change = { name: string } | { tags: string[] };

interface Edit {
  busy: boolean;
  problem: string | null;
  refused: unknown;
  /** What somebody else has made of it meanwhile. */
  theirs: DeviceView | null;
  save: (change: Change) => void;
  /** Saves over what somebody else has made. */
  insist: (change: Change) => void;
  /** Takes over what somebody else has made. */
  yield: () => void;
}

/** An edit of a device as it was when the dialog opened. It is shown at once, and taken back when the server says no. */
function useEdit(device: DeviceView): Edit {
  const [seen] = useState(device);
  const [theirs, setTheirs] = useState<DeviceView | null>(null);
  const work = useWork();
  const send = (change: Change, before: DeviceView): void =>
    work.run(async () => {
      adopt({ ...(fleet.get(before.id)?.view.peek() ?? before), ...change });
      try {
        adopt(await patchDevice(before.id, { ...change, rev: before.rev }));
        closeDialog();
      } catch (error) {
        const now = fleet.get(before.id)?.view.peek() ?? before;
        adopt({ ...now, name: before.name, tags: before.tags });
        if (!(error instanceof ApiError && error.code === 'conflict')) throw error;
        const { device: other } = await getDevice(before.id);
        adopt(other);
        setTheirs(other);
      }
    });
  return {
    busy: work.busy,
    problem: work.problem,
    refused: work.refused,
    theirs,
    save: (change) => send(change, seen),
    insist: (change) => send(change, theirs ?? seen),
    yield: closeDialog,
  };
}

/** Two changed it at once: the other's stands, and one chooses. */
function Conflict({ edit, change, show }: { edit: Edit; change: Change; show: (device: { name: string; tags: readonly string[] }) => string }) {
  const t = words.value;
  const theirs = edit.theirs;
  if (!theirs) return null;
  return (
    <Dialog
      title={t.edit.conflict(theirs.name)}
      close={closeDialog}
      onSubmit={() => edit.insist(change)}
      footer={
        <>
          <span class="grow" />
          <button type="button" class="btn" data-autofocus data-testid="conflict-theirs" onClick={edit.yield}>
            {t.edit.keepTheirs}
          </button>
          <button type="submit" class="btn pri" data-testid="conflict-mine" disabled={edit.busy} aria-busy={edit.busy}>
            {t.edit.useYours}
          </button>
        </>
      }
    >
      {edit.problem ? <Problem text={edit.problem} /> : null}
      <dl class="versus">
        <div>
          <dt>{t.edit.theirs}</dt>
          <dd>
            <bdi>{show(theirs)}</bdi>
          </dd>
        </div>
        <div>
          <dt>{t.edit.yours}</dt>
          <dd>
            <bdi>{show({ ...theirs, ...change })}</bdi>
          </dd>
        </div>
      </dl>
    </Dialog>
  );
}

function Rename({ device }: { device: DeviceView }) {
  const t = words.value;
  const [name, setName] = useState(device.name);
  const edit = useEdit(device);
  const change = { name: name.trim() };
  if (edit.theirs) return <Conflict key="conflict" edit={edit} change={change} show={(of) => of.name} />;
  return (
    <Dialog title={t.edit.renameTitle} close={closeDialog} onSubmit={() => edit.save(change)} footer={<Buttons go={t.common.save} busy={edit.busy} disabled={name.trim() === ''} />}>
      {edit.problem ? <Problem text={edit.problem} /> : null}
      <TextField id="rename" label={t.edit.name} value={name} set={setName} error={fieldText(edit.refused, 'name')} autofocus autocomplete="off" maxLength={64} />
    </Dialog>
  );
}

function EditTags({ device }: { device: DeviceView }) {
  const t = words.value;
  const [tags, setTags] = useState<string[]>(device.tags);
  const [draft, setDraft] = useState('');
  const [name] = useState(device.name);
  const edit = useEdit(device);
  const change = { tags: joinTags(tags, splitTags(draft)) };
  if (edit.theirs) return <Conflict key="conflict" edit={edit} change={change} show={(of) => of.tags.join(' ') || t.common.none} />;
  return (
    <Dialog title={t.edit.tagsTitle(name)} close={closeDialog} onSubmit={() => edit.save(change)} footer={<Buttons go={t.common.save} busy={edit.busy} />}>
      {edit.problem ? <Problem text={edit.problem} /> : null}
      <TagsField
        id="tags"
        label={t.edit.tagsLabel}
        tags={tags}
        draft={draft}
        error={fieldText(edit.refused, 'tags')}
        autofocus
        set={(next, text) => {
          setTags(next);
          setDraft(text);
        }}
      />
    </Dialog>
  );
}

/** Hours that an old key may go on working. */
const OVERLAPS = [0, 1, 24, 168] as const;

function Rotate({ device }: { device: DeviceView }) {
  const t = words.value;
  const [hours, setHours] = useState<number>(0);
  const work = useWork();
  return (
    <Dialog
      title={t.edit.rotateTitle(device.name)}
      close={closeDialog}
      onSubmit={() =>
        work.run(async () => {
          const madeAt = serverNow();
          const added = await rotateKey(device.id, hours);
          waitFor({ added, madeAt, rotated: true });
        })
      }
      footer={<Buttons go={t.edit.rotateGo} busy={work.busy} />}
    >
      {work.problem ? <Problem text={work.problem} /> : null}
      <p class="gap">{t.edit.rotateText}</p>
      <Choice label={t.edit.overlap} options={OVERLAPS.map((each, i) => [each, t.edit.overlaps[i] ?? ''] as const)} value={hours} set={setHours} hint={hours === 0 ? t.edit.overlapNow : t.edit.overlapLater} />
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
