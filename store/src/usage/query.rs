//! Questions about what was used.

use protocol::{DeviceId, QUARTER_MILLIS, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Counts, quarter, sums};
use crate::zone::local;
use crate::{Error, Store, Zone, lock};

const QUARTERS_OF_A_DAY: i64 = 96;
/// More seconds than any clock is off UTC, and how many offsets that leaves room for.
const MAX_OFFSET: i64 = 100_000;
const OFFSETS: i64 = 2 * MAX_OFFSET;

/// How [`Store::usage`] groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    /// Quarters of an hour.
    Quarter,
    /// Hours of the viewer's clock.
    Hour,
    /// The viewer's days.
    Day,
    /// The viewer's weeks, from Monday on.
    Week,
    /// The viewer's months.
    Month,
    /// Provider and model.
    Model,
    /// Providers.
    Provider,
    /// Devices.
    Device,
    /// OpenClaw agents, of all devices.
    Agent,
    /// What made OpenClaw run.
    Trigger,
}

impl UsageBy {
    /// Every way.
    pub const ALL: [Self; 10] = [
        Self::Quarter,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Model,
        Self::Provider,
        Self::Device,
        Self::Agent,
        Self::Trigger,
    ];

    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quarter => "quarter",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Device => "device",
            Self::Agent => "agent",
            Self::Trigger => "trigger",
        }
    }

    /// For a way of time, how long its shortest unit is in milliseconds: so many groups there may be.
    pub fn unit_ms(self) -> Option<i64> {
        const DAY: i64 = 86_400_000;
        match self {
            Self::Quarter => Some(QUARTER_MILLIS),
            Self::Hour => Some(DAY / 24),
            Self::Day => Some(DAY),
            Self::Week => Some(7 * DAY),
            Self::Month => Some(28 * DAY),
            _ => None,
        }
    }

    /// The whole number that rows are grouped by first; `offset` is SQL for the seconds between UTC and the clock.
    fn number(self, offset: &str) -> String {
        match self {
            Self::Quarter => "quarter * 900".to_owned(),
            // The clock's hour, and which: when clocks go back, the same hour comes twice, first with the greater offset.
            Self::Hour => {
                format!("(quarter * 900 + {offset}) / 3600 * {OFFSETS} + {MAX_OFFSET} - ({offset})")
            }
            Self::Day | Self::Week | Self::Month => format!("(quarter * 900 + {offset}) / 86400"),
            Self::Device => "device_no".to_owned(),
            Self::Model | Self::Provider | Self::Agent | Self::Trigger => "word_no".to_owned(),
        }
    }

    /// What the number is called, as SQL over the grouped rows `i`, the words `w` and the devices `d`.
    fn name(self, number: &str) -> String {
        match self {
            // As long as each other, so that they sort as numbers do.
            Self::Quarter | Self::Hour => format!("printf('%015d', i.{number})"),
            Self::Day => format!("date(i.{number} * 86400, 'unixepoch')"),
            // The first of January 1970 was a Thursday.
            Self::Week => format!("date(((i.{number} + 3) / 7 * 7 - 3) * 86400, 'unixepoch')"),
            Self::Month => format!("strftime('%Y-%m', i.{number} * 86400, 'unixepoch')"),
            Self::Model => "w.provider || '/' || w.model".to_owned(),
            Self::Provider => "w.provider".to_owned(),
            Self::Agent => "w.agent".to_owned(),
            Self::Trigger => "w.\"trigger\"".to_owned(),
            Self::Device => "d.id".to_owned(),
        }
    }

    fn is_a_word(self) -> bool {
        matches!(self, Self::Model | Self::Provider | Self::Agent | Self::Trigger)
    }

    /// The name for people.
    fn shown(self, name: String, zone: &Zone) -> String {
        let Ok(number) = name.parse::<i64>() else { return name };
        match self {
            Self::Quarter => {
                let at = Timestamp(number * 1000);
                local(at, zone.offset(at))
            }
            Self::Hour => {
                let offset = MAX_OFFSET - number.rem_euclid(OFFSETS);
                let at = Timestamp((number.div_euclid(OFFSETS) * 3600 - offset) * 1000);
                local(at, i32::try_from(offset).unwrap_or(0))
            }
            _ => name,
        }
    }
}

/// Whose usage is asked for. What is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Of these devices only.
    pub devices: Option<Vec<DeviceId>>,
    /// Of this provider only.
    pub provider: Option<String>,
    /// Of this model only.
    pub model: Option<String>,
    /// Of this OpenClaw agent only.
    pub agent: Option<String>,
    /// For this reason only.
    pub trigger: Option<String>,
}

/// A question about what was used.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// From this moment on (rounded down to a quarter of an hour).
    pub from: Timestamp,
    /// Until this moment (rounded down to a quarter of an hour).
    pub to: Timestamp,
    /// The viewer's days.
    pub zone: Zone,
    /// How to group.
    pub by: UsageBy,
    /// How to group each group.
    pub then_by: Option<UsageBy>,
    /// Whose.
    pub filter: UsageFilter,
    /// Names of each way that is not time, at most: those that cost most, or of equals used most. The rest is one group.
    pub limit: u32,
}

/// A group of what was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageGroup {
    /// Its name; `None`: what the limit left over.
    pub key: Option<String>,
    /// Its second name, when it was asked for; `None`: what the limit left over.
    pub second: Option<String>,
    /// How many names were left over, in a group of those.
    pub others: i64,
    /// What was used.
    pub counts: Counts,
}

/// A model that something was used of without a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpricedModel {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Tokens without a price.
    pub tokens: i64,
    /// The last quarter that has some.
    pub last_used_at: Timestamp,
}

/// SQL for the seconds between UTC and the zone's clock.
fn offset(zone: &Zone, from: Timestamp, to: Timestamp) -> String {
    let offsets = zone.offsets(from, to);
    let (Some((_, first)), changes) = (offsets.first(), offsets.iter().skip(1)) else {
        return "0".to_owned();
    };
    // The youngest first; whole numbers of our own making.
    let cases: Vec<String> = changes
        .rev()
        .map(|(at, seconds)| format!("WHEN quarter >= {} THEN {seconds}", quarter(*at)))
        .collect();
    if cases.is_empty() { first.to_string() } else { format!("CASE {} ELSE {first} END", cases.join(" ")) }
}

impl UsageFilter {
    fn push(&self, query: &mut QueryBuilder<Sqlite>, store: &Store) {
        let words = [
            ("provider", &self.provider),
            ("model", &self.model),
            ("agent", &self.agent),
            ("\"trigger\"", &self.trigger),
        ];
        let mut before = " AND word_no IN (SELECT no FROM usage_word WHERE ";
        let mut any = false;
        for (column, value) in words {
            if let Some(value) = value {
                query.push(before).push(column).push(" = ").push_bind(value.clone());
                (before, any) = (" AND ", true);
            }
        }
        if any {
            query.push(")");
        }
        if let Some(devices) = &self.devices {
            let fleet = lock(&store.inner.fleet);
            let numbers: Vec<i64> =
                devices.iter().filter_map(|id| fleet.devices.get(id)).map(|device| device.no).collect();
            let numbers = serde_json::to_string(&numbers).unwrap_or_else(|_| "[]".to_owned());
            query.push(" AND device_no IN (SELECT value FROM json_each(").push_bind(numbers).push("))");
        }
    }
}

/// Where an answer comes from, and which span of it.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// The sums of the whole fleet, by quarter.
    Fleet(i64, i64),
    /// The sums of devices, by day of UTC.
    Days(i64, i64),
    /// The rows themselves, by quarter.
    Rows(i64, i64),
}

impl UsageQuery {
    /// What must be added up. The rows of a large fleet are too many for one question: of a span in which the time does
    /// not matter, they are needed only where it begins and ends within a day.
    fn parts(&self) -> Vec<Part> {
        let (from, to) = (quarter(self.from), quarter(self.to));
        let ways = || [Some(self.by), self.then_by].into_iter().flatten();
        if self.filter.devices.is_none() && !ways().any(|way| way == UsageBy::Device) {
            return vec![Part::Fleet(from, to)];
        }
        let (first, end) =
            ((from + QUARTERS_OF_A_DAY - 1).div_euclid(QUARTERS_OF_A_DAY), to.div_euclid(QUARTERS_OF_A_DAY));
        if ways().any(|way| way.unit_ms().is_some()) || first >= end {
            return vec![Part::Rows(from, to)];
        }
        vec![
            Part::Rows(from, first * QUARTERS_OF_A_DAY),
            Part::Days(first, end),
            Part::Rows(end * QUARTERS_OF_A_DAY, to),
        ]
    }

    fn push_part(&self, query: &mut QueryBuilder<Sqlite>, store: &Store, part: Part) {
        let (table, column, from, to) = match part {
            Part::Fleet(from, to) => ("usage_fleet", "quarter", from, to),
            Part::Days(from, to) => ("usage_day", "day", from, to),
            Part::Rows(from, to) => ("usage", "quarter", from, to),
        };
        query.push(format!(" FROM {table} WHERE {column} >= ")).push_bind(from);
        query.push(format!(" AND {column} < ")).push_bind(to);
        if matches!(part, Part::Rows(..)) {
            query.push(" AND counted");
        }
        if !matches!(part, Part::Fleet(..)) && self.filter.devices.is_none() {
            // A device's rows lie together, in the order of time: so its span is found without looking at the rest.
            query.push(" AND device_no IN (SELECT no FROM device)");
        }
        self.filter.push(query, store);
    }

    fn sql(&self, store: &Store) -> QueryBuilder<Sqlite> {
        let Self { by, then_by, limit, .. } = self;
        let offset = offset(&self.zone, self.from, self.to);
        let ways = [Some(*by), *then_by];
        let number = |way: Option<UsageBy>| way.map_or_else(|| "0".to_owned(), |way| way.number(&offset));
        let name =
            |way: Option<UsageBy>, number: &str| way.map_or_else(|| "''".to_owned(), |way| way.name(number));
        let rank = |way: Option<UsageBy>, name: &str| match way {
            Some(way) if way.unit_ms().is_none() => format!(
                "row_number() OVER (ORDER BY sum(cost_nano_usd + estimate_nano_usd) DESC,
                    sum(input + output + cache_read + cache_write) DESC, {name})"
            ),
            _ => "0".to_owned(),
        };
        let sums = sums();
        // First by whole numbers, which is all that the many rows are needed for; then by names.
        let mut query = QueryBuilder::new("WITH i AS (");
        for (n, part) in self.parts().into_iter().enumerate() {
            query.push(if n == 0 { "SELECT " } else { " UNION ALL SELECT " });
            query.push(number(ways[0])).push(" AS a, ").push(number(ways[1])).push(" AS b, ").push(&sums);
            self.push_part(&mut query, store, part);
            query.push(" GROUP BY 1, 2");
        }
        query.push("), g AS (SELECT ");
        query.push(name(ways[0], "a")).push(" AS a, ").push(name(ways[1], "b")).push(" AS b, ").push(&sums);
        query.push(" FROM i");
        for (place, way) in [("a", ways[0]), ("b", ways[1])] {
            if way.is_some_and(UsageBy::is_a_word) {
                // Two ways of words have the same number.
                if place == "a" || !ways[0].is_some_and(UsageBy::is_a_word) {
                    query.push(format!(" JOIN usage_word w ON w.no = i.{place}"));
                }
            } else if way == Some(UsageBy::Device) {
                query.push(format!(" JOIN device d ON d.no = i.{place}"));
            }
        }
        query.push(format!(
            " GROUP BY 1, 2),
             ra AS (SELECT a, {} AS n FROM g GROUP BY a), rb AS (SELECT b, {} AS n FROM g GROUP BY b)
             SELECT CASE WHEN ra.n <= {limit} THEN g.a END AS key, CASE WHEN rb.n <= {limit} THEN g.b END AS second,
                count(DISTINCT CASE WHEN ra.n > {limit} THEN g.a END) AS others_a,
                count(DISTINCT CASE WHEN rb.n > {limit} THEN g.b END) AS others_b, {sums}
             FROM g JOIN ra ON ra.a = g.a JOIN rb ON rb.b = g.b
             GROUP BY 1, 2 ORDER BY key IS NULL, key, second IS NULL, second",
            rank(ways[0], "a"),
            rank(ways[1], "b"),
        ));
        query
    }
}

impl Store {
    async fn summed_rows(&self, question: &UsageQuery) -> Result<Vec<SqliteRow>, Error> {
        let mut reader = self.reader().await?;
        let mut query = question.sql(self);
        reader.fetch_all("adding up what was used", query.build()).await
    }

    /// What was used by one way of time, with names for programs: a day, or the seconds since 1970.
    pub(crate) async fn usage_by_time(&self, question: &UsageQuery) -> Result<Vec<(String, Counts)>, Error> {
        let rows = self.summed_rows(question).await?;
        Ok(rows.iter().map(|row| (row.get("key"), Counts::of(row))).collect())
    }

    /// What was used, in groups ordered by name.
    pub async fn usage(&self, question: &UsageQuery) -> Result<Vec<UsageGroup>, Error> {
        let rows = self.summed_rows(question).await?;
        let shown = |way: UsageBy, name: Option<String>| name.map(|name| way.shown(name, &question.zone));
        let group = |row: &SqliteRow| UsageGroup {
            key: shown(question.by, row.get("key")),
            second: question.then_by.and_then(|way| shown(way, row.get("second"))),
            others: row.get::<i64, _>("others_a").max(row.get("others_b")),
            counts: Counts::of(row),
        };
        Ok(rows.iter().map(group).collect())
    }

    /// Models that something was used of without a price since a moment, most used first.
    pub async fn unpriced_models(&self, since: Timestamp, limit: u32) -> Result<Vec<UnpricedModel>, Error> {
        let mut reader = self.reader().await?;
        let query = sqlx::query(
            "WITH i AS (SELECT word_no, sum(unpriced - estimated) AS tokens,
                    max(quarter) FILTER (WHERE unpriced > estimated) AS last
                FROM usage_fleet WHERE quarter >= ? GROUP BY word_no)
             SELECT provider, model, sum(tokens) AS tokens, max(last) AS last
             FROM i JOIN usage_word w ON w.no = i.word_no
             GROUP BY 1, 2 HAVING sum(tokens) > 0 ORDER BY tokens DESC, 1, 2 LIMIT ?",
        );
        let rows = reader
            .fetch_all("looking for models without a price", query.bind(quarter(since)).bind(limit))
            .await?;
        let model = |row: &SqliteRow| UnpricedModel {
            provider: row.get("provider"),
            model: row.get("model"),
            tokens: row.get("tokens"),
            last_used_at: Timestamp(row.get::<i64, _>("last") * QUARTER_MILLIS),
        };
        Ok(rows.iter().map(model).collect())
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Clock, TopicRoot};

    use super::*;
    use crate::Config;

    #[tokio::test]
    async fn only_the_span_that_is_asked_for_is_looked_at() {
        let dir = tempfile::TempDir::new().unwrap();
        let config = Config {
            data_dir: dir.path().to_owned(),
            create: true,
            topic_root: TopicRoot::default(),
            readers: 1,
        };
        let store = Store::open(config, Clock::system()).await.unwrap();
        let day = 86_400_000;
        let some = Some(vec![DeviceId::parse("000000000001").unwrap()]);
        let rows = "SEARCH usage USING PRIMARY KEY (device_no=? AND quarter>? AND quarter<?)";
        let days = "SEARCH usage_day USING PRIMARY KEY (device_no=? AND day>? AND day<?)";
        let fleet = "SEARCH usage_fleet USING PRIMARY KEY (quarter>? AND quarter<?)";
        for (by, then_by, devices, wanted) in [
            (UsageBy::Day, Some(UsageBy::Model), None, vec![fleet]),
            (UsageBy::Trigger, None, None, vec![fleet]),
            (UsageBy::Hour, None, some.clone(), vec![rows]),
            (UsageBy::Device, Some(UsageBy::Month), None, vec![rows]),
            (UsageBy::Device, None, None, vec![rows, days, rows]),
            (UsageBy::Model, Some(UsageBy::Agent), some, vec![rows, days, rows]),
        ] {
            let filter = UsageFilter { devices, provider: Some("p".to_owned()), ..UsageFilter::default() };
            let zone = Zone::parse("Europe/Berlin").unwrap();
            let (from, to) = (Timestamp(1_790_000_000_000), Timestamp(1_790_000_000_000 + 90 * day));
            let question = UsageQuery { from, to, zone, by, then_by, filter, limit: 10 };
            let sql = format!("EXPLAIN QUERY PLAN {}", question.sql(&store).sql().as_str());
            let plan = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&store.inner.readers).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
            let looked: Vec<&str> = plan
                .iter()
                .map(String::as_str)
                .filter(|line| {
                    ["usage ", "usage_day ", "usage_fleet "].iter().any(|table| line.contains(table))
                })
                .collect();
            assert_eq!(looked, wanted, "{by:?} {then_by:?} {plan:#?}");
        }
    }
}
