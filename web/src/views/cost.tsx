import { useEffect, useMemo, useState } from 'preact/hooks';
import { getCost, getCostSummary, usageFile } from '../api/client';
import type { UsageGroupView, UsageSummaryView, UsageView } from '../api/types';
import { change, count, money } from '../format/number';
import { dayKey } from '../format/days';
import { oneLine } from '../format/text';
import { wall } from '../format/time';
import { words } from '../i18n';
import { explain } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { narrow } from '../parts/screen';
import { serverNow } from '../state/clock';
import { fleet } from '../state/fleet';
import { useLoad } from '../state/load';
import { viewerZone } from '../state/prefs';
import { deviceHref, query, setQuery } from '../state/router';
import { isAdmin } from '../state/session';
import '../styles/cost.css';
import { CostChart, labelOf, toneOf } from './cost-chart';
import {
  add,
  baselineFrom,
  buckets,
  nothing,
  OTHER,
  planOf,
  RANGES,
  spanBefore,
  spanOf,
  spike,
  STACKS,
  stacked,
  STEPS_OF,
  table,
  UNITS,
  usual,
  valueOf,
  type Bar,
  type Plan,
  type Stack,
  type Sum,
  type Unit,
} from './cost-plan';
import { viewTitle } from './title';

const EVERY_MS = 60_000;
/** Of each series of the chart, and columns of the table. */
const SERIES = 4;
const ROWS = 25;
const BEHIND = 4;

/** Names that tell each other apart: where two providers have a model of the same name, with the provider. */
function namesOf(stack: Stack, list: readonly { key: string; others: number }[]): string[] {
  const short = list.map(({ key, others }) => nameOf(stack, key, others));
  return short.map((name, i) => (stack === 'model' && short.indexOf(name) !== short.lastIndexOf(name) ? (list[i]?.key ?? name) : name));
}

/** What a group is called: devices by their names, triggers in words, models without their provider. */
function nameOf(stack: Stack, key: string, others = 0): string {
  const t = words.value.cost;
  if (key === OTHER) return t.other(others);
  switch (stack) {
    case 'device':
      return oneLine(fleet.get(key)?.view.value.name ?? t.gone(key));
    case 'trigger':
      return Object.hasOwn(t.trigger, key) ? t.trigger[key as keyof typeof t.trigger] : key;
    case 'model':
      return oneLine(key.slice(key.indexOf('/') + 1) || key);
    case 'agent':
      return oneLine(key);
  }
}

export function Cost() {
  const t = words.value.cost;
  useEffect(() => {
    viewTitle.value = t.title;
  }, [t.title]);
  const plan = planOf(query.value);
  const tz = viewerZone.value;
  const today = dayKey(serverNow());
  // Names come with the fleet, and may change.
  fleet.shape.value;
  const of = { device: plan.device, model: plan.model };
  const who = JSON.stringify([of, tz, today]);
  const summary = useLoad(`summary ${who}`, (signal) => getCostSummary(of, tz, signal), { everyMs: EVERY_MS });
  const main = useLoad(
    `main ${who} ${plan.range} ${plan.step} ${plan.stack}`,
    async (signal) => {
      const now = serverNow();
      const span = spanOf(plan.range, now);
      const [groups, known] = await Promise.all([
        getCost(of, { ...span, by: `${plan.step},${plan.stack}`, tz, limit: SERIES }, signal),
        getCost(of, { from: baselineFrom(plan.step, span.from), to: span.to, by: plan.step, tz }, signal),
      ]);
      return { plan, now, span, groups, known };
    },
    { everyMs: EVERY_MS },
  );
  const rows = useLoad(
    `rows ${who} ${plan.range}`,
    async (signal) => {
      const now = serverNow();
      const past = spanBefore(plan.range, now);
      const [groups, before, early, triggers] = await Promise.all([
        getCost(of, { ...spanOf(plan.range, now), by: 'device,model', tz, limit: 99 }, signal),
        getCost(of, { ...past, by: 'device', tz, limit: 1000 }, signal),
        getCost(of, { from: past.from, to: past.from + (past.to - past.from) / 4, by: 'month', tz }, signal),
        getCost(of, { ...spanOf(plan.range, now), by: 'trigger', tz }, signal),
      ]);
      // Less than the whole of the time before cannot be compared.
      return { plan, groups, before: early.length > 0 ? before : null, triggers };
    },
    { everyMs: EVERY_MS },
  );

  const drawn = useMemo(() => {
    if (!main.data) return null;
    const { now, span, groups, known } = main.data;
    const { step } = main.data.plan;
    const all = buckets(step, span);
    const stack = stacked(groups, all, step, plan.unit);
    const usuals = usual(known, { from: baselineFrom(step, span.from), to: span.to }, all, step, plan.unit, now);
    return { now, stack, usuals, spike: spike(stack.bars, usuals, plan.unit), plan: { ...main.data.plan, unit: plan.unit, at: plan.at } };
  }, [main.data, plan.unit, plan.at]);
  const names = drawn ? namesOf(drawn.plan.stack, drawn.stack.series.map(({ name, others }) => ({ key: name, others }))) : [];
  const chosen = drawn?.stack.bars.find((bar) => bar.key === plan.at) ?? null;

  return (
    <div class="cost">
      <h1 class="vh">{t.title}</h1>
      <Figures summary={summary.data} failed={summary.error !== null} />
      <Tools plan={plan} tz={tz} of={of} />
      {main.error && !main.data ? (
        <Failed why={explain(main.error)} retry={main.reload} />
      ) : (
        <div class={`co-cols ${main.stale ? 'co-stale' : ''}`}>
          <section class="panel co-main" aria-label={t.chart(t.rangeText[plan.range])} aria-busy={main.stale}>
            {drawn ? (
              drawn.stack.total.tokens === 0 ? (
                <Nothing />
              ) : (
                <>
                  <div class="co-lg">
                    {drawn.stack.series.map((one, i) => (
                      <Legend key={one.name} name={names[i] ?? ''} title={one.name} stack={drawn.plan.stack} tone={toneOf(i, drawn.stack.series.length, drawn.stack.series.at(-1)?.name === OTHER)} sum={one.sum} unit={plan.unit} />
                    ))}
                    {drawn.usuals.some((value) => value !== null) ? (
                      <span>
                        <svg class="co-us" width="12" height="2" aria-hidden="true">
                          <path d="M0 1H12" stroke="var(--ink)" opacity=".6" />
                        </svg>
                        {t.usual}
                      </span>
                    ) : null}
                  </div>
                  {plan.unit === 'usd' && drawn.stack.total.usd === 0 ? <NoCost /> : <CostChart plan={drawn.plan} stack={drawn.stack} usuals={drawn.usuals} spike={drawn.spike} now={drawn.now} narrow={narrow.value} names={names} select={(bar) => setQuery({ at: bar.key === plan.at ? null : bar.key })} />}
                  <Notes sum={drawn.stack.total} />
                </>
              )
            ) : (
              <div class="co-sk" role="status" aria-busy="true" aria-label={words.value.common.loading}>
                <span class="sk w300" />
              </div>
            )}
          </section>
          <div class="co-side">
            {chosen && drawn ? <Behind key={chosen.key} bar={chosen} plan={drawn.plan} usual={drawn.usuals[drawn.stack.bars.indexOf(chosen)] ?? null} of={of} tz={tz} now={drawn.now} /> : null}
            {chosen ? null : (
              <section class="panel">
                <div class="ph">
                  <h2>{t.byTrigger}</h2>
                  <span class="dim">{t.rangeText[plan.range]}</span>
                </div>
                <div class="co-brs">{rows.data ? <Shares stack="trigger" groups={rows.data.triggers} unit={plan.unit} /> : <SkeletonBars />}</div>
              </section>
            )}
          </div>
        </div>
      )}
      {rows.data && rows.data.groups.length > 0 ? <DeviceTable groups={rows.data.groups} before={rows.data.before} range={rows.data.plan.range} unit={plan.unit} /> : rows.error && !rows.data && main.data ? <Failed why={explain(rows.error)} retry={rows.reload} /> : null}
    </div>
  );
}

/** Money in a column of dollars. */
const amount = (value: number): string => money(value).replace('$', '');

function Failed({ why, retry }: { why: string; retry: () => void }) {
  return (
    <div class="page-note" role="alert">
      <p>
        {words.value.cost.failed} {why}
      </p>
      <button type="button" class="btn" onClick={retry}>
        {words.value.common.retry}
      </button>
    </div>
  );
}

function Nothing() {
  const t = words.value.cost;
  return (
    <div class="co-none">
      <p>{t.none}</p>
      <p class="dim">{t.noneHere}</p>
    </div>
  );
}

/** Tokens were used, and none of them costs anything that is known. */
function NoCost() {
  const t = words.value.cost;
  return (
    <div class="co-none">
      <p>{t.noCost}</p>
      <button type="button" class="btn" onClick={() => setQuery({ unit: 'tokens' })}>
        {t.showTokens}
      </button>
    </div>
  );
}

/** Money, or that its price is not known. */
function Money({ usage }: { usage: UsageView }) {
  if (usage.cost_usd === null) return <span class="chip dash">{words.value.cost.noPriceKnown}</span>;
  if (usage.cost_usd === 0 && usage.flat_rate_usd > 0) return <span class="chip" title={words.value.cost.flatText(money(usage.flat_rate_usd))}>{words.value.cost.flat}</span>;
  return <>{money(usage.cost_usd)}</>;
}

function Figures({ summary, failed }: { summary: UsageSummaryView | null; failed: boolean }) {
  const t = words.value.cost;
  if (!summary) {
    return (
      <section class="co-figs" aria-busy={!failed}>
        {[t.today, t.yesterday, t.thisMonth, t.total, t.forecast(wall(serverNow()).month)].map((label) => (
          <div key={label}>
            <span class="l">{label}</span>
            <div class="big">{failed ? '–' : <span class="sk w48" />}</div>
            <small>{failed ? '' : <span class="sk w48" />}</small>
          </div>
        ))}
      </section>
    );
  }
  const { today, yesterday, this_month: month, last_month: last, total, usual_today: usualNow, forecast } = summary;
  // A plan's tokens cost nothing more: what they come to is tokens.
  const expected = forecast?.cost_usd && forecast.cost_usd.high > 0 ? forecast.cost_usd : null;
  const more = usualNow && today.cost_usd !== null ? change(today.cost_usd, usualNow.cost_usd) : null;
  const much = usualNow !== null && today.cost_usd !== null && today.cost_usd > usualNow.cost_usd * 1.3;
  return (
    <section class="co-figs num">
      <div>
        <span class="l">{t.today}</span>
        <div class="big">
          <Money usage={today} />
        </div>
        <small>
          {usualNow && more !== null ? (
            <>
              <b class={much ? 'warn' : ''}>{more}</b> {t.vsUsual(money(usualNow.cost_usd))}
            </>
          ) : (
            t.tokens(count(today.tokens))
          )}
        </small>
      </div>
      <div>
        <span class="l">{t.yesterday}</span>
        <div class="big">
          <Money usage={yesterday} />
        </div>
        <small>{t.tokens(count(yesterday.tokens))}</small>
      </div>
      <div>
        <span class="l">{t.thisMonth}</span>
        <div class="big">
          <Money usage={month} />
        </div>
        <small>{last.cost_usd !== null && last.cost_usd > 0 ? t.lastMonth(money(last.cost_usd)) : t.tokens(count(month.tokens))}</small>
      </div>
      <div>
        <span class="l">{t.total}</span>
        <div class="big">
          <Money usage={total} />
        </div>
        <small>{t.tokens(count(total.tokens))}</small>
      </div>
      <div class="co-fc">
        <div>
          <span class="l">{t.forecast(wall(serverNow()).month)}</span>
          <div class="big">{expected ? money(expected.mean) : forecast ? count(forecast.tokens.mean) : '–'}</div>
          <small>{expected && forecast ? t.forecastFrom(forecast.days) : forecast ? t.forecastTokens : t.noForecast}</small>
        </div>
        {expected && month.cost_usd !== null ? <ForecastBar spent={month.cost_usd} mean={expected.mean} low={expected.low} high={expected.high} /> : null}
      </div>
    </section>
  );
}

function ForecastBar({ spent, mean, low, high }: { spent: number; mean: number; low: number; high: number }) {
  const t = words.value.cost;
  const most = Math.max(high, spent) * 1.06 || 1;
  const at = (value: number): string => `${((Math.max(value, 0) / most) * 100).toFixed(2)}%`;
  return (
    <div class="co-fb" role="img" aria-label={`${t.spent(money(spent))}, ${money(low)} – ${money(high)}`}>
      <u>
        <s style={{ width: at(spent) }} />
        <em style={{ left: at(Math.max(low, spent)), width: `calc(${at(high)} - ${at(Math.max(low, spent))})` }} />
        <i style={{ left: at(mean) }} />
      </u>
      <p>
        <span>{t.spent(money(spent))}</span>
        <span class="grow" />
        <span>
          {money(low)} – {money(high)}
        </span>
      </p>
    </div>
  );
}

function Seg<T extends string>({ label, list, now, say, set, hide }: { label: string; list: readonly T[]; now: T; say: (one: T) => string; set: (one: T) => void; hide?: boolean }) {
  return (
    <span class={`seg ${hide ? 'co-hide' : ''}`} role="group" aria-label={label}>
      {list.map((one) => (
        <button key={one} type="button" aria-pressed={one === now} onClick={() => set(one)}>
          {say(one)}
        </button>
      ))}
    </span>
  );
}

function Tools({ plan, tz, of }: { plan: Plan; tz: string; of: { device: string | null; model: string | null } }) {
  const t = words.value.cost;
  const now = serverNow();
  const span = spanOf(plan.range, now);
  const steps = STEPS_OF[plan.range];
  return (
    <div class="co-tools">
      <Seg label={t.range} list={RANGES} now={plan.range} say={(one) => t.ranges[one]} set={(range) => setQuery({ range: range === '30d' ? null : range, per: null, at: null })} />
      <span class="l">{t.stackedBy}</span>
      <Seg label={t.stackedBy} list={STACKS} now={plan.stack} say={(one) => t.stack[one]} set={(by) => setQuery({ by: by === 'model' ? null : by })} />
      <span class="l">{t.per}</span>
      <Seg label={t.per} list={[...steps].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b))} now={plan.step} say={(one) => t.step[one]} set={(per) => setQuery({ per: per === steps[0] ? null : per, at: null })} />
      <Seg label={t.unitLabel} list={UNITS} now={plan.unit} say={(one) => (one === 'usd' ? '$' : t.tokenUnit)} set={(unit) => setQuery({ unit: unit === 'usd' ? null : unit })} />
      {plan.device !== null ? <Filter name={nameOf('device', plan.device)} drop={() => setQuery({ device: null, at: null })} /> : null}
      {plan.model !== null ? <Filter name={nameOf('model', plan.model)} drop={() => setQuery({ model: null, at: null })} /> : null}
      <span class="grow" />
      <span class="dim co-hide">{t.days(tz)}</span>
      <a class="btn sm" href={usageFile('csv', of, span.from, now)} download target="_self">
        <Icon name="download" size={13} />
        {t.exportCsv}
      </a>
      <a class="btn sm co-hide" href={usageFile('jsonl', of, span.from, now)} download target="_self">
        {t.exportJson}
      </a>
    </div>
  );
}

const ORDER = ['quarter', 'hour', 'day', 'week', 'month'];

function Filter({ name, drop }: { name: string; drop: () => void }) {
  const t = words.value.cost;
  return (
    <span class="chip co-only">
      {t.only} <b class="cut">{name}</b>
      <button type="button" aria-label={t.unfilter(name)} onClick={drop}>
        <Icon name="close" size={10} />
      </button>
    </span>
  );
}

function Legend({ name, title, stack, tone, sum, unit }: { name: string; title: string; stack: Stack; tone: string; sum: Sum; unit: Unit }) {
  const t = words.value.cost;
  const value = unit === 'tokens' ? count(sum.tokens) : sum.unknown ? t.noPriceKnown : sum.usd === 0 && sum.flatUsd > 0 ? t.flat : money(sum.usd);
  const inside = (
    <>
      <i class={`co-sw ${tone}`} aria-hidden="true" />
      <span class="cut">{name}</span>
      <b>{value}</b>
    </>
  );
  const key = stack === 'model' || stack === 'device' ? stack : null;
  if (key === null || title === OTHER) return <span title={title}>{inside}</span>;
  return (
    <button type="button" title={title} onClick={() => setQuery({ [key]: title, at: null })}>
      {inside}
    </button>
  );
}

/** What the bars do not hold, named: never as zero dollars. */
function Notes({ sum }: { sum: Sum }) {
  const t = words.value.cost;
  if (sum.flatUsd <= 0 && sum.unpriced <= 0 && sum.unmetered <= 0 && sum.estimatedUsd <= 0) return null;
  return (
    <div class="co-not num">
      {sum.flatUsd > 0 ? (
        <span>
          <span class="chip">{t.flat}</span>
          {t.flatText(money(sum.flatUsd))}
        </span>
      ) : null}
      {sum.unpriced > 0 ? (
        <span>
          <span class="chip dash">{t.unpriced}</span>
          {t.unpricedText(count(sum.unpriced))}{' '}
          {isAdmin() ? (
            <a class="lk" href="/settings/prices">
              {t.setPrice}
            </a>
          ) : null}
        </span>
      ) : null}
      {sum.unmetered > 0 ? (
        <span>
          <span class="chip warn">{t.unmetered}</span>
          {t.unmeteredText(sum.unmetered)}
        </span>
      ) : null}
      {sum.estimatedUsd > 0 ? (
        <span>
          <span class="chip">{t.estimated}</span>
          {t.estimatedText(money(sum.estimatedUsd))}
        </span>
      ) : null}
    </div>
  );
}

interface Share {
  key: string;
  name: string;
  sum: Sum;
}

function shares(stack: Stack, groups: readonly UsageGroupView[], unit: Unit): Share[] {
  const names = namesOf(stack, groups);
  return groups
    .map((group, i) => {
      const sum = nothing();
      add(sum, group.usage);
      return { key: group.key, name: names[i] ?? group.key, sum };
    })
    .sort((a, b) => Number(a.key === OTHER) - Number(b.key === OTHER) || valueOf(b.sum, unit) - valueOf(a.sum, unit));
}

function Shares({ stack, groups, unit }: { stack: Stack; groups: readonly UsageGroupView[]; unit: Unit }) {
  const t = words.value.cost;
  const list = shares(stack, groups, unit);
  const all = list.reduce((sum, one) => sum + valueOf(one.sum, unit), 0);
  if (list.length === 0) return <p class="empty-p">{t.none}</p>;
  return (
    <>
      {list.map(({ key, name, sum }) => {
        const value = valueOf(sum, unit);
        const share = all > 0 ? (value / all) * 100 : 0;
        const label = stack === 'device' && key !== OTHER && fleet.get(key) ? <a class="cut lk-q" href={deviceHref(key)} title={name}>{name}</a> : <span class="cut" title={key}>{name}</span>;
        return (
          <div class="co-br num" key={key}>
            {label}
            <u>
              <s style={{ width: `${share.toFixed(1)}%` }} />
            </u>
            <span class="r">{unit === 'tokens' ? count(value) : sum.unknown ? t.noPriceKnown : sum.usd === 0 && sum.flatUsd > 0 ? t.flat : money(value)}</span>
            <span class="r dim">{all > 0 ? `${Math.round(share)}%` : ''}</span>
          </div>
        );
      })}
    </>
  );
}

function SkeletonBars() {
  return (
    <>
      {[1, 2, 3, 4].map((n) => (
        <div class="co-br" key={n}>
          <span class="sk" />
        </div>
      ))}
    </>
  );
}

function Behind({ bar, plan, usual: expected, of, tz, now }: { bar: Bar; plan: Plan; usual: number | null; of: { device: string | null; model: string | null }; tz: string; now: number }) {
  const t = words.value.cost;
  const parts = useLoad(`${bar.key} ${plan.step} ${JSON.stringify(of)}`, async (signal) => {
    const span = { from: bar.from, to: bar.to };
    const [devices, models, triggers] = await Promise.all(['device', 'model', 'trigger'].map((by) => getCost(of, { ...span, by, tz, limit: BEHIND }, signal)));
    return { devices: devices ?? [], models: models ?? [], triggers: triggers ?? [] };
  });
  const value = valueOf(bar.total, plan.unit);
  const show = plan.unit === 'usd' ? money : count;
  const difference = expected === null ? null : value - expected;
  const over = bar.to <= now;
  // What makes up much of it.
  const most = (stack: Stack, groups: readonly UsageGroupView[]): string | null => {
    const [top] = shares(stack, groups, plan.unit).filter((one) => one.key !== OTHER);
    const share = top && value > 0 ? (valueOf(top.sum, plan.unit) / value) * 100 : 0;
    return top && share >= 40 ? t.most(top.name, share.toFixed(0)) : null;
  };
  return (
    <section class="panel" data-testid="cost-behind">
      <div class="ph">
        <h2>{t.behind(labelOf(bar, plan.step, now))}</h2>
        <span class="grow" />
        <button type="button" class="ib" aria-label={words.value.common.close} onClick={() => setQuery({ at: null })}>
          <Icon name="close" size={14} />
        </button>
      </div>
      <p class="co-why">
        {difference === null || expected === null ? null : Math.abs(difference) < expected * 0.1 ? (
          <b>{t.asUsual} </b>
        ) : !over && difference < 0 ? (
          <b>{t.notOver} </b>
        ) : (
          <b>{(difference > 0 ? t.above(show(difference)) : t.below(show(-difference))).join(' ')} </b>
        )}
        {parts.data ? t.mostOf([most('device', parts.data.devices), most('trigger', parts.data.triggers)].filter((text) => text !== null)) : null}
      </p>
      {parts.data ? (
        <div class="co-brs">
          <h3>{t.byDevice}</h3>
          <Shares stack="device" groups={parts.data.devices} unit={plan.unit} />
          <h3>{t.byModel}</h3>
          <Shares stack="model" groups={parts.data.models} unit={plan.unit} />
          <h3>{t.byTrigger}</h3>
          <Shares stack="trigger" groups={parts.data.triggers} unit={plan.unit} />
        </div>
      ) : parts.error ? (
        <p class="empty-p" role="alert">
          {explain(parts.error)}{' '}
          <button type="button" class="lk" onClick={parts.reload}>
            {words.value.common.retry}
          </button>
        </p>
      ) : (
        <div class="co-brs">
          <SkeletonBars />
        </div>
      )}
    </section>
  );
}

function Cell({ sum, unit, strong = '' }: { sum: Sum; unit: Unit; strong?: string }) {
  const t = words.value.cost;
  if (sum.tokens === 0 && sum.turns === 0) return <td class={`r z ${strong}`}>–</td>;
  if (unit === 'tokens') return <td class={`r ${strong}`}>{count(sum.tokens)}</td>;
  if (sum.unknown) return <td class="r" title={t.unpricedText(count(sum.unpriced))}><span class="chip dash">{t.unpriced}</span></td>;
  if (sum.usd < 0.005 && sum.flatUsd > 0) return <td class="r" title={t.flatText(money(sum.flatUsd))}><span class="chip">{t.flat}</span></td>;
  return (
    <td class={`r ${strong}`}>
      {sum.unmetered > 0 ? (
        <span class="co-um" title={t.unmeteredCell(sum.unmetered)}>
          <Glyph shape="notice" size={10} />
          <span class="vh">{t.unmeteredCell(sum.unmetered)}</span>
        </span>
      ) : null}
      {amount(sum.usd)}
    </td>
  );
}

function DeviceTable({ groups, before, range, unit }: { groups: readonly UsageGroupView[]; before: readonly UsageGroupView[] | null; range: Plan['range']; unit: Unit }) {
  const t = words.value.cost;
  const [all, setAll] = useState(false);
  const { models, rows, totals, total } = useMemo(() => table(groups, SERIES, unit), [groups, unit]);
  const past = useMemo(() => new Map((before ?? []).map((group) => [group.key, unit === 'usd' ? (group.usage.cost_usd ?? 0) : group.usage.tokens])), [before, unit]);
  const columns = namesOf('model', models.map((key) => ({ key, others: 0 })));
  const pastTotal = [...past.values()].reduce((a, b) => a + b, 0);
  const most = Math.max(...rows.map((row) => valueOf(row.total, unit)), 1e-9);
  const shown = all ? rows : rows.slice(0, ROWS);
  const versus = (now: number, then: number | undefined): string => before === null ? '–' : (then === undefined || then <= 0 ? (now > 0 ? t.isNew : '') : (change(now, then) ?? ''));
  const notable = (now: number, then: number | undefined): boolean => then !== undefined && then > 0 && now > then * 2;
  return (
    <section class="panel co-tw">
      <div class="ph">
        <h2>{t.table}</h2>
        <span class="dim">{t.tableOf[unit](t.rangeText[range])}</span>
        <span class="grow" />
        <span class="dim">{t.devices(rows.filter((row) => row.device !== OTHER).length)}</span>
      </div>
      <div class="co-scroll" tabIndex={0} role="group" aria-label={t.table}>
        <table class="t co-x num">
          <thead>
            <tr>
              <th scope="col">{t.device}</th>
              {models.map((model, i) => (
                <th scope="col" class="r" key={model} title={model}>
                  <i class={`co-sw ${toneOf(i, models.length, models.at(-1) === OTHER)}`} aria-hidden="true" />
                  <span class="cut">{columns[i]}</span>
                </th>
              ))}
              <th scope="col" class="r" aria-sort="descending">
                {t.total} <span aria-hidden="true">↓</span>
              </th>
              <th scope="col">{t.share}</th>
              <th scope="col" class="r" title={before === null ? t.noBefore : t.vsBeforeTitle}>
                {t.vsBefore}
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => {
              const value = valueOf(row.total, unit);
              const then = past.get(row.device);
              return (
                <tr key={row.device}>
                  <th scope="row">
                    {row.device === OTHER ? (
                      t.other(0)
                    ) : (
                      <button type="button" class="cut lk-q" onClick={() => setQuery({ device: row.device, at: null })}>
                        {nameOf('device', row.device)}
                      </button>
                    )}
                  </th>
                  {row.cells.map((cell, i) => (
                    <Cell key={models[i]} sum={cell} unit={unit} />
                  ))}
                  <Cell sum={row.total} unit={unit} strong="tt" />
                  <td class="co-shr">
                    <u>
                      <s style={{ width: `${((value / most) * 100).toFixed(1)}%` }} />
                    </u>
                  </td>
                  <td class={`r ${notable(value, then) ? 'warn' : 'z'}`}>{versus(value, then)}</td>
                </tr>
              );
            })}
            <tr class="tot">
              <th scope="row">{t.all}</th>
              {totals.map((sum, i) => (
                <Cell key={models[i]} sum={sum} unit={unit} />
              ))}
              <Cell sum={total} unit={unit} />
              <td />
              <td class="r">{versus(valueOf(total, unit), pastTotal)}</td>
            </tr>
          </tbody>
        </table>
      </div>
      {rows.length > shown.length ? (
        <div class="li">
          <button type="button" class="lk" onClick={() => setAll(true)}>
            {t.showAll(rows.length)}
          </button>
        </div>
      ) : null}
    </section>
  );
}
