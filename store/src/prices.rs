//! What tokens cost: a dated table that people edit, for tokens of which OpenClaw recorded no cost.
//!
//! Pure: text in, answers out. Money is counted in whole numbers (a price in millionths of a dollar per million tokens, a
//! sum in billionths of a dollar), so that a sum of parts is the sum.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use protocol::{Timestamp, limits};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use crate::Counts;

/// The table that the program comes with.
pub const EMBEDDED: &str = include_str!("../../config/prices.toml");
/// Entries of a table at most: each is looked at for each row that is written.
const MAX_ENTRIES: usize = 2_000;
/// A dollar a token: nothing costs more, and what does is a slip.
const MAX_USD: f64 = 1e6;
const DAY_MS: i64 = 86_400_000;
/// Grows when the same table means something else than before.
const MEANING: &str = "1";

/// The day of UTC, counted from 1970.
type Day = i64;

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PriceError {
    /// Where.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Prices of tokens, in millionths of a US dollar per million (which is a millionth of a millionth for each).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Tokens read, without those of the cache.
    pub input: i64,
    /// Tokens written.
    pub output: i64,
    /// Tokens read from the cache.
    pub cache_read: i64,
    /// Tokens written into the cache.
    pub cache_write: i64,
}

/// Which models an entry is about. A `*` at the end stands for any rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Models {
    /// The provider, as OpenClaw names it.
    pub provider: String,
    /// The model, as OpenClaw names it.
    pub model: String,
}

/// A price from a day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Of what.
    pub of: Models,
    /// The first day, of UTC, as `2025-09-29`.
    pub from: String,
    /// How much.
    pub rates: Rates,
    since: Day,
}

/// A plan that is paid by the month, whatever is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatRate {
    /// What it covers.
    pub of: Models,
    /// The first day, of UTC.
    pub from: String,
    /// The day from which on it covers nothing any more.
    pub until: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    since: Day,
    ended: Option<Day>,
}

/// The table in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    /// Prices, in the order of the file.
    pub prices: Vec<Price>,
    /// Plans, in the order of the file.
    pub flat_rates: Vec<FlatRate>,
    /// For models that no price is about; `None`: they stay without one.
    pub fallback: Option<Rates>,
    /// The file's name; `None` for the table that the program comes with.
    pub file: Option<String>,
}

/// What the table says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// What its unpriced tokens cost, in billionths of a US dollar.
    pub nano_usd: i64,
    /// How many tokens that are.
    pub tokens: i64,
    /// How much of its recorded and estimated cost a flat-rate plan covers.
    pub flat_nano_usd: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    price: Vec<PriceEntry>,
    #[serde(default)]
    flat_rate: Vec<FlatEntry>,
    #[serde(default)]
    fallback: Option<FallbackEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceEntry {
    provider: Spanned<String>,
    model: Spanned<String>,
    from: Spanned<String>,
    input: Spanned<f64>,
    output: Spanned<f64>,
    cache_read: Option<Spanned<f64>>,
    cache_write: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlatEntry {
    provider: Spanned<String>,
    model: Spanned<String>,
    from: Spanned<String>,
    until: Option<Spanned<String>>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FallbackEntry {
    enabled: bool,
    input: Spanned<f64>,
    output: Spanned<f64>,
    cache_read: Option<Spanned<f64>>,
    cache_write: Option<Spanned<f64>>,
}

/// Reads one file's text, and knows where in it something stands.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> PriceError {
        let before = self.0.get(..span.start).unwrap_or(self.0);
        PriceError { line: before.matches('\n').count() + 1, message: message.into() }
    }

    fn models(&self, provider: Spanned<String>, model: Spanned<String>) -> Result<Models, PriceError> {
        let pattern = |text: Spanned<String>| {
            let (span, text) = (text.span(), text.into_inner());
            let fixed = text.strip_suffix('*').unwrap_or(&text);
            if text.is_empty() || fixed.contains('*') {
                return Err(self.wrong(span, "a name, of which `*` may stand at the end only"));
            }
            Ok(text)
        };
        Ok(Models { provider: pattern(provider)?, model: pattern(model)? })
    }

    fn day(&self, text: Spanned<String>) -> Result<(String, Day), PriceError> {
        let (span, text) = (text.span(), text.into_inner());
        let day = text.parse::<jiff::civil::Date>().ok().filter(|day| day.to_string() == text);
        let day = day.ok_or_else(|| self.wrong(span, format!("`{text}` is no day like \"2026-01-31\"")))?;
        let since = day.duration_since(jiff::civil::date(1970, 1, 1)).as_secs() / 86_400;
        Ok((text, since))
    }

    fn usd(&self, value: &Spanned<f64>) -> Result<i64, PriceError> {
        let usd = *value.get_ref();
        if !(0.0..=MAX_USD).contains(&usd) {
            return Err(
                self.wrong(value.span(), format!("{usd} is no price in US dollars per million tokens"))
            );
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 10^12")]
        let millionths = (usd * 1e6).round() as i64;
        Ok(millionths)
    }

    fn rates(
        &self,
        input: &Spanned<f64>,
        output: &Spanned<f64>,
        cache_read: Option<&Spanned<f64>>,
        cache_write: Option<&Spanned<f64>>,
    ) -> Result<Rates, PriceError> {
        Ok(Rates {
            input: self.usd(input)?,
            output: self.usd(output)?,
            // A provider that names no price of its own for the cache bills what goes through it as input.
            cache_read: self.usd(cache_read.unwrap_or(input))?,
            cache_write: self.usd(cache_write.unwrap_or(input))?,
        })
    }
}

impl Models {
    /// How well this fits: the exact name before a longer beginning before a shorter one; `None` when it does not.
    fn fits(&self, provider: &str, model: &str) -> Option<(usize, usize)> {
        let fit = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
            None => (pattern == name).then_some(usize::MAX),
            Some(start) => name.starts_with(start).then_some(start.len()),
        };
        Some((fit(&self.provider, provider)?, fit(&self.model, model)?))
    }
}

static COMES_WITH: LazyLock<Prices> = LazyLock::new(|| Prices::parse(EMBEDDED).unwrap_or_default());

impl Prices {
    /// Reads a table. What is misspelt is refused by name.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        let reader = Reader(text);
        let file: File = toml::from_str(text)
            .map_err(|error| reader.wrong(error.span().unwrap_or(0..0), error.message().trim_end()))?;
        if file.price.len() + file.flat_rate.len() > MAX_ENTRIES {
            return Err(PriceError { line: 1, message: format!("more than {MAX_ENTRIES} entries") });
        }
        let (mut prices, mut flat_rates) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for entry in file.price {
            let span = entry.provider.span();
            let of = reader.models(entry.provider, entry.model)?;
            let (from, since) = reader.day(entry.from)?;
            if !seen.insert((of.clone(), since)) {
                let message = format!("there is a price of {}/{} from {from} already", of.provider, of.model);
                return Err(reader.wrong(span, message));
            }
            let rates = reader.rates(
                &entry.input,
                &entry.output,
                entry.cache_read.as_ref(),
                entry.cache_write.as_ref(),
            )?;
            prices.push(Price { of, from, rates, since });
        }
        for entry in file.flat_rate {
            let of = reader.models(entry.provider, entry.model)?;
            let (from, since) = reader.day(entry.from)?;
            let until = entry.until.map(|until| reader.day(until)).transpose()?;
            let (until, ended) = until.unzip();
            flat_rates.push(FlatRate { of, from, until, name: entry.name, since, ended });
        }
        let fallback = file
            .fallback
            .map(|entry| {
                let rates = reader.rates(
                    &entry.input,
                    &entry.output,
                    entry.cache_read.as_ref(),
                    entry.cache_write.as_ref(),
                )?;
                Ok(entry.enabled.then_some(rates))
            })
            .transpose()?
            .flatten();
        Ok(Self { prices, flat_rates, fallback, file: None })
    }

    /// The table that the program comes with.
    pub fn embedded() -> Self {
        COMES_WITH.clone()
    }

    /// The same table, from a file with this name.
    #[must_use]
    pub fn from_file(self, name: impl Into<String>) -> Self {
        Self { file: Some(name.into()), ..self }
    }

    /// Tells one table's meaning from another's, whatever file it comes from.
    pub fn fingerprint(&self) -> String {
        let text = format!("{MEANING} {:?} {:?} {:?}", self.prices, self.flat_rates, self.fallback);
        Sha256::digest(text.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    /// What a model costs on a day: of the prices that are about it and have begun, the one that names it best, and of
    /// those the youngest.
    fn rates(&self, provider: &str, model: &str, day: Day) -> Option<Rates> {
        let fitting = self.prices.iter().filter(|price| price.since <= day).filter_map(|price| {
            let fit = price.of.fits(provider, model)?;
            Some(((fit, price.since), price.rates))
        });
        fitting.max_by_key(|(order, _)| *order).map(|(_, rates)| rates).or(self.fallback)
    }

    fn is_flat(&self, provider: &str, model: &str, day: Day) -> bool {
        self.flat_rates.iter().any(|plan| {
            plan.since <= day
                && plan.ended.is_none_or(|ended| day < ended)
                && plan.of.fits(provider, model).is_some()
        })
    }

    /// What the unpriced tokens of a row cost, and what a plan covers of all of it. OpenClaw's own cost is never replaced.
    pub fn estimate(&self, provider: &str, model: &str, quarter: Timestamp, counts: &Counts) -> Estimate {
        let day = quarter.0.div_euclid(DAY_MS);
        let (tokens, unpriced) = (counts.tokens(), counts.unpriced.min(counts.tokens()));
        let rates = if unpriced > 0 { self.rates(provider, model, day) } else { None };
        let (nano_usd, estimated) = match rates {
            Some(rates) => (rates.cost(counts, unpriced, tokens), counts.unpriced),
            None => (0, 0),
        };
        let flat = self.is_flat(provider, model, day);
        let flat_nano_usd = if flat { counts.cost_nano_usd.saturating_add(nano_usd) } else { 0 };
        Estimate { nano_usd, tokens: estimated, flat_nano_usd }
    }
}

impl Rates {
    /// What `unpriced` of a row's `tokens` cost, in billionths of a dollar: which of them they are is known only when it
    /// is all of them, else each kind has its share.
    fn cost(&self, counts: &Counts, unpriced: i64, tokens: i64) -> i64 {
        let parts = [
            (counts.input, self.input),
            (counts.output, self.output),
            (counts.cache_read, self.cache_read),
            (counts.cache_write, self.cache_write),
        ];
        let whole: i128 = parts.into_iter().map(|(count, rate)| i128::from(count) * i128::from(rate)).sum();
        let (share, of) = (whole * i128::from(unpriced), i128::from(tokens) * 1000);
        let rounded = (2 * share + of) / (2 * of);
        // Like all that a device sends: a million rows of it can be added up.
        let most = i64::try_from(limits::MAX_USAGE_COUNT).unwrap_or(i64::MAX);
        i64::try_from(rounded).map_or(most, |nano| nano.min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
[[price]]
provider = "anthropic"
model = "claude-*"
from = "2026-06-01"
input = 100
output = 100

[[price]]
provider = "anthropic"
model = "claude-sonnet-4-5*"
from = "2025-09-29"
input = 3.0
output = 15.0
cache_read = 0.3
cache_write = 3.75

[[price]]
provider = "anthropic"
model = "claude-sonnet-4-5*"
from = "2026-03-01"
input = 2.0
output = 10.0

[[flat_rate]]
provider = "openai-codex"
model = "*"
from = "2026-01-01"
until = "2026-02-01"
name = "a plan"
"#;

    fn at(day: &str) -> Timestamp {
        Timestamp(day.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn counts(input: i64, output: i64, cache_read: i64, cache_write: i64, unpriced: i64) -> Counts {
        Counts { input, output, cache_read, cache_write, unpriced, ..Counts::default() }
    }

    #[test]
    fn the_price_that_names_a_model_best_counts_from_its_day_on() {
        let prices = Prices::parse(TABLE).unwrap();
        let million = counts(1_000_000, 0, 0, 0, 1_000_000);
        let check = |model: &str, day: &str, usd: i64| {
            let found = prices.estimate("anthropic", model, at(day), &million);
            assert_eq!(found.nano_usd, usd * 1_000_000_000, "{model} {day}");
        };
        check("claude-sonnet-4-5", "2025-09-28T23:45:00Z", 0);
        check("claude-sonnet-4-5", "2025-09-29T00:00:00Z", 3);
        check("claude-sonnet-4-5-20250929", "2026-02-28T23:45:00Z", 3);
        check("claude-sonnet-4-5", "2026-03-01T00:00:00Z", 2);
        // The general price is younger, and still the worse name.
        check("claude-sonnet-4-5", "2026-07-01T00:00:00Z", 2);
        check("claude-opus", "2026-07-01T00:00:00Z", 100);
        check("gpt-5", "2026-07-01T00:00:00Z", 0);
    }

    #[test]
    fn only_what_openclaw_had_no_price_of_is_estimated() {
        let prices = Prices::parse(TABLE).unwrap();
        let day = at("2025-12-01T12:00:00Z");
        let of = |counts: &Counts| prices.estimate("anthropic", "claude-sonnet-4-5", day, counts);
        // 3000 + 15000 + 300 + 3750 nano-dollars for one of each.
        assert_eq!(of(&counts(1, 1, 1, 1, 4)), Estimate { nano_usd: 22_050, tokens: 4, flat_nano_usd: 0 });
        assert_eq!(of(&counts(1, 1, 1, 1, 1)), Estimate { nano_usd: 5_513, tokens: 1, flat_nano_usd: 0 });
        assert_eq!(of(&counts(1, 1, 1, 1, 0)), Estimate::default());
        assert_eq!(of(&counts(0, 0, 0, 0, 0)), Estimate::default());
        // Without prices of their own, tokens of the cache cost what input does.
        let later = at("2026-04-01T00:00:00Z");
        let found = prices.estimate("anthropic", "claude-sonnet-4-5", later, &counts(0, 0, 3, 2, 5));
        assert_eq!(found.nano_usd, 10_000);
        let most = counts(1 << 44, 1 << 44, 1 << 44, 1 << 44, 1 << 44);
        assert_eq!(of(&most).nano_usd, 1 << 44);
    }

    #[test]
    fn what_a_plan_covers_is_worth_and_not_spent() {
        let with_fallback = format!("{TABLE}\n[fallback]\nenabled = true\ninput = 1.0\noutput = 1.0\n");
        let (plain, prices) = (Prices::parse(TABLE).unwrap(), Prices::parse(&with_fallback).unwrap());
        let used = Counts { cost_nano_usd: 7, ..counts(1000, 0, 0, 0, 1000) };
        let of = |prices: &Prices, day: &str| prices.estimate("openai-codex", "gpt-5", at(day), &used);
        assert_eq!(of(&plain, "2026-01-31T23:45:00Z"), Estimate { nano_usd: 0, tokens: 0, flat_nano_usd: 7 });
        assert_eq!(
            of(&prices, "2026-01-31T23:45:00Z"),
            Estimate { nano_usd: 1_000_000, tokens: 1000, flat_nano_usd: 1_000_007 }
        );
        assert_eq!(of(&prices, "2026-02-01T00:00:00Z").flat_nano_usd, 0);
        assert_eq!(of(&prices, "2025-12-31T23:45:00Z").flat_nano_usd, 0);
        let off = with_fallback.replace("enabled = true", "enabled = false");
        assert_eq!(Prices::parse(&off), Ok(plain));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let check = |change: (&str, &str), line: usize, word: &str| {
            let error = Prices::parse(&TABLE.replacen(change.0, change.1, 1)).unwrap_err();
            assert!(error.line == line && error.message.contains(word), "{error}");
        };
        check(("output = 100", "ouput = 100"), 7, "ouput");
        check(("[[price]]", "[[prices]]"), 2, "prices");
        check(("input = 100\n", ""), 2, "input");
        check(("claude-sonnet-4-5*", "claude*4-5*"), 11, "`*`");
        check(("2025-09-29", "2025-9-29"), 12, "2025-9-29");
        check(("2026-02-01", "2026-02-30"), 29, "2026-02-30");
        check(("cache_read = 0.3", "cache_read = -0.3"), 15, "-0.3");
        check(("cache_read = 0.3", "cache_read = nan"), 15, "NaN");
        check(("input = 3.0", "input = \"3\""), 13, "string");
        check(("2026-03-01", "2025-09-29"), 19, "already");
        check(("input = 3.0", "input = = 3.0"), 13, "");
    }

    #[test]
    fn the_table_that_comes_with_the_program_is_good() {
        let prices = Prices::parse(EMBEDDED).unwrap();
        assert!(prices.prices.len() >= 10, "a modest set");
        assert_eq!(prices, Prices::embedded());
        let sonnet = prices.rates("anthropic", "claude-sonnet-4-5-20250929", 20_500).unwrap();
        assert_eq!(
            sonnet,
            Rates { input: 3_000_000, output: 15_000_000, cache_read: 300_000, cache_write: 3_750_000 }
        );
    }

    #[test]
    fn a_fingerprint_is_of_the_meaning() {
        let plain = Prices::parse(TABLE).unwrap();
        let same = Prices::parse(&format!("# a word\n{TABLE}")).unwrap().from_file("prices.toml");
        let other = Prices::parse(&TABLE.replace("input = 3.0", "input = 3.1")).unwrap();
        assert_eq!(plain.fingerprint(), same.fingerprint());
        assert_ne!(plain.fingerprint(), other.fingerprint());
    }
}
