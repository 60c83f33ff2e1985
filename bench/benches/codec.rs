//! A report's way through the codec: written and packed by the agent, unpacked and read by the server.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on says so by panicking")]

mod common;

use common::{NOW, report};
use divan::{Bencher, counter::BytesCount};
use protocol::{Payload as _, Report, SpoolId};

fn main() {
    divan::main();
}

fn encoded() -> Vec<u8> {
    report(SpoolId::generate(), 7, NOW).encode()
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let report = report(SpoolId::generate(), 7, NOW);
    bencher.bench(|| report.encode());
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let bytes = encoded();
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| Report::decode(&bytes).unwrap());
}

#[divan::bench]
fn pack(bencher: Bencher<'_, '_>) {
    let bytes = encoded();
    bencher.counter(BytesCount::of_slice(&bytes)).with_inputs(|| bytes.clone()).bench_values(protocol::pack);
}

#[divan::bench]
fn unpack(bencher: Bencher<'_, '_>) {
    let packed = protocol::pack(encoded());
    bencher.bench(|| protocol::unpack(&packed).unwrap());
}
