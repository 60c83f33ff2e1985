//! What was measured, by steps of time.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::*;
use protocol::{DeviceId, Memory, Network, SpoolId, Timestamp};
use store::{Metric, Range};

#[test]
fn a_range_has_at_most_as_many_steps_as_points() {
    for (from, to) in
        [(0, 1), (0, 100), (7, 107), (1_799_999_999_999, 1_800_086_399_999), (-500, 500), (10, 5)]
    {
        for points in [0, 1, 2, 3, 7, 100, 500, 2_000] {
            for shortest in [1, 1_000, 30_000] {
                let range = Range::new(Timestamp(from), Timestamp(to), points, shortest);
                let what = format!("{from}..{to} in {points}: {range:?}");
                assert!(range.steps <= points.max(2) && range.steps > 0, "{what}");
                assert!(range.step_ms >= shortest, "{what}");
                assert_eq!(range.from.0.rem_euclid(range.step_ms), 0, "{what}");
                let end = range.from.0 + range.step_ms * i64::try_from(range.steps).unwrap();
                assert!(range.from.0 <= from && end >= to, "{what}");
            }
        }
    }
    // Nonsense gives nonsense, and no panic.
    for (from, to) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (i64::MIN, i64::MIN)] {
        Range::new(Timestamp(from), Timestamp(to), 10, 1);
    }
}

#[tokio::test]
async fn steps_have_min_avg_and_max_and_gaps_are_gaps() {
    let world = World::new().await;
    let (id, other, spool) = (world.device("one").await, world.device("two").await, SpoolId::generate());
    // Three samples in the first step, none in the second, one without CPU in the third.
    let mut records = Vec::new();
    for (seq, (at, pct)) in
        [(0, Some(10.0)), (300, Some(20.25)), (999, Some(60.0)), (2_000, None)].iter().enumerate()
    {
        let at = NOW.plus_millis(*at);
        let mut sample = a_report(spool, u64::try_from(seq).unwrap(), at);
        sample.cpu.pct = *pct;
        sample.cpu.load1 = Some(1.5);
        sample.memory = Memory { used_bytes: Some(7 << 40), ..Memory::default() };
        sample.network = Network { up_bytes_per_s: Some(12.4), ..Network::default() };
        records.push(report(id, &sample, NOW));
    }
    // Before and behind the range, and of another device.
    for (seq, at) in [(10, -1), (11, 4_000)] {
        records.push(report(id, &a_report(spool, seq, NOW.plus_millis(at)), NOW));
    }
    records.push(report(other, &a_report(spool, 1, NOW), NOW));
    world.record(&records).await;
    let range = Range { from: NOW, step_ms: 1_000, steps: 4 };
    let metrics = [Metric::CpuPct, Metric::Load1, Metric::MemoryUsed, Metric::NetworkUp, Metric::DiskUsed];
    let samples = world.store.samples(id, range, &metrics).await.unwrap().unwrap();
    let [cpu, load, memory, up, disk] = samples.series.as_slice() else { panic!("five series") };
    assert_eq!(cpu.min, [Some(10.0), None, None, None]);
    assert_eq!(cpu.max, [Some(60.0), None, None, None]);
    assert!((cpu.avg[0].unwrap() - 30.083_333).abs() < 1e-3, "{cpu:?}");
    assert_eq!(load.avg, [Some(1.5), None, Some(1.5), None]);
    assert_eq!(memory.max, [Some(7_696_581_394_432.0), None, Some(7_696_581_394_432.0), None]);
    assert_eq!(up.max[0], Some(12.0));
    assert!(disk.avg.iter().all(Option::is_none));
    assert_eq!(world.store.samples(DeviceId::generate(), range, &metrics).await.unwrap(), None);
    assert_eq!(world.store.samples(id, range, &[]).await.unwrap().unwrap().series, []);
    for metric in Metric::ALL {
        assert_eq!(Metric::parse(metric.as_str()), Some(*metric));
    }
}
