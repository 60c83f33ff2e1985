//! What rumqttd's own listeners die or hang of (`panics and stalls`), sent to our port, and other abuse. Afterwards
//! fresh clients of both versions connect, subscribe, publish and receive, and the engine is the one that was started.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::mqtt::{
    Client, Options, add_devices, metric, packet, publish, resident_bytes, service, subscribe, text,
    unsubscribe,
};
use e2e::{Server, tls, until};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const MOMENT: Duration = Duration::from_secs(10);

/// A server, and a key that may publish and subscribe to everything.
struct World {
    server: Server,
    key: String,
}

impl World {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let server = Server::start_with(settings).await;
        let key = service(&server, &["#"], &["#"]);
        Self { server, key }
    }

    fn address(&self) -> &str {
        &self.server.broker
    }

    fn options<'a>(&'a self, level: u8, client_id: &'a str) -> Options<'a> {
        Options { level, ..Options::new(client_id, &self.key) }
    }

    async fn plain(&self, level: u8, client_id: &str) -> Client {
        Client::plain(self.address(), &self.options(level, client_id)).await
    }

    /// Whether fresh clients of both versions are served, over TLS, by the engine that was started.
    async fn is_well(&self) {
        for level in [4, 5] {
            let id = format!("fresh{level}");
            let mut client = Client::connect(self.address(), &self.options(level, &id)).await;
            let topic = format!("fresh/{level}");
            assert_eq!(client.subscribe(&topic, 1).await.unwrap(), 1);
            client.send(&publish(level, &topic, b"hello", 1, false, 7)).await.unwrap();
            assert_eq!(client.message().await.unwrap().payload, b"hello");
            client.send(&packet(0xe0, &[])).await.unwrap();
            assert!(client.closed(MOMENT).await);
        }
        assert_eq!(metric(&self.server, "openclaw_watch_engine_rebuilds_total"), 0);
    }
}

/// A connection that ends with RST, as a flaky link's does.
async fn resetting(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_zero_linger().unwrap();
    stream
}

/// Reproducible noise (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_two_hundred_silent_connections_keep_nobody_out() {
    let world = World::new(&[]).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(world.address()).await.unwrap());
    }
    let accepted = async || (metric(&world.server, "openclaw_watch_unauthenticated") >= 200).then_some(());
    until("200 connections are held", MOMENT, accepted).await;
    let device = world.server.add_device("new").await;
    let start = Instant::now();
    let mut client = Client::connect(world.address(), &Options::new("new", &device.key)).await;
    let took = start.elapsed();
    let birth = br#"{"v":1,"state":"online","epoch":1}"#;
    client.publish(&format!("openclaw/{}/presence", device.id), birth, true).await.unwrap();
    println!("connected in {took:?} beside 200 silent connections");
    assert!(took < Duration::from_secs(1), "{took:?}");
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_topics_that_begin_with_any_character() {
    let world = World::new(&[]).await;
    let mut subscriber = world.plain(4, "sub").await;
    assert_eq!(subscriber.subscribe("#", 1).await.unwrap(), 1);
    let topics = ["é/temp", "日本", "\u{10ffff}/x", "/", "//", " ", "t", "t/t", "probe"];
    let mut publisher = world.plain(4, "pub").await;
    for topic in topics {
        publisher.publish(topic, b"p1", false).await.unwrap();
        assert_eq!(subscriber.message().await.unwrap().topic, topic);
    }
    for topic in topics {
        let will = Options { will: Some((topic, b"p1b", 1, false)), ..world.options(4, "will") };
        drop(Client::plain(world.address(), &will).await);
        let message = subscriber.message().await.unwrap();
        assert_eq!((message.topic.as_str(), &message.payload[..]), (topic, &b"p1b"[..]));
    }
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_shared_subscription_is_refused() {
    let world = World::new(&[]).await;
    for (level, code) in [(4, 0x80), (5, 0x9e)] {
        let options = Options { clean: false, ..world.options(level, "shared") };
        let mut client = Client::plain(world.address(), &options).await;
        for filter in ["$share/g/x", "$share/g/#", "$share//x"] {
            assert_eq!(client.subscribe(filter, 1).await.unwrap(), code);
        }
        world.plain(level, "pub").await.publish("x", b"p2", false).await.unwrap();
        assert_eq!(client.ping().await.unwrap(), []);
        drop(client);
    }
    world.is_well().await;
}

/// Messages of 512 bytes on 64 topics, as bytes to be sent at once.
fn flood(level: u8, messages: usize) -> Vec<u8> {
    let payload = [0x55; 512];
    (0..messages).flat_map(|n| publish(level, &format!("flood/{}", n % 64), &payload, 0, false, 0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_subscribers_that_leave_under_a_flood() {
    let world = World::new(&[]).await;
    let bytes = flood(4, 2_000);
    let mut publisher = world.plain(4, "flooder").await;
    for round in 0..8u32 {
        let mut leavers = Vec::new();
        for n in 0..3 {
            let mut leaver = world.plain(if n == 1 { 5 } else { 4 }, &format!("leaver{n}")).await;
            leaver.subscribe("#", 0).await.unwrap();
            leavers.push(leaver);
        }
        publisher.send(&bytes).await.unwrap();
        for leaver in &mut leavers {
            // Its buffers are full of what it never reads.
            if round % 2 == 0 {
                leaver.send(&packet(0xe0, &[])).await.unwrap();
            }
        }
    }
    publisher.ping().await.unwrap();
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p9_a_busy_subscriber_is_taken_over_again_and_again() {
    let world = World::new(&[]).await;
    let bytes = flood(4, 1_000);
    let mut publisher = world.plain(4, "flooder").await;
    let mut before = Vec::new();
    for round in 0..24 {
        publisher.send(&bytes).await.unwrap();
        let options =
            Options { clean: round % 3 == 0, ..world.options(if round % 2 == 0 { 4 } else { 5 }, "same") };
        let mut client = Client::plain(world.address(), &options).await;
        client.subscribe("#", u8::from(round % 4 == 0)).await.unwrap();
        before.push(client);
    }
    publisher.ping().await.unwrap();
    let mut last = before.pop().unwrap();
    for mut client in before {
        assert!(client.closed(MOMENT).await, "a client that was taken over is disconnected");
    }
    last.send(&packet(0xc0, &[])).await.unwrap();
    last.packet(0xd0).await.unwrap();
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_client_ids_of_any_shape_come_twice() {
    let world = World::new(&[]).await;
    let long = "x".repeat(256);
    for id in ["a/b", "+", "$", "#", "a+b", "$SYS/#", "é", " ", &long] {
        for level in [4, 5] {
            let mut first = world.plain(level, id).await;
            let mut second = world.plain(level, id).await;
            assert!(first.closed(MOMENT).await, "{id} was taken over");
            second.ping().await.unwrap();
        }
    }
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_client_that_was_refused_for_lack_of_room_tries_again() {
    let world = World::new(&[("BROKER__MAX_CLIENTS", "3"), ("BROKER__MAX_SUBSCRIBERS", "1")]).await;
    let mut inside = Vec::new();
    for n in 0..3 {
        inside.push(world.plain(4, &format!("inside{n}")).await);
    }
    for (level, code) in [(4, 3), (5, 0x97)] {
        for _ in 0..10 {
            let options = world.options(level, "one too many");
            let (_, connack) = Client::try_plain(world.address(), &options).await.unwrap();
            assert_eq!(connack.body[1], code);
        }
    }
    assert_eq!(inside[0].subscribe("a", 0).await.unwrap(), 0);
    assert_eq!(inside[1].subscribe("a", 0).await.unwrap(), 0x80);
    assert_eq!(inside[1].subscribe("a", 0).await.unwrap(), 0x80);
    drop(inside);
    let gone = async || (metric(&world.server, "openclaw_watch_clients") == 0).then_some(());
    until("those inside are gone", MOMENT, gone).await;
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_a_connection_dies_before_its_connack() {
    let world = World::new(&[]).await;
    for round in 0..60 {
        let level = if round % 2 == 0 { 4 } else { 5 };
        let connect = Options { clean: round % 3 == 0, ..world.options(level, "flaky") }.bytes();
        let mut stream = resetting(world.address()).await;
        // Whole, in part, or with more behind it.
        let cut = if round % 5 == 4 { connect.len() / 2 } else { connect.len() };
        stream.write_all(&connect[..cut]).await.unwrap();
        if round % 4 == 3 {
            stream.write_all(&subscribe(level, 1, "#", 1)).await.unwrap();
        }
        drop(stream);
    }
    // One of them may be read only now, and take over a client that came after it.
    let back = async || world.plain(4, "flaky").await.ping().await.ok();
    until("the flaky client is back", MOMENT, back).await;
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_a_publish_with_properties_reaches_both_versions() {
    let world = World::new(&[]).await;
    let mut old = world.plain(4, "old").await;
    let mut new = world.plain(5, "new").await;
    old.subscribe("#", 2).await.unwrap();
    new.subscribe("#", 2).await.unwrap();
    let mut properties = vec![0x01, 1, 0x02, 0, 0, 0, 60];
    for (id, value) in [(0x03, "text/plain"), (0x08, "answers"), (0x09, "42")] {
        properties.push(id);
        properties.extend(text(value));
    }
    properties.push(0x26);
    properties.extend([text("colour"), text("green")].concat());
    let mut publisher = world.plain(5, "pub").await;
    for qos in 0..3u8 {
        let mut body = text("p6");
        if qos > 0 {
            body.extend([0, qos]);
        }
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend(&properties);
        body.extend(b"with properties");
        publisher.send(&packet(0x30 | qos << 1, &body)).await.unwrap();
        for client in [&mut old, &mut new] {
            let message = client.message().await.unwrap();
            assert_eq!((&message.payload[..], message.qos), (&b"with properties"[..], qos));
        }
    }
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_a_client_that_speaks_like_a_server_loses_only_itself() {
    let world = World::new(&[("BROKER__MAX_CLIENTS", "10")]).await;
    let mut watcher = world.plain(4, "watcher").await;
    watcher.subscribe("will/#", 1).await.unwrap();
    // CONNACK, SUBACK, UNSUBACK, PINGRESP, a second CONNECT, AUTH, type 0, reserved flags.
    let words: [&[u8]; 9] = [
        &[0x20, 3, 0, 0, 0],
        &[0x90, 4, 0, 1, 0, 0],
        &[0xb0, 4, 0, 1, 0, 0],
        &[0xd0, 0],
        &[0x10, 0],
        &[0xf0, 2, 0x18, 0],
        &[0x00, 0],
        &[0x62 | 1, 2, 0, 1],
        &[0x36, 5, 0, 1, b'x', 0, 1],
    ];
    for (n, word) in words.iter().enumerate() {
        for level in [4, 5] {
            let topic = format!("will/{n}/{level}");
            let will = Options { will: Some((&topic, b"gone", 1, false)), ..world.options(level, "liar") };
            let mut liar = Client::plain(world.address(), &will).await;
            liar.send(word).await.unwrap();
            assert!(liar.closed(MOMENT).await, "{word:?} ends the connection");
            assert_eq!(watcher.message().await.unwrap().topic, topic, "its will is sent");
        }
    }
    // No slot is leaked: all that came are gone but the watcher.
    let gone = async || (metric(&world.server, "openclaw_watch_clients") == 1).then_some(());
    until("no liar is left", MOMENT, gone).await;
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e1_a_farewell_that_races_with_a_connect_hits_nobody_else() {
    let world = World::new(&[]).await;
    let mut innocent = world.plain(4, "innocent").await;
    innocent.subscribe("innocent", 0).await.unwrap();
    for round in 0..300u32 {
        let mut leaver = world.plain(4, "leaver").await;
        leaver.subscribe("x/#", 1).await.unwrap();
        leaver.send(&packet(0xe0, &[])).await.unwrap();
        drop(leaver);
        let mut next = world.plain(4, "leaver").await;
        if round % 10 == 0 {
            next.subscribe("x/#", 1).await.unwrap();
            next.publish("x/y", b"e1", false).await.unwrap();
            assert_eq!(next.message().await.unwrap().payload, b"e1", "round {round}");
        }
        next.ping().await.unwrap();
    }
    innocent.publish("innocent", b"still here", false).await.unwrap();
    assert_eq!(innocent.message().await.unwrap().payload, b"still here");
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fd_service_resumes_when_file_descriptors_are_free_again() {
    let world = World::new(&[("BROKER__HANDSHAKE_TIMEOUT_S", "1")]).await;
    let id = world.server.process.id();
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let limit = format!("--nofile={0}:{0}", open + 12);
    let limited = Command::new("prlimit").args(["--pid", &id.to_string(), &limit]).status();
    assert!(limited.expect("prlimit (util-linux) is there").success());
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<u64> =
            stat.rsplit(')').next().unwrap().split_whitespace().filter_map(|f| f.parse().ok()).collect();
        // utime and stime stand 11 and 12 behind the state, which is no number.
        fields[10] + fields[11]
    };
    let (before, start) = (ticks(), Instant::now());
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(TcpStream::connect(world.address()).await.unwrap());
    }
    // They stay open on our side; the server gets rid of them by itself, batch after batch.
    let resumed = async || {
        let options = world.options(4, "after");
        let attempt = Client::try_plain(world.address(), &options);
        timeout(Duration::from_secs(2), attempt).await.ok()?.ok()
    };
    until("a client is served again", Duration::from_mins(1), resumed).await;
    let (spent, waited) = (ticks() - before, start.elapsed());
    let errors = metric(&world.server, "openclaw_watch_accept_errors_total");
    println!("resumed after {waited:?}: {spent} ticks (1/100 s) of CPU, {errors} accept errors");
    assert!(errors > 0, "the limit was never reached");
    assert!(errors < 200, "the listener spins: {errors} errors");
    let lines = world.server.process.log().lines().filter(|l| l.contains("cannot take connections")).count();
    assert!((1..50).contains(&lines), "{lines} log lines");
    drop(silent);
    world.is_well().await;
}

/// One wrong thing to send.
fn garbage(noise: &mut Noise, level: u8) -> Vec<u8> {
    let valid = [
        publish(level, "noise/x", b"payload", 1, false, 3),
        publish(level, "noise/y", b"payload", 2, true, 4),
        subscribe(level, 9, "noise/#", 1),
        unsubscribe(level, 9, "noise/#"),
        packet(0x62, &[0, 4]),
        packet(0x40, &[0, 1]),
        packet(0xc0, &[]),
        packet(0xe0, &[]),
    ];
    let mut bytes = valid[noise.below(valid.len())].clone();
    match noise.below(4) {
        0 => {
            let len = noise.below(64);
            return noise.bytes(len);
        }
        1 => bytes.truncate(noise.below(bytes.len())),
        2 => {
            let at = noise.below(bytes.len());
            bytes[at] = noise.next().to_le_bytes()[0];
        }
        _ => {
            let kind = noise.next().to_le_bytes()[0];
            let len = noise.below(32);
            bytes = packet(kind, &noise.bytes(len));
        }
    }
    bytes
}

async fn send_garbage(
    world: &World,
    noise: &mut Noise,
    encrypted: bool,
    after_connect: bool,
    packets: usize,
) {
    let mut left = packets;
    let mut connection = 0;
    while left > 0 {
        connection += 1;
        let level = if connection % 2 == 0 { 4 } else { 5 };
        let mut stream: Box<dyn e2e::mqtt::Stream> = if encrypted {
            Box::new(tls::connect(world.address()).await.unwrap())
        } else {
            Box::new(TcpStream::connect(world.address()).await.unwrap())
        };
        let mut bytes = Vec::new();
        if after_connect {
            bytes = world.options(level, "noise").bytes();
        }
        let batch = left.min(if after_connect { 25 } else { 10 });
        for _ in 0..batch {
            if after_connect {
                bytes.extend(garbage(noise, level));
            } else {
                let mut connect = world.options(level, "noise").bytes();
                match noise.below(3) {
                    0 => connect.truncate(noise.below(connect.len())),
                    1 => {
                        let at = noise.below(connect.len());
                        connect[at] = noise.next().to_le_bytes()[0];
                    }
                    _ => connect = garbage(noise, level),
                }
                bytes.extend(connect);
            }
        }
        left -= batch;
        // The server may hang up at any byte.
        if stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok() {
            drop(stream.shutdown().await);
            let mut rest = Vec::new();
            drop(timeout(MOMENT, stream.read_to_end(&mut rest)).await.expect("the server hangs up"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_broken_packets() {
    let world = World::new(&[]).await;
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    send_garbage(&world, &mut noise, false, true, 5_000).await;
    send_garbage(&world, &mut noise, true, true, 2_500).await;
    send_garbage(&world, &mut noise, false, false, 2_000).await;
    send_garbage(&world, &mut noise, true, false, 500).await;
    let refused = metric(&world.server, "openclaw_watch_refused_protocol_total");
    println!("10,000 broken packets: {refused} connections refused for them");
    assert!(!world.server.process.log().contains("panicked"), "{}", world.server.process.log());
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_256_mb_costs_nothing() {
    let world = World::new(&[]).await;
    let before = resident_bytes(world.server.process.id());
    for first in [0x10, 0x30, 0x82] {
        for level in [4, 5] {
            let mut stream = TcpStream::connect(world.address()).await.unwrap();
            if first != 0x10 {
                stream.write_all(&world.options(level, "huge").bytes()).await.unwrap();
            }
            stream.write_all(&[first, 0xff, 0xff, 0xff, 0x7f]).await.unwrap();
            let more = vec![0; 1024 * 1024];
            for _ in 0..256 {
                if stream.write_all(&more).await.is_err() {
                    break;
                }
            }
            let mut client = Client::over(stream, level);
            assert!(client.closed(MOMENT).await);
        }
    }
    let grown = resident_bytes(world.server.process.id()).saturating_sub(before);
    println!("256 MB announced six times: server grew by {} KiB", grown / 1024);
    assert!(grown < 16 * 1024 * 1024, "{grown}");
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_wills_at_once_reach_every_subscriber() {
    let world = World::new(&[]).await;
    let devices = add_devices(&world.server, 300);
    let reader = world.server.reader();
    for round in 1..=2u32 {
        let mut sessions = Vec::new();
        for device in &devices {
            let topic = format!("openclaw/{}/presence", device.id);
            let will = format!(r#"{{"v":1,"state":"offline","epoch":{round}}}"#);
            let options =
                Options { will: Some((&topic, will.as_bytes(), 1, true)), ..Options::new("d", &device.key) };
            let mut client = Client::plain(world.address(), &options).await;
            let birth = format!(r#"{{"v":1,"state":"online","epoch":{round}}}"#);
            client.send(&publish(4, &topic, birth.as_bytes(), 1, true, 1)).await.unwrap();
            sessions.push(client);
        }
        for client in &mut sessions {
            client.packet(0x40).await.unwrap();
        }
        let mut subscribers = Vec::new();
        for (qos, level) in [(0, 4), (1, 4), (0, 5), (1, 5)] {
            let id = format!("sub{qos}{level}");
            let mut client =
                Client::plain(world.address(), &Options { level, ..Options::new(&id, &reader) }).await;
            let options = if level == 5 { qos | 0x20 } else { qos };
            assert_eq!(client.subscribe("openclaw/+/presence", options).await.unwrap(), qos);
            subscribers.push((client, qos));
        }
        let start = Instant::now();
        drop(sessions);
        for (client, qos) in &mut subscribers {
            let mut seen = std::collections::BTreeSet::new();
            while seen.len() < devices.len() {
                let message = client.message().await.unwrap_or_else(|e| {
                    panic!("round {round}, QoS {qos}: {} of {} wills, then {e}", seen.len(), devices.len())
                });
                if message.payload.windows(7).any(|w| w == b"offline") {
                    seen.insert(message.topic);
                }
            }
        }
        println!("300 wills reached 4 subscribers in {:?}", start.elapsed());
    }
    world.is_well().await;
}

async fn http(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    drop(stream.write_all(request).await);
    let mut answer = Vec::new();
    drop(timeout(MOMENT, stream.read_to_end(&mut answer)).await.expect("the server hangs up"));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn http_that_is_no_mqtt() {
    let world = World::new(&[("BROKER__HANDSHAKE_TIMEOUT_S", "2")]).await;
    let handshake = |rest: &str| format!("GET /mqtt HTTP/1.1\r\nhost: x\r\n{rest}\r\n");
    let upgrade =
        "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let cases = [
        ("GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "HTTP/1.1 404"),
        (handshake(""), "HTTP/1.1 426"),
        (handshake(upgrade), "HTTP/1.1 400"),
        (handshake(&format!("{upgrade}sec-websocket-version: 12\r\n")), "HTTP/1.1 400"),
        (handshake(&format!("{upgrade}sec-websocket-version: 13\r\n")), "HTTP/1.1 400"),
        (
            handshake(&format!("{upgrade}sec-websocket-version: 13\r\nsec-websocket-protocol: amqp\r\n")),
            "HTTP/1.1 400",
        ),
        ("GET\0\x01\x02 garbage\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)), "HTTP/1.1 431"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000)), "HTTP/1.1 431"),
        ("POST /mqtt HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello".to_owned(), "HTTP/1.1 426"),
        // Never finished: closed when the time for the handshake is over.
        ("GET / HTT".to_owned(), ""),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), ""),
    ];
    for (request, expected) in cases {
        let answer = http(world.address(), request.as_bytes()).await;
        let shown: String = request.chars().take(60).collect();
        let fits = if expected.is_empty() { answer.is_empty() } else { answer.starts_with(expected) };
        assert!(fits, "{shown:?} was answered with {answer:?}");
    }
    world.is_well().await;
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

async fn websocket(address: &str) -> Socket {
    let mut request = format!("wss://{address}/mqtt").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "mqtt".parse().unwrap());
    let stream = tls::connect(address).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

/// All bytes that come until they are `n`.
async fn bytes_of(socket: &mut Socket, n: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < n {
        match timeout(MOMENT, socket.next()).await? {
            Some(Ok(Message::Binary(part))) => bytes.extend(part),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_frames_need_not_be_packets() {
    let world = World::new(&[]).await;
    let connect = world.options(4, "ws").bytes();
    let subscribe = subscribe(4, 1, "ws/#", 0);
    // Each byte in a message of its own.
    let mut socket = websocket(world.address()).await;
    for byte in [&connect[..], &subscribe].concat() {
        socket.send(Message::binary(vec![byte])).await.unwrap();
    }
    assert_eq!(bytes_of(&mut socket, 9).await.unwrap(), [0x20, 2, 0, 0, 0x90, 3, 0, 1, 0]);
    // A message in fragments, with a ping and an empty one between.
    let packet = publish(4, "ws/fragments", b"whole", 0, false, 0);
    let (head, tail) = packet.split_at(5);
    let part = |data, code, last| Message::Frame(Frame::message(data, OpCode::Data(code), last));
    socket.send(part(head.to_vec(), Data::Binary, false)).await.unwrap();
    socket.send(Message::Ping("still there?".into())).await.unwrap();
    socket.send(part(Vec::new(), Data::Continue, false)).await.unwrap();
    socket.send(part(tail.to_vec(), Data::Continue, true)).await.unwrap();
    assert_eq!(bytes_of(&mut socket, packet.len()).await.unwrap(), packet);
    // A thousand packets in one frame.
    let many: Vec<u8> =
        (0..1000u32).flat_map(|n| publish(4, "ws/n", &n.to_be_bytes(), 0, false, 0)).collect();
    socket.send(Message::binary(many.clone())).await.unwrap();
    assert_eq!(bytes_of(&mut socket, many.len()).await.unwrap(), many);
    // CONNECT and all the rest in one frame.
    let mut another = websocket(world.address()).await;
    let all = [connect, subscribe, packet.clone()].concat();
    another.send(Message::binary(all)).await.unwrap();
    let expected = [&[0x20, 2, 0, 0, 0x90, 3, 0, 1, 0][..], &packet].concat();
    assert_eq!(bytes_of(&mut another, expected.len()).await.unwrap(), expected);
    // The first had the same client id.
    assert!(bytes_of(&mut socket, 1).await.is_err(), "it was taken over");
    world.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_breaks_its_rules_is_closed() {
    let world = World::new(&[]).await;
    let mut watcher = world.plain(4, "watcher").await;
    watcher.subscribe("will/#", 1).await.unwrap();
    let topics = ["will/text", "will/reserved", "will/large"];
    for topic in topics {
        let mut socket = websocket(world.address()).await;
        let options = Options { will: Some((topic, b"gone", 1, false)), ..world.options(4, "ws") };
        socket.send(Message::binary(options.bytes())).await.unwrap();
        assert_eq!(bytes_of(&mut socket, 4).await.unwrap(), [0x20, 2, 0, 0]);
        let wrong = match topic {
            "will/text" => Message::text("MQTT travels in binary frames"),
            "will/reserved" => {
                Message::Frame(Frame::message(vec![0xc0, 0], OpCode::Data(Data::Reserved(3)), true))
            }
            _ => Message::binary(vec![0xc0; 1024 * 1024]),
        };
        drop(socket.send(wrong).await);
        let closed = async { while bytes_of(&mut socket, 1).await.is_ok() {} };
        timeout(MOMENT, closed).await.expect("the server hangs up");
        assert_eq!(watcher.message().await.unwrap().topic, topic);
    }
    world.is_well().await;
}
