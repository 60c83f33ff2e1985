//! How long to wait before connecting again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
const SLOW: Duration = Duration::from_secs(30);

/// How fast to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The trouble may pass by itself: exponential with full jitter, so that a fleet does not come back as one.
    Eager,
    /// Somebody must act first (a wrong key, a wrong certificate): the slow end at once.
    Slow,
}

/// The pause before the next attempt after `failures` failed ones. `random` is in 0..1.
pub(crate) fn delay(pace: Pace, failures: u32, random: f64) -> Duration {
    match pace {
        Pace::Eager => {
            let cap = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST);
            cap.mul_f64(random.clamp(0.0, 1.0))
        }
        Pace::Slow => SLOW + SLOW.mul_f64(random.clamp(0.0, 1.0)),
    }
}

/// A random number in 0..1 from the operating system.
pub(crate) fn random() -> f64 {
    let word = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(word) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_are_spread() {
        let check = |pace, failures, random, expected: f64| {
            let got = delay(pace, failures, random).as_secs_f64();
            assert!((got - expected).abs() < 1e-6, "{pace:?} {failures} {random}: {got}");
        };
        check(Pace::Eager, 1, 1.0, 1.0);
        check(Pace::Eager, 2, 1.0, 2.0);
        check(Pace::Eager, 2, 0.25, 0.5);
        check(Pace::Eager, 6, 1.0, 32.0);
        check(Pace::Eager, 7, 1.0, 60.0);
        check(Pace::Eager, u32::MAX, 0.5, 30.0);
        check(Pace::Eager, 0, 0.0, 0.0);
        check(Pace::Slow, 1, 0.0, 30.0);
        check(Pace::Slow, 99, 1.0, 60.0);
        assert!((0.0..1.0).contains(&random()));
    }
}
