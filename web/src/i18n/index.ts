import { computed } from '@preact/signals';
import { prefs } from '../state/prefs';
import { en } from './en';
import type { Messages } from './messages';
import { zhCN } from './zh-CN';

/** The words of the chosen language. Reading it in a component redraws the component when the language changes. */
export const words = computed<Messages>(() => (prefs.value.lang === 'zh-CN' ? zhCN : en));
