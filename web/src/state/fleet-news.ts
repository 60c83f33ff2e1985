// What the live connection says of the whole fleet besides its devices.

import { computed, signal } from '@preact/signals';
import type { FiringView, NewsView } from '../api/types';

/** The number of the newest error on record; whoever shows errors asks again when it grows. Null before the first word. */
export const newestError = signal<number | null>(null);

/** Alerts that fire now, by severity. */
export const firing = signal<FiringView>({ critical: 0, error: 0, warning: 0, info: 0 });

/** How often what is not a device has changed since the socket was opened. */
export const news = signal<NewsView>({ alerts: 0, alerting: 0, deliveries: 0 });
/** Each by itself: whoever shows one does not ask again because of another. */
export const alertNews = computed(() => news.value.alerts);
export const alertingNews = computed(() => news.value.alerting);
export const deliveryNews = computed(() => news.value.deliveries);
