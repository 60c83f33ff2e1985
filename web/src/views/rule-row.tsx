// One rule: its sentence, its switch, and what it would have done. A click on a word opens it for changes.

import { useEffect, useRef, useState } from 'preact/hooks';
import { patchRule, removeRule } from '../api/client';
import type { AlertChannelView, RuleBodyView, RuleKindView, RuleView } from '../api/types';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { fieldText, Problem } from '../parts/form';
import { RowMenu } from '../parts/row-menu';
import { useWork } from '../parts/work';
import { graver, manner, plain, sentence, withStep, type Slot } from '../rules/sentence';
import { isAdmin } from '../state/session';
import { DryPanel, DryStrip } from './rule-dry';
import { SlotEditor } from './rule-edit';
import { Sentence, slotKey } from './rule-sentence';
import { around } from './rule-words';
import { ApiError } from '../api/client';

interface Props {
  rule: RuleView;
  kind: RuleKindView;
  channels: readonly AlertChannelView[];
  draft?: boolean;
  /** Makes it; null: it is there already. */
  save: ((body: RuleBodyView) => Promise<RuleView>) | null;
  done: () => void;
  cancel?: () => void;
  put?: (rule: RuleView) => void;
  duplicate: (kind: string, body: RuleBodyView) => void;
}

export function RuleRow({ rule, kind, channels, draft = false, save, done, cancel, put, duplicate }: Props) {
  const t = words.value.rules;
  const [body, setBody] = useState<RuleBodyView | null>(draft ? rule.body : null);
  const [slot, setSlot] = useState<{ slot: Slot; anchor: HTMLElement } | null>(null);
  const [removing, setRemoving] = useState(false);
  const work = useWork();
  const turning = useWork();
  const row = useRef<HTMLElement>(null);
  const admin = isAdmin();
  const open = body !== null;
  const shown = body ?? rule.body;
  const about = around(channels);
  const parts = sentence(kind, shown, about);
  const text = plain(parts);
  useEffect(() => {
    if (draft) row.current?.scrollIntoView({ block: 'nearest' });
  }, []);

  const close = (): void => {
    setSlot(null);
    if (cancel) return cancel();
    setBody(null);
  };
  const choose = admin
    ? (wanted: Slot, anchor: HTMLElement): void => {
        if (slot && slotKey(slot.slot) === slotKey(wanted)) return setSlot(null);
        setBody((before) => before ?? rule.body);
        setSlot({ slot: wanted, anchor });
      }
    : undefined;
  const keep = (): void =>
    work.run(async () => {
      if (body === null) return;
      const next = save ? await save(body) : await patchRule(rule.no, { rev: rule.rev, body }).catch((error: unknown) => {
        // With the newer one at hand, saving again means: mine.
        if (error instanceof ApiError && error.code === 'conflict') done();
        throw error;
      });
      put?.(next);
      if (!cancel) setBody(null);
      done();
    });
  const turn = (): void =>
    turning.run(async () => {
      put?.({ ...rule, enabled: !rule.enabled });
      try {
        put?.(await patchRule(rule.no, { rev: rule.rev, enabled: !rule.enabled }));
      } catch (error) {
        put?.(rule);
        done();
        throw error;
      }
    });
  const refused = work.refused instanceof ApiError ? Object.keys(work.refused.fields).map((field) => fieldText(work.refused, field) ?? '') : [];
  const current = slot && open ? slotKey(slot.slot) : null;
  return (
    <article ref={row} class={`rule ${open ? 'open' : ''} ${rule.enabled ? '' : 'offr'}`} data-testid="rule" data-no={rule.no} data-kind={rule.kind}>
      {draft ? (
        <span />
      ) : (
        <button type="button" class="sw2" role="switch" aria-checked={rule.enabled} aria-label={t.switchOn(text)} disabled={!admin} onClick={turn} />
      )}
      <div class="sen">
        <Sentence parts={parts} open={current} choose={choose} />
        {rule.firing > 0 ? <span class="ru-f">{t.firing(rule.firing)}</span> : null}
        {turning.problem ? <Problem text={turning.problem} /> : null}
      </div>
      {open ? null : <DryStrip kind={kind} body={rule.body} enabled={rule.enabled} />}
      {admin && !draft ? (
        <span class="ru-m">
          <RowMenu
            label={t.more}
            items={[
              { label: t.edit, act: () => setBody(rule.body) },
              { label: t.duplicate, act: () => duplicate(rule.kind, shown) },
              { label: t.remove, danger: true, act: () => setRemoving(true) },
            ]}
          />
        </span>
      ) : null}
      {open ? (
        <div class="edit">
          <p class="sen sen2">
            <Sentence parts={manner(body, about)} open={current} choose={choose} />
          </p>
          <DryPanel kind={kind} body={body} />
          {work.problem ? <Problem text={work.problem} /> : null}
          {refused.map((problem) => (
            <p key={problem} class="bad" role="alert">
              {problem}
            </p>
          ))}
          <div class="act">
            <button type="button" class="btn pri sm" data-testid="rule-save" disabled={work.busy || (!draft && JSON.stringify(body) === JSON.stringify(rule.body))} aria-busy={work.busy} onClick={keep}>
              {draft ? t.make : t.save}
            </button>
            <button type="button" class="btn sm" data-testid="rule-cancel" onClick={close}>
              {t.cancel}
            </button>
            {graver(body.steps.at(-1)?.severity ?? body.severity) === null ? null : (
              <button type="button" class="btn sm" data-testid="rule-escalate" onClick={() => setBody(withStep(body))}>
                {t.escalate}
              </button>
            )}
            <span class="grow" />
            <span class="dim hide-s">{kind.dry_run ? t.dry.sent : null}</span>
          </div>
        </div>
      ) : null}
      {slot && open ? <SlotEditor key={slotKey(slot.slot)} slot={slot.slot} anchor={slot.anchor} kind={kind} body={body} channels={channels} change={setBody} close={() => setSlot(null)} /> : null}
      {removing ? (
        <Ask
          title={t.removeTitle}
          go={t.remove}
          danger
          close={() => setRemoving(false)}
          act={async () => {
            await removeRule(rule.no);
            done();
          }}
        >
          <p>{text}</p>
          <p class="hint">{t.removeText}</p>
        </Ask>
      ) : null}
    </article>
  );
}
