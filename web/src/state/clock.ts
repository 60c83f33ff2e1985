// The server's time as the page knows it, and a tick per second for ages.

import { signal } from '@preact/signals';

let ahead = 0;

/** Takes over the server's clock: ages must not depend on a wrong clock in the browser's machine. */
export function setServerTime(text: string): void {
  const at = Date.parse(text);
  if (!Number.isNaN(at)) ahead = at - Date.now();
}

export const serverNow = (): number => Date.now() + ahead;

/** The server's time, renewed once a second while the page can be seen. */
export const tick = signal(Date.now());

export function startClock(): () => void {
  const beat = (): void => {
    if (!document.hidden) tick.value = serverNow();
  };
  const timer = setInterval(beat, 1000);
  document.addEventListener('visibilitychange', beat);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', beat);
  };
}
