//! Recording, settling, expiring, removing and asking at once, cut off at any point and begun again: nothing is lost,
//! nothing is there twice, and whoever asks meanwhile sees no hole.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use protocol::{DeviceId, SpoolId, Timestamp};
use store::{Expiring, Fact, Metric, Range, Record, Rung, Store, Verdict, Zone};
use tokio::task::JoinSet;

const HOUR: i64 = 3_600_000;
const FIRST: i64 = NOW.0 - 4 * HOUR;
/// Of every device before anything else: what `fleet_at` finds at that moment never changes.
const LANDMARK: i64 = NOW.0 - HOUR / 2;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    device: usize,
    seq: u64,
    at: i64,
    cpu: f64,
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[derive(Default)]
struct Truth {
    /// What the store said that it has.
    known: Vec<Sample>,
    /// What it was told and has not answered.
    unsure: Vec<Sample>,
    next: u64,
}

struct Fleet {
    devices: Vec<DeviceId>,
    spools: Vec<SpoolId>,
    truth: Mutex<Truth>,
}

impl Fleet {
    fn record(&self, sample: &Sample) -> Record {
        let mut one = a_report(self.spools[sample.device], sample.seq, Timestamp(sample.at));
        // Or the clock of the device would count as wrong, and be put right.
        one.historical = true;
        one.cpu.pct = Some(sample.cpu);
        report(self.devices[sample.device], &one, NOW)
    }

    fn sample(&self, device: usize, at: i64) -> Sample {
        let mut truth = self.truth.lock().unwrap();
        truth.next += 1;
        let cpu = f64::from(u32::try_from(truth.next % 10_000).unwrap()) / 100.0;
        Sample { device, seq: truth.next, at, cpu }
    }

    async fn tell(&self, store: &Store, news: Vec<Sample>) {
        let records: Vec<Record> = news.iter().map(|sample| self.record(sample)).collect();
        self.truth.lock().unwrap().unsure.clone_from(&news);
        let verdicts = store.record(&records).await.unwrap();
        let mut truth = self.truth.lock().unwrap();
        truth.unsure.clear();
        for (sample, verdict) in news.into_iter().zip(verdicts) {
            assert_ne!(verdict, Verdict::Stranger);
            if !truth.known.contains(&sample) {
                truth.known.push(sample);
            }
        }
    }
}

async fn keep_recording(fleet: Arc<Fleet>, store: Store, seed: u64) {
    let mut dice = Dice(seed);
    loop {
        let mut news = Vec::new();
        for _ in 0..=dice.below(30) {
            let device = usize::try_from(dice.below(3)).unwrap();
            let at = FIRST + i64::try_from(dice.below(4 * 3_600_000)).unwrap();
            // Nothing between the landmark and the question about it.
            news.push(fleet.sample(device, if at / 60_000 == LANDMARK / 60_000 { at - 120_000 } else { at }));
        }
        {
            // Some come again, as after a lost acknowledgement.
            let truth = fleet.truth.lock().unwrap();
            let count = truth.known.len();
            for _ in 0..dice.below(4) {
                let place = usize::try_from(dice.below(u64::try_from(count).unwrap())).unwrap();
                news.push(truth.known[place]);
            }
        }
        fleet.tell(&store, news).await;
    }
}

/// As the recorder's upkeep does: one caller.
async fn keep_in_order(store: Store, seed: u64) {
    let mut dice = Dice(seed);
    let mut expiring = Expiring::default();
    loop {
        match dice.below(10) {
            0 => {
                let mut horizon = store.horizon();
                let hour = FIRST + HOUR * i64::try_from(dice.below(4)).unwrap();
                horizon.raw = horizon.raw.max(hour - hour % HOUR);
                store.set_horizon(horizon).await.unwrap();
            }
            1 => {
                let rows = usize::try_from(1 + dice.below(20)).unwrap();
                expiring = store.expire(expiring, rows).await.unwrap().unwrap_or_default();
            }
            _ => {
                let rows = usize::try_from(1 + dice.below(40)).unwrap();
                store.settle(rows).await.unwrap();
            }
        }
    }
}

/// A device that comes, says something, and is removed by this process or by another one.
async fn come_and_go(store: Store, other: Store, round: u32) {
    for n in 0_u64.. {
        let name = format!("brief {round} {n}");
        let (id, _) = store.add_device(&by(), &name, &[], store::DeviceKind::Agent).await.unwrap().unwrap();
        let by_whom = if n % 2 == 0 { &store } else { &other };
        if by_whom.device(id).is_none() {
            by_whom.look_again().await;
        }
        by_whom.remove_device(&by(), id).await.unwrap().unwrap();
    }
}

async fn keep_asking(fleet: Arc<Fleet>, store: Store) {
    let utc = Zone::utc();
    loop {
        for (place, device) in fleet.devices.iter().enumerate() {
            let count = |truth: &Truth| {
                let of = |list: &[Sample]| list.iter().filter(|s| s.device == place).count();
                (of(&truth.known), of(&truth.known) + of(&truth.unsure))
            };
            let least = count(&fleet.truth.lock().unwrap()).0;
            let range = Range::new(Timestamp(FIRST - HOUR), NOW, 2_000, 2 * HOUR);
            let got = store.samples(*device, range, &[Metric::CpuPct]).await.unwrap().unwrap();
            let most = count(&fleet.truth.lock().unwrap()).1;
            let n: usize = got.n.iter().map(|n| *n as usize).sum();
            assert!((least..=most).contains(&n), "{least} to {most}: {n}");
        }
        let at = Timestamp(LANDMARK);
        let past = store.fleet_at(at, &utc.days(at)).await.unwrap();
        assert_eq!(past.devices.len(), fleet.devices.len());
        for device in &past.devices {
            let latest = device.latest.as_ref().map(|latest| latest.at.0);
            assert_eq!(latest, Some(LANDMARK), "{}", device.name);
        }
    }
}

/// Every rung says what the list says.
async fn compare(fleet: &Fleet, store: &Store, what: &str) {
    let known = fleet.truth.lock().unwrap().known.clone();
    let raw_from = store.horizon().raw.max(FIRST - HOUR);
    for (from, step_ms, rung) in [
        (raw_from, 60_000, Rung::Raw),
        (FIRST - HOUR, 10 * 60_000, Rung::FiveMinutes),
        (FIRST - HOUR, 2 * HOUR, Rung::Hour),
    ] {
        let range = Range::new(Timestamp(from), NOW, 2_000, step_ms);
        for (place, device) in fleet.devices.iter().enumerate() {
            let got = store.samples(*device, range, &[Metric::CpuPct]).await.unwrap().unwrap();
            assert_eq!(got.rung, rung);
            for step in 0..range.steps {
                let begin = range.from.0 + range.step_ms * i64::try_from(step).unwrap();
                let here = || {
                    known
                        .iter()
                        .filter(|s| s.device == place && (begin..begin + range.step_ms).contains(&s.at))
                };
                let cpu = &got.series[0];
                assert_eq!(
                    (got.n[step] as usize, cpu.min[step], cpu.max[step]),
                    (
                        here().count(),
                        here().map(|s| s.cpu).reduce(f64::min),
                        here().map(|s| s.cpu).reduce(f64::max)
                    ),
                    "{what}: {rung:?} step {step} of {device}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_off_at_any_point_nothing_is_lost_or_doubled_and_no_question_sees_a_hole() {
    let mut world = World::new().await;
    world.clock.set(Timestamp(FIRST - HOUR));
    let mut devices = Vec::new();
    for name in ["a", "b", "c"] {
        devices.push(world.device(name).await);
    }
    world.clock.set(NOW);
    let spools = (0..3).map(|_| SpoolId::generate()).collect();
    let fleet = Arc::new(Fleet { devices, spools, truth: Mutex::default() });
    let landmarks = (0..3).map(|device| fleet.sample(device, LANDMARK)).collect();
    fleet.tell(&world.store, landmarks).await;
    let mut dice = Dice(17);
    for round in 0..ROUNDS {
        let other = world.second().await;
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_recording(fleet.clone(), world.store.clone(), dice.below(1 << 30)));
        tasks.spawn(keep_in_order(world.store.clone(), dice.below(1 << 30)));
        tasks.spawn(come_and_go(world.store.clone(), other.clone(), round));
        tasks.spawn(keep_asking(fleet.clone(), world.store.clone()));
        let goal = fleet.truth.lock().unwrap().known.len() + usize::try_from(dice.below(600)).unwrap();
        while fleet.truth.lock().unwrap().known.len() < goal {
            if let Some(ended) = tasks.try_join_next() {
                panic!("round {round}: {ended:?}");
            }
            tokio::task::yield_now().await;
        }
        tasks.abort_all();
        while let Some(ended) = tasks.join_next().await {
            assert!(ended.is_err_and(|e| e.is_cancelled()), "round {round}");
        }
        drop(other);
        // Every third time it is stopped; otherwise nothing is said goodbye to.
        world = if round % 3 == 0 {
            world.reopen().await
        } else {
            let store = world.second().await;
            World { store, ..world }
        };
        let again = std::mem::take(&mut fleet.truth.lock().unwrap().unsure);
        fleet.tell(&world.store, again).await;
        compare(&fleet, &world.store, &format!("round {round}")).await;
    }
    let known = fleet.truth.lock().unwrap().known.clone();
    let all: Vec<Record> = known.iter().map(|sample| fleet.record(sample)).collect();
    assert!(all.iter().all(|r| matches!(r.fact, Fact::Report(..))));
    assert!(world.record(&all).await.iter().all(|v| *v == Verdict::Known));
    world.store.settle_all().await.unwrap();
    assert_eq!(world.store.unsettled(), 0);
    compare(&fleet, &world.store, "all settled").await;
    assert_eq!(world.store.check().await.unwrap(), Vec::<String>::new());
}

const ROUNDS: u32 = 12;
