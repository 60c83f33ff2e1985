// What is judged, as sentences, beside what fires and what was told.

import { useState } from 'preact/hooks';
import { addRule, getChannels, getRuleKinds, getRules } from '../api/client';
import type { AlertChannelView, RuleBodyView, RuleKindView, RuleView } from '../api/types';
import { words } from '../i18n';
import { Dialog } from '../parts/dialog';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { Unloaded } from '../parts/unloaded';
import { plain, sentence, takers } from '../rules/sentence';
import { alertingNews, alertNews } from '../state/fleet-news';
import { useLoad } from '../state/load';
import { alertHref } from '../state/router';
import { isAdmin } from '../state/session';
import '../styles/rules.css';
import { DeliveriesPanel } from './deliveries-panel';
import { FiringPanel } from './firing-panel';
import { RuleRow } from './rule-row';
import { around, said } from './rule-words';

/** A rule that is not saved yet. */
interface Draft {
  kind: string;
  body: RuleBodyView;
  /** Grows: each is a row of its own. */
  no: number;
}

/** More rules than these are found by typing. */
const MANY = 12;

export function AlertsRules() {
  return (
    <div class="cols ar">
      <div class="main">
        <Rules />
      </div>
      <div class="side">
        <FiringPanel />
        <DeliveriesPanel />
      </div>
    </div>
  );
}

function Rules() {
  const t = words.value.rules;
  const rules = useLoad('rules', getRules, { news: alertingNews });
  const kinds = useLoad('kinds', getRuleKinds);
  const channels = useLoad('channels', getChannels, { news: alertingNews });
  const [choosing, setChoosing] = useState(false);
  const [draft, setDraft] = useState<Draft | null>(null);
  const [drafts, setDrafts] = useState(0);
  const [find, setFind] = useState('');
  // How many fire by each.
  useLoadAgain(alertNews.value, rules.reload);
  const begin = (kind: string, body: RuleBodyView): void => {
    setDrafts(drafts + 1);
    setDraft({ kind, body, no: -1 - drafts });
    setChoosing(false);
  };
  const about = around(channels.data ?? []);
  const wanted = find.trim().toLowerCase();
  const matches = (rule: RuleView): boolean => {
    const kind = kinds.data?.find((one) => one.word === rule.kind);
    return wanted === '' || !kind || said(kind.name).toLowerCase().includes(wanted) || plain(sentence(kind, rule.body, about)).toLowerCase().includes(wanted);
  };
  const shown = rules.data?.filter(matches) ?? [];
  const ready = rules.data !== null && kinds.data !== null && channels.data !== null;
  return (
    <section class="panel" aria-label={t.title}>
      <div class="ph">
        <h2>{t.title}</h2>
        {rules.data ? (
          <span class="dim">
            {t.count(rules.data.filter((rule) => rule.enabled).length, rules.data.length)}
            {isAdmin() ? <span class="hide-s">{words.value.notify.comma}{t.hint}</span> : null}
          </span>
        ) : null}
        <span class="grow" />
        {isAdmin() ? (
          <button type="button" class="btn sm" data-testid="rule-add" disabled={!kinds.data} onClick={() => setChoosing(true)}>
            <Icon name="plus" size={12} />
            {t.add}
          </button>
        ) : null}
      </div>
      {ready ? (
        <>
          {rules.data?.some((rule) => rule.enabled) && takers(channels.data ?? []).length === 0 ? (
            <p class="ru-note">
              <Glyph shape="notice" />
              <span>{t.noChannel}</span>
              <a class="lk" href={alertHref('channels')}>
                {t.setUp}
              </a>
            </p>
          ) : null}
          {draft ? (
            <Row
              key={draft.no}
              rule={{ no: draft.no, kind: draft.kind, enabled: true, rev: 0, body: draft.body, firing: 0 }}
              kinds={kinds.data ?? []}
              channels={channels.data ?? []}
              draft
              done={() => {
                setDraft(null);
                rules.reload();
              }}
              cancel={() => setDraft(null)}
              duplicate={begin}
            />
          ) : null}
          {(rules.data?.length ?? 0) > MANY ? (
            <div class="ru-find">
              <input class="in" type="search" value={find} placeholder={t.search} aria-label={t.search} onInput={(event) => setFind(event.currentTarget.value)} />
            </div>
          ) : null}
          {wanted !== '' && shown.length === 0 ? <p class="empty-p">{t.noneFound}</p> : null}
          {rules.data?.length === 0 && !draft ? <p class="empty-p">{t.none}</p> : null}
          {shown.map((rule) => (
            <Row key={rule.no} rule={rule} kinds={kinds.data ?? []} channels={channels.data ?? []} done={rules.reload} put={(next) => rules.put((all) => all.map((one) => (one.no === next.no ? next : one)))} duplicate={begin} />
          ))}
        </>
      ) : (
        <Unloaded
          error={rules.error ?? kinds.error ?? channels.error}
          failed={t.failed}
          reload={() => {
            rules.reload();
            kinds.reload();
            channels.reload();
          }}
        />
      )}
      {choosing && kinds.data ? <ChooseKind kinds={kinds.data} close={() => setChoosing(false)} choose={(kind) => begin(kind.word, kind.default)} /> : null}
    </section>
  );
}

/** Asks again when a value changes, and not for the first one. */
function useLoadAgain(value: number, reload: () => void): void {
  const [seen, setSeen] = useState(value);
  if (seen !== value) {
    setSeen(value);
    reload();
  }
}

interface RowProps {
  rule: RuleView;
  kinds: readonly RuleKindView[];
  channels: readonly AlertChannelView[];
  draft?: boolean;
  /** It was saved, or removed. */
  done: () => void;
  cancel?: () => void;
  put?: (rule: RuleView) => void;
  duplicate: (kind: string, body: RuleBodyView) => void;
}

function Row({ rule, kinds, ...rest }: RowProps) {
  const kind = kinds.find((one) => one.word === rule.kind);
  if (!kind) return <p class="rule-gone">{words.value.rules.unknownKind(rule.kind)}</p>;
  return <RuleRow rule={rule} kind={kind} save={rest.draft ? (body) => addRule({ kind: rule.kind, enabled: true, body }) : null} {...rest} />;
}

function ChooseKind({ kinds, close, choose }: { kinds: readonly RuleKindView[]; close: () => void; choose: (kind: RuleKindView) => void }) {
  const t = words.value.rules;
  const [find, setFind] = useState('');
  const about = around([]);
  const wanted = find.trim().toLowerCase();
  const shown = kinds
    .map((kind) => ({ kind, text: plain(sentence(kind, { ...kind.default, steps: [] }, about)) }))
    .filter(({ kind, text }) => wanted === '' || said(kind.name).toLowerCase().includes(wanted) || text.toLowerCase().includes(wanted) || kind.word.includes(wanted));
  return (
    <Dialog wide title={t.choose} close={close}>
      <input class="in rk-find" type="search" value={find} placeholder={t.find} aria-label={t.find} data-autofocus="" onInput={(event) => setFind(event.currentTarget.value)} />
      <ul class="kinds">
        {shown.map(({ kind, text }) => (
          <li key={kind.word}>
            <button type="button" data-kind={kind.word} onClick={() => choose(kind)}>
              <b>{said(kind.name)}</b>
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
      {shown.length === 0 ? <p class="hint">{t.noKinds}</p> : null}
    </Dialog>
  );
}
