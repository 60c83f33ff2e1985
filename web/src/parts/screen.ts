import { signal } from '@preact/signals';

/** Phones: the list is cards, the navigation stands at the bottom. The same width as in `styles/ui.css`. */
export const narrow = signal(false);

export function followScreen(): () => void {
  const media = matchMedia('(max-width: 720px)');
  const heard = (): void => {
    narrow.value = media.matches;
  };
  heard();
  media.addEventListener('change', heard);
  return () => media.removeEventListener('change', heard);
}
