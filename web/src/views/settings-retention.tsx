// How long the past is kept, and what becomes of the disk by that.

import { getRetention } from '../api/client';
import type { RetentionView } from '../api/types';
import { bytesText } from '../format/number';
import { date } from '../format/time';
import { words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { Loading, useLoad } from '../parts/load';
import { outlook } from './settings-logic';

const MAX_BYTES = '[retention] max_bytes';
const MIN_FREE = '[store] min_free_bytes';

export function RetentionSection() {
  const retention = useLoad(getRetention);
  return (
    <Loading of={retention} rows={8}>
      {(view) => (
        <>
          <Forecast view={view} />
          <Kept view={view} />
        </>
      )}
    </Loading>
  );
}

function Forecast({ view }: { view: RetentionView }) {
  const t = words.value.retention;
  const { grows, settlesAt, fullAt, bar } = outlook(view);
  const free = view.disk_free_bytes;
  const said: string[] = [t.now(bytesText(view.database_bytes), free === null ? null : bytesText(free)), grows ? t.grows(bytesText(view.growth_bytes_per_day)) : t.still];
  if (fullAt === null && grows && settlesAt !== null) said.push(t.settles(date(settlesAt), bytesText(view.settled_bytes)), t.settled(bytesText(view.lasting_bytes_per_day)));
  return (
    <section class="panel">
      <div class="ph">
        <h2>{t.forecast}</h2>
        <span class="dim">{t.estimate}</span>
      </div>
      <div class="pad">
        {fullAt === null ? (
          <p class="verdict">
            <Glyph shape={free === null ? 'info' : 'online'} />
            <b>{free === null ? t.unknownDisk : t.fits}</b>
          </p>
        ) : (
          <p class="verdict warn">
            <Glyph shape="warning" />
            <span>
              <b>{t.full(date(fullAt))}</b> {t.fullWhat}
            </span>
          </p>
        )}
        {bar && free !== null ? (
          <>
            <svg class="disk" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={t.bar(bytesText(view.database_bytes), bytesText(free))}>
              <rect class="d-free" x="0" y="0" width="100" height="8" />
              <rect class="d-more" x="0" y="0" width={bar[0] + bar[1]} height="8" />
              <rect class="d-used" x="0" y="0" width={Math.max(0.4, bar[0])} height="8" />
            </svg>
            <p class="legend">
              <span>
                <i class="d-used" />
                {t.legendUsed}
              </span>
              <span>
                <i class="d-more" />
                {t.legendSettled}
              </span>
              <span>
                <i class="d-free" />
                {t.legendFree}
              </span>
            </p>
          </>
        ) : null}
        <p class="said">{said.join(t.between)}</p>
        {view.max_bytes > 0 ? <p class="said">{t.limit(bytesText(view.max_bytes))}</p> : null}
      </div>
    </section>
  );
}

function Kept({ view }: { view: RetentionView }) {
  const t = words.value.retention;
  return (
    <section class="panel">
      <div class="ph">
        <h2>{t.kept}</h2>
        <span class="dim">{t.restart}</span>
      </div>
      <div class="scroll">
        <table class="t stack">
          <thead>
            <tr>
              <th>{t.what}</th>
              <th class="r">{t.days}</th>
              <th>{t.setting}</th>
            </tr>
          </thead>
          <tbody>
            {view.kept.map((kept) => (
              <tr key={kept.what}>
                <td class="m">{t.whats[kept.what]}</td>
                <td class="r num" data-label={t.days}>
                  {t.daysOf(kept.days)}
                </td>
                <td data-label={t.setting}>
                  <code>{kept.setting}</code>
                </td>
              </tr>
            ))}
            <tr>
              <td class="m">{t.lasting}</td>
              <td class="r" data-label={t.days}>
                {t.forever}
              </td>
              <td />
            </tr>
            <tr>
              <td class="m">{t.limitRow}</td>
              <td class="r num" data-label={t.days}>
                {view.max_bytes > 0 ? bytesText(view.max_bytes) : t.noLimit}
              </td>
              <td data-label={t.setting}>
                <code>{MAX_BYTES}</code>
              </td>
            </tr>
            <tr>
              <td class="m">{t.minFreeRow}</td>
              <td class="r num" data-label={t.days}>
                {bytesText(view.min_free_bytes)}
              </td>
              <td data-label={t.setting}>
                <code>{MIN_FREE}</code>
              </td>
            </tr>
          </tbody>
        </table>
      </div>
    </section>
  );
}
