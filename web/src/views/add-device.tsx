// Adding a device: a form, then the key with its one line and a wait, then the first numbers. The same dialog shows a
// rotated key, from its second step on.

import { useRef, useState } from 'preact/hooks';
import { addDevice } from '../api/client';
import type { DeviceView } from '../api/types';
import { bytesText, percent, rateText, share } from '../format/number';
import { clock, ms, span, stopwatch, type AgeUnit } from '../format/time';
import { words } from '../i18n';
import { Dialog } from '../parts/dialog';
import { CopyButton, fieldText, Problem, TextField } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { joinTags, splitTags, TagsField } from '../parts/tags';
import { Value } from '../parts/values';
import { serverNow, tick } from '../state/clock';
import { closeDialog, dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { deviceHref, go } from '../state/router';
import { hasArrived, stopWaiting, waitFor, waiting, type Waiting } from '../state/waiting';
import { useWork } from './dialogs';

export function AddDevice({ waitingFor }: { waitingFor: string | null }) {
  // The wait is kept here too: it leaves the list when the dialog of an arrived device is closed.
  const [wait] = useState(() => waiting.peek().find((entry) => entry.added.id === waitingFor) ?? null);
  if (!wait) return <Form />;
  fleet.shape.value;
  const device = fleet.get(wait.added.id)?.view.value;
  return device && hasArrived(wait, device) ? <Arrived wait={wait} device={device} /> : <Wait wait={wait} />;
}

function Form() {
  const t = words.value;
  const [name, setName] = useState('');
  const [tags, setTags] = useState<string[]>([]);
  const [draft, setDraft] = useState('');
  const work = useWork();
  return (
    <Dialog
      title={t.add.title}
      close={closeDialog}
      onSubmit={() =>
        work.run(async () => {
          const madeAt = serverNow();
          const added = await addDevice({ name: name.trim(), tags: joinTags(tags, splitTags(draft)) });
          waitFor({ added, madeAt, rotated: false });
        })
      }
      footer={
        <>
          <span class="dim">{t.add.only}</span>
          <span class="grow" />
          <button type="button" class="btn" onClick={closeDialog}>
            {t.common.cancel}
          </button>
          <button type="submit" class="btn pri" data-testid="add-device-submit" disabled={work.busy || name.trim() === ''} aria-busy={work.busy}>
            {t.add.create}
          </button>
        </>
      }
    >
      {work.problem ? <Problem text={work.problem} /> : null}
      <TextField
        id="add-name"
        label={t.edit.name}
        value={name}
        set={setName}
        error={fieldText(work.refused, 'name')}
        autofocus
        autocomplete="off"
        maxLength={64}
        placeholder={t.add.namePlaceholder}
        testid="add-device-name"
      />
      <TagsField
        id="add-tags"
        label={t.edit.tagsLabel}
        tags={tags}
        draft={draft}
        error={fieldText(work.refused, 'tags')}
        set={(next, text) => {
          setTags(next);
          setDraft(text);
        }}
      />
    </Dialog>
  );
}

const SYSTEMS = ['unix', 'powershell'] as const;
type System = (typeof SYSTEMS)[number];

const likelySystem = (): System => (/windows/i.test(navigator.userAgent) ? 'powershell' : 'unix');

function Wait({ wait }: { wait: Waiting }) {
  const t = words.value;
  const { added } = wait;
  const [system, setSystem] = useState<System>(likelySystem);
  const key = useRef<HTMLElement>(null);
  const line = useRef<HTMLPreElement>(null);
  const command = added.commands[system] || added.command;
  return (
    <Dialog
      wide
      title={wait.rotated ? t.add.rotated(added.name) : t.add.title}
      close={closeDialog}
      footer={
        <>
          <span class="grow" />
          <button type="button" class="btn" onClick={closeDialog}>
            {t.add.closeWaiting}
          </button>
        </>
      }
    >
      <div class="key-h">
        <span>{t.add.keyOf(added.name)}</span>
        <span class="grow" />
        <span class="once">
          <Glyph shape="notice" />
          {t.add.once}
        </span>
      </div>
      <div class="key">
        <code ref={key} data-testid="add-device-key">
          {added.key}
        </code>
        <CopyButton text={added.key} label={t.common.copy} select={() => key.current} />
      </div>
      <div class="ct" role="tablist" aria-label={t.add.system}>
        {SYSTEMS.map((each) => (
          <button
            key={each}
            id={`sys-${each}`}
            type="button"
            role="tab"
            aria-selected={system === each}
            aria-controls="sys-line"
            tabIndex={system === each ? 0 : -1}
            onClick={() => setSystem(each)}
            onKeyDown={(event) => {
              if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
              const other = SYSTEMS[(SYSTEMS.indexOf(each) + 1) % SYSTEMS.length] ?? each;
              setSystem(other);
              document.getElementById(`sys-${other}`)?.focus();
            }}
          >
            {t.add[each]}
          </button>
        ))}
      </div>
      <div class="cmd" id="sys-line" role="tabpanel" aria-labelledby={`sys-${system}`}>
        <pre ref={line} data-testid="add-device-command" tabIndex={0}>
          {command}
        </pre>
        <CopyButton text={command} label={t.add.copyCommand} primary select={() => line.current} />
      </div>
      <div class="wait" role="status">
        <Glyph shape="never" />
        <span>{t.add.waiting(added.name)}</span>
        <time class="num" aria-hidden="true">
          {stopwatch(tick.value - wait.madeAt)}
        </time>
      </div>
    </Dialog>
  );
}

/** The first seconds are worth a decimal. */
const soon = (seconds: number): [AgeUnit, number][] => (seconds < 10 ? [['s', Math.round(seconds * 10) / 10]] : span(seconds));

function Arrived({ wait, device }: { wait: Waiting; device: DeviceView }) {
  const t = words.value;
  const since = ms(device.since);
  const at = ms(device.latest?.at);
  const latest = device.latest;
  const memory = share(latest?.memory_used_bytes, latest?.memory_total_bytes);
  const disk = share(latest?.disk_used_bytes, latest?.disk_total_bytes);
  const done = (): void => {
    stopWaiting(wait.added.id);
    closeDialog();
  };
  const cell = (label: string, value: string | null, unit?: string) => (
    <div key={label}>
      <span>{label}</span>
      <b>
        <Value value={value} {...(unit ? { unit } : {})} />
      </b>
    </div>
  );
  const check = (label: string, time: number | null) => (
    <>
      <span class="ok">
        <Icon name="check" size={12} />
      </span>
      <span>{label}</span>
      <span class="r num">{time === null ? '' : clock(time)}</span>
    </>
  );
  return (
    <Dialog
      title={wait.rotated ? t.add.rotated(device.name) : t.add.title}
      close={done}
      banner={
        <div class="done" data-testid="add-device-online" role="status">
          <Glyph shape="online" size={20} />
          <div>
            <b>{t.add.done(device.name)}</b>
            {since !== null ? <small>{t.add.after(t.span(soon(Math.max(0, since - wait.madeAt) / 1000)))}</small> : null}
          </div>
        </div>
      }
      footer={
        <>
          <button
            type="button"
            class="btn"
            onClick={() => {
              stopWaiting(wait.added.id);
              dialog.value = { kind: 'add', waitingFor: null };
            }}
          >
            {t.add.another}
          </button>
          <span class="grow" />
          <button
            type="button"
            class="btn pri"
            onClick={() => {
              done();
              go(deviceHref(device.id));
            }}
          >
            {t.add.openDevice}
          </button>
        </>
      }
    >
      <div class="st4">
        {check(t.add.connected, since)}
        {check(t.add.keyAccepted, since)}
        {latest ? check(t.add.firstReport, at) : null}
      </div>
      {latest ? (
        <div class="nums">
          {cell(t.device.lane.cpu, latest.cpu_pct === null ? null : percent(latest.cpu_pct), '%')}
          {cell(t.device.lane.memory, memory === null ? null : percent(memory), '%')}
          {cell(t.device.lane.disk, disk === null ? null : percent(disk), '%')}
          {cell(t.device.facts.memory, latest.memory_total_bytes === null ? null : bytesText(latest.memory_total_bytes))}
          {cell(t.device.down, latest.network_down_bytes_per_s === null ? null : rateText(latest.network_down_bytes_per_s))}
          {cell(t.device.up, latest.network_up_bytes_per_s === null ? null : rateText(latest.network_up_bytes_per_s))}
        </div>
      ) : (
        <p class="hint">{t.add.numbersSoon}</p>
      )}
    </Dialog>
  );
}
