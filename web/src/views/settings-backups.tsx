import { useEffect } from 'preact/hooks';
import { getBackups, makeBackup } from '../api/client';
import type { BackupsView } from '../api/types';
import { bytesText } from '../format/number';
import { dateTime, ms } from '../format/time';
import { words } from '../i18n';
import { Problem } from '../parts/form';
import { Glyph } from '../parts/glyph';
import { Loading, useLoad } from '../parts/load';
import { useWork } from '../parts/work';

/** How often one that is being made is looked at. */
const LOOK_MS = 1000;
const RESTORE = 'openclaw-watch restore FILE';

const at = (text: string): string => dateTime(ms(text) ?? 0);

export function BackupsSection() {
  const t = words.value.backups;
  const backups = useLoad(getBackups);
  const work = useWork();
  const running = backups.value?.running ?? false;
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => void backups.again(), LOOK_MS);
    return () => clearInterval(timer);
  }, [running]);
  return (
    <Loading of={backups} rows={6}>
      {(view) => (
        <>
          <section class="panel">
            <div class="ph">
              <Last view={view} />
              <span class="grow" />
              <button type="button" class="btn sm" data-testid="backup-make" disabled={running || work.busy} aria-busy={running} onClick={() => work.run(async () => backups.take(await makeBackup()))}>
                {running ? t.making : t.make}
              </button>
            </div>
            <div class="pad">
              {work.problem ? <Problem text={work.problem} /> : null}
              <p class="said">{view.every_h === 0 ? t.noSchedule : t.schedule(view.every_h, view.keep)}</p>
            </div>
            <div class="li">
              <span class="k">{t.folder}</span>
              <code class="long">{view.folder}</code>
            </div>
            <p class="hint note">{t.settings}</p>
          </section>
          <section class="panel">
            <div class="ph">
              <h2>{t.list}</h2>
              <span class="dim num">{view.items.length}</span>
            </div>
            {view.items.length === 0 ? (
              <p class="empty-p">{t.noneYet}</p>
            ) : (
              <div class="scroll">
                <table class="t stack">
                  <thead>
                    <tr>
                      <th>{t.file}</th>
                      <th>{t.at}</th>
                      <th class="r">{t.size}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {view.items.map((item) => (
                      <tr key={item.file}>
                        <td class="m mono">{item.file}</td>
                        <td class="num" data-label={t.at}>
                          {at(item.at)}
                        </td>
                        <td class="r num" data-label={t.size}>
                          {bytesText(item.bytes)}
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
            <p class="hint note">
              {t.restore} <code>{RESTORE}</code>
            </p>
            <p class="hint note">{t.apart}</p>
          </section>
        </>
      )}
    </Loading>
  );
}

function Last({ view }: { view: BackupsView }) {
  const t = words.value.backups;
  const newest = view.items[0];
  if (view.last?.error) {
    return (
      <p class="verdict err" role="status">
        <Glyph shape="error" />
        <span>
          <b>{t.lastBad(at(view.last.at))}</b> <bdi>{view.last.error}</bdi>
        </span>
      </p>
    );
  }
  const when = view.last?.at ?? newest?.at;
  return (
    <p class="verdict" role="status">
      <Glyph shape={when ? 'online' : 'never'} />
      <b>{when ? t.lastGood(at(when)) : t.noneYet}</b>
    </p>
  );
}
