//! The gate alone: reports of one connection until they are acknowledged, with a recorder that stores nothing. And what it
//! takes until open pages have heard of a commit.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so by panicking"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;

use common::{NOW, World, report};
use divan::{Bencher, counter::ItemsCount};
use protocol::{ApiKey, Clock, Delivery, DeviceId, Identity, KeyId, KeyKind, Outcome, Payload as _, SpoolId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

fn main() {
    divan::main();
}

/// Lets one device in.
struct One(Identity, watch::Sender<u64>);

impl broker::Directory for One {
    fn identify(&self, _: &ApiKey) -> Option<Identity> {
        Some(self.0.clone())
    }

    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }

    fn why_not(&self, _: &ApiKey) -> broker::WhyNot {
        broker::WhyNot::Unknown
    }

    fn knows(&self, _: DeviceId) -> bool {
        true
    }

    fn current(&self, _: KeyId) -> Option<Identity> {
        Some(self.0.clone())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.1.subscribe()
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (mut out, mut len) = (vec![first], body.len());
    loop {
        let byte = u8::try_from(len & 127).unwrap();
        len >>= 7;
        out.push(if len == 0 { byte } else { byte | 128 });
        if len == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text);
}

/// So many reports at once, and all their acknowledgements.
#[divan::bench(args = [1, 64])]
fn publish(bencher: Bencher<'_, '_>, count: u16) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let device = DeviceId::generate();
    let key = ApiKey::generate(device);
    let identity = Identity {
        key: KeyId::generate(),
        kind: KeyKind::Device,
        device: Some(device),
        publish: vec![],
        subscribe: vec![],
    };
    let (inbox, mut taken) = mpsc::channel::<Delivery>(4_096);
    let config = broker::Config { listen: "127.0.0.1:0".parse().unwrap(), ..broker::Config::default() };
    let directory = Arc::new(One(identity, watch::Sender::new(0)));
    let shutdown = CancellationToken::new();
    let _inside = runtime.enter();
    let broker =
        broker::Broker::bind(config, Clock::manual(NOW), None, directory, inbox, [], shutdown.clone())
            .unwrap();
    let address = broker.address();
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(broker.run());
    tasks.spawn(async move {
        while let Some(delivery) = taken.recv().await {
            delivery.ack.send(Outcome::Stored);
        }
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut connect = Vec::new();
    text(&mut connect, b"MQTT");
    connect.extend([4, 0xc2, 0, 60]);
    for part in [b"bench".as_slice(), b"device", key.reveal().as_bytes()] {
        text(&mut connect, part);
    }
    stream.write_all(&packet(0x10, &connect)).unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    assert_eq!(connack[3], 0, "the gate lets it in");
    let payload = report(SpoolId::generate(), 1, NOW).encode();
    let mut bytes = Vec::new();
    for id in 1..=count {
        let mut body = Vec::new();
        text(&mut body, format!("openclaw/{device}/report").as_bytes());
        body.extend(id.to_be_bytes());
        body.extend(&payload);
        bytes.extend(packet(0x32, &body));
    }
    let mut acks = vec![0; 4 * usize::from(count)];
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        stream.write_all(&bytes).unwrap();
        stream.read_exact(&mut acks).unwrap();
    });
    drop(stream);
    shutdown.cancel();
}

/// From a commit of 100 devices' reports until each of so many who listen to the store has heard of all of them.
#[divan::bench(args = [1, 20])]
fn fan_out(bencher: Bencher<'_, '_>, listeners: usize) {
    let world = World::new(100);
    let mut feeds: Vec<_> = (0..listeners).map(|_| world.store.feed()).collect();
    let mut seq = 0;
    bencher
        .counter(ItemsCount::new(100 * listeners))
        .with_inputs(|| {
            seq += 1;
            world.round(seq)
        })
        .bench_local_values(|records| {
            world.record(&records);
            for feed in &mut feeds {
                let mut heard = 0;
                while heard < 100 {
                    let store::Change::Devices(ids) = world.runtime.block_on(feed.recv()).unwrap() else {
                        continue;
                    };
                    heard += world.store.some_devices(ids.iter()).len();
                }
            }
        });
}
