//! What OpenClaw used and what went wrong: exact, once, in its place.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::*;
use protocol::{
    Activity, Audit, DeviceId, Event, EventKind, Events, Log, LogLevel, LogRecord, Payload, QUARTER_MILLIS,
    SpoolId, Timestamp, Usage, UsageRow, UsageTrigger,
};
use store::Verdict::{Known, New};
use store::{Counts, ErrorFilter, Fact, Page, Record, UsageBy, UsageFilter, UsageQuery, Zone};

const QUARTER: Timestamp = Timestamp(NOW.0 - NOW.0 % QUARTER_MILLIS);

/// A row: `n` turns of ten tokens in and one out.
fn row(quarter: i64, model: &str, n: u64) -> UsageRow {
    UsageRow {
        quarter: QUARTER.plus_millis(quarter * QUARTER_MILLIS),
        provider: "mock".to_owned(),
        model: model.to_owned(),
        agent: "main".to_owned(),
        trigger: UsageTrigger::Human,
        turns: n,
        error_turns: 0,
        unmetered_turns: 0,
        input: 10 * n,
        output: n,
        cache_read: 0,
        cache_write: 0,
        reasoning: 0,
        cost_nano_usd: 1000 * n,
        unpriced: 0,
    }
}

fn record(fact: Fact) -> Record {
    Record { received_at: NOW, fact, retain: None }
}

fn usage(device: DeviceId, spool: SpoolId, seq: u64, ledger: SpoolId, rows: Vec<UsageRow>) -> Record {
    let usage = Usage { v: 1, spool, seq, at: NOW, ledger, rows };
    usage.check().unwrap();
    record(Fact::Usage(device, Box::new(usage)))
}

/// What was used from the beginning until `days` from now.
async fn used(world: &World, days: i64, by: UsageBy, device: Option<DeviceId>) -> Vec<(String, Counts)> {
    let question = UsageQuery {
        from: Timestamp(0),
        to: QUARTER.plus_millis(days * DAY),
        zone: Zone::utc(),
        by,
        then_by: None,
        filter: UsageFilter { devices: device.map(|id| vec![id]), ..UsageFilter::default() },
        limit: 100,
    };
    let groups = world.store.usage(&question).await.unwrap();
    groups.into_iter().map(|group| (group.key.unwrap(), group.counts)).collect()
}

/// Turns in all, by the memory, by the sums and by the groups, which must agree.
async fn turns(world: &World, device: DeviceId) -> i64 {
    let known = world.store.device(device).unwrap().usage.map_or(0, |usage| usage.total.turns);
    for by in UsageBy::ALL {
        let groups = used(world, 1, by, Some(device)).await;
        let sum: i64 = groups.iter().map(|(_, counts)| counts.turns).sum();
        assert_eq!(sum, known, "{by:?} {groups:?}");
    }
    known
}

#[tokio::test]
async fn totals_replace_each_other_in_any_order_and_survive_a_restart() {
    let world = World::new().await;
    let (one, two) = (world.device("one").await, world.device("two").await);
    let (spool, ledger) = (SpoolId::generate(), SpoolId::generate());
    let first = usage(one, spool, 1, ledger, vec![row(0, "small", 2), row(-1, "small", 5)]);
    let second = usage(one, spool, 2, ledger, vec![row(0, "small", 7), row(0, "big", 1)]);
    assert_eq!(world.record(&[second, first.clone(), first]).await, [New, New, Known]);
    assert_eq!(turns(&world, one).await, 7 + 1 + 5);
    world.record(&[usage(two, spool, 1, ledger, vec![row(-400, "small", 3)])]).await;
    let world = world.reopen().await;
    assert_eq!((turns(&world, one).await, turns(&world, two).await), (13, 3));

    let recent = world.store.device(one).unwrap().usage.unwrap();
    assert_eq!(recent.between(QUARTER, QUARTER.plus_millis(QUARTER_MILLIS)).input, 80);
    assert_eq!(recent.between(QUARTER.plus_millis(-QUARTER_MILLIS), QUARTER).turns, 5);
    let old = world.store.device(two).unwrap().usage.unwrap();
    assert!(old.recent.is_empty() && old.total.turns == 3, "only the last days are in memory");

    let by = async |by| used(&world, 1, by, None).await;
    let models: Vec<_> = by(UsageBy::Model).await.into_iter().map(|(key, c)| (key, c.turns)).collect();
    assert_eq!(models, [("mock/big".to_owned(), 1), ("mock/small".to_owned(), 15)]);
    assert_eq!(by(UsageBy::Device).await.len(), 2);
    assert_eq!(by(UsageBy::Trigger).await[0].0, "human");
    let days: Vec<_> = by(UsageBy::Day).await.into_iter().map(|(key, c)| (key, c.tokens())).collect();
    assert_eq!(days, [("2027-01-11".to_owned(), 33), ("2027-01-15".to_owned(), 143)]);
    assert_eq!(used(&world, -10, UsageBy::Day, None).await, []);
}

#[tokio::test]
async fn of_two_ledgers_the_one_that_knows_more_of_a_quarter_counts() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let (lost, next) = (SpoolId::generate(), SpoolId::generate());
    world
        .record(&[usage(
            id,
            spool,
            1,
            lost,
            vec![row(-9, "small", 50), row(-1, "small", 6), row(0, "big", 2)],
        )])
        .await;
    // The device forgot, and half of its oldest history is no longer on its disk; meanwhile it went on.
    let again = vec![row(-9, "small", 20), row(-1, "small", 6), row(0, "big", 3), row(0, "small", 1)];
    world.record(&[usage(id, spool, 2, next, again)]).await;
    assert_eq!(turns(&world, id).await, 50 + 6 + 4);
    world.record(&[usage(id, spool, 3, next, vec![row(0, "big", 30)])]).await;
    assert_eq!(turns(&world, id).await, 50 + 6 + 31);
    let world = world.reopen().await;
    assert_eq!(turns(&world, id).await, 87);
    world.store.remove_device(&by(), id).await.unwrap().unwrap();
    assert_eq!(used(&world, 1, UsageBy::Day, None).await, []);
}

#[tokio::test]
async fn the_largest_counts_can_be_added_up() {
    let world = World::new().await;
    let (id, spool, ledger) = (world.device("one").await, SpoolId::generate(), SpoolId::generate());
    let rows = (0..400).map(|n| UsageRow { input: 1 << 44, ..row(-n, "small", 1) }).collect();
    assert_eq!(world.record(&[usage(id, spool, 1, ledger, rows)]).await, [New]);
    let total = world.store.device(id).unwrap().usage.unwrap().total;
    assert_eq!(
        total,
        Counts { turns: 400, input: 400 << 44, output: 400, cost_nano_usd: 400_000, ..Counts::default() }
    );
}

fn log(device: DeviceId, spool: SpoolId, seq: u64, ats: &[i64]) -> Record {
    let one = |at: &i64| LogRecord {
        at: NOW.plus_millis(*at),
        level: LogLevel::Crash,
        gateway: "default".to_owned(),
        subsystem: Some("agent".to_owned()),
        message: format!("at {at}"),
        fingerprint: "0123456789abcdef".to_owned(),
        count: 2,
        error_name: None,
        reason: None,
        provider: None,
        model: None,
        agent: None,
        version: None,
        stack: None,
        context: vec!["before".to_owned()],
    };
    let log = Log { v: 1, spool, seq, at: NOW, records: ats.iter().map(one).collect() };
    record(Fact::Log(device, Box::new(log)))
}

#[tokio::test]
async fn errors_come_once_and_newest_first() {
    let world = World::new().await;
    let (one, two) = (world.device("one").await, world.device("two").await);
    let spool = SpoolId::generate();
    let batch =
        [log(one, spool, 1, &[-5000, -1000]), log(two, spool, 1, &[-3000]), log(one, spool, 1, &[-5000])];
    assert_eq!(world.record(&batch).await, [New, New, Known]);
    let world = world.reopen().await;
    assert_eq!(world.record(&batch).await, [Known; 3]);
    let first = Page::first(10);
    let all = world.store.errors_whole(&ErrorFilter::default(), first).await.unwrap();
    let messages: Vec<&str> = all.iter().map(|e| e.record.message.as_str()).collect();
    assert_eq!(messages, ["at -1000", "at -3000", "at -5000"]);
    let Fact::Log(_, log) = &batch[0].fact else { unreachable!() };
    assert_eq!(all[0].record, log.records[1]);
    assert_eq!(world.store.error(all[0].no).await.unwrap().as_ref(), Some(&all[0]));
    let of_two = ErrorFilter { device: Some(two), ..ErrorFilter::default() };
    let listed = world.store.errors(&of_two, first).await.unwrap();
    assert!(listed.len() == 1 && listed[0].record.context.is_empty(), "a list is short");
}

#[tokio::test]
async fn late_news_of_a_device_with_a_wrong_clock_lands_in_its_place() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    // Its clock is a day ahead, as its present shows.
    let mut present = a_report(spool, 9, NOW.plus_millis(DAY));
    world.record(&[report(id, &present, NOW)]).await;
    assert_eq!(world.store.device(id).unwrap().clock_skew_ms, -DAY);
    let activity = Activity { action: "tool.action".to_owned(), ..Activity::default() };
    let event = Event {
        at: NOW.plus_millis(DAY - 3_600_000),
        kind: EventKind::Activity,
        gateway: None,
        from: Some("a".to_owned()),
        to: None,
        reason: None,
        duration_ms: Some(5),
        count: Some(2),
        activity: Some(activity),
    };
    let events = Events { v: 1, spool, seq: 1, at: event.at, events: vec![event.clone()] };
    let late = a_report(spool, 2, NOW.plus_millis(DAY - 7_200_000));
    let late = protocol::Report { historical: true, ..late };
    world.record(&[record(Fact::Events(id, Box::new(events))), report(id, &late, NOW)]).await;
    let told = world.store.events(id, 10).await.unwrap();
    assert_eq!(told, [Event { at: NOW.plus_millis(-3_600_000), ..event }]);
    let range = store::Range { from: NOW.plus_millis(-7_200_000), step_ms: 1000, steps: 1 };
    let samples = world.store.samples(id, range, &[store::Metric::CpuPct]).await.unwrap().unwrap();
    assert_eq!(samples.series[0].avg, [Some(2.0)]);
    // Mended.
    present.seq = 10;
    present.at = NOW;
    world.record(&[report(id, &present, NOW)]).await;
    assert_eq!(world.store.device(id).unwrap().clock_skew_ms, 0);
}

#[tokio::test]
async fn of_audits_the_newest_stays() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let audit = |seq, at: i64| {
        let audit = Audit {
            v: 1,
            spool,
            seq,
            at: NOW.plus_millis(at),
            audits: vec![],
            findings: vec![],
            listeners: vec![],
        };
        record(Fact::Audit(id, Box::new(audit)))
    };
    assert_eq!(world.record(&[audit(2, -5), audit(1, -9)]).await, [New, New]);
    assert_eq!(world.record(&[audit(3, -7)]).await, [New]);
    assert_eq!(world.store.audit(id).await.unwrap().unwrap().seq, 2);
    world.record(&[audit(4, -1)]).await;
    assert_eq!(world.store.audit(id).await.unwrap().unwrap().seq, 4);
}
