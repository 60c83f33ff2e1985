import { getDeliveries } from '../api/client';
import { dayStart } from '../format/days';
import { ms } from '../format/time';
import { words } from '../i18n';
import { Unloaded } from '../parts/unloaded';
import { tick } from '../state/clock';
import { deliveryNews } from '../state/fleet-news';
import { useLoad } from '../state/load';
import { alertHref } from '../state/router';
import '../styles/deliveries.css';
import { DeliveryRow } from './delivery-row';

const SHOWN = 8;
/** As many as one answer holds: today's are counted among these. */
const ASKED = 200;

/** The latest deliveries, beside the rules. */
export function DeliveriesPanel() {
  const t = words.value.deliveries;
  const loaded = useLoad('deliveries', (signal) => getDeliveries({ limit: ASKED }, signal), { news: deliveryNews });
  const items = loaded.data?.items ?? [];
  const today = items.filter((delivery) => (ms(delivery.made_at) ?? 0) >= dayStart(tick.value));
  const count = (state: string): number => today.filter((delivery) => delivery.state === state).length;
  // More came today than were told of.
  const known = loaded.data?.next == null || today.length < items.length;
  return (
    <section class="panel" aria-label={t.title}>
      <div class="ph">
        <h2>{t.title}</h2>
        {loaded.data && known ? <span class="dim">{t.today(count('sent'), count('failed'))}</span> : null}
        <span class="grow" />
        <a class="lk sm" href={alertHref('deliveries')}>
          {t.all}
        </a>
      </div>
      {loaded.data ? (
        items.length === 0 ? (
          <p class="empty-p">{t.none}</p>
        ) : (
          <ul>
            {items.slice(0, SHOWN).map((delivery) => (
              <DeliveryRow key={delivery.no} delivery={delivery} />
            ))}
          </ul>
        )
      ) : (
        <Unloaded error={loaded.error} failed={t.failed} reload={loaded.reload} />
      )}
    </section>
  );
}
