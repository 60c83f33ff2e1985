// A button that silences something for a time.

import { useRef, useState } from 'preact/hooks';
import type { NewPause } from '../api/types';
import { dateTime } from '../format/time';
import { words } from '../i18n';
import { Ask } from '../parts/ask';
import { Field } from '../parts/form';
import { Menu } from '../parts/menu';
import { serverNow } from '../state/clock';
import { viewerZone } from '../state/prefs';
import { fromField, HOUR, toField } from '../rules/pauses';

const HOURS = [1, 8, 24] as const;

interface Props {
  label: string;
  /** What it silences, in words. */
  of: string;
  small?: boolean;
  make: (hours: number) => NewPause;
  act: (pause: NewPause) => Promise<void>;
}

export function SilenceMenu({ label, of, small, make, act }: Props) {
  const t = words.value;
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const [asking, setAsking] = useState(false);
  return (
    <>
      <button ref={button} type="button" class={`btn ${small ? 'sm' : ''}`} aria-haspopup="menu" aria-expanded={open} data-testid="silence" onClick={() => setOpen(!open)}>
        {label}
      </button>
      {open && button.current ? (
        <Menu
          label={t.alerts.silenceOf(of)}
          anchor={button.current}
          close={() => setOpen(false)}
          items={[
            ...HOURS.map((hours) => ({ label: t.rules.length.h(hours), act: () => void act(make(hours)) })),
            { label: t.alerts.silenceUntil, act: () => setAsking(true) },
          ]}
        />
      ) : null}
      {asking ? <Until of={of} close={() => setAsking(false)} make={make} act={act} /> : null}
    </>
  );
}

function Until({ of, close, make, act }: Pick<Props, 'of' | 'make' | 'act'> & { close: () => void }) {
  const t = words.value;
  const zone = viewerZone.value;
  const [text, setText] = useState(() => toField(zone, serverNow() + 12 * HOUR));
  const [now] = useState(serverNow);
  const at = fromField(zone, text);
  const late = at === null || at <= now;
  return (
    <Ask
      title={t.alerts.silenceOf(of)}
      go={t.alerts.silence}
      close={close}
      disabled={late}
      act={async () => {
        if (at !== null) await act(make((at - serverNow()) / HOUR));
      }}
    >
      <Field id="silence-until" label={t.pauses.until} hint={late ? undefined : `${dateTime(at)} · ${zone}`} error={late ? t.pauses.over : undefined}>
        <input id="silence-until" class="in" type="datetime-local" value={text} data-autofocus="" aria-describedby="silence-until-note" onInput={(event) => setText(event.currentTarget.value)} />
      </Field>
      <p class="hint">{t.pauses.silencesText}</p>
    </Ask>
  );
}
