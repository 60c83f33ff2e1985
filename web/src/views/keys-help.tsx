import { words } from '../i18n';
import { Dialog } from '../parts/dialog';
import { closeDialog } from '../state/dialogs';
import { isAdmin } from '../state/session';

const CHORD_OF = { cost: 'c', errors: 'e', alerts: 'a', outages: 'u', security: 'y', settings: 's' } as const;

export function KeysHelp() {
  const t = words.value.keys;
  const rows: [string[], string][] = [
    [['/'], t.search],
    [['j', '↓'], t.next],
    [['k', '↑'], t.previous],
    [['Enter'], t.open],
    ...(isAdmin() ? ([[['.'], t.actions], [['a'], t.add]] as [string[], string][]) : []),
    [['g d'], t.overview],
    ...(['cost', 'errors', 'alerts', 'outages', 'security', 'settings'] as const).map((view): [string[], string] => [[`g ${CHORD_OF[view]}`], words.value.nav[view]]),
    [['?'], t.help],
    [['Esc'], t.close],
  ];
  return (
    <Dialog title={t.title} close={closeDialog}>
      <dl class="keys">
        {rows.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd key={key} class="kbd">
                  {key}
                </kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
