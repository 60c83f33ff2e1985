import '../styles/overview.css';
import { computed } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { Popover } from '../parts/popover';
import { stopwatch } from '../format/time';
import { firstSort, sortText, type SortKey } from '../list/arrange';
import { OPTIONAL } from '../list/columns';
import { narrow } from '../parts/screen';
import { followChanges } from '../state/changes';
import { tick } from '../state/clock';
import { dialog } from '../state/dialogs';
import { fleet } from '../state/fleet';
import { followPast, lookAt, pastAt, pastInfo, shown } from '../state/past';
import { prefs, setPrefs } from '../state/prefs';
import { query, setQuery } from '../state/router';
import { isAdmin } from '../state/session';
import { waiting } from '../state/waiting';
import { explain, Problem } from '../parts/form';
import { arranged, groupByTag, sort } from './overview-state';
import { Cards, Table } from './overview-list';
import { Rail } from './overview-rail';
import { Strip, StripSkeleton } from './overview-strip';
import { lazy } from './lazy';
import { Live } from './top';
import { viewTitle } from './title';

const PastBar = lazy(() => import('./past-bar').then((module) => module.PastBar), () => <div class="past" />);

/** Cards on phones, a table elsewhere, unless somebody wants the other. */
const asCards = computed(() => {
  const wanted = query.value.get('view');
  return wanted === 'cards' || (wanted !== 'table' && narrow.value);
});

/** A wall display: no controls, and nothing that needs a hand. */
const onTheWall = computed(() => query.value.get('tv') === '1');

export function Overview() {
  const title = words.value.overview.title;
  useEffect(() => {
    viewTitle.value = title;
  }, [title]);
  useEffect(followChanges, []);
  useEffect(followPast, []);
  const tv = onTheWall.value;
  useEffect(() => {
    if (!tv) return;
    document.documentElement.dataset.tv = '';
    const release = keepAwake();
    return () => {
      delete document.documentElement.dataset.tv;
      release();
    };
  }, [tv]);
  if (!fleet.loaded.value) return <OverviewSkeleton />;
  if (fleet.counts.value.all === 0) return <Empty />;
  const looking = pastAt.value !== null;
  const rail = prefs.value.rail && !narrow.value;
  return (
    <>
      <h1 class="vh">{title}</h1>
      {looking ? <PastBar /> : null}
      <Strip />
      {narrow.value ? <div class="waiters"><Waiters /></div> : null}
      {tv ? (
        <div class="tv-live">
          <Live />
        </div>
      ) : (
        <Tools />
      )}
      <div class={`page ${rail ? '' : 'norail'}`}>
        <div class="page-l">{looking && !shown.value.loaded.value ? <PastProblem /> : <List />}</div>
        {rail ? <Rail /> : null}
      </div>
    </>
  );
}

/** The screen of a wall display does not go dark, where the browser lets us ask for that. */
function keepAwake(): () => void {
  let lock: WakeLockSentinel | null = null;
  let released = false;
  const take = (): void => {
    if (document.visibilityState !== 'visible' || !('wakeLock' in navigator)) return;
    navigator.wakeLock.request('screen').then(
      (got) => {
        lock = got;
        if (released) void got.release();
      },
      () => {},
    );
  };
  take();
  document.addEventListener('visibilitychange', take);
  return () => {
    released = true;
    document.removeEventListener('visibilitychange', take);
    void lock?.release();
  };
}

function PastProblem() {
  const { problem } = pastInfo.value;
  if (problem === null) return <RowsSkeleton />;
  return (
    <div class="page-note">
      <Problem text={explain(problem)} />
      <button class="btn" type="button" onClick={() => setQuery({ t: null })}>
        {words.value.past.back}
      </button>
    </div>
  );
}

function Tools() {
  const t = words.value.overview;
  const text = query.value.get('q') ?? '';
  const { matching } = arranged.value;
  const all = shown.value.counts.value.all;
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
      <span class="dim hide-s cnt" role="status">
        {(sort.value.key === 'state' && !sort.value.descending ? t.count : t.countSorted)(matching, all)}
      </span>
      {asCards.value ? (
        <select class="in sort" aria-label={t.sortBy} value={sort.value.key} onChange={(event) => setQuery({ sort: sortText(firstSort(event.currentTarget.value as SortKey)) })}>
          {PHONE_SORTS.map((key) => (
            <option key={key} value={key}>
              {t.columns[key]}
            </option>
          ))}
        </select>
      ) : null}
      <span class="grow hide-s" />
      {narrow.value ? null : <Waiters />}
      <button class="btn sm lookback" type="button" aria-pressed={pastAt.value !== null} aria-label={words.value.past.open} onClick={() => lookAt(pastAt.value === null ? tick.value - HOUR_MS : null)}>
        <Icon name="history" size={13} />
        <span class="hide-s">{words.value.past.open}</span>
      </button>
      <span class="seg hide-s" role="group" aria-label={t.grouping}>
        <button type="button" aria-pressed={!groupByTag.value} onClick={() => setQuery({ group: 'none' })}>
          {t.noGroups}
        </button>
        <button type="button" aria-pressed={groupByTag.value} onClick={() => setQuery({ group: null })}>
          {t.byTag}
        </button>
      </span>
      <span class="seg hide-s" role="group" aria-label={t.layout}>
        {(['table', 'cards'] as const).map((layout) => (
          <button key={layout} type="button" aria-pressed={asCards.value === (layout === 'cards')} onClick={() => setQuery({ view: layout === 'cards' ? 'cards' : null })}>
            {t.layouts[layout]}
          </button>
        ))}
      </span>
      {asCards.value ? null : <ColumnsButton />}
      <button class="btn sm hide-s rail-b" type="button" aria-pressed={prefs.value.rail} onClick={() => setPrefs({ rail: !prefs.value.rail })}>
        <Icon name="rail" size={13} />
        {prefs.value.rail ? t.hideRail : t.showRail}
      </button>
    </div>
  );
}

const HOUR_MS = 3_600_000;
const PHONE_SORTS: readonly SortKey[] = ['state', 'name', 'cpu', 'memory', 'disk', 'network', 'tokens', 'cost', 'error', 'openclaw'];

function ColumnsButton() {
  const t = words.value.overview;
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const chosen = prefs.value.columns;
  return (
    <>
      <button ref={button} class="btn sm" type="button" aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="columns" size={13} />
        {t.chooseColumns}
      </button>
      {open && button.current ? (
        <Popover label={t.chooseColumns} anchor={button.current} close={() => setOpen(false)}>
          {OPTIONAL.map((column) => (
            <label key={column} class="check">
              <input
                type="checkbox"
                checked={chosen.includes(column)}
                onChange={(event) => {
                  const on = event.currentTarget.checked;
                  setPrefs({ columns: OPTIONAL.filter((other) => (other === column ? on : chosen.includes(other))) });
                }}
              />
              {t.columns[column]}
            </label>
          ))}
          <p class="hint">{t.columnsHint}</p>
        </Popover>
      ) : null}
    </>
  );
}

/** Devices that were given a key and are still expected, after the dialog was closed. */
function Waiters() {
  const open = dialog.value;
  if (!isAdmin()) return null;
  return (
    <>
      {waiting.value.filter((wait) => !(open?.kind === 'add' && open.waitingFor === wait.added.id)).map((wait) => (
        <button key={wait.added.id} class="btn sm waiter" type="button" onClick={() => { dialog.value = { kind: 'add', waitingFor: wait.added.id }; }}>
          <Glyph shape="never" />
          <span class="cut">{words.value.overview.waitingFor(wait.added.name)}</span>
          <time class="num">{stopwatch(tick.value - wait.madeAt)}</time>
        </button>
      ))}
    </>
  );
}

function List() {
  const t = words.value.overview;
  const { lines } = arranged.value;
  if (lines.length === 0 && shown.value.counts.value.all === 0) return <p class="empty">{words.value.past.nothing}</p>;
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
  return asCards.value ? <Cards lines={lines} /> : <Table lines={lines} />;
}

const GHOSTS = [72, 96, 58, 84, 66, 90];

function Empty() {
  const t = words.value;
  return (
    <div class="e0">
      <div>
        <h1>{t.empty.title}</h1>
        <p>{t.empty.text}</p>
        {isAdmin() ? (
          <>
            <ol>
              {t.empty.steps.map((step) => (
                <li key={step}>{step}</li>
              ))}
            </ol>
            <button class="btn pri tall" type="button" onClick={() => { dialog.value = { kind: 'add', waitingFor: null }; }}>
              <Icon name="plus" size={14} />
              {t.add.title}
            </button>
            <p class="hint">
              {t.empty.bulk} <code class="mono">{BULK}</code>
            </p>
          </>
        ) : (
          <p class="hint">{t.empty.viewer}</p>
        )}
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

function RowsSkeleton() {
  return (
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
  );
}

/** The frame of the page before the first values: same places, no spinner. */
export function OverviewSkeleton() {
  return (
    <div aria-busy="true" aria-label={words.value.common.loading} role="status">
      <h1 class="vh">{words.value.overview.title}</h1>
      <StripSkeleton />
      <div class="tools">
        <span class="find" />
      </div>
      <RowsSkeleton />
    </div>
  );
}
