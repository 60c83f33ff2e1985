//! The store: batches in, rows to where they stay, ranges out.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so by panicking"
)]

mod common;

use common::{NOW, World};
use divan::{Bencher, counter::ItemsCount};
use store::{Metric, Range};

fn main() {
    divan::main();
}

/// One report of each of so many devices, in one transaction, durable.
#[divan::bench(args = [1, 8, 256, 2_000], sample_count = 20)]
fn ingest(bencher: Bencher<'_, '_>, devices: usize) {
    let world = World::new(devices);
    let mut seq = 0;
    bencher
        .counter(ItemsCount::new(devices))
        .with_inputs(|| {
            seq += 1;
            world.round(seq)
        })
        .bench_local_values(|records| world.record(&records));
}

/// Half an hour of 100 devices moves to where it stays; its 5 minutes and hours are worked out.
#[divan::bench(sample_count = 10)]
fn rollup(bencher: Bencher<'_, '_>) {
    let world = World::new(100);
    let mut seq = 0;
    bencher
        .counter(ItemsCount::new(100usize * 60))
        .with_inputs(|| {
            for _ in 0..60 {
                seq += 1;
                world.record(&world.round(seq));
            }
        })
        .bench_local_values(|()| world.settle());
}

/// Four metrics of a device to 500 points, over so many hours of samples every 30 s.
#[divan::bench(args = [1, 24, 7 * 24])]
fn range(bencher: Bencher<'_, '_>, hours: i64) {
    let world = World::new(1);
    let (id, spool) = world.devices[0];
    let count = u64::try_from(hours * 120).unwrap();
    let record = |seq| {
        let at = NOW.plus_millis(-i64::try_from(count - seq).unwrap() * 30_000);
        common::record(id, common::report(spool, seq, at))
    };
    for first in (0..count).step_by(2_000) {
        world.record(&(first..count.min(first + 2_000)).map(record).collect::<Vec<_>>());
    }
    world.settle();
    let metrics = [Metric::CpuPct, Metric::MemoryUsed, Metric::NetworkUp, Metric::NetworkDown];
    let range = Range::new(NOW.plus_millis(-hours * 3_600_000), NOW, 500, 30_000);
    bencher.bench(|| world.runtime.block_on(world.store.samples(id, range, &metrics)).unwrap());
}
