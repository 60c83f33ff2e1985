import type { UsageView } from '../api/types';
import { count, money } from '../format/number';
import { words } from '../i18n';

/** What something cost. No price, flat rate and not metered are said as such, and are never $0. */
export function Cost({ usage }: { usage: UsageView | null | undefined }) {
  const t = words.value.spend;
  if (!usage || usage.tokens === 0) return usage && usage.unmetered_turns > 0 ? <Unmetered turns={usage.unmetered_turns} /> : null;
  const partly = usage.unpriced_tokens > 0;
  if (usage.cost_usd === null || (usage.cost_usd === 0 && usage.flat_rate_usd > 0)) {
    if (usage.flat_rate_usd > 0) {
      return (
        <span class="chip" title={t.flatTitle(money(usage.flat_rate_usd))}>
          {t.flat}
        </span>
      );
    }
    return (
      <span class="chip dash" title={t.unpricedTitle(count(usage.unpriced_tokens))}>
        {t.unpriced}
      </span>
    );
  }
  return (
    <span class={partly || usage.unmetered_turns > 0 ? 'part' : ''} title={partly ? t.partlyTitle(count(usage.unpriced_tokens)) : usage.unmetered_turns > 0 ? t.unmeteredTitle(usage.unmetered_turns) : undefined}>
      {money(usage.cost_usd)}
      {partly || usage.unmetered_turns > 0 ? <i aria-hidden="true">+</i> : null}
    </span>
  );
}

function Unmetered({ turns }: { turns: number }) {
  const t = words.value.spend;
  return (
    <span class="chip dash" title={t.unmeteredTitle(turns)}>
      {t.unmetered}
    </span>
  );
}
