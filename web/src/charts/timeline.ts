// The device's charts as one drawing: lanes above one another on a shared time axis. Builds plain options from
// history and colours; pure.

import { bytes, niceCeil, rate, short } from '../format/number';
import { wall } from '../format/time';
import { gaps, has, lateSpans, line, peak, reasonOf, type BandKey, type History } from './series';

export type LaneKey = 'cpu' | 'memory' | 'gatewayRss' | 'gatewayLoop' | 'network' | 'disk' | 'gatewayCpu' | 'load' | 'temperature' | 'swap';

export interface Lane {
  key: LaneKey;
  /** Drawn from the front: the first is the accented line. */
  bands: readonly BandKey[];
  height: number;
  unit: 'share' | 'bytes' | 'rate' | 'ms' | 'load' | 'celsius';
}

/** Those that matter first. The rest is shown when it is asked for. */
export const LANES: readonly Lane[] = [
  { key: 'cpu', bands: ['cpu'], height: 100, unit: 'share' },
  { key: 'memory', bands: ['memory'], height: 74, unit: 'share' },
  { key: 'gatewayRss', bands: ['gatewayRss'], height: 74, unit: 'bytes' },
  { key: 'gatewayLoop', bands: ['gatewayLoop'], height: 74, unit: 'ms' },
  { key: 'network', bands: ['down', 'up'], height: 80, unit: 'rate' },
  { key: 'disk', bands: ['disk'], height: 52, unit: 'share' },
];
export const MORE_LANES: readonly Lane[] = [
  { key: 'load', bands: ['load'], height: 74, unit: 'load' },
  { key: 'temperature', bands: ['temperature'], height: 74, unit: 'celsius' },
  { key: 'gatewayCpu', bands: ['gatewayCpu'], height: 74, unit: 'share' },
  { key: 'swap', bands: ['swap'], height: 60, unit: 'bytes' },
];
/** Drawn even when nothing was measured. */
const ALWAYS: readonly LaneKey[] = ['cpu', 'memory', 'network', 'disk'];

/** The lanes to draw of a history: what a device does not have takes no room. */
export const lanesOf = (history: History | null, more: boolean): Lane[] =>
  [...LANES, ...(more ? MORE_LANES : [])].filter((lane) => ALWAYS.includes(lane.key) || (history !== null && lane.bands.some((band) => has(history, band))));

/** Room for the label above a lane on a narrow screen; beside it there is none needed. */
const LABEL = 26;
const AXIS = 24;
const HEADROOM = 10;

export interface Place {
  lane: Lane;
  /** Top edge of the lane and of its plot, and the height of the plot. */
  top: number;
  plotTop: number;
  plotHeight: number;
}

export function places(lanes: readonly Lane[], narrow: boolean): Place[] {
  let top = 0;
  return lanes.map((lane) => {
    const label = narrow ? LABEL : 0;
    const place = { lane, top, plotTop: top + label + HEADROOM, plotHeight: lane.height - HEADROOM - 1 };
    top += label + lane.height;
    return place;
  });
}

export const fullHeight = (lanes: readonly Lane[], narrow: boolean): number => lanes.reduce((sum, lane) => sum + lane.height + (narrow ? LABEL : 0), AXIS);

export interface Colours {
  accent: string;
  second: string;
  band: string;
  line: string;
  axis: string;
  ink: string;
  surface: string;
  hatch: string;
  font: string;
}

export interface View {
  history: History;
  lanes: readonly Lane[];
  from: number;
  to: number;
  narrow: boolean;
  colours: Colours;
  /** What fills a gap: a pattern, or a plain colour where none can be made. */
  gapFill: unknown;
  /** The words for a span without values; the reason is the server's word, or null. */
  gapWord: (reason: string | null) => string;
  lateWord: string;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** Labels of the time axis: the day at midnight and on long ranges, the time otherwise. */
export function axisTime(value: number, rangeMs: number): string {
  const w = wall(value);
  const day = `${two(w.month)}-${two(w.day)}`;
  if (w.hour === 0 && w.minute === 0) return day;
  if (rangeMs > 3 * 86_400_000) return `${day} ${two(w.hour)}:00`;
  return `${two(w.hour)}:${two(w.minute)}`;
}

/** A round number at or above a value: 1, 2 or 5 and zeros. */
export function roundUp(value: number, least: number): number {
  if (!(value > least)) return least;
  const unit = 10 ** Math.floor(Math.log10(value));
  return (([1, 2, 5, 10].find((step) => step * unit >= value) ?? 10) as number) * unit;
}

/** The value at the top of a lane: a hundred percent, or a round number above what was measured. */
export function topValue(lane: Lane, history: History): number {
  const most = peak(history, lane.bands);
  switch (lane.unit) {
    case 'share':
      return Math.max(100, roundUp(most, 100));
    case 'bytes':
    case 'rate':
      return niceCeil(most);
    case 'ms':
      return roundUp(most, 10);
    case 'load':
      return roundUp(most, 1);
    case 'celsius':
      return roundUp(most, 100);
  }
}
const steps = (lane: Lane): number => (lane.height < 70 ? 1 : 2);

/** A value with its unit, as the axis and the reading tell it. */
export function laneText(lane: Lane, value: number): [string, string] {
  switch (lane.unit) {
    case 'share':
      return [lane.key === 'disk' ? short(value) : String(Math.round(value)), '%'];
    case 'bytes': {
      const [figure, unit] = bytes(value);
      return [figure, ` ${unit}`];
    }
    case 'rate':
      return [rate(value), ''];
    case 'ms':
      return value >= 10_000 ? [short(value / 1000), ' s'] : [short(value), ' ms'];
    case 'load':
      return [value.toFixed(2), ''];
    case 'celsius':
      return [short(value), ' °C'];
  }
}

export interface Mark {
  y: number;
  text: string;
}

/** The words of a lane's value axis and where they stand. */
export function marks(place: Place, history: History): Mark[] {
  const { lane, plotTop, plotHeight } = place;
  const top = topValue(lane, history);
  return Array.from({ length: steps(lane) }, (_, i) => {
    const value = top * (1 - i / steps(lane));
    const [figure, unit] = laneText(lane.key === 'disk' ? { ...lane, key: 'cpu' } : lane, value);
    return { y: plotTop + plotHeight * (1 - value / top), text: i === 0 || lane.unit === 'rate' ? `${figure}${unit}` : figure };
  });
}

export function option(view: View): object {
  const { history, lanes, from, to, narrow, colours } = view;
  const at = places(lanes, narrow);
  const range = to - from;
  const tops = lanes.map((lane) => topValue(lane, history));
  const late = lateSpans(history).filter(([a, b]) => b > from && a < to);
  const holes = gaps(history, to).filter(([, end]) => end > from);
  const font = { fontSize: 11, fontFamily: colours.font };
  const series: object[] = [];
  lanes.forEach((lane, i) => {
    lane.bands.forEach((key, order) => {
      const points = line(history, key);
      const shared = { type: 'line', xAxisIndex: i, yAxisIndex: i, animation: false, silent: true, connectNulls: false, z: 3 - order };
      const first = order === 0;
      series.push({
        ...shared,
        id: key,
        symbol: 'none',
        showSymbol: true,
        data: points.avg.map((point, n) => (points.alone.has(n) ? { value: point, symbol: 'circle', symbolSize: 3 } : point)),
        lineStyle: { color: first ? colours.accent : colours.second, width: first ? 1.4 : 1.2, join: 'round' },
        itemStyle: { color: first ? colours.accent : colours.second },
        ...(first
          ? {
              markArea: {
                silent: true,
                animation: false,
                itemStyle: { color: view.gapFill },
                label: { show: i === 0, position: 'insideTop', distance: 4, color: colours.ink, ...font, backgroundColor: colours.surface, padding: [1, 4], borderRadius: 2 },
                data: holes.map(([a, b]) => [{ xAxis: Math.max(a, from), name: i === 0 && (Math.min(b, to) - Math.max(a, from)) / range > 0.08 ? view.gapWord(reasonOf(history, [a, b])) : '' }, { xAxis: Math.min(b, to) }]),
              },
              // A back-filled span has a dotted top edge.
              markLine: {
                silent: true,
                animation: false,
                symbol: 'none',
                lineStyle: { color: colours.accent, width: 2, type: [1.5, 3] },
                label: { show: false },
                data: late.map(([a, b]) => [
                  { coord: [Math.max(a, from), tops[i] ?? 100], label: { show: i === 0 && (b - a) / range > 0.06, position: 'middle', distance: 3, formatter: view.lateWord, color: colours.accent, ...font } },
                  { coord: [Math.min(b, to), tops[i] ?? 100] },
                ]),
              },
            }
          : {}),
      });
      if (!first) return;
      // The min–max band is two stacked lines: an invisible lower edge and the height above it.
      const edge = { ...shared, stack: `band-${key}`, stackStrategy: 'all', symbol: 'none', showSymbol: false, lineStyle: { width: 0, opacity: 0 }, z: 1 };
      series.push({ ...edge, id: `${key}-low`, data: points.low }, { ...edge, id: `${key}-height`, data: points.height, areaStyle: { color: colours.band, opacity: 1 } });
    });
  });
  return {
    animation: false,
    axisPointer: { link: [{ xAxisIndex: 'all' }], triggerOn: 'mousemove|click' },
    grid: at.map((place) => ({ left: 0, right: narrow ? 0 : 12, top: place.plotTop, height: place.plotHeight, outerBoundsMode: 'none' })),
    xAxis: at.map((_, i) => ({
      type: 'time',
      gridIndex: i,
      min: from,
      max: to,
      axisLine: { show: i === at.length - 1, lineStyle: { color: colours.line } },
      axisTick: { show: i === at.length - 1, length: 4, lineStyle: { color: colours.axis } },
      axisLabel: { show: i === at.length - 1, color: colours.axis, margin: 7, hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: (value: number) => axisTime(value, range), ...font },
      splitLine: { show: false },
      splitNumber: narrow ? 4 : 8,
      axisPointer: { show: true, type: 'line', snap: true, label: { show: false }, lineStyle: { color: colours.ink, width: 1, type: [2, 2] }, handle: { show: false } },
    })),
    yAxis: at.map((place, i) => ({
      type: 'value',
      gridIndex: i,
      position: 'right',
      min: 0,
      max: tops[i],
      interval: (tops[i] ?? 100) / steps(place.lane),
      axisLine: { show: false },
      axisTick: { show: false },
      splitLine: { lineStyle: { color: colours.line } },
      // Its words stand above the lines, as text of the page: see `marks`.
      axisLabel: { show: false },
      axisPointer: { show: false },
    })),
    series,
  };
}
