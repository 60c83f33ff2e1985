// Adding a device: a form, then the key with its one line and a wait, then the first numbers. The same dialog shows a
// rotated key, from its second step on.

import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { addDevice, getAttempts } from '../api/client';
import type { AttemptView, CommandsView, DeviceView } from '../api/types';
import { percent, share } from '../format/number';
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
import { useWork } from '../parts/work';
import { aboutWaiting } from './settings-logic';

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
      <div class="fl">
        <span>{t.add.system}</span>
        <div class="ost" role="group" aria-label={t.add.system}>
          {SYSTEMS.map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={chosenSystem() === each}
              onClick={() => {
                system.value = each;
              }}
            >
              {NAMES[each]}
            </button>
          ))}
        </div>
      </div>
    </Dialog>
  );
}

const SYSTEMS = ['linux', 'mac', 'windows', 'docker'] as const;
type System = (typeof SYSTEMS)[number];
/** Names that are the same in every language. */
const NAMES: Readonly<Record<System, string>> = { linux: 'Linux', mac: 'macOS', windows: 'Windows PowerShell', docker: 'Docker' };
const SHELLS: Readonly<Record<System, keyof CommandsView>> = { linux: 'unix', mac: 'unix', windows: 'powershell', docker: 'docker' };

function likelySystem(): System {
  const agent = navigator.userAgent;
  return /windows/i.test(agent) ? 'windows' : /mac os x|macintosh/i.test(agent) ? 'mac' : 'linux';
}

/** Chosen in the form, and still with the key. */
const system = signal<System | null>(null);
const chosenSystem = (): System => system.value ?? likelySystem();

function Wait({ wait }: { wait: Waiting }) {
  const t = words.value;
  const { added } = wait;
  const key = useRef<HTMLElement>(null);
  const line = useRef<HTMLPreElement>(null);
  const chosen = chosenSystem();
  const command = added.commands[SHELLS[chosen]] || added.command;
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
            aria-selected={chosen === each}
            aria-controls="sys-line"
            tabIndex={chosen === each ? 0 : -1}
            onClick={() => {
              system.value = each;
            }}
            onKeyDown={(event) => {
              const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
              if (step === undefined) return;
              const other = SYSTEMS[(SYSTEMS.indexOf(each) + step + SYSTEMS.length) % SYSTEMS.length] ?? each;
              system.value = other;
              document.getElementById(`sys-${other}`)?.focus();
            }}
          >
            {NAMES[each]}
          </button>
        ))}
      </div>
      <div class="cmd" id="sys-line" role="tabpanel" aria-labelledby={`sys-${chosen}`}>
        <pre ref={line} data-testid="add-device-command" tabIndex={0}>
          {command}
        </pre>
        <CopyButton text={command} label={t.add.copyCommand} primary select={() => line.current} />
      </div>
      <p class="hint after">{chosen === 'docker' ? t.add.dockerHint : t.add.programHint}</p>
      <div class="wait" role="status">
        <Glyph shape="never" />
        <span>{t.add.waiting(added.name)}</span>
        <time class="num" aria-hidden="true">
          {stopwatch(tick.value - wait.madeAt)}
        </time>
      </div>
      <Saw wait={wait} />
    </Dialog>
  );
}

const LOOK_MS = 3000;
/** So many are asked for: others may knock meanwhile. */
const MANY = 200;

/** Why it does not connect, as far as the server can see. */
function Saw({ wait }: { wait: Waiting }) {
  const t = words.value.add;
  const [saw, setSaw] = useState<readonly AttemptView[]>([]);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let gone = false;
    let asking = false;
    const look = async (): Promise<void> => {
      if (asking || document.hidden) return;
      asking = true;
      try {
        const all = await getAttempts(MANY);
        if (!gone) setSaw(aboutWaiting(all, wait.added.id, wait.madeAt));
        if (!gone) setFailed(false);
      } catch {
        if (!gone) setFailed(true);
      }
      asking = false;
    };
    void look();
    const timer = setInterval(() => void look(), LOOK_MS);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [wait]);
  return (
    <div class="saw" role="log" aria-label={t.saw} data-testid="add-device-saw">
      <h3>{t.saw}</h3>
      {saw.length === 0 ? <p class="hint">{failed ? t.sawFailed : t.sawNothing((tick.value - wait.madeAt) / 1000)}</p> : null}
      {saw.map((attempt) => (
        <div key={`${attempt.at} ${attempt.address} ${attempt.outcome}`}>
          <Glyph shape={attempt.outcome === 'accepted' ? 'online' : SERIOUS.includes(attempt.outcome) ? 'error' : 'warning'} />
          <time class="num">{clock(ms(attempt.at) ?? 0)}</time>
          <span>
            <bdi class="mono">{attempt.address}</bdi> {attemptText(attempt)}
            {attempt.count > 1 ? <span class="dim"> {t.times(attempt.count)}</span> : null}
          </span>
        </div>
      ))}
    </div>
  );
}

/** What can be meant for nobody but a device that is on its way. */
const SERIOUS: readonly AttemptView['outcome'][] = ['unknown_key', 'revoked_key', 'expired_key', 'tls_failed'];

function attemptText({ outcome, detail }: AttemptView): string {
  const t = words.value.add.attempt;
  if (outcome === 'unknown_key' && (detail === 'no_key' || detail === 'incomplete')) return t[detail];
  if (outcome === 'tls_failed') {
    const untrusted = ['certificate_unknown', 'bad_certificate', 'unknown_ca', 'access_denied', 'certificate_expired'].includes(detail ?? '');
    return untrusted ? t.certificate_unknown : t.tls_failed(detail ?? '');
  }
  if (outcome === 'bad_protocol') return t.bad_protocol(detail ?? '');
  return t[outcome];
}

/** The first seconds are worth a decimal. */
const soon = (seconds: number): [AgeUnit, number][] => (seconds < 10 ? [['s', Math.round(seconds * 10) / 10]] : span(seconds));

function Arrived({ wait, device }: { wait: Waiting; device: DeviceView }) {
  const t = words.value;
  const since = ms(device.since);
  const at = ms(device.latest?.at);
  const latest = device.latest;
  const openclaw = device.openclaw;
  const skew = device.clock_skew_s;
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
          {cell(t.add.gateway, openclaw ? t.device.gateway[openclaw.state] : null)}
          {cell(t.device.facts.openclaw, openclaw?.version ?? null)}
          {cell(t.add.channels, openclaw?.channels ? `${openclaw.channels.up} / ${openclaw.channels.all}` : null)}
        </div>
      ) : (
        <p class="hint">{t.add.numbersSoon}</p>
      )}
      {skew === null ? null : (
        <p class="warned">
          <Glyph shape="warning" />
          <span>{skew < 0 ? t.add.clockAhead(t.span(span(-skew))) : t.add.clockBehind(t.span(span(skew)))}</span>
        </p>
      )}
    </Dialog>
  );
}
