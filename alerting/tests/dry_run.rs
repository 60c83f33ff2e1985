//! A rule tried on the stored past does what it would have done.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a test")]

use alerting::{DryRun, DryRunError, dry_run, kinds};
use protocol::{
    Clock, DeviceId, Event, EventKind, Events, OfflineReason, Payload as _, Presence, Report, SpoolId,
    Timestamp, TopicRoot,
};
use serde_json::json;
use store::{Actor, DeviceKind, Fact, Record, RuleBody, Scope, Severity, Store};
use tempfile::TempDir;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const NOW: Timestamp = Timestamp(1_795_176_000_000);

struct Past {
    store: Store,
    clock: Clock,
    device: DeviceId,
    spool: SpoolId,
    seq: u64,
    _dir: TempDir,
}

impl Past {
    async fn new() -> Self {
        let (dir, clock) = (TempDir::new().unwrap(), Clock::manual(NOW.plus_millis(-40 * DAY)));
        let config = store::Config {
            data_dir: dir.path().to_owned(),
            create: true,
            topic_root: TopicRoot::default(),
            readers: 3,
        };
        let store = Store::open(config, clock.clone()).await.unwrap();
        let added = store.add_device(&Actor::server(), "box", &["prod".to_owned()], DeviceKind::Agent).await;
        let device = added.unwrap().unwrap().0;
        Self { store, clock, device, spool: SpoolId::generate(), seq: 0, _dir: dir }
    }

    async fn record(&mut self, at: Timestamp, fact: Fact) {
        self.clock.set(at);
        let record = Record { received_at: at, fact, retain: None };
        self.store.record(&[record]).await.unwrap();
    }

    /// A sample every half minute.
    async fn measure(&mut self, from: Timestamp, to: Timestamp, cpu: f64) {
        let mut at = from;
        while at < to {
            self.seq += 1;
            let text = format!(
                r#"{{"v":1,"spool":"{}","seq":{},"at":{},"cpu":{{"pct":{cpu}}},"memory":{{"used_bytes":400,"total_bytes":1000}},
                    "openclaw":{{"state":"running"}}}}"#,
                self.spool, self.seq, at.0
            );
            let report = Report::decode(text.as_bytes()).unwrap();
            self.record(at, Fact::Report(self.device, Box::new(report))).await;
            at = at.plus_millis(30_000);
        }
    }

    async fn happens(&mut self, at: Timestamp, kind: EventKind) {
        self.seq += 1;
        let event = Event {
            at,
            kind,
            gateway: Some("default".to_owned()),
            from: None,
            to: None,
            reason: None,
            duration_ms: None,
            count: None,
            activity: None,
        };
        let events = Events { v: 1, spool: self.spool, seq: self.seq, at, events: vec![event] };
        self.record(at, Fact::Events(self.device, Box::new(events))).await;
    }

    async fn turn(&mut self, at: Timestamp, epoch: u64, online: bool) {
        let presence = if online {
            Presence::birth(epoch, at, "0.1.0", None, protocol::Host::default())
        } else {
            Presence::offline(epoch, None, OfflineReason::ConnectionLost)
        };
        self.record(at, Fact::Presence(self.device, Box::new(presence))).await;
    }

    async fn try_rule(&self, kind: &str, body: &RuleBody, days: u32) -> Result<DryRun, DryRunError> {
        self.clock.set(NOW);
        dry_run(&self.store, kind, body, days).await
    }
}

fn body(kind: &str) -> RuleBody {
    kinds::kind(kind).unwrap().body()
}

/// As close as what is stored tells.
#[track_caller]
fn near(at: Timestamp, expected: Timestamp) {
    assert!(at.millis_since(expected).abs() <= 2 * MINUTE, "{} min off", at.millis_since(expected) / MINUTE);
}

#[tokio::test]
async fn what_was_measured_would_have_fired_when_it_was_so() {
    let mut past = Past::new().await;
    let (begin, end) = (NOW.plus_millis(-2 * DAY - 17 * MINUTE), NOW.plus_millis(-2 * DAY + 42 * MINUTE));
    past.measure(begin.plus_millis(-3 * HOUR), begin, 20.0).await;
    past.measure(begin, end, 93.0).await;
    past.measure(end, end.plus_millis(3 * HOUR), 20.0).await;
    // Too short to fire.
    past.measure(NOW.plus_millis(-DAY), NOW.plus_millis(-DAY + 8 * MINUTE), 93.0).await;
    past.measure(NOW.plus_millis(-DAY + 8 * MINUTE), NOW.plus_millis(-DAY + 3 * HOUR), 20.0).await;
    for settled in [false, true] {
        if settled {
            past.store.settle_all().await.unwrap();
        }
        let run = past.try_rule("cpu", &body("cpu"), 7).await.unwrap();
        assert_eq!((run.count, run.devices, run.judged_devices), (1, 1, 1), "settled: {settled}");
        let moment = &run.moments[0];
        assert_eq!((moment.severity, moment.device.as_ref().unwrap().1.as_str()), (Severity::Error, "box"));
        near(moment.from, begin.plus_millis(10 * MINUTE));
        near(moment.to.unwrap(), end.plus_millis(2 * MINUTE));
        let (_, at, values) = run.series.unwrap();
        assert_eq!(at.len(), values.len());
        let most = values.iter().flatten().copied().fold(0.0, f64::max);
        assert!((most - 93.0).abs() < 0.1, "{most}");
    }
    // With other words it would have done otherwise.
    let mut gentle = body("cpu");
    gentle.values.insert("level".to_owned(), json!(95));
    gentle.values.insert("clear".to_owned(), json!(90));
    gentle.steps.clear();
    assert_eq!(past.try_rule("cpu", &gentle, 7).await.unwrap().count, 0);
    let mut short = body("cpu");
    short.for_s = 300;
    assert_eq!(past.try_rule("cpu", &short, 7).await.unwrap().count, 2);
    assert_eq!(past.try_rule("cpu", &short, 1).await.unwrap().count, 1);
    let mut elsewhere = body("cpu");
    elsewhere.scope = Scope { devices: vec![], tags: vec!["lab".to_owned()] };
    let run = past.try_rule("cpu", &elsewhere, 7).await.unwrap();
    assert_eq!((run.count, run.judged_devices), (0, 0));
}

#[tokio::test]
async fn outages_and_crashes_are_judged_as_they_were() {
    let mut past = Past::new().await;
    past.turn(NOW.plus_millis(-6 * DAY), 1, true).await;
    past.turn(NOW.plus_millis(-5 * DAY), 1, false).await;
    past.turn(NOW.plus_millis(-5 * DAY + HOUR), 2, true).await;
    // Ten seconds are within the grace.
    past.turn(NOW.plus_millis(-3 * DAY), 2, false).await;
    past.turn(NOW.plus_millis(-3 * DAY + 10_000), 3, true).await;
    for n in 0..6 {
        past.happens(NOW.plus_millis(-2 * DAY + n * 20_000), EventKind::GatewayCrashed).await;
    }
    // Still away.
    past.turn(NOW.plus_millis(-HOUR), 3, false).await;
    let run = past.try_rule("offline", &body("offline"), 30).await.unwrap();
    assert_eq!((run.count, run.longest_ms), (2, Some(HOUR - 15_000)));
    assert_eq!(run.moments[0].from, NOW.plus_millis(-5 * DAY + 15_000));
    assert_eq!(run.moments[0].to, Some(NOW.plus_millis(-5 * DAY + HOUR)));
    assert_eq!((run.moments[1].severity, run.moments[1].to), (Severity::Critical, None));
    let run = past.try_rule("crash_loop", &body("crash_loop"), 7).await.unwrap();
    assert_eq!(run.count, 1);
    assert_eq!(run.moments[0].from, NOW.plus_millis(-2 * DAY + 80_000), "with the fifth");
    let run = past.try_rule("gateway_crash", &body("gateway_crash"), 7).await.unwrap();
    assert_eq!((run.count, run.moments[0].to), (1, Some(NOW.plus_millis(-2 * DAY + 100_000 + 10 * MINUTE))));
}

#[tokio::test]
async fn what_the_past_does_not_tell_is_said_so() {
    let past = Past::new().await;
    for kind in ["channel_down", "certificate", "no_such_kind"] {
        let body = body("cpu");
        assert!(matches!(past.try_rule(kind, &body, 7).await, Err(DryRunError::NotStored)), "{kind}");
    }
    // Every kind that says it can be tried is tried, also on nothing.
    for kind in kinds::kinds().filter(|kind| kind.from_past) {
        let run = past.try_rule(kind.word, &kind.body(), 30).await.unwrap();
        assert_eq!(run.count, 0, "{}", kind.word);
    }
}
