/** Line icons on a 16 px grid, one stroke width. */
const PATHS = {
  search: 'M11.5 7a4.5 4.5 0 1 1-9 0 4.5 4.5 0 0 1 9 0ZM10.5 10.5 14 14',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  moon: 'M13.2 9.6A5.6 5.6 0 1 1 6.4 2.8a4.6 4.6 0 0 0 6.8 6.8Z',
  sun: 'M10.8 8a2.8 2.8 0 1 1-5.6 0 2.8 2.8 0 0 1 5.6 0ZM8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1',
  right: 'm6 3.5 4.5 4.5L6 12.5',
  left: 'M10 3.5 5.5 8l4.5 4.5',
  down: 'm3.5 6 4.5 4.5L12.5 6',
  copy: 'M5.5 6.5a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-6a1 1 0 0 1-1-1ZM10.5 5.5v-3h-8v8h3',
  check: 'm3 8.5 3.5 3.5L13 4.5',
  close: 'm4 4 8 8M12 4l-8 8',
  fleet: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  gear: 'M10 8a2 2 0 1 1-4 0 2 2 0 0 1 4 0ZM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4',
  coin: 'M13.5 8a5.5 5.5 0 1 1-11 0 5.5 5.5 0 0 1 11 0ZM8 5v6M6 9.6h2.9a1.1 1.1 0 0 0 0-2.2H7.1a1.1 1.1 0 0 1 0-2.2H10',
  alert: 'M8 2 14.5 13.5h-13ZM8 6.5V10M8 11.6v.6',
  bell: 'M4 11V7a4 4 0 0 1 8 0v4l1.2 1.5H2.8ZM6.8 14h2.4',
  gap: 'M1.5 8H5M11 8h3.5M6.5 4.5l-1 7M10.5 4.5l-1 7',
  shield: 'M8 1.8 13 3.6v4c0 3-2 5.3-5 6.6-3-1.3-5-3.6-5-6.6v-4Z',
  columns: 'M3 3.5v9M8 3.5v9M13 3.5v9',
  rail: 'M2 4a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1ZM10 3v10',
  download: 'M8 2.5v8M4.8 7.5 8 10.7l3.2-3.2M3 13.5h10',
  history: 'M2.6 6.4A5.6 5.6 0 1 1 2.4 8M2.4 3.2v3.4h3.4M8 5v3.2l2.2 1.4',
  up: 'M8 13V3M3.8 7 8 2.8 12.2 7',
} as const;

export type IconName = keyof typeof PATHS | 'more';

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="ic" viewBox="0 0 16 16" width={size} height={size} fill="none" stroke="currentColor" stroke-width="1.4" aria-hidden="true">
      {name === 'more' ? <path d="M3.5 8h.01M8 8h.01M12.5 8h.01" stroke-width="2" stroke-linecap="round" /> : <path d={PATHS[name]} />}
    </svg>
  );
}

export function Logo() {
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <path d="M3 17V11.5M7 17V8.5" stroke="currentColor" stroke-width="2.2" />
      <path d="M11.2 17V5.2C11.2 3.4 13 2 15.2 2c-.9 1.1-1.2 2-1 3.1 1-.9 2-1.1 3.3-.8-.3 2.6-1.5 4-3.9 4.6V17" fill="currentColor" />
    </svg>
  );
}
