// The editors behind the words of a rule.

import { useState } from 'preact/hooks';
import type { AlertChannelView, RuleBodyView, RuleFieldView, RuleKindView } from '../api/types';
import { words } from '../i18n';
import { DeviceTicks } from '../parts/device-ticks';
import { Check } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Popover } from '../parts/popover';
import { falls, SEVERITIES, stepChoices, takers, withSeverity, type Severity, type Slot } from '../rules/sentence';
import { fits, lengthParts, lengthText, numberText, readNumber, secondsOf, TIME_UNITS, valueText, type TimeUnit, type Value } from '../rules/value';
import { fleet } from '../state/fleet';
import { SHAPE_OF } from './alerts-plan';
import { said } from './rule-words';

const WEEK_S = 7 * 86_400;
const FOR_S = [0, 30, 60, 300, 600, 1800, 3600] as const;
const AFTER_S = [300, 600, 1800, 3600, 4 * 3600, 86_400] as const;
const REMIND_S = [1800, 3600, 4 * 3600, 86_400] as const;
const MIN_REMIND_S = 300;

interface Props {
  slot: Slot;
  anchor: HTMLElement;
  kind: RuleKindView;
  body: RuleBodyView;
  channels: readonly AlertChannelView[];
  change: (body: RuleBodyView) => void;
  close: () => void;
}

export function SlotEditor(props: Props) {
  const { slot, anchor, close } = props;
  return (
    <Popover label={labelOf(props)} anchor={anchor} close={close} start>
      <div class="re" data-testid="slot-editor">
        <Inside {...props} />
      </div>
      {slot.of === 'channels' || slot.of === 'scope' ? (
        <div class="re-f">
          <button type="button" class="btn sm pri" onClick={close}>
            {words.value.rules.done}
          </button>
        </div>
      ) : null}
    </Popover>
  );
}

const fieldOf = (kind: RuleKindView, word: string): RuleFieldView | undefined => kind.fields.find((field) => field.word === word);

function labelOf({ slot, kind }: Props): string {
  const t = words.value.rules.edits;
  switch (slot.of) {
    case 'field': {
      const field = fieldOf(kind, slot.word);
      return field ? said(field.label) : slot.word;
    }
    case 'step-severity':
      return t.stepSeverity;
    case 'step-when':
      return t.stepWhen;
    default:
      return t[slot.of];
  }
}

function Inside({ slot, kind, body, channels, change, close }: Props) {
  const t = words.value.rules;
  const put = (part: Partial<RuleBodyView>): void => {
    change({ ...body, ...part });
    close();
  };
  switch (slot.of) {
    case 'field': {
      const field = fieldOf(kind, slot.word);
      if (!field) return null;
      const set = (value: Value | null): void => {
        const values = { ...body.values };
        if (value === null) delete values[slot.word];
        else values[slot.word] = value;
        put({ values });
      };
      return <FieldEditor field={field} value={body.values[slot.word] ?? kind.default.values[slot.word] ?? null} set={set} />;
    }
    case 'for':
      return <Length choices={FOR_S} say={(s) => (s === 0 ? t.anyTime : lengthText(s, t))} value={body.for_s} min={0} max={WEEK_S} set={(for_s) => put({ for_s })} />;
    case 'severity':
      return (
        <Severities
          of={SEVERITIES}
          value={body.severity}
          set={(severity) => {
            change(withSeverity(body, severity));
            close();
          }}
        />
      );
    case 'step-severity':
      return <Severities of={stepChoices(body, slot.step)} value={body.steps[slot.step]?.severity ?? null} set={(severity) => put({ steps: body.steps.map((step, i) => (i === slot.step ? { ...step, severity } : step)) })} />;
    case 'step-when':
      return <StepWhen step={slot.step} kind={kind} body={body} put={put} />;
    case 'channels':
      return <Channels body={body} channels={channels} change={change} />;
    case 'scope':
      return <Scope scope={body.scope} change={(scope) => change({ ...body, scope })} />;
    case 'remind':
      return (
        <>
          <Choices choices={[[null, t.never] as const]} value={body.remind_s} set={() => put({ remind_s: null })} />
          <Length choices={REMIND_S} say={(s) => lengthText(s, t)} value={body.remind_s} min={MIN_REMIND_S} max={WEEK_S} set={(remind_s) => put({ remind_s })} />
        </>
      );
    case 'resolved':
      return <Choices choices={[[true, t.resolvedTell], [false, t.resolvedSilent]]} value={body.tell_resolved} set={(tell_resolved) => put({ tell_resolved })} />;
    case 'quiet':
      return <Choices choices={[[true, t.quietWait], [false, t.quietTell]]} value={body.quiet} set={(quiet) => put({ quiet })} />;
    case 'late':
      return <Choices choices={[[false, t.lateIgnored], [true, t.lateJudged]]} value={body.late} set={(late) => put({ late })} />;
  }
}

function Choices<T extends Value | boolean | null>({ choices, value, set }: { choices: readonly (readonly [T, string])[]; value: T | null; set: (value: T) => void }) {
  return (
    <div class="re-c">
      {choices.map(([each, text]) => (
        <button key={String(each)} type="button" aria-pressed={each === value} onClick={() => set(each)}>
          {text}
        </button>
      ))}
    </div>
  );
}

function Severities({ of, value, set }: { of: readonly Severity[]; value: Severity | null; set: (severity: Severity) => void }) {
  const t = words.value.alerts.severity;
  return (
    <div class="re-c">
      {of.map((severity) => (
        <button key={severity} type="button" aria-pressed={severity === value} onClick={() => set(severity)}>
          <Glyph shape={SHAPE_OF[severity]} size={11} />
          {t[severity]}
        </button>
      ))}
    </div>
  );
}

function FieldEditor({ field, value, set }: { field: RuleFieldView; value: Value | null; set: (value: Value | null) => void }) {
  const t = words.value.rules;
  const offered = field.choices.map((choice) => [choice.value, valueText(field, choice.value, t, said)] as const);
  return (
    <>
      {offered.length > 0 ? <Choices choices={offered} value={value} set={set} /> : null}
      {field.unit === 'word' ? null : secondsOf(field.unit) !== null ? (
        <LengthInput
          seconds={typeof value === 'number' ? value * (secondsOf(field.unit) ?? 1) : null}
          min={field.min * (secondsOf(field.unit) ?? 1)}
          max={field.max * (secondsOf(field.unit) ?? 1)}
          folded={offered.length > 0}
          set={(seconds) => set(seconds / (secondsOf(field.unit) ?? 1))}
        />
      ) : (
        <NumberInput value={typeof value === 'number' ? value : null} min={field.min} max={field.max} unit={field.unit} folded={offered.length > 0} set={set} />
      )}
      {field.optional ? <Choices choices={[['', t.notAtAll]] as const} value={value ?? ''} set={() => set(null)} /> : null}
    </>
  );
}

function Length({ choices, say, value, min, max, set }: { choices: readonly number[]; say: (s: number) => string; value: number | null; min: number; max: number; set: (seconds: number) => void }) {
  return (
    <>
      <Choices choices={choices.map((s) => [s, say(s)] as const)} value={value} set={set} />
      <LengthInput seconds={value} min={min} max={max} folded set={set} />
    </>
  );
}

/** A button that opens into a small form. */
function Folded({ folded, children }: { folded: boolean; children: preact.ComponentChildren }) {
  const [open, setOpen] = useState(!folded);
  if (open) return <>{children}</>;
  return (
    <div class="re-c">
      <button type="button" onClick={() => setOpen(true)}>
        {words.value.rules.other}
      </button>
    </div>
  );
}

interface NumberProps {
  value: number | null;
  min: number;
  max: number;
  unit: string;
  folded: boolean;
  set: (value: number) => void;
}

function NumberInput({ folded, ...rest }: NumberProps) {
  return (
    <Folded folded={folded}>
      <NumberForm {...rest} />
    </Folded>
  );
}

function NumberForm({ value, min, max, unit, set }: Omit<NumberProps, 'folded'>) {
  const t = words.value.rules;
  const [text, setText] = useState(value === null ? '' : String(value));
  const n = readNumber(text);
  const range = t.range(numberText(unit, min, t), numberText(unit, max, t));
  return (
    <form
      class="re-n"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (fits(n, min, max)) set(n);
      }}
    >
      <input ref={focus} class="in" inputMode="decimal" autocomplete="off" value={text} aria-label={t.number} aria-invalid={text !== '' && !fits(n, min, max) ? 'true' : undefined} aria-describedby="re-range" onInput={(event) => setText(event.currentTarget.value)} />
      <span class="dim">{SIGN[unit] ?? ''}</span>
      <button type="submit" class="btn sm pri" disabled={!fits(n, min, max)}>
        {t.set}
      </button>
      <span class="hint" id="re-range">
        {range}
      </span>
    </form>
  );
}

const SIGN: Readonly<Record<string, string>> = { percent: '%', usd: '$', times: '×', mib: 'MiB' };

interface LengthProps {
  seconds: number | null;
  min: number;
  max: number;
  folded: boolean;
  set: (seconds: number) => void;
}

function LengthInput({ folded, ...rest }: LengthProps) {
  return (
    <Folded folded={folded}>
      <LengthForm {...rest} />
    </Folded>
  );
}

function LengthForm({ seconds, min, max, set }: Omit<LengthProps, 'folded'>) {
  const t = words.value.rules;
  const [first, firstUnit] = lengthParts(seconds ?? 600);
  const [text, setText] = useState(String(first));
  const [unit, setUnit] = useState<TimeUnit>(firstUnit);
  const n = readNumber(text);
  const total = n === null ? null : Math.round(n * (TIME_UNITS.find(([one]) => one === unit)?.[1] ?? 1));
  return (
    <form
      class="re-n"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (fits(total, min, max)) set(total);
      }}
    >
      <input ref={focus} class="in" inputMode="decimal" autocomplete="off" value={text} aria-label={t.number} aria-invalid={!fits(total, min, max) ? 'true' : undefined} aria-describedby="re-range" onInput={(event) => setText(event.currentTarget.value)} />
      <select class="sel" aria-label={t.unit} value={unit} onChange={(event) => setUnit(TIME_UNITS.find(([one]) => one === event.currentTarget.value)?.[0] ?? 's')}>
        {TIME_UNITS.map(([one]) => (
          <option key={one} value={one}>
            {t.units[one]}
          </option>
        ))}
      </select>
      <button type="submit" class="btn sm pri" disabled={!fits(total, min, max)}>
        {t.set}
      </button>
      <span class="hint" id="re-range">
        {t.range(lengthText(min, t), lengthText(max, t))}
      </span>
    </form>
  );
}

/** What has just been opened by a click is where the next key goes. */
const focus = (input: HTMLInputElement | null): void => {
  if (input && !input.dataset.seen) {
    input.dataset.seen = 'true';
    input.focus({ preventScroll: true });
    input.select();
  }
};

function StepWhen({ step, kind, body, put }: { step: number; kind: RuleKindView; body: RuleBodyView; put: (part: Partial<RuleBodyView>) => void }) {
  const t = words.value.rules;
  const now = body.steps[step];
  const level = fieldOf(kind, 'level');
  const canLevel = kind.levels && level !== undefined;
  const [byLevel, setByLevel] = useState(now?.level !== null && now?.level !== undefined && canLevel);
  const set = (change: { level: number | null; after_s: number | null }): void => put({ steps: body.steps.map((one, i) => (i === step ? { ...one, ...change } : one)) });
  const base = body.values['level'];
  const falling = falls(kind, body);
  const graverLevels = (level?.choices ?? []).map((choice) => choice.value).filter((value): value is number => typeof value === 'number' && (typeof base !== 'number' || (falling ? value < base : value > base)));
  return (
    <>
      {canLevel ? (
        <span class="seg" role="group" aria-label={t.edits.stepWhen}>
          <button type="button" aria-pressed={!byLevel} onClick={() => setByLevel(false)}>
            {t.afterTime}
          </button>
          <button type="button" aria-pressed={byLevel} onClick={() => setByLevel(true)}>
            {t.atLevel}
          </button>
        </span>
      ) : null}
      {byLevel && level ? (
        <>
          {graverLevels.length > 0 ? <Choices choices={graverLevels.map((value) => [value, numberText(level.unit, value, t)] as const)} value={now?.level ?? null} set={(value) => set({ level: value, after_s: null })} /> : null}
          {secondsOf(level.unit) === null ? (
            <NumberInput value={now?.level ?? null} min={level.min} max={level.max} unit={level.unit} folded={graverLevels.length > 0} set={(value) => set({ level: value, after_s: null })} />
          ) : (
            <LengthInput
              seconds={now?.level == null ? null : now.level * (secondsOf(level.unit) ?? 1)}
              min={level.min * (secondsOf(level.unit) ?? 1)}
              max={level.max * (secondsOf(level.unit) ?? 1)}
              folded={graverLevels.length > 0}
              set={(seconds) => set({ level: seconds / (secondsOf(level.unit) ?? 1), after_s: null })}
            />
          )}
        </>
      ) : (
        <Length choices={AFTER_S} say={(s) => lengthText(s, t)} value={now?.after_s ?? null} min={1} max={WEEK_S} set={(after_s) => set({ level: null, after_s })} />
      )}
      <div class="re-c">
        <button type="button" class="danger" onClick={() => put({ steps: body.steps.filter((_, i) => i !== step) })}>
          {t.removeStep}
        </button>
      </div>
    </>
  );
}

function Channels({ body, channels, change }: { body: RuleBodyView; channels: readonly AlertChannelView[]; change: (body: RuleBodyView) => void }) {
  const t = words.value.rules;
  const chosen = body.channels;
  const names = takers(channels).map((channel) => channel.name);
  return (
    <>
      <span class="seg" role="group" aria-label={t.edits.channels}>
        <button type="button" aria-pressed={chosen === null} onClick={() => change({ ...body, channels: null })}>
          {t.defaults}
        </button>
        <button type="button" aria-pressed={chosen !== null} onClick={() => change({ ...body, channels: chosen ?? [] })}>
          {t.these}
        </button>
      </span>
      {chosen === null ? (
        <p class="hint">{names.length > 0 ? t.defaultsHint(t.and(names)) : t.defaultsNone}</p>
      ) : channels.length === 0 ? (
        <p class="hint">{t.noChannels}</p>
      ) : (
        <div class="re-l">
          {channels.map((channel) => (
            <Check
              key={channel.id}
              label={channel.name}
              value={chosen.includes(channel.id)}
              set={(on) => change({ ...body, channels: on ? [...chosen, channel.id] : chosen.filter((id) => id !== channel.id) })}
            />
          ))}
        </div>
      )}
    </>
  );
}

type ScopeOf = RuleBodyView['scope'];

/** All devices, those with tags, or those by name. */
export function Scope({ scope, change }: { scope: ScopeOf; change: (scope: ScopeOf) => void }) {
  const t = words.value.rules;
  const [by, setBy] = useState<'all' | 'tags' | 'devices'>(scope.devices.length > 0 ? 'devices' : scope.tags.length > 0 ? 'tags' : 'all');
  fleet.shape.value;
  // What was chosen stands first, and stays where it is while others are.
  const [before] = useState(scope.tags);
  const tags = [...new Set([...before, ...[...fleet.all().flatMap((device) => device.tags), ...scope.tags].sort()])];
  const turn = (next: 'all' | 'tags' | 'devices'): void => {
    setBy(next);
    if (next === 'all') change({ devices: [], tags: [] });
  };
  return (
    <>
      <span class="seg" role="group" aria-label={t.edits.scope}>
        {([['all', t.scopeAll], ['tags', t.scopeTags], ['devices', t.scopeDevices]] as const).map(([one, text]) => (
          <button key={one} type="button" aria-pressed={by === one} onClick={() => turn(one)}>
            {text}
          </button>
        ))}
      </span>
      {by === 'tags' ? (
        tags.length === 0 ? (
          <p class="hint">{t.noTags}</p>
        ) : (
          <div class="re-l">
            {tags.map((tag) => (
              <Check key={tag} label={tag} value={scope.tags.includes(tag)} set={(on) => change({ ...scope, tags: on ? [...scope.tags, tag] : scope.tags.filter((one) => one !== tag) })} />
            ))}
          </div>
        )
      ) : by === 'devices' ? (
        <DeviceTicks chosen={scope.devices} set={(devices) => change({ ...scope, devices })} />
      ) : null}
    </>
  );
}
