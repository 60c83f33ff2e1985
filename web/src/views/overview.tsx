import { computed } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { stopwatch } from '../format/time';
import { firstSort, sortText, type SortKey } from '../list/arrange';
import { narrow } from '../parts/screen';
import { tick } from '../state/clock';
import { dialog } from '../state/dialogs';
import { fleet, type StateWord } from '../state/fleet';
import { query, setQuery } from '../state/router';
import { isAdmin } from '../state/session';
import { waiting } from '../state/waiting';
import { arranged, groupByTag, sort } from './overview-state';
import { Cards, Table } from './overview-list';
import { viewTitle } from './title';

export function Overview() {
  const title = words.value.overview.title;
  useEffect(() => {
    viewTitle.value = title;
  }, [title]);
  if (!fleet.loaded.value) return <OverviewSkeleton />;
  if (fleet.counts.value.all === 0) return <Empty />;
  return (
    <>
      <h1 class="vh">{title}</h1>
      <Strip />
      {narrow.value ? <div class="waiters"><Waiters /></div> : null}
      <Tools />
      <List />
    </>
  );
}

const picked = computed(() => query.value.get('state') as StateWord | null);

/** A sentence first, then filters. */
function Strip() {
  const t = words.value;
  const counts = fleet.counts.value;
  const chip = (state: StateWord) => (
    <button
      key={state}
      type="button"
      class={`f ${state === 'offline' && counts.offline > 0 ? 't-off' : ''}`}
      aria-pressed={picked.value === state}
      onClick={() => setQuery({ state: picked.value === state ? null : state })}
    >
      <Glyph shape={state} />
      <b class="num">{counts[state]}</b>
      {t.state[state]}
    </button>
  );
  const [figure, rest] = t.overview.attention(counts.offline, counts.all);
  return (
    <section class="strip" aria-label={t.overview.title}>
      <p class="head" role="status">
        {counts.offline > 0 ? (
          <>
            <span class="big num err">{figure}</span> <span class="hl">{rest}</span>
          </>
        ) : (
          <span class="hl fine">{counts.never > 0 ? t.overview.fineNever(counts.online, counts.never) : t.overview.fine(counts.all)}</span>
        )}
      </p>
      <div class="chips" role="group" aria-label={t.overview.filters}>
        {(['offline', 'online', 'never'] as const).map(chip)}
      </div>
    </section>
  );
}

function Tools() {
  const t = words.value.overview;
  const text = query.value.get('q') ?? '';
  const { matching } = arranged.value;
  const all = fleet.counts.value.all;
  return (
    <div class="tools">
      <label class="find">
        <Icon name="search" size={14} />
        <input
          id="search"
          type="search"
          value={text}
          placeholder={t.search}
          aria-label={t.searchLabel}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key !== 'Escape' && event.key !== 'Enter') return;
            if (event.key === 'Escape' && text !== '') setQuery({ q: null });
            else event.currentTarget.blur();
            if (event.key === 'Enter') document.querySelector<HTMLElement>('[role=grid]')?.focus();
          }}
        />
        <kbd class="kbd" aria-hidden="true">/</kbd>
      </label>
      <span class="dim hide-s" role="status">
        {(sort.value.key === 'state' && !sort.value.descending ? t.count : t.countSorted)(matching, all)}
      </span>
      {narrow.value ? (
        <select class="in sort" aria-label={t.sortBy} value={sort.value.key} onChange={(event) => setQuery({ sort: sortText(firstSort(event.currentTarget.value as SortKey)) })}>
          {PHONE_SORTS.map(([key, label]) => (
            <option key={key} value={key}>
              {t.columns[label]}
            </option>
          ))}
        </select>
      ) : null}
      <span class="grow hide-s" />
      {narrow.value ? null : <Waiters />}
      <span class="seg hide-s" role="group" aria-label={t.grouping}>
        <button type="button" aria-pressed={!groupByTag.value} onClick={() => setQuery({ group: null })}>
          {t.noGroups}
        </button>
        <button type="button" aria-pressed={groupByTag.value} onClick={() => setQuery({ group: 'tag' })}>
          {t.byTag}
        </button>
      </span>
    </div>
  );
}

const PHONE_SORTS = [
  ['state', 'state'],
  ['name', 'device'],
  ['cpu', 'cpu'],
  ['memory', 'memory'],
  ['disk', 'disk'],
  ['network', 'network'],
] as const;

/** Devices that were given a key and are still expected, after the dialog was closed. */
function Waiters() {
  const open = dialog.value;
  if (!isAdmin()) return null;
  return (
    <>
      {waiting.value.filter((wait) => !(open?.kind === 'add' && open.waitingFor === wait.added.id)).map((wait) => (
        <button key={wait.added.id} type="button" class="btn sm" onClick={() => { dialog.value = { kind: 'add', waitingFor: wait.added.id }; }}>
          <Glyph shape="never" />
          {words.value.overview.waitingFor(wait.added.name)} <span class="num dim">{stopwatch(tick.value - wait.madeAt)}</span>
        </button>
      ))}
    </>
  );
}

function List() {
  const t = words.value.overview;
  const { lines } = arranged.value;
  if (lines.length === 0) {
    return (
      <p class="empty">
        {t.noMatch}{' '}
        <button type="button" class="lk" onClick={() => setQuery({ q: null, state: null })}>
          {t.clear}
        </button>
      </p>
    );
  }
  return narrow.value ? <Cards lines={lines} /> : <Table lines={lines} />;
}

const GHOSTS = [72, 96, 58, 84, 66, 90];

function Empty() {
  const t = words.value;
  return (
    <div class="e0">
      <div>
        <h1>{t.empty.title}</h1>
        <p>{t.empty.text}</p>
        <ol>
          {t.empty.steps.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
        {isAdmin() ? (
          <button class="btn pri tall" type="button" onClick={() => { dialog.value = { kind: 'add', waitingFor: null }; }}>
            <Icon name="plus" size={14} />
            {t.add.title}
          </button>
        ) : null}
        <p class="hint">
          {t.empty.bulk} <code class="mono">{BULK}</code>
        </p>
      </div>
      <div class="ghost" aria-hidden="true">
        <div class="gh">{t.empty.preview}</div>
        {GHOSTS.map((width, i) => (
          <div class="g" key={width}>
            <Glyph shape="never" />
            <u style={{ width: `${width}px` }} />
            <u style={{ width: `${[38, 62, 44, 70, 52, 58][i] ?? 40}%` }} />
            <u style={{ width: `${[60, 44, 70, 52, 64, 40][i] ?? 40}%` }} />
            <u />
          </div>
        ))}
      </div>
    </div>
  );
}

const BULK = 'openclaw-watch device add NAME --json';

/** The frame of the page before the first values: same places, no spinner. */
export function OverviewSkeleton() {
  return (
    <div aria-busy="true" aria-label={words.value.common.loading} role="status">
      <h1 class="vh">{words.value.overview.title}</h1>
      <div class="strip">
        <span class="sk w300" />
      </div>
      <div class="tools">
        <span class="find" />
      </div>
      <div class="tb sks">
        <div class="hd" />
        {Array.from({ length: 18 }, (_, i) => (
          <div class="row" key={i}>
            <span class="sk" style={{ width: `${90 + ((i * 37) % 70)}px` }} />
            <span class="sk w48" />
            <span class="sk w34" />
            <span class="sk w34" />
            <span class="sk w34" />
          </div>
        ))}
      </div>
    </div>
  );
}
