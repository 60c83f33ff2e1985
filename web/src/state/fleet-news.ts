// What the live connection says of the whole fleet besides its devices.

import { signal } from '@preact/signals';
import type { FiringView } from '../api/types';

/** The number of the newest error on record; whoever shows errors asks again when it grows. Null before the first word. */
export const newestError = signal<number | null>(null);

/** Alerts that fire now, by severity. */
export const firing = signal<FiringView>({ critical: 0, error: 0, warning: 0, info: 0 });
