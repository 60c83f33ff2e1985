// The browser's own place for us: title and icon carry the number of problems.

import { effect, signal } from '@preact/signals';
import { words } from '../i18n';
import { fleet } from '../state/fleet';

/** The name of the view, for the browser's title; null shows the product alone. */
export const viewTitle = signal<string | null>(null);

export function followTitle(): () => void {
  const plain = document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href ?? '';
  let shown = 0;
  return effect(() => {
    const problems = fleet.counts.value.problems;
    const parts = [viewTitle.value, words.value.product].filter(Boolean);
    document.title = (problems > 0 ? `(${problems}) ` : '') + parts.join(' · ');
    if (problems === shown || plain === '') return;
    shown = problems;
    void showIcon(problems, plain);
  });
}

const SIZE = 32;

/** The icon with a number on it; the plain one when there is nothing to say. */
async function showIcon(problems: number, plain: string): Promise<void> {
  const link = document.querySelector<HTMLLinkElement>('link[rel=icon]');
  if (!link) return;
  if (problems === 0) {
    link.href = plain;
    return;
  }
  const picture = new Image(SIZE, SIZE);
  picture.src = plain;
  await picture.decode().catch(() => {});
  const canvas = document.createElement('canvas');
  canvas.width = SIZE;
  canvas.height = SIZE;
  const pen = canvas.getContext('2d');
  // Another number may have come while the picture was decoded.
  if (!pen || fleet.counts.peek().problems !== problems) return;
  pen.drawImage(picture, 0, 0, SIZE, SIZE);
  const text = problems > 99 ? '99+' : String(problems);
  const width = Math.min(SIZE, 10 + text.length * 8);
  pen.fillStyle = '#b8231f';
  pen.beginPath();
  pen.roundRect(SIZE - width, SIZE - 18, width, 18, 4);
  pen.fill();
  pen.fillStyle = '#ffffff';
  pen.font = 'bold 14px sans-serif';
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.fillText(text, SIZE - width / 2, SIZE - 8.5);
  link.href = canvas.toDataURL('image/png');
}
