// Three answers in one strip: what is broken, what it costs, what changed. Each part narrows the list or leads on.

import { computed } from '@preact/signals';
import { change, count, money } from '../format/number';
import { clockShort } from '../format/time';
import { words } from '../i18n';
import { compareVersions } from '../list/versions';
import { Glyph } from '../parts/glyph';
import { newGroups, spendCurve, summary, upgrades, type SpendCurve } from '../state/changes';
import { tick } from '../state/clock';
import { PROBLEMS, type StateWord } from '../state/fleet';
import { firing } from '../state/fleet-news';
import { pastAt, shown, shownNow } from '../state/past';
import { setQuery } from '../state/router';
import { picked } from './overview-state';

/** Sums follow every device; once in three seconds is soon enough. */
const SLOW_S = 3;
const slow = computed(() => Math.floor(tick.value / (SLOW_S * 1000)));

const spentToday = computed(() => {
  const fleet = shown.value;
  fleet.shape.value;
  slow.value;
  const sum = { tokens: 0, cost: 0, priced: false, flat: 0, unpriced: 0 };
  for (const { usage } of fleet.all()) {
    if (!usage) continue;
    sum.tokens += usage.today.tokens;
    sum.cost += usage.today.cost_usd ?? 0;
    sum.priced ||= usage.today.cost_usd !== null;
    sum.flat += usage.today.flat_rate_usd;
    sum.unpriced += usage.today.unpriced_tokens;
  }
  return sum;
});

const CALM: readonly StateWord[] = ['online', 'never'];
const TONE: Partial<Record<StateWord, string>> = { gwdown: 't-err', hung: 't-err', offline: 't-off', degraded: 't-warn' };

function Chip({ state }: { state: StateWord }) {
  const n = shown.value.counts.value[state];
  const on = picked.value === state;
  return (
    <button type="button" class={`f ${n > 0 ? (TONE[state] ?? '') : ''}`} aria-pressed={on} data-state={state} onClick={() => setQuery({ state: on ? null : state })}>
      <Glyph shape={state} />
      <b class="num">{n}</b>
      {words.value.state[state]}
    </button>
  );
}

export function Strip() {
  return (
    <section class="strip" aria-label={words.value.overview.title}>
      <Broken />
      <Spend />
      <Changed />
    </section>
  );
}

function Broken() {
  const t = words.value.overview;
  const counts = shown.value.counts.value;
  const [figure, rest] = t.attention(counts.problems, counts.all);
  // States without a device stay away, unless the list is narrowed to one: then it can be undone.
  const here = (state: StateWord): boolean => counts[state] > 0 || picked.value === state;
  const problems = PROBLEMS.filter(here);
  return (
    <div class="zone z-broken">
      <div class="head">
        <p role="status">
          {counts.problems > 0 ? (
            <>
              <span class="big num err">{figure}</span> <span class="hl">{rest}</span>
            </>
          ) : counts.all === 0 ? (
            // Devices that there are and none to show: before the first one, or the past is still on its way.
            <span class="hl">{words.value.past.nothing}</span>
          ) : (
            <span class="hl fine">
              <Glyph shape="online" />
              {counts.never > 0 ? t.fineNever(counts.online, counts.never) : t.fine(counts.all)}
            </span>
          )}
        </p>
        <div class="calm" role="group" aria-label={t.filters}>
          {CALM.filter(here).map((state) => (
            <Chip key={state} state={state} />
          ))}
        </div>
      </div>
      {problems.length > 0 ? (
        <div class="chips" role="group" aria-label={t.filters}>
          {problems.map((state) => (
            <Chip key={state} state={state} />
          ))}
        </div>
      ) : null}
    </div>
  );
}

function Spend() {
  const t = words.value.spend;
  const spent = spentToday.value;
  const usual = pastAt.value === null ? summary.value?.usual_today : null;
  const against = usual == null ? null : spent.priced ? change(spent.cost, usual.cost_usd) : change(spent.tokens, usual.tokens);
  const more = against?.startsWith('+') && (usual == null || (spent.priced ? spent.cost > usual.cost_usd * 1.2 : spent.tokens > usual.tokens * 1.2));
  return (
    <a class="zone z-cost" href="/cost">
      <div class="cl">
        <div class="head">
          <span class="big num">{spent.priced || spent.tokens === 0 ? money(spent.cost) : count(spent.tokens)}</span>
          <span class="dim">{spent.priced || spent.tokens === 0 ? t.today : t.tokensToday}</span>
        </div>
        <div class="d">
          {against === null ? (
            <span class="dim">{pastAt.value === null ? t.noUsual : t.untilThen}</span>
          ) : (
            <>
              <b class={`num ${more ? 'warn' : ''}`}>{against}</b> <span class="dim">{t.vsUsual(clockShort(shownNow.value, shownNow.value))}</span>
            </>
          )}
        </div>
        <div class="d">
          <span class="num">{count(spent.tokens)}</span> <span class="dim">{t.tokens}</span>
          {spent.flat > 0 ? <span class="chip" title={t.flatTitle(money(spent.flat))}>{t.flat}</span> : null}
          {spent.unpriced > 0 ? <span class="chip dash" title={t.unpricedTitle(count(spent.unpriced))}>{t.unpriced}</span> : null}
        </div>
      </div>
      {pastAt.value === null && spendCurve.value ? <Curve curve={spendCurve.value} /> : null}
    </a>
  );
}

const W = 150;
const H = 60;

/** Today's sum hour by hour, over yesterday's. */
function Curve({ curve }: { curve: SpendCurve }) {
  const { today, yesterday } = curve;
  const top = Math.max(...today, ...yesterday);
  if (!(top > 0)) return null;
  const x = (hours: number): number => (hours / 24) * W;
  const y = (value: number): number => H - 2 - (value / top) * (H - 6);
  const line = (values: readonly number[]): string => `M0 ${y(0).toFixed(1)}${values.map((value, i) => `L${x(i + 1).toFixed(1)} ${y(value).toFixed(1)}`).join('')}`;
  const last = today.at(-1) ?? 0;
  const label = words.value.spend.curve;
  return (
    <svg class="curve" viewBox={`0 0 ${W} ${H}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      <path class="cv-usual" d={`${line(yesterday)}L${W} ${H}L0 ${H}Z`} />
      <path class="cv-yesterday" d={line(yesterday)} fill="none" vector-effect="non-scaling-stroke" />
      <path class="cv-today" d={line(today)} fill="none" vector-effect="non-scaling-stroke" />
      <circle class="cv-now" cx={x(today.length)} cy={y(last)} r="2.4" />
      <path class="cv-base" d={`M0 ${H - 0.5}H${W}`} />
    </svg>
  );
}

function Changed() {
  const t = words.value.changes;
  const { critical, error, warning, info } = firing.value;
  const alerts = critical + error + warning + info;
  const events = upgrades.value;
  const newest = (events ?? []).map((event) => event.to ?? '').reduce((best, version) => (best === '' || compareVersions(version, best) > 0 ? version : best), '');
  const upgraded = new Set((events ?? []).filter((event) => event.to === newest).map((event) => event.device)).size;
  const unknown = words.value.common.none;
  const looking = pastAt.value !== null;
  return (
    <div class="zone z-changed">
      <div class="q">{looking ? t.before : t.title}</div>
      <div class="chg">
        {looking ? null : (
          <>
        <a href="/errors?view=groups&sort=first_seen">
          <b class={`num ${(newGroups.value ?? 0) > 0 ? 'err' : ''}`}>{newGroups.value ?? unknown}</b>
          <span>{t.newErrors(newGroups.value ?? 0)}</span>
        </a>
        <a href="/alerts">
          <b class={`num ${critical + error > 0 ? 'err' : alerts > 0 ? 'warn' : ''}`}>{alerts}</b>
          <span>{t.alerts(alerts, critical)}</span>
        </a>
          </>
        )}
        <a href={newest ? `/?q=version:${encodeURIComponent(newest)}` : '/'}>
          <b class="num">{events === null ? unknown : upgraded}</b>
          <span>{newest ? t.upgraded(newest, upgraded) : t.noUpgrades}</span>
        </a>
      </div>
    </div>
  );
}

export function StripSkeleton() {
  return (
    <div class="strip">
      {[300, 120, 160].map((width) => (
        <div class="zone" key={width}>
          <span class="sk tall" style={{ width: `${width}px` }} />
          <span class="sk" style={{ width: `${width * 0.7}px` }} />
        </div>
      ))}
    </div>
  );
}
