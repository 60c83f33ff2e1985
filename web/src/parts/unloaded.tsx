import { words } from '../i18n';
import { explain } from './form';

interface Props {
  error: unknown;
  /** What could not be loaded, as a sentence. */
  failed: string;
  reload: () => void;
}

const ROWS = 10;

/** In the place of a list that is not there: a skeleton, or why it is not coming and a way to try again. */
export function Unloaded({ error, failed, reload }: Props) {
  if (error) {
    return (
      <div class="page-note" role="alert">
        <p>
          {failed} {explain(error)}
        </p>
        <button type="button" class="btn" onClick={reload}>
          {words.value.common.retry}
        </button>
      </div>
    );
  }
  return (
    <div class="ls-sk" role="status" aria-busy="true" aria-label={words.value.common.loading}>
      {Array.from({ length: ROWS }, (_, i) => (
        <span class="sk" key={i} style={{ width: `${90 - ((i * 19) % 35)}%` }} />
      ))}
    </div>
  );
}
