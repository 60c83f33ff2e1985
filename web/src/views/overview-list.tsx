// The fleet as a table (a pooled virtual grid) and, on phones, as cards.

import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { DeviceView } from '../api/types';
import { sparkPath } from '../charts/spark';
import { rate, rateText, share } from '../format/number';
import { ms } from '../format/time';
import { words } from '../i18n';
import { nextSort, sortText, type Line, type SortKey } from '../list/arrange';
import { scrollToShow, type Tops } from '../list/window';
import { VirtualList } from '../list/virtual';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { Menu } from '../parts/menu';
import { Age, Micro } from '../parts/values';
import { tick } from '../state/clock';
import { dialog } from '../state/dialogs';
import { fleet, isProblem, stateOf, TRAFFIC_POINTS, type Entry } from '../state/fleet';
import { deviceHref, go, setQuery } from '../state/router';
import { isAdmin } from '../state/session';
import { deviceMenu } from './device-menu';
import { active, sort, toggleGroup } from './overview-state';
import { asOfText, reasonText } from './reason';

// Heights of the stylesheet's rows; the list needs them before a row exists.
const ROW = 28;
const ROW_WHY = 42;
const GROUP = 28;
const CARD = 68;
const CARD_WHY = 88;
const CARD_GROUP = 34;
/** What stands still above the rows while the page scrolls: top bar, tools, column heads. */
const COVER = 44 + 40 + 28;

const SPARK_W = 96;
const SPARK_H = 16;

const kindOf = (line: Line): string => (line.kind === 'group' ? 'g' : 'd');
const rowHeight = (line: Line): number => (line.kind === 'group' ? GROUP : line.problem ? ROW_WHY : ROW);
const cardHeight = (line: Line): number => (line.kind === 'group' ? CARD_GROUP : line.problem ? CARD_WHY : CARD);

const menuOf = signal<{ id: string; anchor: HTMLElement } | null>(null);

function openMenu(id: string, anchor: HTMLElement): void {
  menuOf.value = menuOf.value?.id === id ? null : { id, anchor };
}

function OpenMenu() {
  // A list that comes back, perhaps for another login, has no menu open.
  useEffect(() => () => { menuOf.value = null; }, []);
  const open = menuOf.value;
  const device = open ? fleet.get(open.id)?.view.value : undefined;
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

const COLUMNS: readonly { key: SortKey; label: keyof ReturnType<typeof columnWords>; class: string }[] = [
  { key: 'name', label: 'device', class: 'c-name' },
  { key: 'state', label: 'state', class: '' },
  { key: 'cpu', label: 'cpu', class: 'r' },
  { key: 'memory', label: 'memory', class: 'r' },
  { key: 'disk', label: 'disk', class: 'r' },
  { key: 'network', label: 'network', class: 'r h-net' },
  { key: 'agent', label: 'agent', class: 'h-ver' },
  { key: 'seen', label: 'seen', class: 'r h-seen' },
];
const columnWords = () => words.value.overview.columns;

function Head() {
  const now = sort.value;
  return (
    <div class="hd" role="row" aria-rowindex={1}>
      {COLUMNS.map(({ key, label, class: className }) => (
        <span key={key} role="columnheader" class={className} aria-sort={now.key === key ? (now.descending ? 'descending' : 'ascending') : 'none'}>
          <button type="button" class={now.key === key ? 'on' : ''} onClick={() => setQuery({ sort: sortText(nextSort(now, key)) })}>
            {columnWords()[label]}
            <span class="arrow" aria-hidden="true">{now.key !== key ? '' : now.descending ? '↑' : '↓'}</span>
          </button>
        </span>
      ))}
      <span role="columnheader">
        <span class="vh">{columnWords().menu}</span>
      </span>
    </div>
  );
}

const inText = (target: EventTarget | null): boolean => target instanceof HTMLElement && ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);

export function Table({ lines }: { lines: readonly Line[] }) {
  const grid = useRef<HTMLDivElement>(null);
  const place = useRef<{ tops: Tops; element: HTMLElement } | null>(null);
  const now = useRef(lines);
  now.current = lines;

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
        aria-activedescendant={at !== null ? `row-${at}` : undefined}
        onKeyDown={onKeyDown}
        onFocus={(event) => {
          if (event.target === grid.current && indexOfActive() === -1) active.value = now.current.find((line) => line.kind === 'device')?.id ?? null;
        }}
      >
        <Head />
        <VirtualList
          class="rows"
          role="rowgroup"
          lines={lines}
          heightOf={rowHeight}
          kindOf={kindOf}
          onLayout={(tops, element) => {
            place.current = { tops, element };
          }}
          render={(line, index, top, key) =>
            line.kind === 'group' ? (
              <GroupRow key={key} line={line} top={top} index={index} />
            ) : (
              <Row key={key} id={line.id} top={top} index={index} active={line.id === at} problem={line.problem} />
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
      {(['offline', 'online', 'never'] as const).map((state) =>
        line.states[state] > 0 ? (
          <span key={state} class="gs">
            <Glyph shape={state} />
            {line.states[state]}
            <span class="vh">{words.value.state[state]}</span>
          </span>
        ) : null,
      )}
    </button>
  );
}

function GroupRow({ line, top, index }: { line: GroupLine; top: number; index: number }) {
  return (
    <div class="grp" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${top}px)` }}>
      <span role="gridcell" aria-colspan={COLUMNS.length + 1}>
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

function Network({ entry, device }: { entry: Entry; device: DeviceView }) {
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
      <svg class={`sp ${stale ? 'off-sp' : ''}`} width={SPARK_W} height={SPARK_H} viewBox={`0 0 ${SPARK_W} ${SPARK_H}`} aria-hidden="true">
        <path d={sparkPath(entry.traffic.read(), TRAFFIC_POINTS, SPARK_W, SPARK_H)} fill="none" stroke="currentColor" stroke-width="1.1" stroke-linejoin="round" stroke-linecap="round" />
      </svg>
    </>
  );
}

function Why({ device }: { device: DeviceView }) {
  const t = words.value;
  const asOf = asOfText(t, device, tick.value);
  return (
    <>
      {reasonText(t, device)}
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

function Row({ id, top, index, active: isActive, problem }: RowProps) {
  const entry = fleet.get(id);
  if (!entry) return null;
  const device = entry.view.value;
  const state = stateOf(device);
  const latest = device.latest;
  const stale = state === 'offline';
  const why = problem && isProblem(device);
  return (
    <div
      id={`row-${id}`}
      class={`row ${problem ? 'why t-off' : ''} ${stale ? 'stale' : ''} ${isActive ? 'active' : ''}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isActive}
      data-testid="device-row"
      data-device-id={id}
      data-state={state}
      style={{ transform: `translateY(${top}px)` }}
      onClick={(event) => {
        if (event.defaultPrevented || (event.target instanceof Element && event.target.closest('a, button'))) return;
        if (getSelection()?.type === 'Range') return;
        go(deviceHref(id));
      }}
    >
      <span class="nm" role="gridcell">
        <Glyph shape={state} />
        <Name device={device} tabIndex={-1} />
        <Tags device={device} />
      </span>
      <span class="st" role="gridcell">
        {words.value.state[state]}{' '}
        <i>
          <Age at={ms(state === 'never' ? device.created_at : device.since)} />
        </i>
      </span>
      <span role="gridcell">{state === 'never' ? null : <Micro value={latest?.cpu_pct ?? null} testid="device-cpu" />}</span>
      <span role="gridcell">{state === 'never' ? null : <Micro value={share(latest?.memory_used_bytes, latest?.memory_total_bytes)} testid="device-mem" />}</span>
      <span role="gridcell">{state === 'never' ? null : <Micro value={share(latest?.disk_used_bytes, latest?.disk_total_bytes)} testid="device-disk" />}</span>
      <span class="net v" role="gridcell">
        <Network entry={entry} device={device} />
      </span>
      <span class="ver v" role="gridcell">
        {device.agent_version ?? ''}
      </span>
      <span class="seen v r" role="gridcell">
        {/* By the server's clock; `latest.at` is by the device's, which may be wrong. */}
        {device.last_seen_at !== null ? <Age at={ms(device.last_seen_at)} /> : null}
      </span>
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

export function Cards({ lines }: { lines: readonly Line[] }) {
  useEffect(
    () => () => {
      menuOf.value = null;
    },
    [],
  );
  return (
    <>
      <VirtualList
        class="cards"
        role="list"
        lines={lines}
        heightOf={cardHeight}
        kindOf={kindOf}
        render={(line, index, top, key) =>
          line.kind === 'group' ? (
            <div key={key} class="cg" role="listitem" style={{ transform: `translateY(${top}px)` }}>
              <GroupContent line={line} />
            </div>
          ) : (
            <Card
              key={key}
              id={line.id}
              top={top}
              problem={line.problem}
              first={lines[index - 1]?.kind !== 'device'}
              last={lines[index + 1]?.kind !== 'device'}
              at={index + 1}
              of={lines.length}
            />
          )
        }
      />
      <OpenMenu />
    </>
  );
}

function Card({ id, top, problem, first, last, at, of }: { id: string; top: number; problem: boolean; first: boolean; last: boolean; at: number; of: number }) {
  const entry = fleet.get(id);
  if (!entry) return null;
  const t = words.value;
  const device = entry.view.value;
  const state = stateOf(device);
  const latest = device.latest;
  const bar = (label: string, value: number | null, testid: string) => (
    <span class="m3">
      <em>{label}</em>
      <Micro value={value} testid={testid} />
    </span>
  );
  return (
    <div
      class={`card ${problem ? 'why t-off' : ''} ${state === 'offline' ? 'stale' : ''} ${first ? 'first' : ''} ${last ? 'last' : ''}`}
      role="listitem"
      aria-posinset={at}
      aria-setsize={of}
      data-testid="device-row"
      data-device-id={id}
      data-state={state}
      style={{ transform: `translateY(${top}px)` }}
    >
      <div class="c1">
        <Glyph shape={state} />
        <Name device={device} tabIndex={0} />
        <span class="st">
          {t.state[state]}{' '}
          <i>
            <Age at={ms(state === 'never' ? device.created_at : device.since)} />
          </i>
        </span>
        <span class="grow" />
        <MenuButton id={id} name={device.name} tabIndex={0} />
      </div>
      {problem && isProblem(device) ? (
        <div class="cw">
          <Why device={device} />
        </div>
      ) : null}
      <div class="c2">
        <span class="cut v">
          {state === 'never' || !latest ? null : device.online ? (
            <>
              {latest.network_down_bytes_per_s === null ? t.common.none : rate(latest.network_down_bytes_per_s)}
              <i>↓</i> {latest.network_up_bytes_per_s === null ? t.common.none : rate(latest.network_up_bytes_per_s)}
              <i>↑</i>
            </>
          ) : (
            device.tags.join(' ')
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
