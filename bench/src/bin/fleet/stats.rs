//! Durations, counted in buckets: any number of them in a fixed space, from any thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

/// Buckets of each power of two: a value is known to 3 %.
const FINE: u64 = 32;
const BUCKETS: usize = 40 * 32;

/// Counts durations.
pub(crate) struct Histogram {
    buckets: Vec<AtomicU64>,
    max_us: AtomicU64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), max_us: AtomicU64::new(0) }
    }

    pub(crate) fn add(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.max_us.fetch_max(us, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(index(us)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        self.max_us.store(0, Ordering::Relaxed);
    }

    /// `{"p50","p99","max"}` in milliseconds; null when nothing was counted.
    pub(crate) fn json(&self) -> Value {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return Value::Null;
        }
        let max = self.max_us.load(Ordering::Relaxed);
        let at = |share: u64| {
            let (goal, mut sum) = ((total * share).div_ceil(100), 0);
            let found = counts.iter().position(|count| {
                sum += count;
                sum >= goal
            });
            upper(found.unwrap_or(BUCKETS)).min(max)
        };
        json!({ "p50": ms(at(50)), "p99": ms(at(99)), "max": ms(max), "n": total })
    }
}

fn ms(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64() * 1000.0
}

fn index(us: u64) -> usize {
    let index = if us < FINE {
        us
    } else {
        let power = u64::from(us.ilog2()) - 5;
        power * FINE + (us >> power)
    };
    usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    if index < FINE {
        return index;
    }
    let power = index / FINE - 1;
    ((index % FINE + FINE + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_in_its_bucket() {
        let mut last = 0;
        for us in (0..100_000).chain((100_000..10_000_000).step_by(997)) {
            let (index, top) = (index(us), upper(index(us)));
            assert!(
                index >= last && us <= top && (top - us) * 30 <= us.max(30),
                "{us} in {index}, up to {top}"
            );
            last = index;
        }
    }
}
