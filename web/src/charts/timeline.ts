// The device's charts as one drawing: lanes above one another on a shared time axis. Builds plain options from
// history and colours; pure.

import { niceCeil, rate } from '../format/number';
import { gaps, line, peak, type BandKey, type History } from './series';
import { wall } from '../format/time';

export interface Lane {
  key: 'cpu' | 'memory' | 'network' | 'disk';
  /** Drawn from the front: the first is the accented line. */
  bands: readonly BandKey[];
  height: number;
}

export const LANES: readonly Lane[] = [
  { key: 'cpu', bands: ['cpu'], height: 112 },
  { key: 'memory', bands: ['memory'], height: 92 },
  { key: 'network', bands: ['down', 'up'], height: 100 },
  { key: 'disk', bands: ['disk'], height: 66 },
];

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

export function places(narrow: boolean): Place[] {
  let top = 0;
  return LANES.map((lane) => {
    const label = narrow ? LABEL : 0;
    const place = { lane, top, plotTop: top + label + HEADROOM, plotHeight: lane.height - HEADROOM - 1 };
    top += label + lane.height;
    return place;
  });
}

export const fullHeight = (narrow: boolean): number => LANES.reduce((sum, lane) => sum + lane.height + (narrow ? LABEL : 0), AXIS);

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
  from: number;
  to: number;
  narrow: boolean;
  colours: Colours;
  /** What fills a gap: a pattern, or a plain colour where none can be made. */
  gapFill: unknown;
  gapWord: string;
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

/** The value at the top of a lane: a hundred percent, or a round number above the traffic. */
const topValue = (lane: Lane, history: History): number => (lane.key === 'network' ? niceCeil(peak(history, lane.bands)) : 100);
const steps = (lane: Lane): number => (lane.height < 80 ? 1 : 2);

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
    const text = lane.key === 'network' ? rate(value) : i === 0 ? `${value}%` : String(value);
    return { y: plotTop + plotHeight * (1 - value / top), text };
  });
}

export function option(view: View): object {
  const { history, from, to, narrow, colours } = view;
  const at = places(narrow);
  const range = to - from;
  const tops = LANES.map((lane) => topValue(lane, history));
  const holes = gaps(history, to).filter(([, end]) => end > from);
  const font = { fontSize: 11, fontFamily: colours.font };
  const series: object[] = [];
  LANES.forEach((lane, i) => {
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
                data: holes.map(([a, b]) => [{ xAxis: Math.max(a, from), name: (Math.min(b, to) - Math.max(a, from)) / range > 0.08 ? view.gapWord : '' }, { xAxis: Math.min(b, to) }]),
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
