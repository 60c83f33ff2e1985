//! The rule engine: a second of a large fleet, and a rule tried on the stored past.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so by panicking"
)]

mod common;

use std::sync::Arc;

use alerting::facts::{DeviceNow, ErrorTold, Fact, Measured};
use alerting::{Engine, Ruleset, kinds};
use common::{NOW, World};
use divan::Bencher;
use protocol::{ClawChannel, Cron, DeviceId, Gateway, GatewayState, OpenClaw, Tasks, Timestamp};
use store::Rule;

fn main() {
    divan::main();
}

const DEVICES: usize = 10_000;
/// Each device reports every 30 s.
const REPORTS_PER_S: usize = DEVICES / 30 + 1;

fn rules() -> Vec<Rule> {
    let rule = |(no, kind): (i64, &kinds::Kind)| Rule {
        no,
        kind: kind.word.to_owned(),
        enabled: true,
        body: kind.body(),
        rev: 1,
    };
    (1..).zip(kinds::kinds()).map(rule).collect()
}

/// What a device reports in its `round`: most are well, some go over their levels and back.
fn device(n: usize, round: usize, at: Timestamp) -> DeviceNow {
    let busy = (n + round) % 50 < 3;
    let gateway = Gateway {
        name: "default".to_owned(),
        state: if n % 500 == 7 { GatewayState::Hung } else { GatewayState::Running },
        version: Some(format!("2026.9.{}", n % 7)),
        installed_version: Some(format!("2026.9.{}", n % 7)),
        channels: ["telegram", "discord"]
            .map(|name| ClawChannel { name: name.to_owned(), connected: Some(n % 90 != 4) })
            .to_vec(),
        cron: Some(Cron { enabled: 3, ..Cron::default() }),
        tasks: Some(Tasks { active: 1, stuck: u32::from(n % 300 == 1), failed_day: 0 }),
        ..Gateway::default()
    };
    let claw = OpenClaw { state: gateway.state, version: gateway.version.clone(), gateways: vec![gateway] };
    DeviceNow {
        id: DeviceId::parse(&format!("device{n:06}")).unwrap(),
        name: format!("device {n}"),
        tags: vec![format!("site-{}", n % 20)],
        online: Some(!(n + round).is_multiple_of(400)),
        since: at,
        reason: None,
        address: Some(std::net::Ipv4Addr::new(203, 0, u8::try_from(n % 200).unwrap(), 1).into()),
        agent_version: Some("0.1.0".to_owned()),
        measured: Some(Measured {
            at,
            cpu_pct: Some(if busy { 95.0 } else { 20.0 }),
            memory_pct: Some(60.0 + f64::from(u32::try_from(round % 10).unwrap())),
            disks: vec![("/".to_owned(), 50.0), ("/data".to_owned(), if n % 40 == 3 { 88.0 } else { 30.0 })],
            disk_free: Some(1 << 34),
            claw: Some(Arc::new(claw)),
            spool_problem: None,
        }),
        usage: None,
        clock_skew_ms: 0,
    }
}

/// All rules, for what 10,000 devices report in one second.
#[divan::bench(sample_count = 200)]
fn a_second_of_10_000_devices(bencher: Bencher<'_, '_>) {
    let mut engine = Engine::new(Ruleset { rules: rules(), ..Ruleset::default() }, NOW, NOW);
    engine.start((0..DEVICES).map(|n| Fact::Device(device(n, 0, NOW))), NOW);
    let (mut second, mut next) = (0_i64, 0_usize);
    bencher
        .with_inputs(|| {
            second += 1;
            let now = NOW.plus_millis(second * 1_000);
            let mut facts: Vec<Fact> = (0..REPORTS_PER_S)
                .map(|i| Fact::Device(device((next + i) % DEVICES, (next + i) / DEVICES, now)))
                .collect();
            next += REPORTS_PER_S;
            for n in 0..3 {
                let error = ErrorTold {
                    at: now,
                    received_at: now,
                    fingerprint: format!("{:016x}", second % 40),
                    message: "boom".to_owned(),
                    count: 1,
                    first: false,
                };
                let of = (next * 7 + n * 31) % DEVICES;
                facts.push(Fact::Error(DeviceId::parse(&format!("device{of:06}")).unwrap(), error));
            }
            (facts, now)
        })
        .bench_local_values(|(facts, now)| {
            let steps = engine.step(facts, now);
            (steps, engine.take_wants(), engine.take_remembered())
        });
}

/// One rule for 100 devices over 30 days of samples, one every 5 minutes.
#[divan::bench(args = ["cpu", "memory", "gateway_hung", "offline"], sample_count = 3)]
fn dry_run_of_30_days(bencher: Bencher<'_, '_>, kind: &str) {
    let world = stored();
    let body = kinds::kind(kind).unwrap().body();
    bencher.bench(|| world.runtime.block_on(alerting::dry_run(&world.store, kind, &body, 30)).unwrap());
}

/// Made once: it takes a while.
fn stored() -> &'static World {
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    WORLD.get_or_init(|| {
        let world = World::new(100);
        let rounds = 30_u32 * 24 * 12;
        let mut batch = Vec::new();
        for round in 0..rounds {
            let at = NOW.plus_millis((i64::from(round) - i64::from(rounds)) * 300_000);
            for (n, (id, spool)) in world.devices.iter().enumerate() {
                let mut report = common::report(*spool, u64::from(round) + 1, at);
                // Three hours of every other day are busy.
                let busy = round % 576 < 36 && n % 3 == 0;
                report.cpu.pct = Some(if busy { 85.0 + f64::from(round % 7) } else { 30.0 });
                batch.push(common::record(*id, report));
            }
            if batch.len() >= 2_000 {
                world.record(&batch);
                batch.clear();
            }
            if round % 500 == 0 {
                world.settle();
            }
        }
        world.record(&batch);
        world.settle();
        world
    })
}

/// One rule for 100 devices over 30 days of usage, 24 rows a day and kind.
#[divan::bench(args = ["budget", "device_budget", "usage_anomaly", "idle_burn"], sample_count = 3)]
fn dry_run_of_30_days_of_usage(bencher: Bencher<'_, '_>, kind: &str) {
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    let world = WORLD.get_or_init(|| {
        World::filled(|store| async move { store.fill_usage(100, 70, 24, NOW.0 / 900_000).await.unwrap() })
    });
    let body = kinds::kind(kind).unwrap().body();
    bencher.bench(|| {
        let run = world.runtime.block_on(alerting::dry_run(&world.store, kind, &body, 30)).unwrap();
        assert_eq!(run.judged_devices, 100);
        run
    });
}

/// 10,000 devices are lost at once, told of, and come back, all in one look each.
#[divan::bench(sample_count = 3)]
fn a_storm_of_10_000_devices(bencher: Bencher<'_, '_>) {
    let there = |online: bool, at: Timestamp| {
        (0..DEVICES).map(move |n| Fact::Device(DeviceNow { online: Some(online), ..device(n, 1, at) }))
    };
    bencher
        .with_inputs(|| {
            let rules = rules().into_iter().filter(|rule| rule.kind == "offline").collect();
            let mut engine = Engine::new(Ruleset { rules, ..Ruleset::default() }, NOW, NOW);
            engine.start(there(true, NOW), NOW);
            engine
        })
        .bench_local_values(|mut engine| {
            let (lost, told) = (NOW.plus_millis(1_000), NOW.plus_millis(60_000));
            engine.step(there(false, lost), lost);
            assert_eq!(engine.step([], told).len(), 1);
            let over = engine.step(there(true, told), told);
            assert_eq!(over.len(), 1);
            over
        });
}
