import { useEffect, useMemo } from 'preact/hooks';
import { getSecurity } from '../api/client';
import type { FindingView, SecurityView } from '../api/types';
import { oneLine, scrolls, visible } from '../format/text';
import { dateTime, ms } from '../format/time';
import { words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { DevicePick, Seg } from '../parts/pick';
import { Age } from '../parts/values';
import { Unloaded } from '../parts/unloaded';
import { tick } from '../state/clock';
import { useLoad } from '../state/load';
import { deviceHref, query, setQuery } from '../state/router';
import '../styles/lists.css';
import '../styles/security.css';
import { byDevice, checks, counts, matching, planOf, SEVERITIES, SHAPE_OF, unseen, type Check, type Severity } from './security-plan';
import { viewTitle } from './title';

const EVERY_MS = 60_000;

export function Security() {
  const t = words.value.security;
  useEffect(() => {
    viewTitle.value = t.title;
  }, [t.title]);
  const plan = planOf(query.value);
  const told = useLoad<SecurityView[]>('security', getSecurity, { everyMs: EVERY_MS });
  const found = useMemo(() => (told.data ? matching(told.data, plan) : []), [told.data, query.value]);
  const toggle = (severity: Severity): void => {
    const next = plan.severities.includes(severity) ? plan.severities.filter((one) => one !== severity) : [...plan.severities, severity];
    setQuery({ severity: next.join(',') });
  };
  const sums = told.data ? counts(told.data) : null;
  return (
    <div class="secu">
      <h1 class="vh">{t.title}</h1>
      <div class="ls-tools">
        <Seg label={t.view} list={['checks', 'devices']} now={plan.byDevice ? 'devices' : 'checks'} say={(one) => (one === 'checks' ? t.byCheck : t.byDevice)} set={(one) => setQuery({ view: one === 'checks' ? null : one })} />
        <span class="ls-f" role="group" aria-label={t.severities}>
          {SEVERITIES.filter((severity) => severity !== 'unknown' || (sums?.unknown.findings ?? 0) > 0).map((severity) => (
            <button key={severity} type="button" class="f" aria-pressed={plan.severities.includes(severity)} onClick={() => toggle(severity)}>
              <Glyph shape={SHAPE_OF[severity]} size={11} />
              {t.severity[severity]}
              <b class="num">{sums ? sums[severity].findings : ''}</b>
            </button>
          ))}
        </span>
        <DevicePick id="se-device" value={plan.device} set={(device) => setQuery({ device })} />
        {plan.check !== null ? (
          <span class="chip ls-only">
            <span class="cut">{oneLine(plan.check)}</span>
            <button type="button" aria-label={words.value.pick.clear} onClick={() => setQuery({ check: null })}>
              <Icon name="close" size={10} />
            </button>
          </span>
        ) : null}
      </div>
      {told.data ? (
        <>
          <Summary devices={told.data} />
          {found.length === 0 ? (
            <div class="empty">{told.data.some((device) => device.findings.length > 0) ? t.noneFound : told.data.some((device) => device.at !== null) ? t.none : t.noneYet}</div>
          ) : plan.byDevice ? (
            <div class="se-list">
              {byDevice(found).map(({ device, findings }) => (
                <section class="panel" key={device.device}>
                  <div class="ph">
                    <h2 class="cut">
                      <a class="lk-q" href={deviceHref(device.device)}>
                        {oneLine(device.device_name)}
                      </a>
                    </h2>
                    <span class="grow" />
                    <Looked device={device} />
                  </div>
                  {findings.map((finding, i) => (
                    <Finding key={`${finding.check}${i}`} finding={finding} />
                  ))}
                </section>
              ))}
            </div>
          ) : (
            <div class="se-list">
              {checks(found).map((check) => (
                <CheckPanel key={check.check} check={check} open={plan.check !== null || plan.device !== null} />
              ))}
            </div>
          )}
          <Blind devices={told.data} />
        </>
      ) : (
        <Unloaded error={told.error} failed={t.failed} reload={told.reload} />
      )}
    </div>
  );
}

function Looked({ device }: { device: SecurityView }) {
  const at = ms(device.at);
  return at === null ? null : (
    <span class="dim" title={dateTime(at)}>
      {words.value.security.looked} <Age at={at} ago />
    </span>
  );
}

function Summary({ devices }: { devices: readonly SecurityView[] }) {
  const t = words.value.security;
  const { critical, warning } = counts(devices);
  if (critical.findings === 0 && warning.findings === 0) return null;
  const [number, text] = critical.findings > 0 ? t.critical(critical.findings, critical.devices) : t.warning(warning.findings, warning.devices);
  return (
    <p class="ls-say">
      <Glyph shape={critical.findings > 0 ? 'critical' : 'warning'} size={14} />
      <b class="num">{number}</b> {text}
    </p>
  );
}

/** The devices of a check; details only where they tell more than the title. */
function CheckPanel({ check, open }: { check: Check; open: boolean }) {
  const t = words.value.security;
  const names = check.found.map(({ device }) => oneLine(device.device_name));
  return (
    <details class="panel se-check" open={open} data-testid="security-check">
      <summary>
        <Glyph shape={SHAPE_OF[check.severity]} />
        <span class="se-sev">{t.severity[check.severity]}</span>
        <span class="se-title">
          <b>{oneLine(check.title)}</b>
          <small class="mono dim cut">{oneLine(check.check)}</small>
        </span>
        <span class="se-names dim cut">{names.slice(0, 6).join(', ')}</span>
        <span class="num se-n">{t.devices(new Set(check.found.map(({ device }) => device.device)).size)}</span>
        <Icon name="down" size={14} />
      </summary>
      {check.remediation !== null ? (
        <p class="se-do">
          <span class="dim">{t.todo}</span>
          <code>{visible(check.remediation)}</code>
        </p>
      ) : null}
      <ul>
        {check.found.map(({ device, finding }, i) => (
          <li key={`${device.device}${i}`}>
            <a class="lk cut" href={deviceHref(device.device)}>
              {oneLine(device.device_name)}
            </a>
            <span class="se-detail" tabIndex={scrolls(finding.detail ?? '')}>
              {finding.gateway !== null && finding.gateway !== 'default' ? <span class="chip">{oneLine(finding.gateway)}</span> : null}
              {finding.detail === null ? '' : visible(finding.detail)}
            </span>
            <Looked device={device} />
          </li>
        ))}
      </ul>
    </details>
  );
}

function Finding({ finding }: { finding: FindingView }) {
  const t = words.value.security;
  return (
    <div class="se-finding">
      <Glyph shape={SHAPE_OF[finding.severity]} />
      <span class="se-sev">{t.severity[finding.severity]}</span>
      <div>
        <p>
          <b>{oneLine(finding.title)}</b>
        </p>
        {finding.detail !== null ? <p class="se-detail dim" tabIndex={scrolls(finding.detail)}>{visible(finding.detail)}</p> : null}
        {finding.remediation !== null ? (
          <p class="se-detail" tabIndex={scrolls(finding.remediation)}>
            <span class="dim">{t.todo}</span> <code>{visible(finding.remediation)}</code>
          </p>
        ) : null}
        <small class="mono dim">{oneLine(finding.check)}</small>
      </div>
    </div>
  );
}

/** Of whom nothing, or nothing new, is known: silence is not safety. */
function Blind({ devices }: { devices: readonly SecurityView[] }) {
  const t = words.value.security;
  const { never, failed, old } = unseen(devices, tick.value);
  const lists: [string, readonly SecurityView[], (device: SecurityView) => string | null][] = [
    [t.never, never, () => null],
    [t.failedAudit, failed, (device) => device.failed.map((one) => oneLine(one.error)).join('; ')],
    [t.old, old, () => null],
  ];
  return (
    <div class="se-list se-blind">
      {lists
        .filter(([, list]) => list.length > 0)
        .map(([title, list, why]) => (
          <section class="panel" key={title}>
            <div class="ph">
              <h2>{title}</h2>
              <span class="dim num">{t.devices(list.length)}</span>
            </div>
            <ul>
              {list.map((device) => (
                <li key={device.device}>
                  <a class="lk cut" href={deviceHref(device.device)}>
                    {oneLine(device.device_name)}
                  </a>
                  <span class="se-detail dim">{why(device)}</span>
                  <Looked device={device} />
                </li>
              ))}
            </ul>
          </section>
        ))}
    </div>
  );
}
