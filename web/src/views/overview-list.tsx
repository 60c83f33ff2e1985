// The fleet as a table (a pooled virtual grid) and, on phones, as cards.

import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { DeviceView, TrendView } from '../api/types';
import { count, money, rate, rateText, share } from '../format/number';
import { ms } from '../format/time';
import { words } from '../i18n';
import { inRows, nextSort, sortText, type CardLine, type Line } from '../list/arrange';
import { fit, type Column, type Fit } from '../list/columns';
import { scrollToShow, type Tops } from '../list/window';
import { VirtualList } from '../list/virtual';
import { Cost } from '../parts/cost';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { Menu } from '../parts/menu';
import { Beats, Spark, WeekBars } from '../parts/pictures';
import { Age, Micro } from '../parts/values';
import { dialog } from '../state/dialogs';
import { isProblem, sinceOf, STATES, stateOf, type StateWord } from '../state/fleet';
import { inMaintenance } from '../state/pauses';
import { watch } from '../state/live';
import { pastAt, shown, shownNow } from '../state/past';
import { prefs } from '../state/prefs';
import { deviceHref, go, setQuery } from '../state/router';
import { isAdmin } from '../state/session';
import { trends } from '../state/trends';
import { deviceMenu } from './device-menu';
import { active, behind, sort, toggleGroup } from './overview-state';
import { asOfText, reasonText } from './reason';

// Heights of the stylesheet's rows; the list needs them before a row exists.
const ROW = 28;
const ROW_WHY = 42;
const GROUP = 28;
const CARD = 92;
const CARD_WHY = 112;
const CARD_GROUP = 34;
/** What stands still above the rows while the page scrolls: top bar, tools, column heads. */
const COVER = 44 + 40 + 28;

const kindOf = (line: Line): string => (line.kind === 'group' ? 'g' : 'd');
const rowHeight = (line: Line): number => (line.kind === 'group' ? GROUP : line.problem ? ROW_WHY : ROW);

const menuOf = signal<{ id: string; anchor: HTMLElement } | null>(null);

function openMenu(id: string, anchor: HTMLElement): void {
  menuOf.value = menuOf.value?.id === id ? null : { id, anchor };
}

function OpenMenu() {
  // A list that comes back, perhaps for another login, has no menu open.
  useEffect(() => () => { menuOf.value = null; }, []);
  const open = menuOf.value;
  const device = open ? shown.value.get(open.id)?.view.value : undefined;
  if (!open || !device) return null;
  return (
    <Menu
      key={open.id}
      label={words.value.overview.menu(device.name)}
      anchor={open.anchor}
      items={deviceMenu(words.value, device, true)}
      close={() => {
        menuOf.value = null;
      }}
    />
  );
}

const RIGHT: ReadonlySet<Column> = new Set(['cpu', 'memory', 'disk', 'network', 'tokens', 'cost', 'error', 'seen']);

/** The list tells which devices can be seen: their pictures are asked for, and their changes come at once. */
function useSeen(lines: readonly (Line | CardLine)[]): (first: number, end: number) => void {
  const now = useRef(lines);
  now.current = lines;
  const seen = useRef<string[]>([]);
  useEffect(() => {
    const again = setInterval(() => trends.want(seen.current, pastAt.peek()), RENEW_MS);
    return () => {
      clearInterval(again);
      watch({ devices: [], others: 'state' });
    };
  }, []);
  const at = pastAt.value;
  const tell = (ids: readonly string[]): void => {
    trends.want(ids, at);
    watch(at === null ? { devices: ids.slice(0, MOST_WATCHED), others: 'values' } : { devices: [], others: 'state' });
  };
  useEffect(() => tell(seen.current), [at]);
  return (first, end) => {
    seen.current = now.current.slice(first, end).flatMap((line) => (line.kind === 'device' ? [line.id] : line.kind === 'cards' ? line.cards.map((card) => card.id) : []));
    tell(seen.current);
  };
}

const RENEW_MS = 30_000;
/** As many as the server takes in one message. */
const MOST_WATCHED = 150;

function Head({ columns }: { columns: readonly Column[] }) {
  const now = sort.value;
  const t = words.value.overview;
  return (
    <div class="hd" role="row" aria-rowindex={1}>
      {columns.map((column) =>
        column === 'beats' ? (
          <span key={column} role="columnheader" class="h-hb">
            {t.columns.beats}
            <em>{t.now}</em>
          </span>
        ) : (
          <span key={column} role="columnheader" class={`${RIGHT.has(column) ? 'r' : ''} ${column === 'name' ? 'c-name' : ''}`} aria-sort={now.key === column ? (now.descending ? 'descending' : 'ascending') : 'none'}>
            <button type="button" class={now.key === column ? 'on' : ''} onClick={() => setQuery({ sort: sortText(nextSort(now, column)) })}>
              {t.columns[column]}
              <span class="arrow" aria-hidden="true">{now.key !== column ? '' : now.descending ? '↑' : '↓'}</span>
            </button>
          </span>
        ),
      )}
      <span role="columnheader">
        <span class="vh">{t.columns.menu}</span>
      </span>
    </div>
  );
}

const inText = (target: EventTarget | null): boolean => target instanceof HTMLElement && ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);

const FIRST_WIDTH = 1100;

export function Table({ lines }: { lines: readonly Line[] }) {
  const grid = useRef<HTMLDivElement>(null);
  const place = useRef<{ tops: Tops; element: HTMLElement } | null>(null);
  const now = useRef(lines);
  now.current = lines;
  const seen = useSeen(lines);
  const [width, setWidth] = useState(FIRST_WIDTH);
  useLayoutEffect(() => {
    const element = grid.current;
    if (!element) return;
    const measured = new ResizeObserver(() => setWidth(element.clientWidth));
    setWidth(element.clientWidth);
    measured.observe(element);
    return () => measured.disconnect();
  }, []);
  const fitted = fit(width, prefs.value.columns);

  function moveTo(index: number): void {
    const all = now.current;
    // Group heads are passed over: the keyboard walks from device to device.
    const step = index < indexOfActive() ? -1 : 1;
    let at = Math.max(0, Math.min(all.length - 1, index));
    while (all[at]?.kind === 'group' && at + step >= 0 && at + step < all.length) at += step;
    const line = all[at];
    if (line?.kind !== 'device') return;
    active.value = line.id;
    grid.current?.focus({ preventScroll: true });
    if (!place.current) return;
    const origin = place.current.element.getBoundingClientRect().top + window.scrollY;
    const from = window.scrollY - origin;
    const to = at === 0 ? -origin : scrollToShow(place.current.tops, at, from, window.innerHeight, COVER);
    if (to !== from) window.scrollTo(0, to + origin);
  }
  const indexOfActive = (): number => now.current.findIndex((line) => line.kind === 'device' && line.id === active.peek());

  function onKeyDown(event: KeyboardEvent): void {
    const at = indexOfActive();
    const id = active.peek();
    const page = Math.max(1, Math.floor((window.innerHeight - COVER) / ROW) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: now.current.length - 1 }[event.key];
    if (to !== undefined) moveTo(to);
    else if (event.target !== grid.current || id === null || at === -1) return;
    else if (event.key === 'Enter') go(deviceHref(id));
    else if (event.key === '.' || event.key === 'ContextMenu') {
      const button = document.getElementById(`row-${id}`)?.querySelector<HTMLElement>('.row-menu');
      if (button) openMenu(id, button);
    } else return;
    event.preventDefault();
  }

  useEffect(() => {
    const walk = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || inText(event.target) || dialog.peek()) return;
      if (event.key !== 'j' && event.key !== 'k') return;
      moveTo(indexOfActive() + (event.key === 'j' ? 1 : -1));
      event.preventDefault();
    };
    document.addEventListener('keydown', walk);
    return () => {
      document.removeEventListener('keydown', walk);
      menuOf.value = null;
    };
  }, []);

  const at = active.value;
  return (
    <div class="list">
      <div
        ref={grid}
        class="tb"
        role="grid"
        tabIndex={0}
        aria-label={words.value.overview.table}
        aria-rowcount={lines.length + 1}
        aria-colcount={fitted.columns.length + 1}
        style={{ '--cols': fitted.template, '--gap': `${fitted.gap}px` }}
        aria-activedescendant={at !== null ? `row-${at}` : undefined}
        onKeyDown={onKeyDown}
        onFocus={(event) => {
          if (event.target === grid.current && indexOfActive() === -1) active.value = now.current.find((line) => line.kind === 'device')?.id ?? null;
        }}
      >
        <Head columns={fitted.columns} />
        <VirtualList
          class="rows"
          role="rowgroup"
          lines={lines}
          heightOf={rowHeight}
          kindOf={kindOf}
          onSeen={seen}
          onLayout={(tops, element) => {
            place.current = { tops, element };
          }}
          render={(line, index, top, key) =>
            line.kind === 'group' ? (
              <GroupRow key={key} line={line} top={top} index={index} span={fitted.columns.length + 1} />
            ) : (
              <Row key={key} id={line.id} top={top} index={index} active={line.id === at} problem={line.problem} fitted={fitted} />
            )
          }
        />
      </div>
      <OpenMenu />
    </div>
  );
}

type GroupLine = Extract<Line, { kind: 'group' }>;

function GroupContent({ line }: { line: GroupLine }) {
  const t = words.value.overview;
  return (
    <button type="button" class="grp-b" aria-expanded={line.open} onClick={() => toggleGroup(line.key)}>
      <Icon name={line.open ? 'down' : 'right'} size={12} />
      <b>{line.tag ?? t.untagged}</b>
      <span>{t.devices(line.count)}</span>
      {STATES.map((state) =>
        line.states[state] > 0 ? (
          <span key={state} class="gs">
            <Glyph shape={state} />
            {line.states[state]}
            <span class="vh">{words.value.state[state]}</span>
          </span>
        ) : null,
      )}
      <span class="grow" />
      {line.tokens > 0 ? (
        <span class="num sum">
          {count(line.tokens)}
          {line.cost > 0 ? ` · ${money(line.cost)}` : ''}
        </span>
      ) : null}
    </button>
  );
}

function GroupRow({ line, top, index, span }: { line: GroupLine; top: number; index: number; span: number }) {
  return (
    <div class="grp" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${top}px)` }}>
      <span role="gridcell" aria-colspan={span}>
        <GroupContent line={line} />
      </span>
    </div>
  );
}

interface RowProps {
  id: string;
  top: number;
  index: number;
  active: boolean;
  problem: boolean;
  fitted: Fit;
}

/** Names that would break the line or its direction stay inside their place: text only, isolated. */
function Name({ device, tabIndex }: { device: DeviceView; tabIndex: number }) {
  return (
    <a class="name" href={deviceHref(device.id)} tabIndex={tabIndex} title={device.name}>
      <bdi>{device.name}</bdi>
    </a>
  );
}

function Tags({ device }: { device: DeviceView }) {
  return (
    <span class="tags">
      {device.kind === 'local' ? <span class="tag">{words.value.overview.local}</span> : null}
      {device.tags.map((tag) => (
        <span key={tag} class="tag">
          <bdi>{tag}</bdi>
        </span>
      ))}
    </span>
  );
}

function Network({ device, trend, spark }: { device: DeviceView; trend: TrendView | null; spark: boolean }) {
  const t = words.value.overview;
  const latest = device.latest;
  if (!latest) return null;
  const stale = !device.online;
  const one = (value: number | null, arrow: string, word: string) => (
    <span title={value === null || stale ? undefined : `${rateText(value)} ${word}`}>
      {value === null || stale ? <span class="dim">{words.value.common.none}</span> : rate(value)}
      <i aria-hidden="true">{arrow}</i>
      <span class="vh">{word}</span>
    </span>
  );
  return (
    <>
      {one(latest.network_down_bytes_per_s, '↓', t.down)}
      {one(latest.network_up_bytes_per_s, '↑', t.up)}
      {spark ? <Spark values={trend?.traffic ?? []} size={trend?.traffic.length ?? 2} stale={stale} /> : null}
    </>
  );
}

/** An error so young is told in colour. */
const FRESH_ERROR_MS = 30 * 60_000;

function Version({ device }: { device: DeviceView }) {
  const t = words.value.overview;
  const openclaw = device.openclaw;
  if (!openclaw || openclaw.state === 'not_installed') return <span class="dim">{openclaw ? t.noOpenClaw : words.value.common.none}</span>;
  const older = openclaw.version ? (behind.value.get(openclaw.version) ?? 0) : 0;
  const channels = openclaw.channels;
  return (
    <>
      <span class={`vr ${older > 0 ? 'old' : ''}`} title={older > 0 ? t.behind(older) : undefined}>
        <bdi>{openclaw.version ?? words.value.common.none}</bdi>
        {older > 0 ? (
          <i>
            <span aria-hidden="true">↓{older}</span>
            <span class="vh">{t.behind(older)}</span>
          </i>
        ) : null}
      </span>
      {channels ? (
        <span class={`chn ${channels.up === 0 ? 'bad' : channels.up < channels.all ? 'part' : ''}`} title={t.channels(channels.up, channels.all)}>
          {channels.up}/{channels.all}
        </span>
      ) : null}
    </>
  );
}

function LastError({ device }: { device: DeviceView }) {
  const at = ms(device.last_error_at);
  if (at === null) return null;
  const fresh = shownNow.value - at < FRESH_ERROR_MS;
  return (
    <span class={`er ${fresh ? 'new' : ''}`}>
      <Age at={at} />
    </span>
  );
}

function Why({ device }: { device: DeviceView }) {
  const t = words.value;
  const asOf = stateOf(device) === 'offline' ? asOfText(t, device, shownNow.value) : null;
  return (
    <>
      <bdi>{reasonText(t, device)}</bdi>
      {asOf ? <i> · {asOf}</i> : null}
    </>
  );
}

function MenuButton({ id, name, tabIndex }: { id: string; name: string; tabIndex: number }) {
  if (!isAdmin()) return null;
  return (
    <button
      type="button"
      class="ib row-menu"
      data-testid="row-menu"
      tabIndex={tabIndex}
      aria-label={words.value.overview.menu(name)}
      aria-haspopup="menu"
      aria-expanded={menuOf.value?.id === id}
      onClick={(event) => {
        event.stopPropagation();
        openMenu(id, event.currentTarget);
      }}
    >
      <Icon name="more" />
    </button>
  );
}

const TONE: Partial<Record<StateWord, string>> = { gwdown: 't-err', hung: 't-err', offline: 't-off', degraded: 't-warn', restart: 't-warn' };

interface CellProps {
  column: Column;
  device: DeviceView;
  state: StateWord;
  trend: TrendView | null;
  spark: boolean;
}

function Cell({ column, device, state, trend, spark }: CellProps) {
  const latest = device.latest;
  const never = state === 'never';
  switch (column) {
    case 'name':
      return (
        <span class="nm" role="gridcell">
          <Glyph shape={inMaintenance(device) ? 'maint' : state} />
          <Name device={device} tabIndex={-1} />
          <Tags device={device} />
        </span>
      );
    case 'state': {
      const since = sinceOf(device);
      return (
        <span class="st" role="gridcell">
          {inMaintenance(device) ? words.value.paused.maintenance : words.value.state[state]}{' '}
          {since !== null ? (
            <i>
              <Age at={since} />
            </i>
          ) : null}
        </span>
      );
    }
    case 'beats':
      return <span role="gridcell">{<Beats letters={never ? null : (trend?.beats ?? null)} />}</span>;
    case 'openclaw':
      return (
        <span class="oc v" role="gridcell">
          {never ? null : <Version device={device} />}
        </span>
      );
    case 'cpu':
      return <span role="gridcell">{never ? null : <Micro value={latest?.cpu_pct ?? null} testid="device-cpu" />}</span>;
    case 'memory':
      return <span role="gridcell">{never ? null : <Micro value={share(latest?.memory_used_bytes, latest?.memory_total_bytes)} testid="device-mem" />}</span>;
    case 'disk':
      return <span role="gridcell">{never ? null : <Micro value={share(latest?.disk_used_bytes, latest?.disk_total_bytes)} testid="device-disk" />}</span>;
    case 'network':
      return (
        <span class={`net v ${spark ? 'with' : ''}`} role="gridcell">
          <Network device={device} trend={trend} spark={spark} />
        </span>
      );
    case 'tokens':
      return (
        <span class="tk v" role="gridcell">
          {device.usage ? (
            <>
              <span class="num">{count(device.usage.today.tokens)}</span>
              <WeekBars values={trend?.week ?? null} />
            </>
          ) : null}
        </span>
      );
    case 'cost':
      return (
        <span class="r v" role="gridcell">
          <Cost usage={device.usage?.today} />
        </span>
      );
    case 'error':
      return (
        <span class="r" role="gridcell">
          <LastError device={device} />
        </span>
      );
    case 'agent':
      return (
        <span class="ver v cut" role="gridcell">
          {device.agent_version ?? ''}
        </span>
      );
    case 'seen':
      // By the server's clock; `latest.at` is by the device's, which may be wrong.
      return (
        <span class="seen v r" role="gridcell">
          {device.last_seen_at !== null ? <Age at={ms(device.last_seen_at)} /> : null}
        </span>
      );
  }
}

function Row({ id, top, index, active: isActive, problem, fitted }: RowProps) {
  const entry = shown.value.get(id);
  if (!entry) return null;
  const device = entry.view.value;
  const state = stateOf(device);
  const latest = device.latest;
  const trend = trends.picture(id).value;
  const why = problem && isProblem(device);
  return (
    <div
      id={`row-${id}`}
      class={`row ${problem ? `why ${TONE[state] ?? ''}` : ''} ${state === 'offline' ? 'stale' : ''} ${isActive ? 'active' : ''}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isActive}
      data-testid="device-row"
      data-device-id={id}
      data-state={state}
      data-at={latest?.at}
      style={{ transform: `translateY(${top}px)` }}
      onClick={(event) => {
        if (event.defaultPrevented || (event.target instanceof Element && event.target.closest('a, button'))) return;
        if (getSelection()?.type === 'Range') return;
        go(deviceHref(id));
      }}
    >
      {fitted.columns.map((column) => (
        <Cell key={column} column={column} device={device} state={state} trend={trend} spark={fitted.spark} />
      ))}
      <span class="mn" role="gridcell">
        <MenuButton id={id} name={device.name} tabIndex={isActive ? 0 : -1} />
      </span>
      {why ? (
        <span class="why-l" role="gridcell">
          <Why device={device} />
        </span>
      ) : null}
    </div>
  );
}

/** A card is at least so wide; on a phone there is one. */
const CARD_WIDTH = 300;
const CARD_GAP = 8;

const cardKind = (line: CardLine): string => (line.kind === 'group' ? 'g' : 'c');
const cardHeight = (line: CardLine): number => (line.kind === 'group' ? CARD_GROUP : line.problem ? CARD_WHY : CARD);

export function Cards({ lines }: { lines: readonly Line[] }) {
  useEffect(
    () => () => {
      menuOf.value = null;
    },
    [],
  );
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measured = new ResizeObserver(() => setWidth(element.clientWidth));
    setWidth(element.clientWidth);
    measured.observe(element);
    return () => measured.disconnect();
  }, []);
  const perRow = Math.max(1, Math.floor((width + CARD_GAP) / (CARD_WIDTH + CARD_GAP)));
  const rows = useMemo(() => inRows(lines, perRow), [lines, perRow]);
  const seen = useSeen(rows);
  const devices = lines.filter((line) => line.kind === 'device').length;
  let place = 0;
  const first = useMemo(() => rows.map((row) => (row.kind === 'cards' ? (place += row.cards.length) - row.cards.length : place)), [rows]);
  return (
    <div ref={box} class={`cards-box ${perRow > 1 ? 'many' : ''}`} style={{ '--per-row': perRow }}>
      <VirtualList
        class="cards"
        role="list"
        lines={rows}
        heightOf={cardHeight}
        kindOf={cardKind}
        onSeen={seen}
        render={(line, index, top, key) =>
          line.kind === 'group' ? (
            <div key={key} class="cg" role="listitem" style={{ transform: `translateY(${top}px)` }}>
              <GroupContent line={line} />
            </div>
          ) : (
            <div key={key} class="card-row" role="presentation" style={{ transform: `translateY(${top}px)` }}>
              {line.cards.map((card, i) => (
                <Card
                  key={i}
                  id={card.id}
                  problem={card.problem}
                  first={rows[index - 1]?.kind !== 'cards'}
                  last={rows[index + 1]?.kind !== 'cards'}
                  at={(first[index] ?? 0) + i + 1}
                  of={devices}
                />
              ))}
            </div>
          )
        }
      />
      <OpenMenu />
    </div>
  );
}

interface CardProps {
  id: string;
  problem: boolean;
  first: boolean;
  last: boolean;
  at: number;
  of: number;
}

function Card({ id, problem, first, last, at, of }: CardProps) {
  const entry = shown.value.get(id);
  if (!entry) return null;
  const t = words.value;
  const device = entry.view.value;
  const state = stateOf(device);
  const latest = device.latest;
  const trend = trends.picture(id).value;
  const since = sinceOf(device);
  const bar = (label: string, value: number | null, testid: string) => (
    <span class="m3">
      <em>{label}</em>
      <Micro value={value} testid={testid} />
    </span>
  );
  return (
    <div
      class={`card ${problem ? `why ${TONE[state] ?? ''}` : ''} ${state === 'offline' ? 'stale' : ''} ${first ? 'first' : ''} ${last ? 'last' : ''}`}
      role="listitem"
      aria-posinset={at}
      aria-setsize={of}
      data-testid="device-row"
      data-device-id={id}
      data-state={state}
      data-at={latest?.at}
      style={{ transform: `translateY(${top}px)` }}
    >
      <div class="c1">
        <Glyph shape={inMaintenance(device) ? 'maint' : state} />
        <Name device={device} tabIndex={0} />
        <span class="st">
          {inMaintenance(device) ? t.paused.maintenance : t.state[state]}{' '}
          {since !== null ? (
            <i>
              <Age at={since} />
            </i>
          ) : null}
        </span>
        <span class="grow" />
        <span class="v c-cost">
          <Cost usage={device.usage?.today} />
        </span>
        <MenuButton id={id} name={device.name} tabIndex={0} />
      </div>
      {problem && isProblem(device) ? (
        <div class="cw">
          <Why device={device} />
        </div>
      ) : null}
      <Beats letters={state === 'never' ? null : (trend?.beats ?? null)} />
      <div class="c2">
        <span class="cut v">
          {state === 'never' || !latest ? null : (
            <>
              <bdi>{device.openclaw?.version ?? t.overview.noOpenClaw}</bdi>
              {device.usage ? ` · ${count(device.usage.today.tokens)}` : ''}
            </>
          )}
        </span>
        {state === 'never' ? null : (
          <>
            {bar(t.overview.columns.cpu, latest?.cpu_pct ?? null, 'device-cpu')}
            {bar(t.overview.columns.memory, share(latest?.memory_used_bytes, latest?.memory_total_bytes), 'device-mem')}
            {bar(t.overview.columns.disk, share(latest?.disk_used_bytes, latest?.disk_total_bytes), 'device-disk')}
          </>
        )}
      </div>
    </div>
  );
}
