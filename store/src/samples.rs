//! What was measured over time: which columns there are, and how they are asked for.

use std::fmt::Write as _;
use std::sync::LazyLock;

use protocol::{DeviceId, GatewayState, OpenClaw, Report, Timestamp};
use sqlx::Row as _;

use crate::{Error, Store, lock};

/// How a measurement is kept: whole numbers only.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Hundredths,
    Tenths,
    Kib,
    One,
}

impl Unit {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates; the payload's check keeps it in range"
    )]
    fn stored(self, value: f64) -> i64 {
        let scaled = match self {
            Self::Hundredths => value * 100.0,
            Self::Tenths => value * 10.0,
            Self::Kib => value / 1024.0,
            Self::One => value,
        };
        scaled.round() as i64
    }

    fn shown(self, value: f64) -> f64 {
        match self {
            Self::Hundredths => value / 100.0,
            Self::Tenths => value / 10.0,
            Self::Kib => value * 1024.0,
            Self::One => value,
        }
    }
}

macro_rules! metrics {
    ($($variant:ident $name:literal $column:literal $unit:ident $spread:ident $read:expr;)*) => {
        /// Something that is measured over time.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Metric {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub(crate) fn column(self) -> &'static str {
                match self { $(Self::$variant => $column,)* }
            }

            fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit,)* }
            }

            /// Whether the ladder keeps its smallest, mean and largest value, or the largest only.
            pub(crate) fn spreads(self) -> bool {
                matches!(match self { $(Self::$variant => Kept::$spread,)* }, Kept::Spread)
            }

            fn read(self, report: &Report) -> Option<f64> {
                match self { $(Self::$variant => {
                    let read: fn(&Report) -> Option<f64> = $read;
                    read(report)
                })* }
            }
        }
    };
}

enum Kept {
    Spread,
    Largest,
}

#[expect(clippy::cast_precision_loss, reason = "bytes beyond 2^53 are drawn, not counted")]
fn float(value: Option<u64>) -> Option<f64> {
    value.map(|v| v as f64)
}

/// Of all gateways of a device.
fn gateways(
    report: &Report,
    one: impl Fn(&protocol::Gateway) -> Option<f64>,
    join: fn(f64, f64) -> f64,
) -> Option<f64> {
    report.openclaw.iter().flat_map(|claw| &claw.gateways).filter_map(one).reduce(join)
}

// In the order of the columns. Another one: a line here, and a migration with its columns in `sample_hot`, `sample` and
// the two tables of the ladder.
metrics! {
    CpuPct "cpu_pct" "cpu_pct_x100" Hundredths Spread |r| r.cpu.pct;
    Load1 "load1" "load1_x100" Hundredths Spread |r| r.cpu.load1;
    MemoryUsed "memory_used_bytes" "memory_used_kib" Kib Spread |r| float(r.memory.used_bytes);
    MemoryTotal "memory_total_bytes" "memory_total_kib" Kib Largest |r| float(r.memory.total_bytes);
    SwapUsed "swap_used_bytes" "swap_used_kib" Kib Spread |r| float(r.memory.swap_used_bytes);
    DiskUsed "disk_used_bytes" "disk_used_kib" Kib Spread |r| float(r.disk.used_bytes);
    DiskTotal "disk_total_bytes" "disk_total_kib" Kib Largest |r| float(r.disk.total_bytes);
    NetworkUp "network_up_bytes_per_s" "network_up" One Spread |r| r.network.up_bytes_per_s;
    NetworkDown "network_down_bytes_per_s" "network_down" One Spread |r| r.network.down_bytes_per_s;
    Temperature "temperature_celsius" "temperature_x10" Tenths Spread
        |r| r.temperatures.iter().map(|t| t.celsius).reduce(f64::max);
    GatewayRss "gateway_rss_bytes" "gateway_rss_kib" Kib Spread
        |r| gateways(r, |g| float(g.rss_bytes), std::ops::Add::add);
    GatewayCpu "gateway_cpu_pct" "gateway_cpu_pct_x100" Hundredths Spread
        |r| gateways(r, |g| g.cpu_pct, std::ops::Add::add);
    GatewayLoop "gateway_event_loop_ms" "gateway_loop_ms_x10" Tenths Spread
        |r| gateways(r, |g| g.event_loop_p99_ms, f64::max);
}

impl Metric {
    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|metric| metric.as_str() == name)
    }

    pub(crate) fn of(self, report: &Report) -> Option<i64> {
        self.read(report).map(|value| self.unit().stored(value))
    }

    /// A stored value as it is shown.
    #[expect(clippy::cast_precision_loss, reason = "bytes beyond 2^53 are drawn, not counted")]
    pub(crate) fn shown(self, stored: Option<i64>) -> Option<f64> {
        stored.map(|value| self.unit().shown(value as f64))
    }

    fn mean(self, stored: Option<f64>) -> Option<f64> {
        stored.map(|value| self.unit().shown(value))
    }
}

/// States of OpenClaw as they are stored: the worse the greater, so that the worst of a span is its largest.
const STATES: [GatewayState; 8] = [
    GatewayState::NotInstalled,
    GatewayState::Running,
    GatewayState::Starting,
    GatewayState::Draining,
    GatewayState::Unknown,
    GatewayState::Stopped,
    GatewayState::Degraded,
    GatewayState::Hung,
];

pub(crate) fn state_code(openclaw: &OpenClaw) -> Option<i64> {
    STATES.iter().position(|state| *state == openclaw.state).and_then(|at| i64::try_from(at).ok())
}

pub(crate) fn state_of(code: i64) -> GatewayState {
    usize::try_from(code).ok().and_then(|at| STATES.get(at)).copied().unwrap_or(GatewayState::Unknown)
}

/// The columns that all tables of samples share, in their order.
pub(crate) static SHARED: LazyLock<String> = LazyLock::new(|| {
    let mut columns = String::from("late, claw_state, claw_version_no");
    for metric in Metric::ALL {
        columns.extend([", ", metric.column()]);
    }
    columns
});

/// How finely the past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Every sample.
    Raw,
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
}

impl Rung {
    /// From the finest to the coarsest.
    pub const ALL: [Self; 3] = [Self::Raw, Self::FiveMinutes, Self::Hour];

    /// Milliseconds of a bucket; 1 where there are none.
    pub fn bucket_ms(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
        }
    }

    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }

    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Raw => "sample",
            Self::FiveMinutes => "sample_5m",
            Self::Hour => "sample_1h",
        }
    }

    /// The rung for steps of this length: the coarsest that still puts two buckets into each.
    fn fit(step_ms: i64) -> Self {
        let fits = |rung: &&Self| rung.bucket_ms() * 2 <= step_ms;
        *Self::ALL.iter().rev().find(fits).unwrap_or(&Self::Raw)
    }
}

/// From when on each rung still has everything, in UTC milliseconds; 0 where nothing was ever expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Horizon {
    /// Samples.
    pub raw: i64,
    /// Five minutes.
    pub five_minutes: i64,
    /// Hours.
    pub hour: i64,
}

impl Horizon {
    /// Of one rung.
    pub fn of(self, rung: Rung) -> i64 {
        match rung {
            Rung::Raw => self.raw,
            Rung::FiveMinutes => self.five_minutes,
            Rung::Hour => self.hour,
        }
    }

    /// The finest rung that reaches back to `from`, and is at least as coarse as `rung`.
    fn reaching(self, from: Timestamp, rung: Rung) -> Rung {
        let reaches = |candidate: &&Rung| **candidate >= rung && self.of(**candidate) <= from.0;
        *Rung::ALL.iter().find(reaches).unwrap_or(&Rung::Hour)
    }
}

/// A span of time in equal steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its beginning.
    pub from: Timestamp,
    /// Milliseconds of a step, at least 1.
    pub step_ms: i64,
    /// How many steps.
    pub steps: usize,
}

impl Range {
    /// `from` to `to` in at most `points` steps (and never fewer than two), none shorter than `shortest_ms`. The
    /// steps stand still while the range moves on: they begin at multiples of their length, which is a whole number of
    /// buckets of the rung that is read for it.
    pub fn new(from: Timestamp, to: Timestamp, points: usize, shortest_ms: i64) -> Self {
        // One less: the first and the last step reach beyond the range.
        let whole = i64::try_from(points.max(2) - 1).unwrap_or(i64::MAX);
        let span = to.millis_since(from).max(1);
        let step_ms = (span / whole + i64::from(span % whole != 0)).max(shortest_ms).max(1);
        let bucket = Rung::fit(step_ms).bucket_ms();
        let step_ms = step_ms
            .div_euclid(bucket)
            .saturating_add(i64::from(step_ms % bucket != 0))
            .saturating_mul(bucket);
        let first = from.0.div_euclid(step_ms);
        let last = to.0.saturating_sub(1).max(from.0).div_euclid(step_ms);
        let steps = usize::try_from(last - first + 1).unwrap_or(1);
        Self { from: Timestamp(first.saturating_mul(step_ms)), step_ms, steps }
    }

    /// Behind its last step.
    pub fn end(&self) -> Timestamp {
        let steps = i64::try_from(self.steps).unwrap_or(i64::MAX);
        Timestamp(self.from.0.saturating_add(self.step_ms.saturating_mul(steps)))
    }
}

/// One metric's values by step; `None` where nothing was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What.
    pub metric: Metric,
    /// Smallest of each step.
    pub min: Vec<Option<f64>>,
    /// Mean of each step.
    pub avg: Vec<Option<f64>>,
    /// Largest of each step.
    pub max: Vec<Option<f64>>,
}

/// What was measured of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// When.
    pub range: Range,
    /// From which rung it is.
    pub rung: Rung,
    /// How many samples each step has.
    pub n: Vec<u32>,
    /// Which steps hold something that was back-filled.
    pub late: Vec<bool>,
    /// The worst state of OpenClaw in each step.
    pub openclaw: Vec<Option<GatewayState>>,
    /// What.
    pub series: Vec<Series>,
}

/// The question, with `?1` the beginning, `?2` the step, `?3` the device, `?4` the end and `?5` the numbers of its fresh
/// samples. A bucket may be half in the ladder and half fresh: means are weighed by their samples.
fn question(rung: Rung, metrics: &[Metric]) -> String {
    let mut outer = String::from(
        "SELECT (at - ?1) / ?2 AS step, sum(n) AS n, max(late) AS late, max(claw_state) AS claw_state",
    );
    let mut kept = String::from("SELECT at, late, claw_state");
    let mut fresh = kept.replace("at,", "h.at,");
    let raw = rung == Rung::Raw;
    kept.push_str(if raw { ", 1 AS n" } else { ", n" });
    fresh.push_str(", 1 AS n");
    for (i, metric) in metrics.iter().enumerate() {
        let column = metric.column();
        let of = |end: &str| {
            if raw || !metric.spreads() { column.to_owned() } else { format!("{column}{end}") }
        };
        let mean = if raw {
            format!("avg(c{i}_avg)")
        } else {
            format!("sum(c{i}_avg * n) * 1.0 / sum(CASE WHEN c{i}_avg IS NOT NULL THEN n END)")
        };
        // Writing to a String does not fail.
        let _ = write!(outer, ", min(c{i}_min), {mean}, max(c{i}_max)");
        let (low, avg, high) = (of("_min"), of("_avg"), of("_max"));
        let _ = write!(kept, ", {low} AS c{i}_min, {avg} AS c{i}_avg, {high} AS c{i}_max");
        let _ = write!(fresh, ", {column}, {column}, {column}");
    }
    format!(
        "{outer} FROM (
            {kept} FROM {table} WHERE device_no = ?3 AND at >= ?1 AND at < ?4
            UNION ALL
            {fresh} FROM json_each(?5) j CROSS JOIN sample_hot h ON h.no = j.value CROSS JOIN settling s
            WHERE h.at >= ?1 AND h.at < ?4 AND h.device_no = ?3 AND NOT (h.no <= s.up_to AND h.device_no <= s.device_no)
         ) GROUP BY step",
        table = rung.table(),
    )
}

impl Store {
    /// From when on each rung still has everything.
    pub fn horizon(&self) -> Horizon {
        lock(&self.inner.fleet).horizon
    }

    /// `from` to `to` in steps, as [`Range::new`] makes them, but never finer than what is still kept of that time.
    pub fn range(&self, from: Timestamp, to: Timestamp, points: usize, shortest_ms: i64) -> Range {
        let range = Range::new(from, to, points, shortest_ms);
        let reaching = self.horizon().reaching(from, Rung::fit(range.step_ms));
        Range::new(from, to, points, shortest_ms.max(reaching.bucket_ms()))
    }

    /// What was measured of a device; `None` when there is no such device.
    pub async fn samples(
        &self,
        device: DeviceId,
        range: Range,
        metrics: &[Metric],
    ) -> Result<Option<Samples>, Error> {
        let (no, fresh, horizon) = {
            let fleet = lock(&self.inner.fleet);
            let Some(no) = fleet.devices.get(&device).map(|d| d.no) else {
                return Ok(None);
            };
            (no, fleet.hot.numbers(no), fleet.horizon)
        };
        let rung = horizon.reaching(range.from, Rung::fit(range.step_ms));
        self.read_samples(rung, no, fresh, range, metrics).await.map(Some)
    }

    /// What was measured of a device, from one rung; `fresh` are the numbers of its rows that are not settled.
    pub(crate) async fn read_samples(
        &self,
        rung: Rung,
        no: i64,
        fresh: String,
        range: Range,
        metrics: &[Metric],
    ) -> Result<Samples, Error> {
        // Built from the fixed names above only.
        let query = sqlx::query(sqlx::AssertSqlSafe(question(rung, metrics)))
            .bind(range.from.0)
            .bind(range.step_ms)
            .bind(no)
            .bind(range.end().0)
            .bind(fresh);
        let rows = self.reader().await?.fetch_all("reading samples", query).await?;
        let mut samples = Samples {
            range,
            rung,
            n: vec![0; range.steps],
            late: vec![false; range.steps],
            openclaw: vec![None; range.steps],
            series: metrics
                .iter()
                .map(|metric| Series {
                    metric: *metric,
                    min: vec![None; range.steps],
                    avg: vec![None; range.steps],
                    max: vec![None; range.steps],
                })
                .collect(),
        };
        for row in &rows {
            let Ok(step) = usize::try_from(row.get::<i64, _>("step")) else {
                continue;
            };
            if let Some(n) = samples.n.get_mut(step) {
                *n = row.get("n");
            }
            if let Some(late) = samples.late.get_mut(step) {
                *late = row.get("late");
            }
            if let Some(state) = samples.openclaw.get_mut(step) {
                *state = row.get::<Option<i64>, _>("claw_state").map(state_of);
            }
            for (i, one) in samples.series.iter_mut().enumerate() {
                let metric = one.metric;
                let (low, high) = (metric.shown(row.get(4 + 3 * i)), metric.shown(row.get(6 + 3 * i)));
                let mean = metric.mean(row.get(5 + 3 * i));
                for (list, value) in [(&mut one.min, low), (&mut one.avg, mean), (&mut one.max, high)] {
                    if let Some(place) = list.get_mut(step) {
                        *place = value;
                    }
                }
            }
        }
        Ok(samples)
    }
}
