//! What was measured over time.

use protocol::{DeviceId, Timestamp};
use sqlx::Row as _;

use crate::{Doing as _, Error, Store, lock};

macro_rules! metrics {
    ($($variant:ident $name:literal $column:literal / $scale:literal,)*) => {
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

            fn column(self) -> &'static str {
                match self { $(Self::$variant => $column,)* }
            }

            fn scale(self) -> f64 {
                match self { $(Self::$variant => $scale,)* }
            }
        }
    };
}

metrics! {
    CpuPct "cpu_pct" "cpu_pct_x100" / 100.0,
    Load1 "load1" "load1_x100" / 100.0,
    MemoryUsed "memory_used_bytes" "memory_used" / 1.0,
    MemoryTotal "memory_total_bytes" "memory_total" / 1.0,
    SwapUsed "swap_used_bytes" "swap_used" / 1.0,
    DiskUsed "disk_used_bytes" "disk_used" / 1.0,
    DiskTotal "disk_total_bytes" "disk_total" / 1.0,
    NetworkUp "network_up_bytes_per_s" "network_up" / 1.0,
    NetworkDown "network_down_bytes_per_s" "network_down" / 1.0,
}

impl Metric {
    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|metric| metric.as_str() == name)
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
    /// steps stand still while the range moves on: they begin at multiples of their length.
    pub fn new(from: Timestamp, to: Timestamp, points: usize, shortest_ms: i64) -> Self {
        // One less: the first and the last step reach beyond the range.
        let whole = i64::try_from(points.max(2) - 1).unwrap_or(i64::MAX);
        let span = to.millis_since(from).max(1);
        let step_ms = (span / whole + i64::from(span % whole != 0)).max(shortest_ms).max(1);
        let first = from.0.div_euclid(step_ms);
        let last = to.0.saturating_sub(1).max(from.0).div_euclid(step_ms);
        let steps = usize::try_from(last - first + 1).unwrap_or(1);
        Self { from: Timestamp(first.saturating_mul(step_ms)), step_ms, steps }
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
    /// What.
    pub series: Vec<Series>,
}

impl Store {
    /// What was measured of a device; `None` when there is no such device.
    pub async fn samples(
        &self,
        device: DeviceId,
        range: Range,
        metrics: &[Metric],
    ) -> Result<Option<Samples>, Error> {
        let Some(no) = lock(&self.inner.fleet).devices.get(&device).map(|d| d.no) else {
            return Ok(None);
        };
        let mut sql = String::from("SELECT (at - ?1) / ?2 AS step");
        for metric in metrics {
            let column = metric.column();
            sql.extend([", min(", column, "), avg(", column, "), max(", column, ")"]);
        }
        sql.push_str(" FROM sample_hot WHERE device_no = ?3 AND at >= ?1 AND at < ?4 GROUP BY step");
        let end = range
            .from
            .0
            .saturating_add(range.step_ms.saturating_mul(i64::try_from(range.steps).unwrap_or(0)));
        // Built from the fixed names above only.
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(range.from.0)
            .bind(range.step_ms)
            .bind(no)
            .bind(end)
            .fetch_all(&self.inner.readers)
            .await
            .doing("reading samples")?;
        let mut series: Vec<Series> = metrics
            .iter()
            .map(|metric| Series {
                metric: *metric,
                min: vec![None; range.steps],
                avg: vec![None; range.steps],
                max: vec![None; range.steps],
            })
            .collect();
        for row in &rows {
            let Ok(step) = usize::try_from(row.get::<i64, _>(0)) else {
                continue;
            };
            for (i, one) in series.iter_mut().enumerate() {
                let scale = one.metric.scale();
                #[expect(clippy::cast_precision_loss, reason = "bytes beyond 2^53 are drawn, not counted")]
                let whole = |at: usize| row.get::<Option<i64>, _>(at).map(|v| v as f64 / scale);
                let mean = row.get::<Option<f64>, _>(2 + 3 * i).map(|v| v / scale);
                let (low, high) = (whole(1 + 3 * i), whole(3 + 3 * i));
                for (list, value) in [(&mut one.min, low), (&mut one.avg, mean), (&mut one.max, high)] {
                    if let Some(place) = list.get_mut(step) {
                        *place = value;
                    }
                }
            }
        }
        Ok(Some(Samples { range, series }))
    }
}
