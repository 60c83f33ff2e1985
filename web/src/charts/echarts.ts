// The only file that names ECharts, with only the parts that are used. It is a chunk of its own, loaded with the first chart.

import { LineChart } from 'echarts/charts';
import { GridComponent, MarkAreaComponent, MarkLineComponent } from 'echarts/components';
import { init, use, type EChartsCoreOption } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

use([LineChart, GridComponent, MarkAreaComponent, MarkLineComponent, CanvasRenderer]);

export interface Chart {
  /** Draws; what is not named stays as it was, unless `fresh`. */
  draw: (option: object, fresh: boolean) => void;
  /** Where a value of the shared time axis stands, in pixels from the left edge. */
  xOf: (time: number) => number | null;
  dispose: () => void;
}

interface Hooks {
  /** The time under the pointer, or null when it has left. */
  cursor: (time: number | null) => void;
  /** After the place for the chart has changed its size. */
  resized: () => void;
  /** Once, after the first drawing. */
  ready: () => void;
}

export function makeChart(element: HTMLElement, hooks: Hooks): Chart {
  const chart = init(element, null, { renderer: 'canvas' });
  // An empty chart "finishes" too: only what was drawn counts.
  let state: 'empty' | 'drawing' | 'drawn' = 'empty';
  chart.on('finished', () => {
    if (state !== 'drawing') return;
    state = 'drawn';
    hooks.ready();
  });
  chart.on('updateAxisPointer', (event) => {
    const axes = (event as { axesInfo?: { axisDim: string; value: number }[] }).axesInfo;
    hooks.cursor(axes?.find((axis) => axis.axisDim === 'x')?.value ?? null);
  });
  chart.getZr().on('globalout', () => hooks.cursor(null));
  const watch = new ResizeObserver(() => {
    chart.resize();
    hooks.resized();
  });
  watch.observe(element);
  return {
    draw: (option, fresh) => {
      if (state === 'empty') state = 'drawing';
      chart.setOption(option as EChartsCoreOption, { notMerge: fresh, lazyUpdate: !fresh });
    },
    xOf: (time) => {
      const x: unknown = chart.convertToPixel({ xAxisIndex: 0 }, time);
      return typeof x === 'number' && Number.isFinite(x) ? x : null;
    },
    dispose: () => {
      watch.disconnect();
      chart.dispose();
    },
  };
}
