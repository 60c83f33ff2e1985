//! What whoever judges asks: news by their numbers, and what is usual.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::*;
use protocol::{DeviceId, Event, EventKind, Events, Payload as _, SpoolId, Timestamp, Usage};
use store::{Fact, Record};

const HOUR: i64 = 3_600_000;
const WEEK: i64 = 7 * DAY;

async fn uses(world: &World, device: DeviceId, at: Timestamp, trigger: &str, tokens: u64) {
    let (spool, quarter) = (SpoolId::generate(), at.0.div_euclid(900_000) * 900_000);
    let text = format!(
        r#"{{"v":1,"spool":"{spool}","seq":1,"at":{},"ledger":"{spool}","rows":[{{"quarter":{quarter},"provider":"mock",
            "model":"{trigger}-model","agent":"main","trigger":"{trigger}","turns":1,"input":{tokens}}}]}}"#,
        at.0
    );
    let usage = Usage::decode(text.as_bytes()).unwrap();
    let record = Record { received_at: NOW, fact: Fact::Usage(device, Box::new(usage)), retain: None };
    world.record(&[record]).await;
}

fn event(kind: EventKind) -> Event {
    Event {
        at: NOW,
        kind,
        gateway: None,
        from: None,
        to: None,
        reason: None,
        duration_ms: None,
        count: None,
        activity: None,
    }
}

#[tokio::test]
async fn what_is_usual_is_of_the_same_hour() {
    let world = World::new().await;
    let (device, other) = (world.device("one").await, world.device("two").await);
    let hour = Timestamp(NOW.0.div_euclid(HOUR) * HOUR);
    for weeks in 1..=4 {
        let at = hour.plus_millis(-weeks * WEEK);
        uses(&world, device, at, "cron", u64::try_from(weeks).unwrap() * 100).await;
        // The hour before, and another device, are not of it.
        uses(&world, device, at.plus_millis(-HOUR), "cron", 7).await;
        uses(&world, other, at, "cron", 9).await;
    }
    let tokens: Vec<i64> =
        world.store.like_hours(device, hour).await.unwrap().iter().map(store::Counts::tokens).collect();
    assert_eq!(tokens, [100, 200, 300, 400]);
    // Of a device that is known for days only, the same hour of those days; idle ones count.
    let young = world.device("three").await;
    uses(&world, young, hour.plus_millis(-3 * DAY), "cron", 50).await;
    let tokens: Vec<i64> =
        world.store.like_hours(young, hour).await.unwrap().iter().map(store::Counts::tokens).collect();
    assert_eq!(tokens, [0, 0, 50]);
    assert_eq!(world.store.like_hours(world.device("four").await, hour).await.unwrap(), []);
}

#[tokio::test]
async fn who_spoke_last_and_what_used_most() {
    let world = World::new().await;
    let device = world.device("one").await;
    assert_eq!(world.store.used_most(device, Timestamp(0)).await.unwrap(), None);
    let (spoke, since) = (NOW.plus_millis(-9 * HOUR), NOW.plus_millis(-8 * HOUR));
    uses(&world, device, spoke, "human", 900).await;
    uses(&world, device, NOW.plus_millis(-2 * HOUR), "cron", 100).await;
    uses(&world, device, NOW.plus_millis(-HOUR), "heartbeat", 300).await;
    let store = &world.store;
    let end_of = |at: Timestamp| Timestamp((at.0.div_euclid(900_000) + 1) * 900_000);
    assert_eq!(store.last_human(device, Timestamp(0)).await.unwrap(), Some(end_of(spoke)));
    assert_eq!(store.last_human(device, since).await.unwrap(), None);
    assert_eq!(store.human_quarters(device, Timestamp(0)).await.unwrap(), [end_of(spoke)]);
    let most = |model: &str, trigger: &str| Some((model.to_owned(), trigger.to_owned()));
    assert_eq!(store.used_most(device, since).await.unwrap(), most("heartbeat-model", "heartbeat"));
    assert_eq!(store.used_most(device, Timestamp(0)).await.unwrap(), most("human-model", "human"));
    let used = store.used_by_device(since, NOW).await.unwrap();
    assert_eq!(used[&device].tokens(), 400);
    let parts = store.used_in_parts(&[device], spoke.plus_millis(-HOUR), NOW, 4).await.unwrap();
    assert_eq!(parts.iter().map(|(_, _, counts)| counts.tokens()).collect::<Vec<_>>(), [900, 100, 300]);
}

#[tokio::test]
async fn news_are_read_once_and_activities_are_none() {
    let world = World::new().await;
    let device = world.device("one").await;
    let store = &world.store;
    let begin = store.events_after(0, 9).await.unwrap().1;
    let kinds =
        [EventKind::GatewayCrashed, EventKind::Activity, EventKind::GatewayStarted, EventKind::Activity];
    let events = kinds.map(event).to_vec();
    let told = Events { v: 1, spool: SpoolId::generate(), seq: 1, at: NOW, events };
    world
        .record(&[Record { received_at: NOW, fact: Fact::Events(device, Box::new(told)), retain: None }])
        .await;
    let (first, at) = store.events_after(begin, 1).await.unwrap();
    assert_eq!(first.iter().map(|e| e.event.kind).collect::<Vec<_>>(), [EventKind::GatewayCrashed]);
    let (rest, end) = store.events_after(at, 9).await.unwrap();
    assert_eq!(rest.iter().map(|e| e.event.kind).collect::<Vec<_>>(), [EventKind::GatewayStarted]);
    assert_eq!(store.events_after(end, 9).await.unwrap(), (vec![], end));
    assert_eq!(end, begin + 4, "activities are behind it, too");
    assert_eq!(store.news_before(NOW).await.unwrap().1, 0);
    assert_eq!(store.news_before(NOW.plus_millis(1)).await.unwrap().0, end);
}

#[tokio::test]
async fn a_trend_is_a_line_through_hours() {
    let world = World::new().await;
    let (growing, still) = (world.device("growing").await, world.device("still").await);
    let mut records = Vec::new();
    for (device, per_hour) in [(growing, 1_u64 << 30), (still, 0)] {
        let spool = SpoolId::generate();
        for hour in 0..60_u32 {
            let at = NOW.plus_millis(i64::from(hour) * HOUR - 60 * HOUR);
            let mut measured = a_report(spool, u64::from(hour) + 1, at);
            measured.disk.used_bytes = Some((100 << 30) + u64::from(hour) * per_hour);
            measured.disk.total_bytes = Some(1 << 40);
            records.push(report(device, &measured, at));
        }
    }
    world.record(&records).await;
    world.store.settle_all().await.unwrap();
    let trends = world.store.trends().await.unwrap();
    let of = |id: DeviceId| trends.iter().find(|(device, _)| *device == id).unwrap().1;
    let per_h = of(growing).disk_per_h.unwrap();
    assert!((per_h / f64::from(1 << 30) - 1.0).abs() < 0.01, "{per_h}");
    assert_eq!(of(still).disk_per_h, None, "what does not move is no line");
}
