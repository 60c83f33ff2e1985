import { useEffect } from 'preact/hooks';
import { words } from '../i18n';
import { viewTitle } from './title';

export function AuditLog() {
  const title = words.value.auditLog.title;
  useEffect(() => {
    viewTitle.value = title;
  }, [title]);
  return <h1 class="note-h">{title}</h1>;
}
