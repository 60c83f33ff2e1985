//! When something was measured, on machines whose clocks are set while we measure.
//!
//! The wall clock may jump by days: a board without a battery wakes in 1970, a laptop sleeps, an owner mends the date. How
//! long ago something was, within one boot of the host, is known from the uptime. So a stamp holds both, and what
//! is sent later is dated by the wall clock of then, less its age: all that one boot measured keeps its distances
//! and moves as one when the clock is mended.

use protocol::{Clock, Timestamp};
use sha2::{Digest as _, Sha256};

/// A wall clock that moves by more than this against the uptime was set.
const STEP_MS: i64 = 2_000;
/// A machine whose processor stood still for longer was asleep.
const SLEEP_MS: i64 = 10_000;

/// A moment by the wall clock and by the uptime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The wall clock.
    pub wall: Timestamp,
    /// Milliseconds since the host booted, with those it slept.
    pub uptime_ms: u64,
    /// Which boot of the host; 0 when it is not known.
    pub boot: u64,
}

impl Stamp {
    /// When this was, by the wall clock of `now`.
    pub fn seen_from(&self, now: &Self) -> Timestamp {
        let same_boot = self.boot == now.boot && self.boot != 0 && now.uptime_ms >= self.uptime_ms;
        if !same_boot {
            return self.wall;
        }
        let then = now.wall.plus_millis(-millis(now.uptime_ms - self.uptime_ms));
        if then.millis_since(self.wall).abs() > STEP_MS { then } else { self.wall }
    }

    /// How long ago this was, in milliseconds; by the uptime if that is possible.
    pub fn age_ms(&self, now: &Self) -> i64 {
        now.wall.millis_since(self.seen_from(now))
    }
}

/// What happened to the clock between two looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was set, by so many milliseconds (negative: back).
    Stepped(i64),
    /// The machine slept, for so many milliseconds.
    Slept(i64),
}

/// The clocks of this machine.
#[derive(Debug, Clone)]
pub struct Clocks {
    wall: Clock,
    boot: u64,
    last: Option<(Stamp, u64)>,
}

impl Clocks {
    /// The clocks, with `boot_id` to tell boots apart.
    pub fn new(wall: Clock, boot_id: Option<&str>) -> Self {
        let boot = boot_id.map_or(0, |id| {
            let digest = Sha256::digest(id.as_bytes());
            digest.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
        });
        Self { wall, boot, last: None }
    }

    /// This moment.
    pub fn stamp(&self) -> Stamp {
        Stamp { wall: self.wall.now(), uptime_ms: uptime_ms(), boot: self.boot }
    }

    /// What happened to the clock since the last call.
    pub fn look(&mut self) -> Option<Change> {
        let now = (self.stamp(), awake_ms());
        let last = self.last.replace(now)?;
        change(last, now)
    }
}

/// Compares two looks: each a stamp and the time that the processor was awake.
fn change((before, awake_before): (Stamp, u64), (now, awake_now): (Stamp, u64)) -> Option<Change> {
    let elapsed = millis(now.uptime_ms) - millis(before.uptime_ms);
    let by = now.wall.millis_since(before.wall) - elapsed;
    if by.abs() > STEP_MS {
        return Some(Change::Stepped(by));
    }
    let asleep = elapsed - (millis(awake_now) - millis(awake_before));
    (asleep > SLEEP_MS).then_some(Change::Slept(asleep))
}

fn millis(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Milliseconds since the host booted, with those it slept.
#[cfg(unix)]
fn uptime_ms() -> u64 {
    // macOS counts sleep in this one, and has no other.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const WITH_SLEEP: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const WITH_SLEEP: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    clock_ms(WITH_SLEEP)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn awake_ms() -> u64 {
    clock_ms(rustix::time::ClockId::Monotonic)
}

#[cfg(unix)]
fn clock_ms(id: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Milliseconds since the host booted, with those it slept.
#[cfg(not(unix))]
fn uptime_ms() -> u64 {
    sysinfo::System::uptime().map_or(0, |seconds| seconds.saturating_mul(1000))
}

/// Milliseconds that the processor was awake; where it cannot be known, the uptime, so that no sleep is seen.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn awake_ms() -> u64 {
    uptime_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn stamp(wall: i64, uptime_ms: u64, boot: u64) -> Stamp {
        Stamp { wall: Timestamp(wall), uptime_ms, boot }
    }

    #[test]
    fn what_was_measured_moves_with_a_clock_that_is_set() {
        let check = |then: Stamp, now: Stamp, expected: i64| {
            assert_eq!(then.seen_from(&now), Timestamp(expected), "{then:?} {now:?}");
        };
        let measured = stamp(1_000_000, 60_000, 7);
        check(measured, stamp(1_030_000, 90_000, 7), 1_000_000);
        // A drift of a second is no step; days are, in both directions.
        check(measured, stamp(1_031_000, 90_000, 7), 1_000_000);
        check(measured, stamp(1_030_000 + 20 * DAY, 90_000, 7), 1_000_000 + 20 * DAY);
        check(measured, stamp(1_030_000 - 20 * DAY, 90_000, 7), 1_000_000 - 20 * DAY);
        // Of another boot only the wall clock is known, and of no known boot too.
        check(measured, stamp(1_030_000 + DAY, 90_000, 8), 1_000_000);
        check(stamp(5, 60_000, 0), stamp(DAY, 90_000, 0), 5);
        // Slept for a day: uptime goes on.
        check(measured, stamp(1_000_000 + DAY, 60_000 + 86_400_000, 7), 1_000_000);
        assert_eq!(measured.age_ms(&stamp(-DAY, 90_000, 7)), 30_000);
    }

    #[test]
    fn steps_and_sleep_are_told_apart() {
        let check = |wall, uptime, awake, expected| {
            let before = (stamp(1_000_000, 50_000, 7), 50_000);
            assert_eq!(change(before, (stamp(wall, uptime, 7), awake)), expected);
        };
        check(1_030_000, 80_000, 80_000, None);
        check(1_031_500, 80_000, 80_000, None);
        check(1_030_000 + DAY, 80_000, 80_000, Some(Change::Stepped(DAY)));
        check(1_030_000 - DAY, 80_000, 80_000, Some(Change::Stepped(-DAY)));
        check(1_000_000 + DAY, 86_450_000, 80_000, Some(Change::Slept(86_370_000)));
    }

    #[test]
    fn the_machines_clocks_run() {
        let mut clocks = Clocks::new(Clock::system(), Some("a boot"));
        let (first, second) = (clocks.stamp(), clocks.stamp());
        assert!(first.uptime_ms > 0 && second.uptime_ms >= first.uptime_ms && first.boot != 0);
        assert_eq!((clocks.look(), clocks.look()), (None, None));
    }
}
