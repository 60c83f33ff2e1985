// The form of a silence or maintenance.

import { useState } from 'preact/hooks';
import { addPause, getChannels, getRuleKinds, getRules, patchPause } from '../api/client';
import type { NewPause, PauseView, PauseWhen } from '../api/types';
import { browserZone } from '../format/time';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { Check, Choice, Field, fieldText, TextField } from '../parts/form';
import { plain, sentence } from '../rules/sentence';
import { lengthText, TIME_UNITS } from '../rules/value';
import { serverNow } from '../state/clock';
import { useLoad } from '../state/load';
import { viewerZone } from '../state/prefs';
import '../styles/notify.css';
import { fromField, HOUR, toField } from '../rules/pauses';
import { Scope } from './rule-edit';
import { around } from './rule-words';

const MINUTES = [30, 60, 120, 240, 480, 1440] as const;
/** Monday first; the words begin with Sunday. */
const WEEKDAYS = [1, 2, 3, 4, 5, 6, 7] as const;

interface Props {
  /** What it begins with. */
  of: NewPause;
  /** The one that is changed; null: a new one. */
  known: PauseView | null;
  close: () => void;
  done: () => void;
}

export function PauseForm({ of, known, close, done }: Props) {
  const t = words.value.pauses;
  const zone = viewerZone.value;
  const [scope, setScope] = useState(of.scope);
  const [rules, setRules] = useState<number[] | null>(of.rules.length > 0 ? of.rules : null);
  const [weekly, setWeekly] = useState(of.when.type === 'weekly');
  const [from, setFrom] = useState(() => toField(zone, of.when.type === 'once' ? Date.parse(of.when.from) : serverNow()));
  const [to, setTo] = useState(() => toField(zone, of.when.type === 'once' ? Date.parse(of.when.to) : serverNow() + 2 * HOUR));
  const [days, setDays] = useState<number[]>(of.when.type === 'weekly' ? of.when.days : [7]);
  const [time, setTime] = useState(of.when.type === 'weekly' ? of.when.from : '03:00');
  const [minutes, setMinutes] = useState(of.when.type === 'weekly' ? of.when.minutes : 120);
  const [place] = useState(of.when.type === 'weekly' ? of.when.zone : zone || browserZone());
  const [note, setNote] = useState(of.note);
  const [begins, ends] = [fromField(zone, from), fromField(zone, to)];
  const wrong = weekly ? (days.length === 0 ? t.noDays : undefined) : begins === null || ends === null || ends <= begins ? t.endsBefore : ends <= serverNow() ? t.over : undefined;
  const when = (): PauseWhen =>
    weekly || begins === null || ends === null ? { type: 'weekly', days, from: time, minutes, zone: place } : { type: 'once', from: new Date(begins).toISOString(), to: new Date(ends).toISOString() };
  const lengths = MINUTES.includes(minutes as (typeof MINUTES)[number]) ? MINUTES : [...MINUTES, minutes].sort((a, b) => a - b);
  return (
    <Ask
      title={known ? t.editTitle[of.kind] : t.newTitle[of.kind]}
      go={known ? t.save : t.make[of.kind]}
      close={close}
      disabled={wrong !== undefined}
      act={async () => {
        const form = { scope, rules: rules ?? [], when: when(), note: note.trim() };
        await (known ? patchPause(known.no, { rev: known.rev, ...form }) : addPause({ kind: of.kind, ...form }));
        done();
      }}
    >
      {(work) => (
        <>
          <p class="hint gap">{of.kind === 'silence' ? t.silencesText : t.maintenanceText}</p>
          <div class="fl">
            <span>{t.of}</span>
            <div class="pf-scope">
              <Scope scope={scope} change={setScope} />
            </div>
            {fieldText(work.refused, 'scope') ? <p class="bad">{fieldText(work.refused, 'scope')}</p> : null}
          </div>
          <Choice label={t.when} options={[[0, t.once], [1, t.everyWeek]]} value={weekly ? 1 : 0} set={(value) => setWeekly(value === 1)} />
          {weekly ? (
            <>
              <div class="fl">
                <span>{t.days}</span>
                <div class="seg wrap" role="group" aria-label={t.days}>
                  {WEEKDAYS.map((day) => (
                    <button key={day} type="button" aria-pressed={days.includes(day)} onClick={() => setDays(days.includes(day) ? days.filter((one) => one !== day) : [...days, day].sort())}>
                      {words.value.rules.weekdays[day % 7]}
                    </button>
                  ))}
                </div>
                {wrong ? <p class="bad">{wrong}</p> : null}
              </div>
              <div class="pf-two">
                <Field id="pf-time" label={t.time} hint={t.inZone(place)}>
                  <input id="pf-time" class="in" type="time" required value={time} onInput={(event) => setTime(event.currentTarget.value || '00:00')} />
                </Field>
                <Field id="pf-length" label={t.length}>
                  <select id="pf-length" class="in" value={String(minutes)} onChange={(event) => setMinutes(Number(event.currentTarget.value))}>
                    {lengths.map((n) => (
                      <option key={n} value={String(n)}>
                        {lengthText(n * (TIME_UNITS[1]?.[1] ?? 60), words.value.rules)}
                      </option>
                    ))}
                  </select>
                </Field>
              </div>
            </>
          ) : (
            <div class="pf-two">
              <Field id="pf-from" label={t.begins} hint={t.inZone(zone)}>
                <input id="pf-from" class="in" type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
              </Field>
              <Field id="pf-to" label={t.ends} error={wrong}>
                <input id="pf-to" class="in" type="datetime-local" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
              </Field>
            </div>
          )}
          {fieldText(work.refused, 'when') ? <p class="bad">{fieldText(work.refused, 'when')}</p> : null}
          <Choice label={t.rules} options={[[0, t.allRules], [1, t.someRules]]} value={rules === null ? 0 : 1} set={(value) => setRules(value === 0 ? null : (rules ?? []))} />
          {rules === null ? null : <RuleTicks chosen={rules} set={setRules} />}
          <TextField id="pf-note" label={t.note} value={note} set={setNote} error={fieldText(work.refused, 'note')} placeholder={t.notePlaceholder} autocomplete="off" maxLength={200} />
        </>
      )}
    </Ask>
  );
}

function RuleTicks({ chosen, set }: { chosen: readonly number[]; set: (rules: number[]) => void }) {
  const rules = useLoad('rules', getRules);
  const kinds = useLoad('kinds', getRuleKinds);
  const channels = useLoad('channels', getChannels);
  const about = around(channels.data ?? []);
  if (!rules.data || !kinds.data) return <span class="sk w300" />;
  return (
    <div class="pf-rules">
      {rules.data.map((rule) => {
        const kind = kinds.data?.find((one) => one.word === rule.kind);
        const text = kind ? plain(sentence(kind, { ...rule.body, steps: [] }, about)) : rule.kind;
        return <Check key={rule.no} label={text} value={chosen.includes(rule.no)} set={(on) => set(on ? [...chosen, rule.no] : chosen.filter((no) => no !== rule.no))} />;
      })}
    </div>
  );
}
