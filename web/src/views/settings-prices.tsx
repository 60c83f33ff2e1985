import { Fragment } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { getPrices } from '../api/client';
import type { PricesView, RatesView, UnpricedModelView } from '../api/types';
import { count } from '../format/number';
import { date, ms } from '../format/time';
import { words } from '../i18n';
import { CopyButton } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Loading, useLoad } from '../parts/load';
import { Age } from '../parts/values';
import { serverNow } from '../state/clock';
import { priceSnippet } from './settings-logic';

/** What the price table is written in. */
const FORMAT = 'TOML';

export function PricesSection() {
  const prices = useLoad(getPrices);
  return (
    <Loading of={prices} rows={8}>
      {(view) => (
        <>
          <File view={view} />
          <Unpriced models={view.unpriced_models} />
          <Flat view={view} />
          <Table view={view} />
        </>
      )}
    </Loading>
  );
}

function File({ view }: { view: PricesView }) {
  const t = words.value.prices;
  return (
    <section class="panel">
      <div class="li">
        <span class="k">{t.file}</span>
        {view.file === null ? <span>{t.builtIn}</span> : <code class="long">{view.file}</code>}
      </div>
      <p class="hint note">{t.text}</p>
      <p class="hint note">{t.edit}</p>
    </section>
  );
}

function Unpriced({ models }: { models: readonly UnpricedModelView[] }) {
  const t = words.value.prices;
  const [open, setOpen] = useState<string | null>(null);
  return (
    <section class="panel">
      <div class="ph">
        <h2>{t.unpriced}</h2>
        {models.length > 0 ? <span class="dim">{t.unpricedText}</span> : null}
      </div>
      {models.length === 0 ? (
        <p class="empty-p st-w">
          <Glyph shape="online" />
          {t.allPriced}
        </p>
      ) : (
        <div class="scroll">
          <table class="t stack">
            <thead>
              <tr>
                <th>{t.model}</th>
                <th class="r">{t.tokens}</th>
                <th>{t.lastUsed}</th>
                <th>
                  <span class="vh">{words.value.settings.actions}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {models.map((model) => {
                const id = `${model.provider}/${model.model}`;
                return (
                  <Fragment key={id}>
                    <tr>
                      <td class="m">
                        <bdi>{id}</bdi>
                      </td>
                      <td class="r num" data-label={t.tokens}>
                        {count(model.tokens)}
                      </td>
                      <td class="num" data-label={t.lastUsed}>
                        <Age at={ms(model.last_used_at)} ago />
                      </td>
                      <td class="r act">
                        <button type="button" class="btn sm" aria-expanded={open === id} onClick={() => setOpen(open === id ? null : id)}>
                          {FORMAT}
                        </button>
                      </td>
                    </tr>
                    {open === id ? (
                      <tr class="opened">
                        <td colSpan={4}>
                          <Snippet model={model} />
                        </td>
                      </tr>
                    ) : null}
                  </Fragment>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Snippet({ model }: { model: UnpricedModelView }) {
  const t = words.value.prices;
  const pre = useRef<HTMLPreElement>(null);
  const text = priceSnippet(model, date(serverNow()).slice(0, 8) + '01');
  return (
    <div class="snip">
      <p class="hint">{t.snippet}</p>
      <pre ref={pre} tabIndex={0}>
        {text}
      </pre>
      <CopyButton text={`${text}\n`} label={t.copySnippet} select={() => pre.current} />
    </div>
  );
}

function Flat({ view }: { view: PricesView }) {
  const t = words.value.prices;
  return (
    <section class="panel">
      <div class="ph">
        <h2>{t.flat}</h2>
        {view.flat_rates.length > 0 ? <span class="dim">{t.flatText}</span> : null}
      </div>
      {view.flat_rates.length === 0 ? (
        <p class="empty-p">{t.noFlat}</p>
      ) : (
        <div class="scroll">
          <table class="t stack">
            <thead>
              <tr>
                <th>{t.plan}</th>
                <th>{t.model}</th>
                <th>{t.from}</th>
                <th>{t.until}</th>
              </tr>
            </thead>
            <tbody>
              {view.flat_rates.map((rate) => (
                <tr key={`${rate.provider}/${rate.model} ${rate.from}`}>
                  <td class="m">
                    <bdi>{rate.name ?? words.value.common.none}</bdi>
                  </td>
                  <td data-label={t.model}>
                    <bdi>
                      {rate.provider}/{rate.model}
                    </bdi>
                  </td>
                  <td class="num" data-label={t.from}>
                    {rate.from}
                  </td>
                  <td class="num" data-label={t.until}>
                    {rate.until ?? words.value.common.none}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const dollars = (value: number): string => (value === 0 ? '0' : value < 0.095 ? String(Number(value.toPrecision(2))) : value.toFixed(2));

function Rates({ of: rates }: { of: RatesView }) {
  const t = words.value.prices;
  const cells: [string, number][] = [[t.input, rates.input], [t.output, rates.output], [t.cacheRead, rates.cache_read], [t.cacheWrite, rates.cache_write]];
  return (
    <>
      {cells.map(([label, value]) => (
        <td key={label} class="r num" data-label={label}>
          {dollars(value)}
        </td>
      ))}
    </>
  );
}

function Table({ view }: { view: PricesView }) {
  const t = words.value.prices;
  const [find, setFind] = useState('');
  const wanted = find.trim().toLowerCase();
  const shown = view.prices.filter((price) => `${price.provider}/${price.model}`.toLowerCase().includes(wanted));
  return (
    <section class="panel">
      <div class="ph">
        <h2>{t.table}</h2>
        <span class="dim">{t.count(shown.length, view.prices.length)}</span>
        <span class="grow" />
        <input class="in small" type="search" value={find} placeholder={t.filter} aria-label={t.filter} onInput={(event) => setFind(event.currentTarget.value)} />
      </div>
      <div class="scroll tall" role="region" aria-label={t.table} tabIndex={0}>
        <table class="t stack">
          <thead>
            <tr>
              <th>{t.model}</th>
              <th>{t.from}</th>
              <th class="r">{t.input}</th>
              <th class="r">{t.output}</th>
              <th class="r">{t.cacheRead}</th>
              <th class="r">{t.cacheWrite}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((price) => (
              <tr key={`${price.provider}/${price.model} ${price.from}`}>
                <td class="m">
                  <bdi>
                    {price.provider}/{price.model}
                  </bdi>
                </td>
                <td class="num" data-label={t.from}>
                  {price.from}
                </td>
                <Rates of={price.usd_per_million} />
              </tr>
            ))}
            {view.fallback && wanted === '' ? (
              <tr>
                <td class="m">{t.fallback}</td>
                <td />
                <Rates of={view.fallback} />
              </tr>
            ) : null}
          </tbody>
        </table>
      </div>
    </section>
  );
}
