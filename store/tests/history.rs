//! The history: whatever comes in whatever order, settled or not, every rung says what a list of all samples says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]
#![allow(clippy::cast_precision_loss, reason = "small numbers")]

mod common;

use std::collections::BTreeSet;

use common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use protocol::{DeviceId, Gateway, GatewayState, Memory, OpenClaw, SpoolId, Timestamp};
use store::{Horizon, Keep, Metric, Range, Record, Rung, Settled, Store};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

/// A sample, as the model knows it.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    device: usize,
    seq: u64,
    at: i64,
    cpu: Option<f64>,
    memory: Option<u64>,
    late: bool,
}

fn record_of(sample: &Sample, devices: &[DeviceId], spools: &[SpoolId]) -> Record {
    let mut one = a_report(spools[sample.device], sample.seq, Timestamp(sample.at));
    one.historical = sample.late;
    one.cpu.pct = sample.cpu;
    one.memory = Memory { used_bytes: sample.memory, ..Memory::default() };
    let received_at = if sample.late { NOW.plus_millis(HOUR) } else { Timestamp(sample.at) };
    report(devices[sample.device], &one, received_at)
}

#[derive(Debug, Clone)]
enum Op {
    /// Samples by their places, some of them more than once.
    Record(Vec<usize>),
    Settle(u8),
    Crash,
    Stop,
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    // Three hours, many in one bucket, some at the same moment.
    let one = (
        0usize..3,
        0i64..(3 * 60),
        prop::option::of(0u32..=100),
        prop::option::of(1u64..1_000),
        any::<bool>(),
    );
    let one = one.prop_map(|(device, minute, cpu, memory, late)| Sample {
        device,
        seq: 0,
        at: NOW.0 - 3 * HOUR + minute * MINUTE,
        cpu: cpu.map(f64::from),
        memory: memory.map(|m| m * 1024),
        late,
    });
    prop::collection::vec(one, 1..60).prop_map(|list| {
        let numbered = |(i, sample): (usize, Sample)| Sample { seq: i as u64, ..sample };
        list.into_iter().enumerate().map(numbered).collect()
    })
}

fn ops(count: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => prop::collection::vec(0..count, 1..20).prop_map(Op::Record),
        3 => (0u8..6).prop_map(Op::Settle),
        1 => Just(Op::Crash),
        1 => Just(Op::Stop),
    ];
    prop::collection::vec(op, 1..14)
}

/// What a list of samples says of a range.
fn naive(
    all: &[&Sample],
    device: usize,
    range: Range,
    value: impl Fn(&Sample) -> Option<f64>,
) -> Vec<Option<(u32, f64, f64, f64)>> {
    (0..range.steps)
        .map(|step| {
            let from = range.from.0 + range.step_ms * i64::try_from(step).unwrap();
            let here =
                all.iter().filter(|s| s.device == device && (from..from + range.step_ms).contains(&s.at));
            let n = u32::try_from(here.clone().count()).unwrap();
            let values: Vec<f64> = here.filter_map(|s| value(s)).collect();
            (!values.is_empty()).then(|| {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let (low, high) =
                    (values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max));
                (n, low.unwrap(), mean, high.unwrap())
            })
        })
        .collect()
}

async fn check(store: &Store, devices: &[DeviceId], known: &[&Sample], what: &str) {
    for (step_ms, rung) in [(MINUTE, Rung::Raw), (10 * MINUTE, Rung::FiveMinutes), (2 * HOUR, Rung::Hour)] {
        let range = Range::new(NOW.plus_millis(-4 * HOUR), NOW.plus_millis(HOUR), 2_000, step_ms);
        for (place, device) in devices.iter().enumerate() {
            let got =
                store.samples(*device, range, &[Metric::CpuPct, Metric::MemoryUsed]).await.unwrap().unwrap();
            assert_eq!((got.rung, range.step_ms), (rung, step_ms));
            let n: u32 = got.n.iter().sum();
            assert_eq!(
                n as usize,
                known.iter().filter(|s| s.device == place).count(),
                "{what}: {rung:?} {device}"
            );
            let cpu = naive(known, place, range, |s| s.cpu);
            let memory = naive(known, place, range, |s| s.memory.map(|m| m as f64));
            for (series, expected) in got.series.iter().zip([cpu, memory]) {
                for (step, expected) in expected.iter().enumerate() {
                    let found = (series.min[step], series.max[step]);
                    assert_eq!(
                        found,
                        (expected.map(|e| e.1), expected.map(|e| e.3)),
                        "{what}: {rung:?} step {step}"
                    );
                    // Means of buckets are whole hundredths or KiB, weighed by samples; exact only when all measured.
                    if let (Some(e), true) = (expected, rung == Rung::Raw) {
                        assert!((series.avg[step].unwrap() - e.2).abs() < 1e-6, "{what}: {series:?} {e:?}");
                    }
                    assert_eq!(series.avg[step].is_some(), expected.is_some());
                }
            }
        }
    }
}

#[test]
fn every_rung_says_what_a_list_of_all_samples_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cases = Cases { cases: 40, failure_persistence: None, ..Cases::default() };
    let strategy = samples().prop_flat_map(|all| {
        let count = all.len();
        (Just(all), ops(count))
    });
    TestRunner::new(cases)
        .run(&strategy, |(all, ops)| {
            runtime.block_on(async {
                let mut world = World::new().await;
                let devices = [world.device("a").await, world.device("b").await, world.device("c").await];
                let spools = [SpoolId::generate(), SpoolId::generate(), SpoolId::generate()];
                let mut known = BTreeSet::new();
                for op in &ops {
                    match op {
                        Op::Record(places) => {
                            let records: Vec<Record> =
                                places.iter().map(|i| record_of(&all[*i], &devices, &spools)).collect();
                            world.record(&records).await;
                            known.extend(places.iter().copied());
                        }
                        Op::Settle(steps) => {
                            for _ in 0..*steps {
                                world.store.settle(3).await.unwrap();
                            }
                        }
                        // Nothing is said goodbye to; what is in memory only is gone.
                        Op::Crash => {
                            let store = world.second().await;
                            world = World { store, ..world };
                        }
                        Op::Stop => world = world.reopen().await,
                    }
                    let list: Vec<&Sample> = known.iter().map(|i| &all[*i]).collect();
                    check(&world.store, &devices, &list, &format!("{op:?}")).await;
                }
                // Once more, all of it: nothing is recorded twice.
                let records: Vec<Record> =
                    known.iter().map(|i| record_of(&all[*i], &devices, &spools)).collect();
                let verdicts = world.record(&records).await;
                assert!(verdicts.iter().all(|v| *v == store::Verdict::Known), "{verdicts:?}");
                world.store.settle_all().await.unwrap();
                assert_eq!(
                    (world.store.unsettled(), world.store.settle(10).await.unwrap()),
                    (0, Settled::Wholly)
                );
                let list: Vec<&Sample> = known.iter().map(|i| &all[*i]).collect();
                check(&world.store, &devices, &list, "all settled").await;
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn what_comes_after_its_samples_expired_joins_what_is_left_of_them() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let old = NOW.0 - 10 * DAY;
    let sample = |seq: u64, at: i64, pct: f64| {
        let mut one = a_report(spool, seq, Timestamp(at));
        one.historical = true;
        one.cpu.pct = Some(pct);
        report(id, &one, NOW)
    };
    world.record(&[sample(1, old, 10.0), sample(2, old + 30_000, 20.0), sample(3, NOW.0 - HOUR, 50.0)]).await;
    world.store.settle_all().await.unwrap();
    let plan = Keep::default().plan(world.store.horizon(), world.store.sizes().await.unwrap(), NOW);
    world.store.set_horizon(plan).await.unwrap();
    let (mut at, mut rounds) = (store::Expiring::default(), 0);
    while let Some(next) = world.store.expire(at, 1).await.unwrap() {
        (at, rounds) = (next, rounds + 1);
        assert!(rounds < 100, "it ends");
    }
    assert_eq!(world.seqs(id).await, [3], "older than a week");
    // From the spool of a device that was away for ten days; one of a bucket that nothing is left of.
    world.record(&[sample(4, old + 60_000, 90.0), sample(5, old - 40 * DAY, 1.0)]).await;
    world.store.settle_all().await.unwrap();
    assert_eq!(world.seqs(id).await, [3]);
    for (from, to, points, expected) in [
        (old - HOUR, old + HOUR, 100, Rung::FiveMinutes),
        (old - 2 * DAY, NOW.0, 500, Rung::FiveMinutes),
        (old - 45 * DAY, NOW.0, 2_000, Rung::Hour),
    ] {
        let range = world.store.range(Timestamp(from), Timestamp(to), points, 30_000);
        let got = world.store.samples(id, range, &[Metric::CpuPct]).await.unwrap().unwrap();
        assert_eq!(got.rung, expected);
        let step = usize::try_from((old - range.from.0) / range.step_ms).unwrap();
        let cpu = &got.series[0];
        assert_eq!(
            (got.n[step], cpu.min[step], cpu.avg[step], cpu.max[step]),
            (3, Some(10.0), Some(40.0), Some(90.0))
        );
        assert!(got.late[step]);
    }
    // Before the five minutes' horizon only the hour is kept.
    let range = world.store.range(Timestamp(old - 41 * DAY), Timestamp(old - 39 * DAY), 100, 30_000);
    let got = world.store.samples(id, range, &[Metric::CpuPct]).await.unwrap().unwrap();
    assert_eq!((got.rung, got.n.iter().sum::<u32>()), (Rung::Hour, 1));
    let world = world.reopen().await;
    assert_eq!(world.store.horizon(), plan);
}

#[tokio::test]
async fn expiring_goes_in_small_steps_and_ends() {
    let world = World::new().await;
    let spool = SpoolId::generate();
    let mut all = Vec::new();
    for name in ["a", "b", "c"] {
        let id = world.device(name).await;
        // Many at one moment, too: a step still ends.
        all.extend((0..50).map(|seq| {
            let mut one =
                a_report(spool, seq, NOW.plus_millis(-9 * DAY + i64::try_from(seq / 10).unwrap() * HOUR));
            one.historical = true;
            report(id, &one, NOW)
        }));
    }
    world.record(&all).await;
    world.store.settle_all().await.unwrap();
    let horizon = Horizon { raw: NOW.0 - 9 * DAY + 2 * HOUR, five_minutes: NOW.0, hour: 0 };
    world.store.set_horizon(horizon).await.unwrap();
    let count = async || {
        let mut left = 0;
        for device in world.store.devices() {
            left += world.seqs(device.id).await.len();
        }
        left
    };
    let (mut at, mut before) = (store::Expiring::default(), count().await);
    assert_eq!(before, 150);
    while let Some(next) = world.store.expire(at, 7).await.unwrap() {
        let now = count().await;
        assert!(before - now <= 7 + 10, "{before} -> {now}: at most a step, and what is of the same moment");
        (at, before) = (next, now);
    }
    assert_eq!(before, 90);
    assert_eq!(world.store.unsettled(), 0);
}

#[tokio::test]
async fn a_device_that_brings_its_past_settles_in_small_steps_too() {
    let world = World::new().await;
    let (id, other, spool) = (world.device("one").await, world.device("two").await, SpoolId::generate());
    world.store.settle_all().await.unwrap();
    let mut records: Vec<Record> = (0..1_000).map(|seq| live(id, spool, seq)).collect();
    records.extend((0..5).map(|seq| live(other, spool, seq)));
    world.record(&records).await;
    let mut before = world.store.unsettled();
    assert_eq!(before, 1_005);
    while world.store.settle(100).await.unwrap() == Settled::Partly {
        let now = world.store.unsettled();
        assert!(before - now <= 100, "{before} -> {now}");
        before = now;
        assert_eq!((world.seqs(id).await.len(), world.seqs(other).await.len()), (1_000, 5));
    }
    assert_eq!(before, 0);
    assert_eq!(world.store.last_report(id).await.unwrap().unwrap().seq, 999);
}

#[tokio::test]
async fn a_crash_leaves_the_newest_numbers_and_a_stop_the_whole_report() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let say = |seq: u64, state: GatewayState| {
        let mut one = a_report(spool, seq, NOW.plus_millis(i64::try_from(seq).unwrap()));
        one.memory.used_bytes = Some(seq * 4096);
        let gateway = Gateway { name: "default".to_owned(), state, ..Gateway::default() };
        one.openclaw =
            Some(OpenClaw { state, version: Some(format!("2026.9.{seq}")), gateways: vec![gateway] });
        report(id, &one, NOW)
    };
    world.record(&[birth(id, 1, NOW), say(1, GatewayState::Running)]).await;
    world.store.settle_all().await.unwrap();
    world.record(&[say(2, GatewayState::Hung)]).await;
    // The whole report is what the running server retains ...
    assert_eq!(world.store.last_report(id).await.unwrap().unwrap().seq, 2);
    let before = world.store.device(id).unwrap();
    // ... and after a crash the numbers are of the last one, the rest of the one before.
    let crashed = world.second().await;
    let after = crashed.device(id).unwrap();
    let (known, latest) = (before.latest.unwrap(), after.latest.unwrap());
    assert_eq!((latest.seq, latest.memory_used, latest.cpu_pct), (2, known.memory_used, known.cpu_pct));
    let claw = latest.openclaw.unwrap();
    assert_eq!((claw.state, claw.version.as_deref()), (GatewayState::Hung, Some("2026.9.2")));
    assert_eq!(crashed.last_report(id).await.unwrap().unwrap().seq, 1);
    // A farewell takes the last report along; so does a stop.
    let two = world.device("two").await;
    world.record(&[birth(two, 1, NOW), report(two, &a_report(spool, 9, NOW), NOW)]).await;
    world.record(&[farewell(two, 1, NOW.plus_millis(1))]).await;
    assert_eq!(world.second().await.last_report(two).await.unwrap().unwrap().seq, 9);
    let world = world.reopen().await;
    assert_eq!(world.store.last_report(id).await.unwrap().unwrap().seq, 2);
    let range = Range::new(NOW, NOW.plus_millis(1000), 10, 1_000);
    let samples = world.store.samples(id, range, &[]).await.unwrap().unwrap();
    assert_eq!(samples.openclaw[0], Some(GatewayState::Hung), "the worst of the step");
}

/// A year in seconds: the ladder's sizes are those that docs/OPERATIONS.md predicts.
#[tokio::test]
async fn a_year_of_a_device_goes_down_the_ladder() {
    let world = World::new().await;
    let (id, spool) = (world.device("one").await, SpoolId::generate());
    let every = 30_000;
    let per_day = DAY / every;
    let keep = Keep::default();
    for day in 0..366 {
        let midnight = NOW.0 + day * DAY;
        let mut records = Vec::with_capacity(usize::try_from(per_day).unwrap());
        for i in 0..per_day {
            let at = Timestamp(midnight + i * every);
            let seq = u64::try_from(day * per_day + i).unwrap();
            let mut one = a_report(spool, seq, at);
            one.memory =
                Memory { used_bytes: Some(4 << 30), total_bytes: Some(8 << 30), ..Memory::default() };
            one.disk.used_bytes = Some((100 << 30) + seq * 4096);
            one.disk.total_bytes = Some(250 << 30);
            one.network.up_bytes_per_s = Some(1_000.0 + (seq % 977) as f64);
            one.network.down_bytes_per_s = Some(20_000.0 + (seq % 9_973) as f64);
            records.push(Record { retain: None, ..report(id, &one, at) });
        }
        world.clock.set(Timestamp(midnight + DAY));
        world.record(&records).await;
        while world.store.settle(3_000).await.unwrap() == Settled::Partly {}
        let plan = keep.plan(world.store.horizon(), world.store.sizes().await.unwrap(), world.clock.now());
        world.store.set_horizon(plan).await.unwrap();
        let mut at = store::Expiring::default();
        while let Some(next) = world.store.expire(at, 3_000).await.unwrap() {
            at = next;
        }
    }
    let rows = |rung| world.store.count_samples(rung);
    assert_eq!(rows(Rung::Raw).await.unwrap(), 7 * per_day);
    assert_eq!(rows(Rung::FiveMinutes).await.unwrap(), 30 * 288);
    assert_eq!(rows(Rung::Hour).await.unwrap(), 366 * 24);
    let used = world.store.sizes().await.unwrap().used;
    println!("{used} bytes for a year of one device");
    assert!((3_000_000..3_800_000).contains(&used), "{used} bytes");
}

/// Page by page all of it, each once, whatever has settled meanwhile.
#[tokio::test]
async fn samples_are_read_page_by_page() {
    let world = World::new().await;
    let (id, other, spool) = (world.device("one").await, world.device("two").await, SpoolId::generate());
    let at = |seq: u64| NOW.plus_millis(i64::try_from(seq).unwrap() * 1000 - 3_600_000);
    let batch = |device, seqs: std::ops::RangeInclusive<u64>| -> Vec<_> {
        seqs.map(|seq| {
            let sample = protocol::Report { historical: true, ..a_report(spool, seq, at(seq)) };
            report(device, &sample, NOW)
        })
        .collect()
    };
    world.record(&batch(id, 1..=150)).await;
    world.record(&batch(other, 1..=150)).await;
    let mut seen = Vec::new();
    let mut after = None;
    for page in 0.. {
        match page {
            1 => world.store.settle_all().await.unwrap(),
            2 => drop(world.record(&batch(id, 151..=200)).await),
            _ => {}
        }
        let rows = world.store.samples_page(id, None, None, after, 40).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some(last.place);
        seen.extend(rows.into_iter().map(|row| (row.at, row.values[0])));
    }
    let value = |seq: u64| Some(f64::from(u32::try_from(seq % 100).unwrap()));
    assert_eq!(seen, (1..=200).map(|seq| (at(seq), value(seq))).collect::<Vec<_>>());
    let some = world.store.samples_page(id, Some(at(10)), Some(at(12)), None, 40).await.unwrap();
    assert_eq!(some.iter().map(|row| row.at).collect::<Vec<_>>(), [at(10), at(11)]);
    assert!(some.iter().all(|row| row.back_filled && row.openclaw.is_none()));
}
