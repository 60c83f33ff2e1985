import { useEffect } from 'preact/hooks';
import { words } from '../i18n';
import { viewTitle } from './title';

export function Errors(_: { no: string | null }) {
  const title = words.value.errorLog.title;
  useEffect(() => {
    viewTitle.value = title;
  }, [title]);
  return <h1 class="note-h">{title}</h1>;
}
