//! Recording: once, in order, and news only of what is stored.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use bytes::Bytes;
use common::*;
use protocol::OfflineReason::{ConnectionLost, Shutdown};
use protocol::{DeviceTopic, Payload as _, SpoolId, Timestamp};
use store::Verdict::{Known, Late, New, Stranger};
use store::{Change, Fact, Metric, Range, Record, Verdict};
use tokio::sync::broadcast::error::TryRecvError;

fn later(ms: i64) -> Timestamp {
    NOW.plus_millis(ms)
}

#[tokio::test]
async fn a_report_is_recorded_once_however_often_it_comes() {
    let world = World::new().await;
    let (one, two) = (world.device("one").await, world.device("two").await);
    let (spool, other) = (SpoolId::generate(), SpoolId::generate());
    // Twice in one batch; the same numbers of another spool and of another device are others.
    let batch = [
        live(one, spool, 1),
        live(one, spool, 1),
        live(one, spool, 2),
        live(one, other, 1),
        live(two, spool, 1),
    ];
    assert_eq!(world.record(&batch).await, [New, Known, New, New, New]);
    assert_eq!(world.record(&batch).await, [Known; 5]);
    let world = world.reopen().await;
    assert_eq!(world.record(&batch).await, [Known; 5]);
    assert_eq!(world.record(&[live(one, spool, 3)]).await, [New]);
    assert_eq!(world.seqs(one).await, [1, 1, 2, 3]);
    assert_eq!(world.seqs(two).await, [1]);
}

#[tokio::test]
async fn any_order_and_gaps_are_recorded_once_each() {
    let world = World::new().await;
    let (device, spool) = (world.device("one").await, SpoolId::generate());
    for seq in [5, 1, 9, 2, 7, 8, 3, 10, 4, 6, 4, 9, 1] {
        world.record(&[live(device, spool, seq)]).await;
    }
    assert_eq!(world.seqs(device).await, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_large_batch_is_recorded_whole() {
    let world = World::new().await;
    let (device, spool) = (world.device("one").await, SpoolId::generate());
    let batch: Vec<Record> = (1..=2_000).map(|seq| live(device, spool, seq)).collect();
    assert!(world.record(&batch).await.iter().all(|v| *v == New));
    assert_eq!(world.seqs(device).await, (1..=2_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn presence_follows_the_epoch() {
    let world = World::new().await;
    let id = world.device("one").await;
    assert_eq!(world.store.device(id).unwrap().presence, None);
    let check = async |record: Record, verdict: Verdict, online: bool, since: i64, reason| {
        let what = format!("{:?}", record.fact);
        assert_eq!(world.record(&[record]).await, [verdict], "{what}");
        let now = world.store.device(id).unwrap().presence.unwrap();
        assert_eq!((now.online, now.since, now.reason), (online, later(since), reason), "{what}");
        let word = if online { "online" } else { "offline" };
        let rows = world.store.retained().await.unwrap();
        let status = rows.iter().find(|row| row.topic.ends_with("/status")).unwrap();
        assert_eq!(status.payload, word, "{what}");
    };
    check(birth(id, 5, later(0)), New, true, 0, None).await;
    // A second birth is no outage.
    check(birth(id, 6, later(10)), New, true, 0, None).await;
    // The will of the connection before says nothing.
    check(will(id, 5, later(20)), Known, true, 0, None).await;
    check(farewell(id, 6, later(30)), New, false, 30, Some(Shutdown)).await;
    // The will after the farewell of the same connection neither.
    check(will(id, 6, later(40)), Known, false, 30, Some(Shutdown)).await;
    // Lost before its birth was recorded.
    check(will(id, 7, later(50)), New, false, 30, Some(ConnectionLost)).await;
    check(birth(id, 8, later(60)), New, true, 60, None).await;
    check(will(id, 8, later(70)), New, false, 70, Some(ConnectionLost)).await;
    // A device that lost its state counts from the beginning, and is there.
    check(birth(id, 1, later(80)), New, true, 80, None).await;
    check(will(id, 1, later(90)), New, false, 90, Some(ConnectionLost)).await;
    let before = world.store.device(id).unwrap();
    let world = world.reopen().await;
    let after = world.store.device(id).unwrap();
    assert_eq!(after.presence, before.presence);
    assert_eq!(after.presence.unwrap().host.unwrap().hostname.as_deref(), Some("box"));
    assert_eq!(world.store.recorded_presences(id).await.unwrap(), 8);
}

#[tokio::test]
async fn birth_and_will_in_one_batch_end_offline() {
    let world = World::new().await;
    let id = world.device("one").await;
    world.record(&[birth(id, 1, NOW), will(id, 1, NOW), birth(id, 2, NOW), will(id, 1, NOW)]).await;
    assert!(world.store.device(id).unwrap().presence.unwrap().online);
    world.record(&[birth(id, 3, NOW), will(id, 3, NOW)]).await;
    assert!(!world.store.device(id).unwrap().presence.unwrap().online);
}

#[tokio::test]
async fn what_comes_late_is_recorded_and_does_not_replace_the_present() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    world.record(&[live(id, spool, 10)]).await;
    let mut old = a_report(spool, 3, later(-DAY));
    old.historical = true;
    let overtaken = a_report(spool, 9, later(-1000));
    let verdicts = world.record(&[report(id, &old, later(5)), report(id, &overtaken, later(5))]).await;
    assert_eq!(verdicts, [Late; 2]);
    let check = async |world: &World| {
        let device = world.store.device(id).unwrap();
        assert_eq!(device.latest.unwrap().seq, 10);
        assert_eq!(world.store.last_report(id).await.unwrap().unwrap().seq, 10);
        assert_eq!(world.seqs(id).await, [3, 9, 10]);
    };
    check(&world).await;
    assert_eq!(world.store.device(id).unwrap().last_seen_at, Some(later(5)));
    check(&world.reopen().await).await;
}

#[tokio::test]
async fn a_wrong_clock_is_not_believed_for_what_happens_now() {
    let world = World::new().await;
    let id = world.device("one").await;
    let at = async |measured: i64, historical: bool| {
        let mut one = a_report(SpoolId::generate(), 1, later(measured));
        one.historical = historical;
        world.record(&[report(id, &one, NOW)]).await;
        let range = Range { from: later(-3 * DAY), step_ms: 1000, steps: 6 * 86_400 };
        let samples = world.store.samples(id, range, &[Metric::CpuPct]).await.unwrap().unwrap();
        let found: Vec<i64> = samples.series[0]
            .avg
            .iter()
            .enumerate()
            .filter(|(_, value)| value.is_some())
            .map(|(step, _)| i64::try_from(step).unwrap() * 1000 - 3 * DAY)
            .collect();
        found
    };
    assert_eq!(at(-DAY, false).await, [0]);
    assert_eq!(at(DAY, false).await, [0]);
    assert_eq!(at(-60_000, false).await, [-60_000, 0]);
    assert_eq!(at(60_000, false).await, [-60_000, 0, 60_000]);
    assert_eq!(at(-DAY, true).await, [-DAY, -60_000, 0, 60_000]);
    // Nothing can have been measured tomorrow.
    assert_eq!(at(DAY, true).await, [-DAY, -60_000, 0, 60_000]);
    for extreme in [i64::MIN, i64::MAX] {
        let one = a_report(SpoolId::generate(), 1, Timestamp(extreme));
        assert_eq!(world.record(&[report(id, &one, NOW)]).await, [New]);
    }
}

#[tokio::test]
async fn news_comes_after_the_commit_and_only_then() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let mut feed = world.store.feed();
    world.store.break_recording().await.unwrap();
    let before = world.store.device(id);
    world.store.record(&[live(id, spool, 1)]).await.unwrap_err();
    assert_eq!(feed.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(world.store.device(id), before);
    world.store.mend().await.unwrap();
    assert_eq!(world.record(&[live(id, spool, 1)]).await, [New]);
    assert_eq!(feed.try_recv(), Ok(Change::Devices([id].into())));
    // By the time of the news it can be read.
    assert_eq!(world.seqs(id).await, [1]);
    // A duplicate and a stranger are no news.
    let stranger = protocol::DeviceId::generate();
    let verdicts = world.record(&[live(id, spool, 1), live(stranger, spool, 1)]).await;
    assert_eq!(verdicts, [Known, Stranger]);
    assert_eq!(feed.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn nothing_of_a_batch_that_failed_is_recorded() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    world.store.refuse_seq(2).await.unwrap();
    let batch = [birth(id, 1, NOW), live(id, spool, 1), live(id, spool, 2)];
    let error = world.store.record(&batch).await.unwrap_err();
    assert!(error.is_about_the_data(), "{error:?}");
    assert_eq!(world.store.device(id).unwrap().presence, None);
    assert!(world.seqs(id).await.is_empty());
    assert!(world.store.retained().await.unwrap().is_empty());
    assert_eq!(world.record(&batch[..2]).await, [New; 2]);
}

#[tokio::test]
async fn a_device_removed_by_another_process_is_a_stranger_and_harms_nobody() {
    let world = World::new().await;
    let (gone, stays) = (world.device("gone").await, world.device("stays").await);
    let spool = SpoolId::generate();
    world.record(&[birth(gone, 1, NOW), live(gone, spool, 1)]).await;
    // Not seen yet by the first store.
    world.second().await.remove_device(&by(), gone).await.unwrap().unwrap();
    let mut feed = world.store.feed();
    let verdicts = world.record(&[live(gone, spool, 2), live(stays, spool, 1), will(gone, 1, NOW)]).await;
    assert_eq!(verdicts, [Stranger, New, Stranger]);
    assert_eq!(world.store.device(gone), None);
    assert_eq!(feed.try_recv(), Ok(Change::Removed([gone].into())));
    assert_eq!(feed.try_recv(), Ok(Change::Devices([stays].into())));
    let left = world.store.retained().await.unwrap();
    assert!(left.iter().all(|row| !row.topic.contains(gone.as_str())), "{left:?}");
}

#[tokio::test]
async fn what_is_retained_survives_and_an_empty_payload_ends_it() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let mut service = retained_row(id, DeviceTopic::Audit, b"any".to_vec(), NOW);
    service.topic = "house/lamp".to_owned();
    service.properties = Bytes::from_static(&[3, 0, 1, b'x']);
    let nothing = |row| Record { received_at: NOW, fact: Fact::Nothing, retain: Some(row) };
    world
        .record(&[birth(id, 1, NOW), live(id, spool, 1), live(id, spool, 2), nothing(service.clone())])
        .await;
    let mut before = world.store.retained().await.unwrap();
    let world = world.reopen().await;
    let mut after = world.store.retained().await.unwrap();
    before.sort_by(|a, b| a.topic.cmp(&b.topic));
    after.sort_by(|a, b| a.topic.cmp(&b.topic));
    assert_eq!(before, after);
    assert_eq!(after.len(), 4, "presence, status, report and the service's");
    assert!(after.contains(&service));
    assert!(after.iter().any(|row| row.payload == a_report(spool, 2, NOW).encode()));
    service.payload = Bytes::new();
    world.record(&[nothing(service)]).await;
    assert_eq!(world.store.retained().await.unwrap().len(), 3);
}
