import { useEffect } from 'preact/hooks';
import { words } from '../i18n';
import { viewTitle } from './title';

export function Status() {
  const title = words.value.status.title;
  useEffect(() => {
    viewTitle.value = title;
  }, [title]);
  return <h1 class="note-h">{title}</h1>;
}
