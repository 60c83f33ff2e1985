import { useEffect, useState } from 'preact/hooks';
import { getStatusPage, putStatusPage } from '../api/client';
import type { StatusPageView } from '../api/types';
import { words } from '../i18n';
import { DeviceTicks } from '../parts/device-ticks';
import { AreaField, Check, fieldText, Problem, TextField } from '../parts/form';
import { Icon } from '../parts/icon';
import { Loading, useLoad, type Loaded } from '../parts/load';
import { fleet } from '../state/fleet';
import { useWork } from '../parts/work';

const HREF = '/status';

export function StatusPageSection() {
  const page = useLoad(getStatusPage);
  return (
    <Loading of={page} rows={6}>
      {(view) => <Form page={page} kept={view} />}
    </Loading>
  );
}

const same = (a: StatusPageView, b: StatusPageView): boolean => JSON.stringify(a) === JSON.stringify(b);

function Form({ page, kept }: { page: Loaded<StatusPageView>; kept: StatusPageView }) {
  const t = words.value.statusPage;
  const [draft, setDraft] = useState(kept);
  const [saved, setSaved] = useState(false);
  const work = useWork();
  // What the server made of it, such as a title without spaces around it.
  useEffect(() => setDraft(kept), [kept]);
  fleet.shape.value;
  const put = (change: Partial<StatusPageView>): void => {
    setSaved(false);
    setDraft({ ...draft, ...change });
  };
  const move = (at: number): void => {
    const next = [...draft.devices];
    const [id] = next.splice(at, 1);
    if (id !== undefined) next.splice(at - 1, 0, id);
    put({ devices: next });
  };
  return (
    <form
      class="panel"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        work.run(async () => {
          page.take(await putStatusPage(draft));
          setSaved(true);
        });
      }}
    >
      <div class="ph">
        <h2>{t.enabled}</h2>
        <span class="seg" role="group" aria-label={t.enabled}>
          <button type="button" aria-pressed={!draft.enabled} onClick={() => put({ enabled: false })}>
            {t.off}
          </button>
          <button type="button" aria-pressed={draft.enabled} data-testid="status-on" onClick={() => put({ enabled: true })}>
            {t.on}
          </button>
        </span>
        <span class="grow" />
        {kept.enabled ? (
          <a class="lk" href={HREF} target="_blank" rel="noreferrer">
            {t.open}
          </a>
        ) : null}
      </div>
      <div class="pad">
        <p class="hint gap">{t.text}</p>
        {work.problem ? <Problem text={work.problem} /> : null}
        <TextField id="status-title" label={t.heading} value={draft.title} set={(title) => put({ title })} error={fieldText(work.refused, 'title')} autocomplete="off" maxLength={100} />
        <AreaField id="status-note" label={t.note} value={draft.note} set={(note) => put({ note })} error={fieldText(work.refused, 'note')} maxLength={2000} />
        <div class="fl">
          <span>{t.shows}</span>
          <Check label={t.showUptime} value={draft.show_uptime} set={(show_uptime) => put({ show_uptime })} />
          <Check label={t.showReason} value={draft.show_reason} set={(show_reason) => put({ show_reason })} />
        </div>
        <div class="fl">
          <span>
            {t.devices} <span class="dim">{t.chosen(draft.devices.length)}</span>
          </span>
          {draft.devices.length === 0 ? <p class="hint">{t.noneChosen}</p> : null}
          <ol class="picked">
            {draft.devices.map((id, at) => {
              const name = fleet.get(id)?.view.value.name ?? id;
              return (
                <li key={id}>
                  <bdi class="cut">{name}</bdi>
                  <span class="grow" />
                  <button type="button" class="ib" aria-label={t.up(name)} title={t.up(name)} disabled={at === 0} onClick={() => move(at)}>
                    <Icon name="up" size={14} />
                  </button>
                  <button type="button" class="ib" aria-label={t.remove(name)} title={t.remove(name)} onClick={() => put({ devices: draft.devices.filter((other) => other !== id) })}>
                    <Icon name="close" size={14} />
                  </button>
                </li>
              );
            })}
          </ol>
          {fieldText(work.refused, 'devices') ? <p class="bad">{fieldText(work.refused, 'devices')}</p> : null}
          <DeviceTicks chosen={draft.devices} set={(devices) => put({ devices })} />
        </div>
      </div>
      <div class="foot">
        <span class="hint" role="status">
          {saved ? t.saved : same(draft, kept) ? '' : t.unsaved}
        </span>
        <span class="grow" />
        <button type="submit" class="btn pri" data-testid="status-save" disabled={work.busy || same(draft, kept)} aria-busy={work.busy}>
          {t.save}
        </button>
      </div>
    </form>
  );
}
