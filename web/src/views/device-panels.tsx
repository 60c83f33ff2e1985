// What a device said in its last full report. Absent values are dashes; a part that the device does not have is left out.

import type { ComponentChildren } from 'preact';
import type { ProcessView, ReportView } from '../api/types';
import { bytes, bytesOf, bytesText, percent, rate, share, short } from '../format/number';
import { words } from '../i18n';
import { Micro, Value } from '../parts/values';

function Panel({ title, note, children }: { title: string; note?: string | undefined; children: ComponentChildren }) {
  return (
    <section class="panel" aria-label={title}>
      <div class="ph">
        <h2>{title}</h2>
        {note ? <span class="dim num">{note}</span> : null}
      </div>
      {children}
    </section>
  );
}

function Figure({ label, value, unit }: { label: string; value: string | null; unit?: string | undefined }) {
  return (
    <div>
      <span>{label}</span>
      <b class="num">
        <Value value={value} {...(unit ? { unit } : {})} />
      </b>
    </div>
  );
}

const pair = (value: number | null): [string | null, string | undefined] => {
  if (value === null) return [null, undefined];
  const [figure, unit] = bytes(value);
  return [figure, ` ${unit}`];
};

export function CpuPanel({ report }: { report: ReportView }) {
  const t = words.value.device;
  const { cpu } = report;
  const loads = [cpu.load1, cpu.load5, cpu.load15];
  return (
    <Panel title={t.lane.cpu} note={cpu.pct === null ? undefined : `${percent(cpu.pct)}%`}>
      <div class="kv">
        {loads.map((load, i) => (
          <Figure key={i} label={`${t.load} ${t.loadOf[i] ?? ''}`} value={load === null ? null : load.toFixed(2)} />
        ))}
      </div>
      {cpu.cores.length > 0 ? (
        <div class="bars" role="group" aria-label={t.perCore}>
          {cpu.cores.map((core, i) => (
            <span class="core" key={i}>
              <em>{i}</em>
              <Micro value={core} />
            </span>
          ))}
        </div>
      ) : null}
    </Panel>
  );
}

export function MemoryPanel({ report }: { report: ReportView }) {
  const t = words.value.device;
  const m = report.memory;
  const [used, usedUnit] = pair(m.used_bytes);
  const [free, freeUnit] = pair(m.available_bytes);
  const [total, totalUnit] = pair(m.total_bytes);
  const pct = share(m.used_bytes, m.total_bytes);
  const swap = m.swap_total_bytes === null ? null : m.swap_total_bytes === 0 ? [t.noSwap, undefined] : m.swap_used_bytes === null ? null : swapOf(m.swap_used_bytes, m.swap_total_bytes);
  return (
    <Panel title={t.memory} note={pct === null ? undefined : `${percent(pct)}%`}>
      <div class="kv four">
        <Figure label={t.memoryUsed} value={used} unit={usedUnit} />
        <Figure label={t.memoryAvailable} value={free} unit={freeUnit} />
        <Figure label={t.memoryTotal} value={total} unit={totalUnit} />
        <Figure label={t.swap} value={swap?.[0] ?? null} unit={swap?.[1]} />
      </div>
    </Panel>
  );
}

function swapOf(used: number, total: number): [string, string] {
  const [part, whole] = bytesOf(used, total);
  return [part, ` / ${whole}`];
}

export function DisksPanel({ report }: { report: ReportView }) {
  const t = words.value.device;
  if (report.disk.volumes.length === 0) return null;
  return (
    <Panel title={t.volumes} note={report.disk.used_bytes === null || report.disk.total_bytes === null ? undefined : words.value.common.of(...bytesOf(report.disk.used_bytes, report.disk.total_bytes))}>
      <table class="t">
        <thead>
          <tr>
            <th>{t.volume}</th>
            <th>{t.fs}</th>
            <th class="r">{t.memoryTotal}</th>
            <th class="r">{t.used}</th>
          </tr>
        </thead>
        <tbody>
          {report.disk.volumes.map((volume) => (
            <tr key={volume.mount}>
              <td class="m" title={volume.mount}>
                <bdi>{volume.mount}</bdi>
              </td>
              <td class="dim">{volume.fs ?? words.value.common.none}</td>
              <td class="r num">{volume.total_bytes === null ? words.value.common.none : bytesText(volume.total_bytes)}</td>
              <td class="vol">
                <Micro value={share(volume.used_bytes, volume.total_bytes)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

export function NetworkPanel({ report }: { report: ReportView }) {
  const t = words.value.device;
  if (report.network.interfaces.length === 0) return null;
  const one = (value: number | null) => (value === null ? <span class="dim" title={words.value.common.notMeasured}>{words.value.common.none}</span> : rate(value));
  return (
    <Panel title={t.interfaces} note={words.value.device.perSecond}>
      <table class="t">
        <thead>
          <tr>
            <th>{t.interfaceName}</th>
            <th class="r">{t.down}</th>
            <th class="r">{t.up}</th>
          </tr>
        </thead>
        <tbody>
          {report.network.interfaces.map((each) => (
            <tr key={each.name}>
              <td class="m">
                <bdi>{each.name}</bdi>
              </td>
              <td class="r num">{one(each.down_bytes_per_s)}</td>
              <td class="r num">{one(each.up_bytes_per_s)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

/** Celsius at which a sensor is worth a colour. */
const WARM = 80;
const HOT = 92;

export function BatteryPanel({ report }: { report: ReportView }) {
  const t = words.value.device;
  const { battery } = report;
  if (battery === null) return null;
  const states: Record<string, string> = t.batteryState;
  return (
    <Panel title={t.battery}>
      <div class="li">
        <span>{battery.state === null ? t.batteryState.unknown : (states[battery.state] ?? battery.state)}</span>
        <span class="grow" />
        <span class="num">{battery.pct === null ? words.value.common.none : `${percent(battery.pct)}%`}</span>
      </div>
    </Panel>
  );
}

export function TemperaturesPanel({ report }: { report: ReportView }) {
  const t = words.value.device;
  if (report.temperatures.length === 0) return null;
  return (
    <Panel title={t.temperatures}>
      {report.temperatures.map(({ label, celsius }, i) => (
        <div class="li" key={i}>
          <span class="cut">
            <bdi>{label}</bdi>
          </span>
          <span class="grow" />
          {celsius === null ? (
            <span class="dim" title={words.value.common.notMeasured}>
              {words.value.common.none}
            </span>
          ) : (
            <span class={`num ${celsius >= HOT ? 'err' : celsius >= WARM ? 'warn' : ''}`}>{`${short(celsius)} °C`}</span>
          )}
        </div>
      ))}
    </Panel>
  );
}

export function ProcessesPanel({ title, list, first }: { title: string; list: readonly ProcessView[]; first: 'cpu' | 'memory' }) {
  const none = words.value.common.none;
  if (list.length === 0) return null;
  return (
    <Panel title={title}>
      <table class="t">
        <thead class="vh">
          <tr>
            <th>{words.value.device.process}</th>
            <th>{words.value.device.lane.cpu}</th>
            <th>{words.value.device.lane.memory}</th>
          </tr>
        </thead>
        <tbody>
          {list.map((process) => {
            const cpu = <td class={`r num ${first === 'cpu' ? '' : 'dim'}`}>{process.cpu_pct === null ? none : <>{short(process.cpu_pct)}<i>%</i></>}</td>;
            const memory = <td class={`r num ${first === 'memory' ? '' : 'dim'}`}>{process.memory_bytes === null ? none : bytesText(process.memory_bytes)}</td>;
            return (
              <tr key={process.pid}>
                <td class="m" title={`${process.name} · ${process.pid}`}>
                  <bdi>{process.name}</bdi>
                </td>
                {first === 'cpu' ? cpu : memory}
                {first === 'cpu' ? memory : cpu}
              </tr>
            );
          })}
        </tbody>
      </table>
    </Panel>
  );
}
