// All that was told to whom, with what the other side said.

import { useEffect } from 'preact/hooks';
import { getChannels, getDeliveries } from '../api/client';
import type { DeliveryView } from '../api/types';
import { words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { Icon } from '../parts/icon';
import { More } from '../parts/more';
import { Unloaded } from '../parts/unloaded';
import { alertingNews, deliveryNews } from '../state/fleet-news';
import { useLoad } from '../state/load';
import { usePages } from '../state/pages';
import { query, setQuery } from '../state/router';
import '../styles/deliveries.css';
import { newestFirst, OCCASIONS, params, planOf, STATES, type State } from './delivery-plan';
import { DeliveryRow } from './delivery-row';
import type { Shape } from '../parts/glyph';

const PAGE = 100;
const SHAPE: Readonly<Record<State, Shape>> = { sent: 'online', waiting: 'never', held: 'maint', failed: 'error', skipped: 'info' };

export function AlertsDeliveries() {
  const t = words.value.deliveries;
  const plan = planOf(query.value);
  const channels = useLoad('channels', getChannels, { news: alertingNews });
  const pages = usePages<DeliveryView>(JSON.stringify(plan), (cursor, signal) => getDeliveries({ ...params(plan), limit: PAGE, cursor }, signal), { idOf: (one) => one.no, order: newestFirst });
  const heard = deliveryNews.value;
  useEffect(() => void pages.refresh(), [heard]);
  const filtered = plan.channel !== null || plan.state !== null || plan.occasion !== null || plan.alert !== null;
  return (
    <div class="adel">
      <div class="ls-tools">
        <span class="ls-f" role="group" aria-label={t.state}>
          {STATES.map((state) => (
            <button key={state} type="button" class="f" aria-pressed={plan.state === state} onClick={() => setQuery({ state: plan.state === state ? null : state })}>
              <Glyph shape={SHAPE[state]} size={11} />
              {t.states[state]}
            </button>
          ))}
        </span>
        <label class="vh" for="de-channel">
          {t.channel}
        </label>
        <select id="de-channel" class="sel" value={plan.channel ?? ''} onChange={(event) => setQuery({ channel: event.currentTarget.value || null })}>
          <option value="">{t.anyChannel}</option>
          {plan.channel !== null && !channels.data?.some((channel) => channel.id === plan.channel) ? <option value={plan.channel}>{plan.channel}</option> : null}
          {channels.data?.map((channel) => (
            <option key={channel.id} value={channel.id}>
              {channel.name}
            </option>
          ))}
        </select>
        <label class="vh" for="de-occasion">
          {t.occasion}
        </label>
        <select id="de-occasion" class="sel" value={plan.occasion ?? ''} onChange={(event) => setQuery({ occasion: event.currentTarget.value || null })}>
          <option value="">{t.anyOccasion}</option>
          {OCCASIONS.map((occasion) => (
            <option key={occasion} value={occasion}>
              {t.occasions[occasion]}
            </option>
          ))}
        </select>
        {plan.alert === null ? null : (
          <span class="chip ls-only">
            {t.one(plan.alert)}
            <button type="button" aria-label={words.value.common.remove} onClick={() => setQuery({ alert: null })}>
              <Icon name="close" size={10} />
            </button>
          </span>
        )}
      </div>
      {!pages.loaded ? (
        <Unloaded error={pages.error} failed={t.failed} reload={pages.reload} />
      ) : pages.rows.length === 0 ? (
        <div class="empty">{filtered ? t.noneFound : t.none}</div>
      ) : (
        <>
          <ul class={`ls-body dl-list ${pages.stale ? 'ls-stale' : ''}`}>
            {pages.rows.map((delivery) => (
              <DeliveryRow key={delivery.no} delivery={delivery} />
            ))}
          </ul>
          <More pages={pages} />
        </>
      )}
    </div>
  );
}
