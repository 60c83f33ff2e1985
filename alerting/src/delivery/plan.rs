//! What to do next, as functions of what is known: which deliveries are sent now, and what follows from a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::Timestamp;
use store::{AfterAttempt, GIVEN_UP_SETTINGS, Queued, ToSend};

use crate::Occasion;
use crate::channels::{Failed, Fault};

/// What is not delivered after so long is not news any more.
const GIVE_UP_MS: i64 = 24 * 3_600_000;
/// The first pause; each is twice as long as the one before.
const FIRST: Duration = Duration::from_secs(5);
/// The longest pause of our own.
const LONGEST: Duration = Duration::from_mins(15);
/// The longest pause that the other side may ask for.
const LONGEST_ASKED: Duration = Duration::from_hours(1);
/// Nobody is hurried, whatever is thrown.
const SHORTEST: Duration = Duration::from_secs(1);
/// Deliveries that are sent before the queue is looked at again.
const AT_ONCE: usize = 50;

/// What is done of a queue now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// These are sent, in this order.
    pub(super) send: Vec<i64>,
    /// These need not be sent: a newer one of the same alert tells it.
    pub(super) skip: Vec<i64>,
    /// When there is more to do.
    pub(super) wake_at: Option<Timestamp>,
}

/// What is done of a channel's queue, which is in the order of its numbers. Of one alert each waits for the ones before it, so
/// that nobody hears that something is over before hearing that it began; alerts do not wait for each other.
pub(super) fn plan(queue: &[Queued], paused_until: Option<Timestamp>, now: Timestamp) -> Plan {
    let newest: BTreeMap<i64, i64> =
        queue.iter().filter(|row| !row.held).filter_map(|row| Some((row.alert?, row.no))).collect();
    let mut plan = Plan::default();
    let mut waited_for = BTreeSet::new();
    for row in queue {
        let is_newer = |alert| newest.get(&alert).is_some_and(|no| *no > row.no);
        if is_of_the_moment(&row.occasion) && row.alert.is_some_and(is_newer) {
            plan.skip.push(row.no);
        } else if !is_due(row, now) {
            plan.wake_at = Some(plan.wake_at.map_or(row.due_at, |at| at.min(row.due_at)));
            waited_for.extend(row.alert.filter(|_| !row.held));
        } else if row.alert.is_none_or(|alert| !waited_for.contains(&alert)) {
            plan.send.push(row.no);
        }
    }
    if let Some(until) = paused_until.filter(|until| *until > now) {
        plan.wake_at = if plan.send.is_empty() { plan.wake_at.map(|at| at.max(until)) } else { Some(until) };
        plan.send.clear();
    }
    plan.send.truncate(AT_ONCE);
    plan
}

/// It says how things are, which the next one says better.
fn is_of_the_moment(occasion: &str) -> bool {
    [Occasion::Changed, Occasion::Reminder].iter().any(|other| other.as_str() == occasion)
}

fn is_due(row: &Queued, now: Timestamp) -> bool {
    // Nothing waits longer than the longest pause: then the clock went back.
    let too_far = now.plus_millis(millis(LONGEST_ASKED));
    row.due_at <= now || (!row.held && row.due_at > too_far)
}

/// How a channel fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failing {
    /// Attempts in a row, this one included.
    pub(super) failures: u32,
    /// When the first of them was.
    pub(super) since: Timestamp,
}

/// What follows from a failure: for the delivery, and until when the channel pauses, if it does. `thrown` is a random number
/// from 0 to 1: whoever failed together does not come back together.
pub(super) fn after(
    tried: &ToSend,
    failed: &Failed,
    failing: Failing,
    now: Timestamp,
    thrown: f64,
) -> (AfterAttempt, Option<Timestamp>) {
    let times = match failed.fault {
        Fault::Message => tried.queued.tries + 1,
        Fault::Channel | Fault::Settings => failing.failures,
    };
    let asked = failed.retry_after.unwrap_or_default().min(LONGEST_ASKED);
    let again = now.plus_millis(millis(pause(times, thrown).max(asked)));
    // What stood behind others while the channel was dead has had its time then, too; what was held has not.
    let first_tried = tried.first_tried_at.unwrap_or(now).min(failing.since);
    let late = now.millis_since(tried.queued.made_at.max(first_tried)) >= GIVE_UP_MS;
    let follows = match failed.fault {
        Fault::Settings => AfterAttempt::GivenUp(GIVEN_UP_SETTINGS),
        Fault::Message | Fault::Channel if late => AfterAttempt::GivenUp("too_late"),
        Fault::Message | Fault::Channel => AfterAttempt::Again(again),
    };
    (follows, (failed.fault != Fault::Message).then_some(again))
}

/// How long to wait after so many failures in a row.
fn pause(failures: u32, thrown: f64) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(LONGEST).mul_f64(thrown.clamp(0.0, 1.0)).max(SHORTEST)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// `no alert occasion due`: due in so many seconds; `h` in front: held.
    fn queue(text: &str) -> Vec<Queued> {
        let rows = text.split(',').map(str::trim).filter(|row| !row.is_empty());
        rows.map(|row| {
            let words: Vec<&str> = row.split_whitespace().collect();
            let due: i64 = words[3].trim_start_matches('h').parse().unwrap();
            Queued {
                no: words[0].parse().unwrap(),
                alert: words[1].parse().ok(),
                occasion: words[2].to_owned(),
                held: words[3].starts_with('h'),
                made_at: NOW,
                due_at: NOW.plus_millis(due * 1_000),
                tries: u32::from(due > 0),
            }
        })
        .collect()
    }

    #[test]
    fn a_queue_is_sent_in_order() {
        let check = |rows: &str, send: &[i64], skip: &[i64], wake: Option<i64>| {
            let plan = plan(&queue(rows), None, NOW);
            assert_eq!((plan.send.as_slice(), plan.skip.as_slice()), (send, skip), "{rows}");
            assert_eq!(plan.wake_at.map(|at| at.millis_since(NOW) / 1_000), wake, "{rows}");
        };
        check("", &[], &[], None);
        check("1 7 fired 0, 2 8 fired -5, 3 - digest 0", &[1, 2, 3], &[], None);
        // One that waits to be repeated holds up its own alert and nothing else.
        check("1 7 fired 30, 2 8 fired 0, 3 7 resolved 0", &[2], &[], Some(30));
        check("1 7 fired 30, 2 7 worse 20", &[], &[], Some(20));
        // What the next one says better.
        check("1 7 changed 0, 2 7 changed 0, 3 7 resolved 0, 4 8 changed 0", &[3, 4], &[1, 2], None);
        check("1 7 reminder 60, 2 7 resolved 0", &[2], &[1], None);
        check("1 7 fired 0, 2 7 worse 0", &[1, 2], &[], None);
        // What is held holds up nobody, and tells nothing better yet.
        check("1 7 fired h3600, 2 7 worse 0", &[2], &[], Some(3600));
        check("1 7 changed 0, 2 7 reminder h3600", &[1], &[], Some(3600));
        check("1 7 fired h-1", &[1], &[], None);
        // The clock went back a day.
        check("1 7 fired 86400, 2 8 fired h86400", &[1], &[], Some(86_400));
    }

    #[test]
    fn a_channel_that_pauses_sends_nothing() {
        let pause = |rows: &str, seconds: i64| {
            let plan = plan(&queue(rows), Some(NOW.plus_millis(seconds * 1_000)), NOW);
            (plan.send, plan.wake_at.map(|at| at.millis_since(NOW) / 1_000))
        };
        assert_eq!(pause("1 7 fired 0, 2 8 fired 0", 40), (vec![], Some(40)));
        assert_eq!(pause("1 7 fired 10, 2 8 fired 90", 40), (vec![], Some(40)));
        assert_eq!(pause("1 7 fired 0", 0), (vec![1], None));
        assert_eq!(pause("", 40), (vec![], None));
    }

    fn tried(tries: u32, made_s_ago: i64, first_s_ago: Option<i64>) -> ToSend {
        let queued =
            Queued { tries, made_at: NOW.plus_millis(-made_s_ago * 1_000), ..queue("1 7 fired 0").remove(0) };
        let first_tried_at = first_s_ago.map(|s| NOW.plus_millis(-s * 1_000));
        ToSend { queued, id: String::new(), body: String::new(), first_tried_at, handle: None }
    }

    fn failed(fault: Fault, retry_after_s: u64) -> Failed {
        let retry_after = (retry_after_s > 0).then(|| Duration::from_secs(retry_after_s));
        Failed { why: String::new(), retry_after, fault }
    }

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour_and_are_thrown() {
        let seconds = |failures, thrown| pause(failures, thrown).as_secs();
        assert_eq!([1, 2, 3, 8, 9, 40, u32::MAX].map(|n| seconds(n, 1.0)), [5, 10, 20, 640, 900, 900, 900]);
        assert_eq!([0.0, 0.5, 2.0].map(|thrown| seconds(2, thrown)), [1, 5, 10]);
    }

    #[test]
    fn what_follows_depends_on_what_a_failure_is_about() {
        let failing = |failures, since_s: i64| Failing { failures, since: NOW.plus_millis(-since_s * 1_000) };
        let now = |tried: &ToSend, fault: &Failed, failing| {
            let (after, pause) = after(tried, fault, failing, NOW, 1.0);
            let seconds = |at: Timestamp| at.millis_since(NOW) / 1_000;
            let after = match after {
                AfterAttempt::Again(at) => format!("again in {}", seconds(at)),
                AfterAttempt::GivenUp(why) => why.to_owned(),
                AfterAttempt::Sent { .. } => "sent".to_owned(),
            };
            (after, pause.map(seconds))
        };
        let check = |tried: &ToSend, fault: &Failed, of: Failing, follows: &str, pause: Option<i64>| {
            assert_eq!(now(tried, fault, of), (follows.to_owned(), pause));
        };
        let new = tried(0, 1, None);
        check(&new, &failed(Fault::Channel, 0), failing(1, 0), "again in 5", Some(5));
        check(&new, &failed(Fault::Channel, 0), failing(4, 60), "again in 40", Some(40));
        check(&new, &failed(Fault::Message, 0), failing(4, 60), "again in 5", None);
        check(&tried(3, 60, Some(50)), &failed(Fault::Message, 0), failing(4, 60), "again in 40", None);
        check(&new, &failed(Fault::Settings, 0), failing(1, 0), GIVEN_UP_SETTINGS, Some(5));
        // What the other side asks for, within reason.
        check(&new, &failed(Fault::Channel, 120), failing(1, 0), "again in 120", Some(120));
        check(&new, &failed(Fault::Channel, 3), failing(1, 0), "again in 5", Some(5));
        check(&new, &failed(Fault::Channel, 1_000_000), failing(1, 0), "again in 3600", Some(3600));
        // A day is enough; also for what stood behind others, and not for what was held a day.
        let day = 86_400;
        check(
            &tried(90, day, Some(day)),
            &failed(Fault::Channel, 0),
            failing(90, day),
            "too_late",
            Some(900),
        );
        check(&tried(0, day, None), &failed(Fault::Channel, 0), failing(90, day), "too_late", Some(900));
        check(&tried(0, day, None), &failed(Fault::Channel, 0), failing(1, 0), "again in 5", Some(5));
        check(
            &tried(0, 60, None),
            &failed(Fault::Channel, 0),
            failing(9, 9 * day),
            "again in 900",
            Some(900),
        );
    }
}
