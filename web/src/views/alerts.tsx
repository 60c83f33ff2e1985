// Alerting: what is judged, what fires, what was told to whom, and when nobody wants to hear of it.

import { useEffect, useState } from 'preact/hooks';
import { addPause, getAlerting, getPauses } from '../api/client';
import { words } from '../i18n';
import { clockShort } from '../format/time';
import { explain, Problem } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { serverNow, tick } from '../state/clock';
import { alertingNews, firing } from '../state/fleet-news';
import { useLoad } from '../state/load';
import { ALERT_SECTIONS, alertHref, type AlertSection } from '../state/router';
import { isAdmin } from '../state/session';
import '../styles/lists.css';
import '../styles/alerts.css';
import { SEVERITIES, SHAPE_OF } from './alerts-plan';
import { ViewSkeleton } from './skeleton';
import { lazy } from './lazy';
import { allSilencedUntil, silenceAll } from '../rules/pauses';
import { SilenceMenu } from './silence';
import { viewTitle } from './title';

const Rules = lazy(() => import('./alerts-rules').then((module) => module.AlertsRules), ViewSkeleton);
const History = lazy(() => import('./alerts-history').then((module) => module.AlertsHistory), ViewSkeleton);
const Deliveries = lazy(() => import('./alerts-deliveries').then((module) => module.AlertsDeliveries), ViewSkeleton);
const Channels = lazy(() => import('./alerts-channels').then((module) => module.AlertsChannels), ViewSkeleton);
const Quiet = lazy(() => import('./alerts-quiet').then((module) => module.AlertsQuiet), ViewSkeleton);

export function Alerts({ section }: { section: AlertSection }) {
  const t = words.value.alerts;
  useEffect(() => {
    viewTitle.value = section === 'rules' ? t.title : `${t.sections[section]} · ${t.title}`;
  }, [t, section]);
  return (
    <div class="aler">
      <header class="ah">
        <h1>{t.title}</h1>
        <span class="ah-n" role="status">
          {SEVERITIES.map((severity) => (
            <span key={severity}>
              <Glyph shape={SHAPE_OF[severity]} />
              <b class="num">{firing.value[severity]}</b> {t.severity[severity]}
            </span>
          ))}
        </span>
        <span class="grow" />
        <Quietness />
      </header>
      <nav class="ah-nav" aria-label={t.parts}>
        {ALERT_SECTIONS.map((one) => (
          <a key={one} href={alertHref(one)} aria-current={one === section ? 'page' : undefined}>
            {t.sections[one]}
          </a>
        ))}
      </nav>
      <Section of={section} />
    </div>
  );
}

function Section({ of: section }: { of: AlertSection }) {
  switch (section) {
    case 'rules':
      return <Rules />;
    case 'history':
      return <History />;
    case 'deliveries':
      return <Deliveries />;
    case 'channels':
      return <Channels />;
    case 'quiet':
      return <Quiet />;
  }
}

/** When nobody is told, in a line, and a way to have it quiet now. */
function Quietness() {
  const t = words.value.alerts;
  const settings = useLoad('alerting', getAlerting, { news: alertingNews });
  const pauses = useLoad('pauses', getPauses, { news: alertingNews });
  const [problem, setProblem] = useState<string | null>(null);
  const until = allSilencedUntil(pauses.data ?? [], tick.value);
  const quiet = settings.data?.quiet;
  return (
    <>
      {until !== null ? (
        <a class="ah-quiet maint" href={alertHref('quiet')}>
          <Glyph shape="maint" />
          {t.allSilenced(clockShort(until, tick.value))}
        </a>
      ) : settings.data ? (
        <a class="ah-quiet dim hide-s" href={alertHref('quiet')}>
          {quiet ? t.quietHours(quiet.from, quiet.to, t.severity[quiet.passes]) : t.noQuietHours}
        </a>
      ) : null}
      {isAdmin() ? (
        <SilenceMenu
          label={t.silenceAll}
          of={t.everything}
          make={(hours) => silenceAll(serverNow(), hours)}
          act={async (pause) => {
            setProblem(null);
            try {
              await addPause(pause);
              pauses.reload();
            } catch (error) {
              setProblem(explain(error));
            }
          }}
        />
      ) : null}
      {problem ? <Problem text={problem} /> : null}
    </>
  );
}
