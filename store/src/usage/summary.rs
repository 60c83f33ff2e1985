//! What was used in a few words: the days and months around now, what is usual, and what the month will come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::ToSpan as _;
use jiff::civil::Date;
use protocol::{QUARTER_MILLIS, Timestamp};

use super::{Counts, UsageBy, UsageFilter, UsageQuery};
use crate::zone::{days_between, months};
use crate::{Error, Store, Zone, lock};

/// Full days before today that say what is usual.
const WEEK: i64 = 7;
/// Days with which a forecast begins.
const FEWEST_DAYS: usize = 2;

/// What was used around now, by a viewer's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Today.
    pub today: Counts,
    /// Yesterday.
    pub yesterday: Counts,
    /// This month.
    pub this_month: Counts,
    /// The month before.
    pub last_month: Counts,
    /// Since the first turn that is known.
    pub total: Counts,
    /// What the last full days had used by this time of day; `None` with fewer than two of them.
    pub usual_today: Option<Usual>,
    /// What this month will come to; `None` with fewer than two full days.
    pub forecast: Option<Forecast>,
}

/// What is usual: the median of the last full days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    /// Tokens.
    pub tokens: i64,
    /// Spent, in billionths of a US dollar.
    pub spent_nano_usd: i64,
}

/// What a month will come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// From how many full days it was made.
    pub days: usize,
    /// Tokens.
    pub tokens: Expected,
    /// Spent, in billionths of a US dollar.
    pub spent_nano_usd: Expected,
}

/// A number that is not known yet, with the range it will probably be in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The best guess.
    pub mean: f64,
    /// A standard deviation less, and never less than there is already.
    pub low: f64,
    /// A standard deviation more.
    pub high: f64,
}

/// What the last days say of a month: it has `so_far`, of that `today`, and `after` more days come after today.
///
/// The days that remain are expected to be like the mean of the last days, today too as far as it has not used that
/// already. The range is that of a sum of so many days, whose mean is known from a few days only.
fn expect(days: &[f64], so_far: f64, today: f64, after: f64) -> Expected {
    #[expect(clippy::cast_precision_loss, reason = "at most seven")]
    let n = days.len() as f64;
    let mean = days.iter().sum::<f64>() / n;
    let variance = days.iter().map(|day| (day - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let rest_of_today = (mean - today).max(0.0);
    let remaining = after + if mean > 0.0 { rest_of_today / mean } else { 0.0 };
    let expected = so_far + rest_of_today + mean * after;
    let deviation = (variance * (remaining + remaining.powi(2) / n)).sqrt();
    Expected { mean: expected, low: (expected - deviation).max(so_far), high: expected + deviation }
}

fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    let at = |i: usize| values.get(i).copied().unwrap_or(0);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { at(half) } else { at(half.saturating_sub(1)).midpoint(at(half)) }
}

#[expect(clippy::cast_precision_loss, reason = "a guess")]
fn float(n: i64) -> f64 {
    n as f64
}

impl Store {
    /// What was used around now, by the clock of a zone.
    pub async fn usage_summary(&self, zone: &Zone, filter: &UsageFilter) -> Result<Summary, Error> {
        let now = self.inner.clock.now();
        let today = zone.date(now);
        let [last_month, this_month, next_month] = months(today);
        let question = |by, from, to| UsageQuery {
            from,
            to,
            zone: zone.clone(),
            by,
            then_by: None,
            filter: filter.clone(),
            limit: 1,
        };
        // The month before has more days than a week: whoever was there then has seven full days, even idle ones.
        let asked = question(UsageBy::Day, zone.start_of(last_month), zone.start_of(next_month));
        let mut days: BTreeMap<Date, Counts> = BTreeMap::new();
        for (key, counts) in self.usage_by_time(&asked).await? {
            if let Ok(day) = key.parse() {
                days.insert(day, counts);
            }
        }
        let sum =
            |from: Date, to: Date| days.range(from..to).fold(Counts::default(), |sum, (_, day)| sum + *day);
        let of_day = |day: Date| days.get(&day).copied().unwrap_or_default();
        let first = days.keys().next().copied().unwrap_or(today);
        let week: Vec<Date> = (1..=WEEK)
            .rev()
            .filter_map(|ago| today.checked_sub(ago.days()).ok())
            .filter(|day| *day >= first)
            .collect();
        let enough = week.len() >= FEWEST_DAYS;
        let usual_today = if enough { Some(self.usual(zone, now, &week, &question).await?) } else { None };
        let so_far = sum(this_month, next_month);
        let after = float(days_between(today, next_month) - 1);
        let forecast = enough.then(|| {
            let of = |part: fn(&Counts) -> i64| {
                let days: Vec<f64> = week.iter().map(|day| float(part(&of_day(*day)))).collect();
                expect(&days, float(part(&so_far)), float(part(&of_day(today))), after)
            };
            Forecast {
                days: week.len(),
                tokens: of(Counts::tokens),
                spent_nano_usd: of(Counts::spent_nano_usd),
            }
        });
        Ok(Summary {
            today: of_day(today),
            yesterday: today.yesterday().map(of_day).unwrap_or_default(),
            this_month: so_far,
            last_month: sum(last_month, this_month),
            total: self.usage_in_all(filter).await?,
            usual_today,
            forecast,
        })
    }

    /// What days had used by this time of day, in whole quarters of an hour.
    async fn usual(
        &self,
        zone: &Zone,
        now: Timestamp,
        days: &[Date],
        question: &impl Fn(UsageBy, Timestamp, Timestamp) -> UsageQuery,
    ) -> Result<Usual, Error> {
        let time = zone.time(now);
        let spans: Vec<(i64, i64)> = days
            .iter()
            .map(|day| {
                (zone.start_of(*day).0, zone.at(*day, time).0.div_euclid(QUARTER_MILLIS) * QUARTER_MILLIS)
            })
            .collect();
        let mut sums = vec![Counts::default(); spans.len()];
        let from = spans.first().map_or(now, |span| Timestamp(span.0));
        for (key, counts) in self.usage_by_time(&question(UsageBy::Quarter, from, now)).await? {
            let at = key.parse::<i64>().unwrap_or(0) * 1000;
            for (sum, (from, to)) in sums.iter_mut().zip(&spans) {
                if (*from..*to).contains(&at) {
                    *sum += counts;
                }
            }
        }
        Ok(Usual {
            tokens: median(sums.iter().map(Counts::tokens).collect()),
            spent_nano_usd: median(sums.iter().map(Counts::spent_nano_usd).collect()),
        })
    }

    /// What was used since the beginning.
    async fn usage_in_all(&self, filter: &UsageFilter) -> Result<Counts, Error> {
        let UsageFilter { devices, provider, model, agent, trigger } = filter;
        if [provider, model, agent, trigger].into_iter().any(Option::is_some) {
            let question = UsageQuery {
                from: Timestamp(0),
                to: Timestamp(i64::MAX),
                zone: Zone::utc(),
                by: UsageBy::Provider,
                then_by: None,
                filter: filter.clone(),
                limit: 1,
            };
            let groups = self.usage(&question).await?;
            return Ok(groups.iter().fold(Counts::default(), |sum, group| sum + group.counts));
        }
        let fleet = lock(&self.inner.fleet);
        let add = |sum: Counts, device: &Arc<crate::Device>| {
            device.usage.as_ref().map_or(sum, |usage| sum + usage.total)
        };
        Ok(match devices {
            Some(ids) => ids.iter().filter_map(|id| fleet.devices.get(id)).fold(Counts::default(), add),
            None => fleet.devices.values().fold(Counts::default(), add),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_are_alike_leave_no_doubt() {
        let expected = expect(&[10.0; 7], 105.0, 5.0, 9.0);
        assert_eq!(expected, Expected { mean: 200.0, low: 200.0, high: 200.0 });
        // Today has used more than a day does: nothing more is expected of it.
        assert!((expect(&[10.0, 10.0], 130.0, 30.0, 2.0).mean - 150.0).abs() < 1e-9);
        assert_eq!(expect(&[0.0, 0.0], 0.0, 0.0, 20.0), Expected { mean: 0.0, low: 0.0, high: 0.0 });
    }

    #[test]
    fn the_range_grows_with_the_days_that_remain_and_never_undoes_what_is() {
        let days = [5.0, 15.0];
        let (soon, late) = (expect(&days, 100.0, 10.0, 1.0), expect(&days, 100.0, 10.0, 20.0));
        assert!((soon.mean - 110.0).abs() < 1e-9 && (late.mean - 300.0).abs() < 1e-9);
        // One more day: 50 * (1 + 1/2), of which the root.
        assert!((soon.high - soon.mean - 75.0_f64.sqrt()).abs() < 1e-9, "{soon:?}");
        assert!(late.high - late.mean > 10.0 * (soon.high - soon.mean));
        assert!((late.low - (300.0 - (late.high - 300.0))).abs() < 1e-9);
        assert!((expect(&[0.0, 1000.0], 50.0, 0.0, 1.0).low - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![1, 9, 4, 6]), 5);
        assert_eq!(median(vec![]), 0);
    }
}
