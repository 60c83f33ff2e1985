import { useEffect } from 'preact/hooks';
import { words } from '../i18n';
import { viewTitle } from './title';

export function Alerts() {
  const title = words.value.alerts.title;
  useEffect(() => {
    viewTitle.value = title;
  }, [title]);
  return <h1 class="note-h">{title}</h1>;
}
