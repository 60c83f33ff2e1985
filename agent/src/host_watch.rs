//! What happens to the host and to the agent itself: a reboot, sleep, a clock that is set, a spool that is full.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::{DeviceTopic, Event, EventKind, Events, Payload as _, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tracing::warn;

use crate::clock::Change;
use crate::memory::Memory;
use crate::openclaw::watch::event;
use crate::outbox::Outbox;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(10);
/// A clock that was set is not believed for so many looks: what is old by it may not be old.
const DISTRUST: u32 = 360;

/// What is known of the host from one run to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    boot_id: Option<String>,
    /// How many samples the spool had dropped.
    dropped: u64,
}

/// Watches the host.
#[derive(Debug)]
pub(crate) struct HostWatch {
    path: Option<PathBuf>,
    boot_id: Option<String>,
}

impl HostWatch {
    pub(crate) fn new(path: Option<PathBuf>, boot_id: Option<String>) -> Self {
        Self { path, boot_id }
    }

    /// Tells what happened while the agent was away, and what happens from now on.
    pub(crate) async fn watch_for_ever(&self, outbox: &Outbox) {
        let path = self.path.clone();
        let memory = Arc::new(Mutex::new(outbox.with(move |spool| Memory::<Known>::open(path, spool)).await));
        let known = || memory.lock().unwrap_or_else(PoisonError::into_inner).get().clone();
        let (before, now) = (known(), outbox.stamp().wall);
        let mut events = started(&before, self.boot_id.as_deref(), now);
        let mut distrust = 0u32;
        outbox.look_at_clock();
        loop {
            let now = outbox.stamp().wall;
            if let Some(change) = outbox.look_at_clock() {
                events.push(clock_event(change, now));
                if let Change::Stepped(by_ms) = change {
                    warn!(by_s = by_ms / 1000, "the clock of this machine was set");
                    distrust = DISTRUST;
                }
            }
            let dropped = outbox.with(|spool| spool.dropped()).await;
            let mut next = Known { boot_id: self.boot_id.clone(), ..known() };
            // Told when it has come to rest, or a day without a link would fill itself with such news.
            let more = dropped.saturating_sub(next.dropped);
            let waiting = outbox.with(|spool| spool.len()).await;
            if more > 0 && waiting < 100 {
                events.push(event(EventKind::SpoolDropped, now, Some(more)));
                next.dropped = dropped;
            }
            if !events.is_empty() {
                let (events, memory, stamp) =
                    (std::mem::take(&mut events), Arc::clone(&memory), outbox.stamp());
                outbox
                    .with(move |spool| {
                        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                        memory.push(spool, DeviceTopic::Event, stamp, next, |spool, seq| {
                            Events { v: 1, spool, seq, at: stamp.wall, events: events.clone() }.encode()
                        })
                    })
                    .await;
                outbox.pushed.notify_one();
            }
            distrust = distrust.saturating_sub(1);
            if distrust == 0 {
                let stamp = outbox.stamp();
                outbox.with(move |spool| spool.expire(&stamp)).await;
            }
            sleep(LOOK).await;
        }
    }
}

/// What is to be told when the agent starts.
fn started(before: &Known, boot_id: Option<&str>, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    if before.boot_id.is_some() && boot_id.is_some() && before.boot_id.as_deref() != boot_id {
        events.push(event(EventKind::HostRebooted, now, None));
    }
    events.push(Event { to: Some(crate::VERSION.to_owned()), ..event(EventKind::AgentStarted, now, None) });
    events
}

fn clock_event(change: Change, now: Timestamp) -> Event {
    let (kind, by_ms) = match change {
        Change::Stepped(by_ms) => (EventKind::ClockStepped, by_ms),
        Change::Slept(for_ms) => (EventKind::HostSlept, for_ms),
    };
    let direction = if by_ms < 0 { "back" } else { "forward" };
    Event {
        to: (kind == EventKind::ClockStepped).then(|| direction.to_owned()),
        duration_ms: Some(by_ms.unsigned_abs()),
        ..event(kind, now, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reboot_is_told_once_it_is_known_what_was_before() {
        let now = Timestamp(5);
        let check = |before: Option<&str>, boot, expected: &[EventKind]| {
            let before = Known { boot_id: before.map(str::to_owned), dropped: 0 };
            let kinds: Vec<EventKind> = started(&before, boot, now).iter().map(|event| event.kind).collect();
            assert_eq!(kinds, expected);
        };
        check(None, Some("a"), &[EventKind::AgentStarted]);
        check(Some("a"), Some("a"), &[EventKind::AgentStarted]);
        check(Some("a"), Some("b"), &[EventKind::HostRebooted, EventKind::AgentStarted]);
        check(Some("a"), None, &[EventKind::AgentStarted]);
    }

    #[test]
    fn what_the_clock_did_is_told() {
        let stepped = clock_event(Change::Stepped(-5_000), Timestamp(1));
        assert_eq!(
            (stepped.kind, stepped.to.as_deref(), stepped.duration_ms),
            (EventKind::ClockStepped, Some("back"), Some(5_000))
        );
        let slept = clock_event(Change::Slept(60_000), Timestamp(1));
        assert_eq!((slept.kind, slept.to, slept.duration_ms), (EventKind::HostSlept, None, Some(60_000)));
    }
}
