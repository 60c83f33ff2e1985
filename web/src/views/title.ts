import { effect, signal } from '@preact/signals';
import { words } from '../i18n';
import { fleet } from '../state/fleet';

/** The name of the view, for the browser's title; null shows the product alone. */
export const viewTitle = signal<string | null>(null);

/** The browser's title carries the number of problems. */
export function followTitle(): () => void {
  return effect(() => {
    const problems = fleet.counts.value.problems;
    const parts = [viewTitle.value, words.value.product].filter(Boolean);
    document.title = (problems > 0 ? `(${problems}) ` : '') + parts.join(' · ');
  });
}
