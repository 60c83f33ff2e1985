//! Tokens and money, as the API shows them.

use serde::Serialize;
use store::{
    Counts, Days, DeviceUsage, Expected, FlatRate, Price, Prices, Rates, Summary, UnpricedModel, UsageGroup,
};
use utoipa::ToSchema;

use super::rfc3339;

/// What was used, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct UsageView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) input: u64,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) output: u64,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) cache_read: u64,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) cache_write: u64,
    /// The sum of the four above.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) tokens: u64,
    /// Spent: recorded by OpenClaw, and estimated where it knew no price; without what a flat-rate plan covers. Null when
    /// nothing of it has a price.
    pub(crate) cost_usd: Option<f64>,
    /// Tokens that nobody knows a price of.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) unpriced_tokens: u64,
    /// What the table of prices makes of tokens that OpenClaw knew no price of.
    pub(crate) estimated_usd: f64,
    /// What tokens that a flat-rate plan covers would have cost; not spent.
    pub(crate) flat_rate_usd: f64,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) turns: u64,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) error_turns: u64,
    /// Answers for which the provider reported no usage: spent, and not measured.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) unmetered_turns: u64,
    /// Of `output`, what the model thought.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) reasoning: u64,
}

#[expect(clippy::cast_precision_loss, reason = "a billionth of a dollar is lost above nine million dollars")]
fn usd(nano: i64) -> f64 {
    nano as f64 / 1e9
}

fn whole(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

impl UsageView {
    pub(crate) fn of(counts: &Counts) -> Self {
        Self {
            input: whole(counts.input),
            output: whole(counts.output),
            cache_read: whole(counts.cache_read),
            cache_write: whole(counts.cache_write),
            tokens: whole(counts.tokens()),
            cost_usd: counts.known_spent_nano_usd().map(usd),
            unpriced_tokens: whole(counts.without_price()),
            estimated_usd: usd(counts.estimate_nano_usd),
            flat_rate_usd: usd(counts.flat_nano_usd),
            turns: whole(counts.turns),
            error_turns: whole(counts.error_turns),
            unmetered_turns: whole(counts.unmetered_turns),
            reasoning: whole(counts.reasoning),
        }
    }
}

/// What a device used, by the viewer's days (`tz`; without it those of UTC).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DeviceUsageView {
    pub(crate) today: UsageView,
    pub(crate) yesterday: UsageView,
    pub(crate) total: UsageView,
}

impl DeviceUsageView {
    pub(crate) fn of(usage: &DeviceUsage, days: &Days) -> Self {
        Self {
            today: UsageView::of(&usage.between(days.today, days.tomorrow)),
            yesterday: UsageView::of(&usage.between(days.yesterday, days.today)),
            total: UsageView::of(&usage.total),
        }
    }
}

/// What was used in a span of time, or of a model, provider, device, OpenClaw agent or trigger.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct UsageGroupView {
    /// The name: `2026-11-20T07:00:00+01:00` of an hour or quarter, `2026-11-20` of a day or of a week's Monday,
    /// `2026-11`, `provider/model`, a device's id; `other` for what the limit left over.
    pub(crate) key: String,
    /// The second name, where two ways of grouping were asked for.
    pub(crate) second: Option<String>,
    /// How many names stand behind `other`; 0 in a group of its own.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) others: u64,
    pub(crate) usage: UsageView,
}

impl UsageGroupView {
    pub(crate) fn of(group: UsageGroup, two: bool) -> Self {
        let name = |name: Option<String>| name.unwrap_or_else(|| "other".to_owned());
        Self {
            key: name(group.key),
            second: two.then(|| name(group.second)),
            others: whole(group.others),
            usage: UsageView::of(&group.counts),
        }
    }
}

/// What was used around now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct UsageSummaryView {
    /// The zone whose days and months these are.
    pub(crate) tz: String,
    pub(crate) today: UsageView,
    pub(crate) yesterday: UsageView,
    pub(crate) this_month: UsageView,
    pub(crate) last_month: UsageView,
    pub(crate) total: UsageView,
    /// What the last full days, seven at most, had used by this time of day: their median. Null with fewer than two.
    pub(crate) usual_today: Option<UsualView>,
    /// What this month will come to. Null with fewer than two full days.
    pub(crate) forecast: Option<ForecastView>,
    /// Of what models read this month, the share that came from a cache; null when nothing was read.
    pub(crate) cache_hit_pct: Option<f64>,
}

/// What is usual by this time of day.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct UsualView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) tokens: u64,
    pub(crate) cost_usd: f64,
}

/// What this month will come to: what it has, and for each day that remains the mean of the last full days, seven at most.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ForecastView {
    /// From how many full days.
    pub(crate) days: usize,
    pub(crate) tokens: ExpectedView,
    /// Null when nothing of this month has a price.
    pub(crate) cost_usd: Option<ExpectedView>,
}

/// A number that is not known yet. Two times of three it will be between `low` and `high`, if the days stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ExpectedView {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl ExpectedView {
    fn of(expected: Expected, unit: f64) -> Self {
        Self { mean: expected.mean / unit, low: expected.low / unit, high: expected.high / unit }
    }
}

impl UsageSummaryView {
    pub(crate) fn of(summary: &Summary, tz: &str) -> Self {
        let month = &summary.this_month;
        let this_month = UsageView::of(month);
        let read = month.input + month.cache_read + month.cache_write;
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = month.cache_read as f64 * 100.0 / read.max(1) as f64;
        let forecast = summary.forecast.map(|forecast| ForecastView {
            days: forecast.days,
            tokens: ExpectedView::of(forecast.tokens, 1.0),
            cost_usd: this_month.cost_usd.map(|_| ExpectedView::of(forecast.spent_nano_usd, 1e9)),
        });
        Self {
            tz: tz.to_owned(),
            today: UsageView::of(&summary.today),
            yesterday: UsageView::of(&summary.yesterday),
            this_month,
            last_month: UsageView::of(&summary.last_month),
            total: UsageView::of(&summary.total),
            usual_today: summary
                .usual_today
                .map(|usual| UsualView { tokens: whole(usual.tokens), cost_usd: usd(usual.spent_nano_usd) }),
            forecast,
            cache_hit_pct: (read > 0).then_some(share),
        }
    }
}

/// The table of prices in force.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PricesView {
    /// The name of the file; null for the table that the program comes with.
    pub(crate) file: Option<String>,
    pub(crate) prices: Vec<PriceView>,
    /// For models that no price is about; null when it is off.
    pub(crate) fallback: Option<RatesView>,
    pub(crate) flat_rates: Vec<FlatRateView>,
    /// Models used in the last 90 days that nobody knows a price of, most used first, 100 at most.
    pub(crate) unpriced_models: Vec<UnpricedModelView>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RatesView {
    pub(crate) input: f64,
    pub(crate) output: f64,
    pub(crate) cache_read: f64,
    pub(crate) cache_write: f64,
}

/// A price from a day on. A `*` at the end of a name stands for any rest.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PriceView {
    pub(crate) provider: String,
    pub(crate) model: String,
    #[schema(format = Date)]
    pub(crate) from: String,
    pub(crate) usd_per_million: RatesView,
}

/// A plan that is paid by the month, and what it covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct FlatRateView {
    pub(crate) provider: String,
    pub(crate) model: String,
    #[schema(format = Date)]
    pub(crate) from: String,
    /// The first day without it.
    #[schema(format = Date)]
    pub(crate) until: Option<String>,
    pub(crate) name: Option<String>,
}

/// A model that nobody knows a price of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct UnpricedModelView {
    pub(crate) provider: String,
    pub(crate) model: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) tokens: u64,
    #[schema(format = DateTime)]
    pub(crate) last_used_at: String,
}

impl RatesView {
    fn of(rates: &Rates) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 10^12")]
        let usd = |millionths: i64| millionths as f64 / 1e6;
        Self {
            input: usd(rates.input),
            output: usd(rates.output),
            cache_read: usd(rates.cache_read),
            cache_write: usd(rates.cache_write),
        }
    }
}

impl PricesView {
    pub(crate) fn of(prices: &Prices, unpriced: Vec<UnpricedModel>) -> Self {
        let price = |price: &Price| PriceView {
            provider: price.of.provider.clone(),
            model: price.of.model.clone(),
            from: price.from.clone(),
            usd_per_million: RatesView::of(&price.rates),
        };
        let plan = |plan: &FlatRate| FlatRateView {
            provider: plan.of.provider.clone(),
            model: plan.of.model.clone(),
            from: plan.from.clone(),
            until: plan.until.clone(),
            name: plan.name.clone(),
        };
        let model = |model: UnpricedModel| UnpricedModelView {
            provider: model.provider,
            model: model.model,
            tokens: whole(model.tokens),
            last_used_at: rfc3339(model.last_used_at),
        };
        Self {
            file: prices.file.clone(),
            prices: prices.prices.iter().map(price).collect(),
            fallback: prices.fallback.as_ref().map(RatesView::of),
            flat_rates: prices.flat_rates.iter().map(plan).collect(),
            unpriced_models: unpriced.into_iter().map(model).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_not_free_and_a_plan_is_not_spent() {
        let check = |counts: Counts, cost: Option<f64>, unpriced: u64| {
            let view = UsageView::of(&counts);
            assert_eq!((view.cost_usd, view.unpriced_tokens), (cost, unpriced), "{counts:?}");
        };
        let used = Counts { input: 100, ..Counts::default() };
        check(Counts::default(), Some(0.0), 0);
        check(Counts { unpriced: 100, ..used }, None, 100);
        check(
            Counts { unpriced: 100, estimated: 100, estimate_nano_usd: 5_000_000_000, ..used },
            Some(5.0),
            0,
        );
        check(Counts { unpriced: 60, cost_nano_usd: 1_000_000_000, ..used }, Some(1.0), 60);
        let flat = Counts { cost_nano_usd: 2_000_000_000, flat_nano_usd: 2_000_000_000, ..used };
        check(flat, Some(0.0), 0);
        assert!((UsageView::of(&flat).flat_rate_usd - 2.0).abs() < 1e-9);
    }
}
