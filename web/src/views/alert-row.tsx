// What is said of an alert beside its title, in every list of alerts.

import { useState } from 'preact/hooks';
import type { AlertView } from '../api/types';
import { oneLine } from '../format/text';
import { words } from '../i18n';
import { Glyph } from '../parts/glyph';
import { deviceHref } from '../state/router';

/** It comes and goes, is explained by another, or nobody is told. */
export function AlertMarks({ alert }: { alert: AlertView }) {
  const t = words.value.alerts;
  return (
    <>
      {alert.flapping ? (
        <span class="chip" title={t.flappingTitle}>
          <Glyph shape="restart" size={9} />
          {t.flapping}
        </span>
      ) : null}
      {alert.hidden ? (
        <span class="chip dash" title={t.hiddenTitle}>
          <Glyph shape="info" size={9} />
          {t.hidden}
        </span>
      ) : null}
      {alert.silenced ? (
        <span class="chip" title={t.silencedTitle}>
          <Glyph shape="maint" size={9} />
          {t.silenced}
        </span>
      ) : null}
    </>
  );
}

/** The devices of an alert that is about several: folded in, opened by a click. */
export function Members({ of: alert }: { of: AlertView }) {
  const t = words.value.alerts;
  const [open, setOpen] = useState(false);
  if (alert.members.length === 0) return null;
  return (
    <div class="al-m">
      <button type="button" class="lk" aria-expanded={open} onClick={() => setOpen(!open)}>
        {t.members(alert.members.length)}
      </button>
      {open ? (
        <ul>
          {alert.members.map((member) => (
            <li key={member.id}>
              <a class="lk" href={deviceHref(member.id)}>
                <bdi>{oneLine(member.name)}</bdi>
              </a>
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  );
}
