// Where people are told: what there is, how it does, and the forms that the kinds describe themselves.

import { useState } from 'preact/hooks';
import { addChannel, getChannelKinds, getChannels, getDeliveries, patchChannel, removeChannel, testChannel, testSettings } from '../api/client';
import type { AlertChannelView, ChannelFieldView, ChannelKindView, DeliveryView, TriedView } from '../api/types';
import { oneLine, visible } from '../format/text';
import { age, clockShort, ms } from '../format/time';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { Dialog } from '../parts/dialog';
import { AreaField, Check, Choice, explain, Field, fieldText, Problem, TextField } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Heads } from '../parts/heads';
import { Icon } from '../parts/icon';
import { RowMenu } from '../parts/row-menu';
import { Unloaded } from '../parts/unloaded';
import { Age } from '../parts/values';
import { useWork, type Work } from '../parts/work';
import { tick } from '../state/clock';
import { alertingNews, deliveryNews } from '../state/fleet-news';
import { useLoad } from '../state/load';
import { prefs } from '../state/prefs';
import { alertHref } from '../state/router';
import { isAdmin } from '../state/session';
import { LANGUAGES } from '../i18n';
import { SEVERITIES, SHAPE_OF } from './alerts-plan';
import { emptyForm, formOf, missing, newChannel, patchOf, testOf, type Form } from './channel-form';
import { secondsText, shapeOf, stateText } from './delivery-plan';
import { said } from './rule-words';
import '../styles/notify.css';

/** Each channel's last delivery is looked for among so many. */
const LOOKED_AT = 200;

type Open = { kind: ChannelKindView; channel: AlertChannelView | null };

export function AlertsChannels() {
  const t = words.value.notify;
  const channels = useLoad('channels', getChannels, { news: alertingNews });
  const kinds = useLoad('kinds', getChannelKinds);
  const told = useLoad('told', (signal) => getDeliveries({ limit: LOOKED_AT }, signal), { news: deliveryNews });
  const [choosing, setChoosing] = useState(false);
  const [open, setOpen] = useState<Open | null>(null);
  const [removing, setRemoving] = useState<AlertChannelView | null>(null);
  const [tried, setTried] = useState<{ id: string; result: TriedView | null; problem: string | null } | null>(null);
  const turning = useWork();
  const admin = isAdmin();
  const tryOne = (id: string): void => {
    setTried({ id, result: null, problem: null });
    testChannel(id).then(
      (result) => setTried({ id, result, problem: null }),
      (error: unknown) => setTried({ id, result: null, problem: explain(error) }),
    );
  };
  if (!channels.data || !kinds.data) {
    return (
      <Unloaded
        error={channels.error ?? kinds.error}
        failed={t.failed}
        reload={() => {
          channels.reload();
          kinds.reload();
        }}
      />
    );
  }
  const kindOf = (word: string): ChannelKindView | undefined => kinds.data?.find((kind) => kind.word === word);
  return (
    <div class="an">
      <section class="panel" aria-label={t.title}>
        <div class="ph">
          <h2>{t.title}</h2>
          <span class="dim">{t.text}</span>
          <span class="grow" />
          {admin ? (
            <button type="button" class="btn sm" data-testid="channel-add" onClick={() => setChoosing(true)}>
              <Icon name="plus" size={12} />
              {t.add}
            </button>
          ) : null}
        </div>
        {turning.problem ? <Problem text={turning.problem} /> : null}
        {channels.data.length === 0 ? (
          <p class="empty-p">{t.none}</p>
        ) : (
          <table class="t stack nt">
            <Heads of={[t.columns.name, t.columns.kind, t.columns.told, t.columns.state, t.columns.last]} />
            <tbody>
              {channels.data.map((channel) => {
                const kind = kindOf(channel.kind);
                const last = told.data?.items.find((delivery) => delivery.channel === channel.id) ?? null;
                return (
                  <tr key={channel.id} data-testid="channel" data-id={channel.id} class={channel.enabled ? '' : 'nt-off'}>
                    <td class="m">
                      <bdi>
                        <b>{oneLine(channel.name)}</b>
                      </bdi>
                    </td>
                    <td data-label={t.columns.kind}>{kind ? said(kind.name) : t.goneKind(channel.kind)}</td>
                    <td data-label={t.columns.told} class="wrap">
                      <Told channel={channel} />
                    </td>
                    <td data-label={t.columns.state} class="wrap">
                      <State channel={channel} last={last} />
                    </td>
                    <td data-label={t.columns.last} class="wrap">
                      <Last delivery={last} />
                    </td>
                    <td class="r act">
                      {admin ? (
                        <span class="nt-a">
                          <button type="button" class="btn sm" data-testid="channel-test" aria-busy={tried?.id === channel.id && !tried.result && !tried.problem} onClick={() => tryOne(channel.id)}>
                            {t.test}
                          </button>
                          <RowMenu
                            label={words.value.rules.more}
                            items={[
                              ...(kind ? [{ label: t.change, act: () => setOpen({ kind, channel }) }] : []),
                              {
                                label: channel.enabled ? t.turnOff : t.turnOn,
                                act: () =>
                                  turning.run(async () => {
                                    await patchChannel(channel.id, { rev: channel.rev, enabled: !channel.enabled });
                                    channels.reload();
                                  }),
                              },
                              { label: words.value.common.remove, danger: true, act: () => setRemoving(channel) },
                            ]}
                          />
                        </span>
                      ) : null}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        )}
        {tried ? (
          <div class="nt-tried">
            <b>{channels.data.find((channel) => channel.id === tried.id)?.name}</b>
            <Tried result={tried.result} problem={tried.problem} />
          </div>
        ) : null}
      </section>
      {choosing ? (
        <ChooseKind
          kinds={kinds.data}
          close={() => setChoosing(false)}
          choose={(kind) => {
            setChoosing(false);
            setOpen({ kind, channel: null });
          }}
        />
      ) : null}
      {open ? <Edit {...open} close={() => setOpen(null)} done={channels.reload} /> : null}
      {removing ? (
        <Ask
          title={t.removeTitle(removing.name)}
          go={words.value.common.remove}
          danger
          close={() => setRemoving(null)}
          act={async () => {
            await removeChannel(removing.id);
            channels.reload();
          }}
        >
          <p>{t.removeText}</p>
        </Ask>
      ) : null}
    </div>
  );
}

function Told({ channel }: { channel: AlertChannelView }) {
  const t = words.value.notify;
  const parts = [
    channel.takes_all ? null : t.onlyNamed,
    channel.least === 'info' ? t.everything : t.leastShort(words.value.alerts.severity[channel.least]),
    channel.always ? t.alwaysShort : null,
  ].filter((part) => part !== null);
  return <>{parts.join(words.value.notify.comma)}</>;
}

function State({ channel, last }: { channel: AlertChannelView; last: DeliveryView | null }) {
  const t = words.value.notify;
  const shape = !channel.enabled ? 'offline' : channel.trouble ? 'error' : last === null ? 'never' : 'online';
  return (
    <span class="nt-s">
      <Glyph shape={shape} />
      {!channel.enabled ? (
        t.off
      ) : channel.trouble ? (
        <span class="err" title={visible(channel.trouble.why)}>
          {t.fails(words.value.age(age(ms(channel.trouble.since) ?? 0, tick.value)))}
          <small>{oneLine(channel.trouble.why)}</small>
        </span>
      ) : last === null ? (
        <span class="dim">{t.unused}</span>
      ) : (
        t.works
      )}
    </span>
  );
}

function Last({ delivery }: { delivery: DeliveryView | null }) {
  if (delivery === null) return <span class="dim">{words.value.notify.never}</span>;
  return (
    <a class="nt-l" href={`${alertHref('deliveries')}?channel=${delivery.channel}`}>
      <Glyph shape={shapeOf(delivery)} size={10} />
      <Age at={ms(delivery.made_at)} ago /> <span class="dim">{delivery.state === 'sent' ? null : stateText(delivery, tick.value, words.value, (at) => clockShort(at, tick.value))}</span>
    </a>
  );
}

/** The real answer of the other side. */
function Tried({ result, problem }: { result: TriedView | null; problem: string | null }) {
  const t = words.value.notify;
  if (problem) return <Problem text={problem} />;
  if (!result) {
    return (
      <p class="tried" role="status" aria-busy="true">
        {t.testing}
      </p>
    );
  }
  const time = words.value.deliveries.took(secondsText(result.took_ms));
  return (
    <div class={`tried ${result.ok ? 'ok-b' : 'err-b'}`} role="status" data-testid="tried" data-ok={result.ok}>
      <p>
        <Glyph shape={result.ok ? 'online' : 'error'} /> {result.ok ? t.arrived(time) : t.refused(time)}
      </p>
      <pre tabIndex={0}>{result.answer === '' ? t.noAnswer : visible(result.answer)}</pre>
    </div>
  );
}

function ChooseKind({ kinds, close, choose }: { kinds: readonly ChannelKindView[]; close: () => void; choose: (kind: ChannelKindView) => void }) {
  return (
    <Dialog wide title={words.value.notify.choose} close={close}>
      <ul class="kinds all">
        {kinds.map((kind) => (
          <li key={kind.word}>
            <button type="button" data-kind={kind.word} onClick={() => choose(kind)}>
              <b>{said(kind.name)}</b>
              <span>{said(kind.help)}</span>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function Edit({ kind, channel, close, done }: Open & { close: () => void; done: () => void }) {
  const t = words.value.notify;
  const [form, setForm] = useState<Form>(() => (channel ? formOf(kind, channel) : emptyForm(kind, prefs.peek().lang)));
  const [rev] = useState(channel?.rev ?? 0);
  const [tried, setTried] = useState<{ result: TriedView | null; problem: string | null } | null>(null);
  const [touched, setTouched] = useState(false);
  const work = useWork();
  const trying = useWork();
  const put = (part: Partial<Form>): void => setForm({ ...form, ...part });
  const empty = missing(kind, form, channel?.secrets ?? []);
  const test = (): void => {
    setTouched(true);
    if (empty.length > 0) return;
    setTried({ result: null, problem: null });
    trying.run(async () => {
      try {
        setTried({ result: await testSettings(testOf(kind, form, channel?.id ?? null)), problem: null });
      } catch (error) {
        setTried(null);
        throw error;
      }
    });
  };
  const save = (): void => {
    setTouched(true);
    if (empty.length > 0 || form.name.trim() === '') return;
    work.run(async () => {
      await (channel ? patchChannel(channel.id, patchOf(kind, form, rev)) : addChannel(newChannel(kind, form)));
      done();
      close();
    });
  };
  return (
    <Dialog
      wide
      title={channel ? t.editTitle(channel.name) : t.addTitle(said(kind.name))}
      close={close}
      onSubmit={save}
      footer={
        <>
          <button type="button" class="btn" data-testid="channel-try" disabled={trying.busy} aria-busy={trying.busy} onClick={test}>
            {t.test}
          </button>
          <span class="grow" />
          <button type="button" class="btn" onClick={close}>
            {words.value.common.cancel}
          </button>
          <button type="submit" class="btn pri" data-testid="channel-save" disabled={work.busy} aria-busy={work.busy}>
            {t.save}
          </button>
        </>
      }
    >
      {work.problem ? <Problem text={work.problem} /> : null}
      {trying.problem ? <Problem text={trying.problem} /> : null}
      <p class="hint gap">{said(kind.help)}</p>
      <TextField
        id="ch-name"
        label={t.name}
        value={form.name}
        set={(name) => put({ name })}
        error={touched && form.name.trim() === '' ? t.required : fieldText(work.refused, 'name')}
        placeholder={t.namePlaceholder}
        autocomplete="off"
        maxLength={60}
        autofocus
        testid="channel-name"
      />
      {kind.fields.map((field) => (
        <OwnField key={field.word} field={field} form={form} put={put} saved={channel?.secrets.includes(field.word) ?? false} empty={touched && empty.includes(field.word)} work={work} trying={trying} />
      ))}
      <hr class="ch-hr" />
      <Choice label={t.language} options={LANGUAGES.map(([lang, name]) => [lang, name] as const)} value={form.language} set={(language) => put({ language })} />
      <div class="fl">
        <span>{t.least}</span>
        <div class="seg wrap" role="group" aria-label={t.least}>
          {[...SEVERITIES].reverse().map((severity) => (
            <button key={severity} type="button" class="ch-sv" aria-pressed={form.least === severity} onClick={() => put({ least: severity })}>
              <Glyph shape={SHAPE_OF[severity]} size={11} />
              {words.value.alerts.severity[severity]}
            </button>
          ))}
        </div>
      </div>
      <Check label={t.takesAll} value={form.takes_all} set={(takes_all) => put({ takes_all })} />
      <Check label={t.always} value={form.always} set={(always) => put({ always })} />
      <Check label={t.enabled} value={form.enabled} set={(enabled) => put({ enabled })} />
      {tried ? <Tried result={tried.result} problem={tried.problem} /> : null}
    </Dialog>
  );
}

interface OwnProps {
  field: ChannelFieldView;
  form: Form;
  put: (part: Partial<Form>) => void;
  /** A secret that it has. */
  saved: boolean;
  empty: boolean;
  work: Work;
  trying: Work;
}

/** A field that the kind describes. */
function OwnField({ field, form, put, saved, empty, work, trying }: OwnProps) {
  const t = words.value.notify;
  const id = `ch-${field.word}`;
  const label = said(field.label);
  const help = field.help ? said(field.help) : undefined;
  const value = form.texts[field.word] ?? '';
  const set = (text: string): void => put({ texts: { ...form.texts, [field.word]: text } });
  const error = empty ? t.required : (fieldText(work.refused, field.word) ?? fieldText(trying.refused, field.word));
  switch (field.kind) {
    case 'toggle':
      return (
        <div class="fl">
          <Check label={label} value={value === 'true'} set={(on) => set(String(on))} />
          {help ? <p class="hint">{help}</p> : null}
        </div>
      );
    case 'choice':
      return (
        <Field id={id} label={label} hint={help} error={error}>
          <select id={id} class="in" value={value} data-testid={`channel-${field.word}`} onChange={(event) => set(event.currentTarget.value)}>
            {field.required || field.default !== '' ? null : <option value="">{t.notChosen}</option>}
            {field.choices.map((choice) => (
              <option key={choice.word} value={choice.word}>
                {said(choice.label)}
              </option>
            ))}
          </select>
        </Field>
      );
    case 'lines':
      return <AreaField id={id} mono label={label} hint={help} error={error} value={value} set={set} placeholder={field.placeholder} />;
    case 'secret': {
      const away = form.away.includes(field.word);
      return (
        <div class="ch-sec">
          <TextField id={id} password label={label} hint={away ? t.goes : help} error={error} value={value} set={set} placeholder={saved && !away ? t.keep : field.placeholder} autocomplete="new-password" testid={`channel-${field.word}`} />
          {saved && !field.required ? (
            <button type="button" class="lk sm" onClick={() => put({ away: away ? form.away.filter((word) => word !== field.word) : [...form.away, field.word] })}>
              {away ? t.keepAgain : t.takeAway}
            </button>
          ) : null}
        </div>
      );
    }
    default:
      return <TextField id={id} label={label} hint={help} error={error} value={value} set={set} placeholder={field.placeholder} autocomplete="off" testid={`channel-${field.word}`} {...(field.kind === 'number' ? { inputmode: 'numeric' as const } : {})} />;
  }
}
