//! MQTT sessions at our gate: takeover, wills, quality of service, retained messages, rights, limits. Byte by byte.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::mqtt::{
    Client, Options, Received, add_devices, metric, packet, publish, resident_bytes, service, subscribe,
    unsubscribe,
};
use e2e::{Device, Server, until};
use tokio::net::TcpStream;

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

    async fn client(&self, level: u8, client_id: &str) -> Client {
        Client::plain(self.address(), &self.options(level, client_id)).await
    }

    /// A client of a session that is kept, and whether the server had it.
    async fn kept(&self, level: u8, client_id: &str) -> (Client, bool) {
        // Session expiry: ten minutes.
        let properties: &[u8] = if level == 5 { &[0x11, 0, 0, 2, 88] } else { &[] };
        let options = Options { clean: false, properties, ..self.options(level, client_id) };
        let (client, connack) = Client::try_plain(self.address(), &options).await.unwrap();
        assert_eq!(connack.body[1], 0, "{connack:?}");
        (client, connack.body[0] == 1)
    }

    async fn subscriber(&self, level: u8, filter: &str, options: u8) -> Client {
        let mut client = self.client(level, &format!("sub-{level}-{options}-{}", filter.len())).await;
        assert_eq!(client.subscribe(filter, options).await.unwrap(), options & 3);
        client
    }

    /// Waits for as many sessions of absent clients.
    async fn parked(&self, n: u64) {
        let there = async || (metric(&self.server, "openclaw_watch_sessions_parked") == n).then_some(());
        until("sessions are parked", MOMENT, there).await;
    }

    /// Waits for as many clients.
    async fn clients(&self, n: u64) {
        let there = async || (metric(&self.server, "openclaw_watch_clients") == n).then_some(());
        until("clients are connected", MOMENT, there).await;
    }
}

async fn stream(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Connects over a stream that the test keeps a hand on.
async fn over(stream: TcpStream, options: &Options<'_>) -> Client {
    let mut client = Client::over(stream, options.level);
    client.send(&options.bytes()).await.unwrap();
    assert_eq!(client.packet(0x20).await.unwrap().body[1], 0);
    client
}

fn payloads(messages: &[Received]) -> Vec<&str> {
    messages.iter().map(|m| std::str::from_utf8(&m.payload).unwrap()).collect()
}

/// The next `n` messages, none of them acknowledged.
async fn unacknowledged(client: &mut Client, n: usize) -> Vec<Received> {
    let mut messages = Vec::new();
    while messages.len() < n {
        let raw = client.receive().await.unwrap();
        messages.extend(client.parse(&raw));
    }
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_same_key_takes_a_session_over() {
    let world = World::new(&[]).await;
    let other_key = service(&world.server, &["#"], &["#"]);
    for level in [4, 5] {
        let mut first = world.client(level, "same").await;
        let options = Options { level, ..Options::new("same", &other_key) };
        let mut stranger = Client::plain(world.address(), &options).await;
        first.ping().await.unwrap();
        let mut second = world.client(level, "same").await;
        if level == 5 {
            assert_eq!(first.packet(0xe0).await.unwrap().body[0], 0x8e);
        }
        assert!(first.closed(MOMENT).await);
        second.ping().await.unwrap();
        stranger.ping().await.unwrap();
    }
    // A device is one session, whatever it calls itself.
    let device = world.server.add_device("d").await;
    let mut first = Client::plain(world.address(), &Options::new("one", &device.key)).await;
    let mut second = Client::plain(world.address(), &Options::new("two", &device.key)).await;
    assert!(first.closed(MOMENT).await);
    second.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_session_collects_what_its_client_misses() {
    let world = World::new(&[]).await;
    for level in [4, 5] {
        let id = format!("keeper{level}");
        let (mut client, present) = world.kept(level, &id).await;
        assert!(!present, "nothing was kept before");
        // Two filters that overlap must not make two copies of a message.
        assert_eq!(client.subscribe("q/#", 1).await.unwrap(), 1);
        assert_eq!(client.subscribe("q/+", 2).await.unwrap(), 2);
        drop(client);
        world.parked(1).await;
        let mut publisher = world.client(4, "pub").await;
        for n in 0..5 {
            publisher.publish("q/x", format!("m{n}").as_bytes(), false).await.unwrap();
            publisher.send(&publish(4, "q/x", b"QoS 0 is not kept", 0, false, 0)).await.unwrap();
        }
        // Through the same trunk, so all of it has passed when this has.
        let mut witness = world.subscriber(4, "witness", 0).await;
        publisher.publish("witness", b"", false).await.unwrap();
        witness.message().await.unwrap();
        let (mut client, present) = world.kept(level, &id).await;
        assert!(present);
        let collected = client.ping().await.unwrap();
        assert_eq!(payloads(&collected), ["m0", "m1", "m2", "m3", "m4"]);
        assert!(collected.iter().all(|m| m.qos == 1 && !m.dup));
        // A takeover keeps it as well: what was sent and not acknowledged comes again, in its order, and says so.
        let (mut second, present) = world.kept(level, &id).await;
        assert!(present);
        let again = second.ping().await.unwrap();
        assert_eq!(payloads(&again), ["m0", "m1", "m2", "m3", "m4"]);
        assert!(again.iter().all(|m| m.dup));
        let ids = |list: &[Received]| list.iter().map(|m| m.packet_id).collect::<Vec<_>>();
        assert_eq!(ids(&again), ids(&collected));
        drop(second);
        // A clean start forgets it.
        let options = world.options(level, &id);
        let (mut clean, connack) = Client::try_plain(world.address(), &options).await.unwrap();
        assert_eq!(connack.body[0], 0);
        publisher.publish("q/x", b"nobody asked", false).await.unwrap();
        assert_eq!(clean.ping().await.unwrap(), []);
        drop(clean);
        world.parked(0).await;
        assert!(!world.kept(level, &id).await.1, "a clean session leaves nothing");
        drop(Client::plain(world.address(), &options).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_version_5_expires() {
    let world = World::new(&[("BROKER__MAX_SESSION_EXPIRY_S", "1000")]).await;
    let connect = async |clean, expiry: u32| {
        let properties = [&[0x11][..], &expiry.to_be_bytes()].concat();
        let options = Options { clean, properties: &properties, ..world.options(5, "expiring") };
        Client::try_plain(world.address(), &options).await.unwrap()
    };
    // A clean start with an expiry is kept, for a second.
    let (mut client, _) = connect(true, 1).await;
    client.subscribe("x", 1).await.unwrap();
    drop(client);
    world.parked(1).await;
    world.parked(0).await;
    assert_eq!(connect(false, 600).await.1.body[0], 0, "it has expired");
    assert_eq!(connect(false, 600).await.1.body[0], 1, "it was taken over");
    // The server says what it makes of a longer one.
    let connack = connect(false, 5000).await.1;
    assert!(connack.body.windows(5).any(|w| w == [0x11, 0, 0, 3, 0xe8]), "{connack:?}");
    // DISCONNECT may change it.
    let (mut client, _) = connect(false, 600).await;
    client.send(&packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 0])).await.unwrap();
    assert!(client.closed(MOMENT).await);
    assert_eq!(connect(false, 0).await.1.body[0], 0);
    // But not from nothing to something.
    let (mut client, _) = connect(false, 0).await;
    client.send(&packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 9])).await.unwrap();
    assert_eq!(client.packet(0xe0).await.unwrap().body[0], 0x82);
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_alive_counts_what_was_received() {
    let world = World::new(&[]).await;
    let options = Options { keep_alive: 1, ..world.options(4, "silent") };
    let mut silent = Client::plain(world.address(), &options).await;
    silent.subscribe("tick", 0).await.unwrap();
    let start = Instant::now();
    let mut publisher = world.client(4, "pub").await;
    let mut received = 0;
    let ticking = async {
        loop {
            publisher.publish("tick", b"x", false).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let reading = async {
        while silent.message().await.is_ok() {
            received += 1;
        }
    };
    tokio::select! {
        () = ticking => {}
        () = reading => {}
    }
    let after = start.elapsed();
    println!("a silent client with keep-alive 1 was dropped after {after:?} and {received} messages");
    assert!(received >= 4, "{received}");
    assert!((Duration::from_millis(1_400)..Duration::from_millis(2_500)).contains(&after), "{after:?}");
    // One that speaks stays: for twice as long as it may be silent.
    let mut speaking = Client::plain(world.address(), &options).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        speaking.ping().await.unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    // And 0 means for ever.
    let options = Options { keep_alive: 0, ..world.options(4, "patient") };
    Client::plain(world.address(), &options).await.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_is_sent_in_each_way_a_connection_can_end() {
    let mut world = World::new(&[]).await;
    let mut watcher = world.subscriber(4, "will/#", 1).await;
    let mortal = service(&world.server, &["#"], &["#"]);
    for level in [4, 5] {
        let will = |topic| Options {
            level,
            will: Some((topic, b"gone", 1, false)),
            ..Options::new("mortal", &mortal)
        };
        let mut expect = async |topic: &str| {
            let message = watcher.message().await.unwrap();
            assert_eq!((message.topic.as_str(), &message.payload[..]), (topic, &b"gone"[..]));
        };
        // FIN
        drop(over(stream(world.address()).await, &will("will/fin")).await);
        expect("will/fin").await;
        // RST
        let reset = stream(world.address()).await;
        reset.set_zero_linger().unwrap();
        drop(over(reset, &will("will/rst")).await);
        expect("will/rst").await;
        // Protocol error
        let mut client = Client::plain(world.address(), &will("will/protocol")).await;
        client.send(&[0xf7, 0]).await.unwrap();
        expect("will/protocol").await;
        // Keep-alive
        let options = Options { keep_alive: 1, ..will("will/silent") };
        let client = Client::plain(world.address(), &options).await;
        expect("will/silent").await;
        drop(client);
        // Takeover, by a clean session and by one that is kept
        let mut clients = Vec::new();
        for clean in [true, false, false, true] {
            clients.push(Client::plain(world.address(), &Options { clean, ..will("will/takeover") }).await);
            if clients.len() > 1 {
                expect("will/takeover").await;
            }
        }
        // DISCONNECT: none, also when the connection breaks just behind it
        let last = clients.last_mut().unwrap();
        last.send(&packet(0xe0, &[])).await.unwrap();
        assert!(last.closed(MOMENT).await);
        let reset = stream(world.address()).await;
        reset.set_zero_linger().unwrap();
        let mut client = over(reset, &will("will/never")).await;
        client.send(&packet(0xe0, &[])).await.unwrap();
        drop(client);
        if level == 5 {
            // DISCONNECT with will
            let mut client = Client::plain(world.address(), &will("will/0x04")).await;
            client.send(&packet(0xe0, &[0x04])).await.unwrap();
            expect("will/0x04").await;
        }
        world.clients(1).await;
    }
    // Key revoked, by the command line
    let will = Options { will: Some(("will/revoked", b"gone", 1, true)), ..Options::new("mortal", &mortal) };
    let mut client = Client::plain(world.address(), &will).await;
    let id = world.server.command(&["key", "list"]);
    let keys = id.as_array().cloned().or_else(|| id["keys"].as_array().cloned()).unwrap();
    // The key that was made last.
    let id = keys.iter().map(|k| k["id"].as_str().unwrap()).find(|id| mortal.contains(id)).unwrap();
    world.server.command(&["key", "revoke", id]);
    let revoked = Instant::now();
    assert!(client.closed(MOMENT).await);
    let after = revoked.elapsed();
    println!("closed {after:?} after its key was revoked by the command line");
    assert!(after < Duration::from_secs(1), "{after:?}");
    assert_eq!(watcher.message().await.unwrap().topic, "will/revoked");
    let (_, connack) = Client::try_plain(world.address(), &Options::new("mortal", &mortal)).await.unwrap();
    assert_eq!(connack.body[1], 5);
    // The server stops: none. It is retained, so it would be there after the restart.
    let options = Options { will: Some(("will/stop", b"gone", 1, true)), ..world.options(4, "mortal") };
    let mut client = Client::plain(world.address(), &options).await;
    client.ping().await.unwrap();
    world.server.process.signal("TERM");
    assert!(client.closed(MOMENT).await);
    assert!(world.server.process.wait(Duration::from_secs(20)).await.success());
    drop(std::fs::remove_file(world.server.data_dir().join("addresses.json")));
    world.server.restart().await;
    let mut watcher = world.subscriber(4, "will/#", 0).await;
    let retained: Vec<_> = watcher.ping().await.unwrap().into_iter().map(|m| m.topic).collect();
    assert_eq!(retained, ["will/revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn quality_of_service_is_the_lower_of_the_two() {
    let world = World::new(&[]).await;
    for level in [4, 5] {
        let mut publisher = world.client(level, "pub").await;
        for granted in 0..3u8 {
            let mut subscriber = world.subscriber(level, "min/#", granted).await;
            for sent in 0..3u8 {
                publisher.send(&publish(level, "min/x", b"x", sent, false, 5)).await.unwrap();
                if sent == 2 {
                    publisher.packet(0x50).await.unwrap();
                    publisher.send(&packet(0x62, &[0, 5])).await.unwrap();
                    publisher.packet(0x70).await.unwrap();
                }
                let message = subscriber.message().await.unwrap();
                assert_eq!(message.qos, sent.min(granted), "published {sent}, granted {granted}");
                if message.qos == 2 {
                    assert_eq!(subscriber.packet(0x62).await.unwrap().body, message.packet_id.to_be_bytes());
                    subscriber.send(&packet(0x70, &message.packet_id.to_be_bytes())).await.unwrap();
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_is_once() {
    let world = World::new(&[]).await;
    let mut subscriber = world.subscriber(4, "once/#", 0).await;
    for (level, retain) in [(4, false), (5, false), (4, true), (5, true)] {
        let (mut publisher, _) = world.kept(level, &format!("once{level}{retain}")).await;
        let send = |id: u16, dup: bool| {
            let mut bytes = publish(level, &format!("once/{id}"), b"once", 2, retain, id);
            bytes[0] |= u8::from(dup) << 3;
            bytes
        };
        // Sent three times, released by id and not by order.
        publisher
            .send(&[send(1, false), send(2, false), send(1, true), send(2, true)].concat())
            .await
            .unwrap();
        publisher.send(&send(1, true)).await.unwrap();
        let mut acknowledged = BTreeSet::new();
        while acknowledged.len() < 2 {
            acknowledged.insert(publisher.packet(0x50).await.unwrap().body);
        }
        publisher.send(&packet(0x62, &[0, 2])).await.unwrap();
        assert_eq!(publisher.packet(0x70).await.unwrap().body, [0, 2]);
        // 1 is not released by that: a copy of it is still a copy.
        publisher.send(&send(1, true)).await.unwrap();
        assert_eq!(publisher.packet(0x50).await.unwrap().body, [0, 1]);
        // Nor by a new connection, even one that comes before the answer.
        publisher.send(&send(3, false)).await.unwrap();
        let (mut publisher, present) = world.kept(level, &format!("once{level}{retain}")).await;
        assert!(present);
        publisher.send(&[send(1, true), send(3, true)].concat()).await.unwrap();
        let mut acknowledged = BTreeSet::new();
        while acknowledged.len() < 2 {
            acknowledged.insert(publisher.packet(0x50).await.unwrap().body);
        }
        for id in [3, 1] {
            publisher.send(&packet(0x62, &[0, id])).await.unwrap();
            assert_eq!(publisher.packet(0x70).await.unwrap().body, [0, id]);
        }
        // Released: the id is free for another message.
        publisher.send(&send(1, false)).await.unwrap();
        publisher.packet(0x50).await.unwrap();
        // An id that nobody knows is answered, or the client would ask for ever.
        publisher.send(&packet(0x62, &[0, 99])).await.unwrap();
        let unknown = publisher.packet(0x70).await.unwrap().body;
        assert_eq!(unknown, if level == 5 { vec![0, 99, 0x92] } else { vec![0, 99] });
        publisher.publish("once/end", b"", false).await.unwrap();
        let mut topics = Vec::new();
        loop {
            let message = subscriber.message().await.unwrap();
            if message.topic == "once/end" {
                break;
            }
            topics.push(message.topic);
        }
        assert_eq!(topics, ["once/1", "once/2", "once/3", "once/1"], "level {level}, retain {retain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_are_answered_and_delivered_in_their_order() {
    let world = World::new(&[]).await;
    let limited = service(&world.server, &["ok/#"], &["#"]);
    let mut subscriber = world.subscriber(4, "#", 0).await;
    let mut publisher = Client::plain(world.address(), &Options::v5("pub", &limited)).await;
    // Retained ones go through the store, others do not, and some are refused at the gate.
    let mut bytes = Vec::new();
    for id in 1..=200u16 {
        let topic = if id % 5 == 0 { "denied" } else { "ok/x" };
        bytes.extend(publish(5, topic, id.to_string().as_bytes(), 1, id % 3 == 0, id));
    }
    publisher.send(&bytes).await.unwrap();
    for id in 1..=200u16 {
        let ack = publisher.packet(0x40).await.unwrap().body;
        assert_eq!(ack[..2], id.to_be_bytes(), "PUBACKs come in the order of their PUBLISHes");
        assert_eq!(ack.get(2).copied().unwrap_or(0), if id % 5 == 0 { 0x87 } else { 0 });
    }
    let expected: Vec<String> = (1..=200).filter(|id| id % 5 != 0).map(|id: u16| id.to_string()).collect();
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.push(String::from_utf8(subscriber.message().await.unwrap().payload).unwrap());
    }
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsettled_messages_come_again_in_their_order() {
    let world = World::new(&[]).await;
    for level in [4, 5] {
        let id = format!("again{level}");
        let (mut client, _) = world.kept(level, &id).await;
        client.subscribe("again/#", 2).await.unwrap();
        let mut publisher = world.client(4, "pub").await;
        for n in 1..=6u8 {
            publisher.send(&publish(4, "again/x", &[n], 1 + n % 2, false, n.into())).await.unwrap();
        }
        // 1, 3, 5 came with QoS 2; 2, 4, 6 with QoS 1.
        let first = unacknowledged(&mut client, 6).await;
        assert!(first.iter().all(|m| !m.dup));
        assert!(first.windows(2).all(|w| w[0].packet_id < w[1].packet_id));
        // Acknowledged out of order: that is no reason to disconnect.
        let id_of = |n: usize| first[n - 1].packet_id.to_be_bytes();
        client.send(&packet(0x40, &id_of(4))).await.unwrap();
        client.send(&packet(0x50, &id_of(3))).await.unwrap();
        assert_eq!(client.packet(0x62).await.unwrap().body[..2], id_of(3));
        drop(client);
        world.parked(1).await;
        let (mut client, present) = world.kept(level, &id).await;
        assert!(present);
        let mut again = Vec::new();
        for _ in 0..5 {
            let raw = client.receive().await.unwrap();
            match client.parse(&raw) {
                Some(message) => {
                    assert!(message.dup);
                    again.push(message.payload[0]);
                }
                None => {
                    assert_eq!((raw.first, &raw.body[..2]), (0x62, &id_of(3)[..]), "PUBREL, not PUBLISH");
                    again.push(3);
                }
            }
        }
        assert_eq!(again, [1, 2, 3, 5, 6]);
        drop(client);
        world.parked(1).await;
        drop(Client::plain(world.address(), &world.options(level, &id)).await);
        world.parked(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_sent_no_more_than_it_can_take() {
    let world = World::new(&[]).await;
    let mut publisher = world.client(4, "pub").await;
    // Receive maximum 2, maximum packet size 100, session expiry 10 minutes.
    let properties = [0x21, 0, 2, 0x27, 0, 0, 0, 100, 0x11, 0, 0, 2, 88];
    let options = Options { clean: false, properties: &properties, ..world.options(5, "small") };
    let mut client = Client::plain(world.address(), &options).await;
    client.subscribe("max/#", 1).await.unwrap();
    // 2 + 2 + 5 + 2 + 1 bytes stand before the payload of QoS 1.
    for (len, payload) in [(88, "fits"), (89, "does not fit"), (10, "second"), (10, "third"), (10, "fourth")]
    {
        let mut bytes = payload.as_bytes().to_vec();
        bytes.resize(len, b' ');
        publisher.publish("max/x", &bytes, false).await.unwrap();
    }
    let text = |m: &Received| String::from_utf8(m.payload.clone()).unwrap().trim().to_owned();
    let window = unacknowledged(&mut client, 2).await;
    assert_eq!(window.iter().map(text).collect::<Vec<_>>(), ["fits", "second"]);
    assert_eq!(client.ping().await.unwrap(), [], "two are under way already");
    client.send(&packet(0x40, &window[1].packet_id.to_be_bytes())).await.unwrap();
    let next = unacknowledged(&mut client, 1).await;
    assert_eq!(text(&next[0]), "third");
    assert_eq!(client.ping().await.unwrap(), []);
    drop(client);
    world.parked(1).await;
    // The window holds for what is sent again, too, even when it has become smaller.
    let properties = [0x21, 0, 1, 0x11, 0, 0, 2, 88];
    let options = Options { clean: false, properties: &properties, ..world.options(5, "small") };
    let mut client = Client::plain(world.address(), &options).await;
    for expected in ["fits", "third", "fourth"] {
        let messages = client.ping().await.unwrap();
        assert_eq!(messages.iter().map(text).collect::<Vec<_>>(), [expected]);
        client.send(&packet(0x40, &messages[0].packet_id.to_be_bytes())).await.unwrap();
    }
    // The other way: what the server takes is said in CONNACK, and larger packets end the connection.
    let (mut client, connack) = Client::try_plain(world.address(), &world.options(5, "large")).await.unwrap();
    let at = connack.body.windows(5).find(|w| w[0] == 0x27).unwrap();
    let most = u32::from_be_bytes([at[1], at[2], at[3], at[4]]) as usize;
    let longest = most - 8 * 1024;
    assert_eq!(client.publish("large", &vec![b'x'; longest], false).await.unwrap(), 0);
    assert_eq!(client.publish("large", &vec![b'x'; longest + 1], false).await.unwrap(), 0x97);
    client.send(&publish(5, "large", &vec![b'x'; most], 1, false, 9)).await.unwrap();
    assert_eq!(client.packet(0xe0).await.unwrap().body[0], 0x95);
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_survive_and_are_all_delivered() {
    let mut world = World::new(&[]).await;
    let devices = add_devices(&world.server, 500);
    for device in &devices {
        let mut client = Client::plain(world.address(), &Options::new("d", &device.key)).await;
        let topic = format!("openclaw/{}/presence", device.id);
        let code = client.publish(&topic, br#"{"v":1,"state":"online","epoch":1}"#, true).await.unwrap();
        assert_eq!(code, 0);
        client.send(&packet(0xe0, &[])).await.unwrap();
    }
    let mut publisher = world.client(4, "pub").await;
    for (topic, payload) in [("keep/a", "a"), ("keep/b", "b"), ("keep/c", "c")] {
        publisher.publish(topic, payload.as_bytes(), true).await.unwrap();
    }
    // Without the retain flag an empty payload is a message like others.
    publisher.publish("keep/a", b"", false).await.unwrap();
    publisher.publish("keep/b", b"", true).await.unwrap();
    world.server.kill();
    world.server.restart().await;
    let reader = world.server.reader();
    for (level, qos) in [(4, 0), (4, 1), (5, 0), (5, 1)] {
        let options = Options { level, ..Options::new("reader", &reader) };
        let mut client = Client::connect(world.address(), &options).await;
        let start = Instant::now();
        assert_eq!(client.subscribe("openclaw/#", qos).await.unwrap(), qos);
        let mut presence = BTreeSet::new();
        let mut status = BTreeSet::new();
        while presence.len() < devices.len() || status.len() < devices.len() {
            let message = client.message().await.unwrap();
            assert!(message.retain, "{message:?}");
            if message.topic.ends_with("presence") {
                presence.insert(message.topic);
            } else if message.topic.ends_with("status") {
                assert_eq!(message.payload, b"online");
                status.insert(message.topic);
            }
        }
        println!("level {level}, QoS {qos}: 500 presences and status words in {:?}", start.elapsed());
    }
    let mut client = world.client(4, "keeper").await;
    client.subscribe("keep/+", 0).await.unwrap();
    assert_eq!(payloads(&client.ping().await.unwrap()), ["a", "c"]);
    // A second SUBSCRIBE gets them again.
    client.subscribe("keep/+", 0).await.unwrap();
    assert_eq!(payloads(&client.ping().await.unwrap()), ["a", "c"]);
    // A live message has the flag only for those who asked for it as it was published.
    let mut as_published = world.client(5, "as published").await;
    as_published.subscribe("keep/+", 0x28).await.unwrap();
    let mut publisher = world.client(4, "pub").await;
    publisher.publish("keep/d", b"d", true).await.unwrap();
    assert!(!client.message().await.unwrap().retain);
    assert!(as_published.message().await.unwrap().retain);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_a_subscription() {
    let world = World::new(&[]).await;
    let mut publisher = world.client(5, "pub").await;
    publisher.publish("opt/x", b"retained", true).await.unwrap();
    let mut client = world.client(5, "opt").await;
    for (options, expected) in [
        (0x10, 1), // retain handling 1: a new subscription
        (0x10, 0), // ... and one that was there
        (0x00, 1), // 0: always
        (0x20, 0), // 2: never
        (0x00, 1),
    ] {
        client.subscribe("opt/#", options).await.unwrap();
        assert_eq!(client.ping().await.unwrap().len(), expected, "options {options:#x}");
    }
    // No local.
    client.subscribe("opt/#", 0x24).await.unwrap();
    client.publish("opt/x", b"own", false).await.unwrap();
    publisher.publish("opt/x", b"theirs", false).await.unwrap();
    assert_eq!(client.message().await.unwrap().payload, b"theirs");
    // UNSUBACK always, also for what was not subscribed, and on a session that was resumed.
    for (level, known, unknown) in [(5, vec![0, 7, 0, 0], vec![0, 8, 0, 0x11]), (4, vec![0, 7], vec![0, 8])] {
        let id = format!("unsub{level}");
        let (mut client, _) = world.kept(level, &id).await;
        client.subscribe("un/#", 1).await.unwrap();
        let (mut client, _) = world.kept(level, &id).await;
        client.send(&unsubscribe(level, 7, "un/#")).await.unwrap();
        assert_eq!(client.packet(0xb0).await.unwrap().body, known);
        client.send(&unsubscribe(level, 8, "un/#")).await.unwrap();
        assert_eq!(client.packet(0xb0).await.unwrap().body, unknown);
        publisher.publish("un/x", b"x", false).await.unwrap();
        assert_eq!(client.ping().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_filters_by_the_standard() {
    let world = World::new(&[]).await;
    for level in [4, 5] {
        let long = "x".repeat(513);
        for topic in ["", "a/+/b", "#", "a/#", "+", "a\0b", "a\u{1}b", &long] {
            let mut client = world.client(level, "names").await;
            client.send(&publish(level, topic, b"x", 1, false, 1)).await.unwrap();
            let answer = client.receive().await;
            assert!(!answer.is_ok_and(|raw| raw.first == 0x40), "{topic:?} was taken");
            assert!(client.closed(MOMENT).await);
        }
        let mut client = world.client(level, "filters").await;
        let refused = if level == 5 { 0x8f } else { 0x80 };
        for filter in ["", "a/#/b", "a+", "+a", "a#", "#/a", "a\u{1}", &long] {
            assert_eq!(client.subscribe(filter, 0).await.unwrap(), refused, "{filter:?}");
        }
        for filter in ["#", "+", "/", "+/+", "a/+/#", "é/#", "a b"] {
            assert_eq!(client.subscribe(filter, 0).await.unwrap(), 0, "{filter:?}");
        }
        // Not even `#` sees the server's own words.
        let counters = client.ping().await.unwrap();
        assert!(counters.iter().all(|m| !m.topic.starts_with('$')), "{counters:?}");
        // QoS 3, a reserved bit, no filter at all, packet id 0, not UTF-8.
        for wrong in [
            publish(level, "a", b"x", 3, false, 1),
            subscribe(level, 1, "a", 0xc3),
            packet(0x82, if level == 5 { &[0, 1, 0] } else { &[0, 1] }),
            subscribe(level, 0, "a", 0),
            packet(0x30, &[0, 1, 0xff, 0, 0]),
        ] {
            let mut client = world.client(level, "names").await;
            client.send(&wrong).await.unwrap();
            assert!(client.closed(MOMENT).await, "{wrong:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_it_may_and_nothing_else() {
    let world = World::new(&[]).await;
    let [own, other] = [world.server.add_device("own").await, world.server.add_device("other").await];
    let made = world.server.command(&["key", "add", "one", "--kind", "reader", "--device", &own.id]);
    let limited = made["key"].as_str().unwrap().to_owned();
    let reader = world.server.reader();
    let topic = |device: &Device, what: &str| format!("openclaw/{}/{what}", device.id);
    let mut all = world.subscriber(4, "#", 1).await;
    for level in [4, 5] {
        let (refused, not_authorized) = if level == 5 { (0x87, 0x87) } else { (0x80, 5) };
        let options = |id, key| Options { level, ..Options::new(id, key) };
        // Publishing: refused with a word where there is one, and never delivered.
        let mut device = Client::plain(world.address(), &options("d", &own.key)).await;
        let foreign =
            [topic(&other, "presence"), topic(&own, "status"), topic(&own, "alert"), "x".to_owned()];
        let code = if level == 5 { 0x87 } else { 0 };
        for topic in &foreign {
            assert_eq!(device.publish(topic, b"{}", true).await.unwrap(), code, "{topic}");
            device.send(&publish(level, topic, b"{}", 0, false, 0)).await.unwrap();
        }
        for key in [&reader, &limited] {
            let mut client = Client::plain(world.address(), &options("r", key)).await;
            assert_eq!(client.publish("x", b"x", true).await.unwrap(), code);
            assert_eq!(client.publish(&topic(&own, "presence"), b"{}", true).await.unwrap(), code);
        }
        assert_eq!(all.ping().await.unwrap(), [], "nothing of that was delivered");
        let birth = format!(r#"{{"v":1,"state":"online","epoch":{level}}}"#);
        assert_eq!(device.publish(&topic(&own, "presence"), birth.as_bytes(), true).await.unwrap(), 0);
        assert_eq!(all.message().await.unwrap().topic, topic(&own, "presence"));
        assert_eq!(all.message().await.unwrap().topic, topic(&own, "status"));
        // Subscribing.
        assert_eq!(device.subscribe(&topic(&own, "presence"), 0).await.unwrap(), refused);
        let mut client = Client::plain(world.address(), &options("r", &limited)).await;
        for filter in ["#", "openclaw/#", "openclaw/+/presence", "+/#", "$SYS/#", &topic(&other, "report")] {
            assert_eq!(client.subscribe(filter, 0).await.unwrap(), refused, "{filter}");
        }
        assert_eq!(client.subscribe(&topic(&own, "#"), 0).await.unwrap(), 0);
        // The will.
        for topic in &foreign {
            let options = Options { will: Some((topic, b"x", 0, false)), ..options("d", &own.key) };
            let (mut client, connack) = Client::try_plain(world.address(), &options).await.unwrap();
            assert_eq!(connack.body[1], not_authorized, "a will on {topic}");
            assert!(client.closed(MOMENT).await);
        }
        // A wrong key, none at all, another's secret. What follows the CONNECT does not swallow the answer.
        let swapped = format!("{}{}", &own.key[..20], &other.key[20..]);
        for key in ["", "wrong", &swapped] {
            let mut client = Client::over(stream(world.address()).await, level);
            let bytes = [options("x", key).bytes(), subscribe(level, 1, "#", 0)].concat();
            client.send(&bytes).await.unwrap();
            assert_eq!(client.receive().await.unwrap().body[1], not_authorized, "key {key:?}");
            assert!(client.closed(MOMENT).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_is_disconnected() {
    let world = World::new(&[("BROKER__WRITE_TIMEOUT_S", "2")]).await;
    let mut publisher = world.client(4, "flooder").await;
    let mut reading = world.subscriber(4, "#", 0).await;
    let reader = tokio::spawn(async move {
        let mut n = 0u32;
        while reading.message().await.unwrap().payload != b"end" {
            n += 1;
        }
        n
    });
    let slow = || metric(&world.server, "openclaw_watch_slow_consumers_total");
    let before = resident_bytes(world.server.process.id());
    let payload = vec![0x55; 4096];
    let batch: Vec<u8> = (0..256).flat_map(|_| publish(4, "flood/x", &payload, 0, false, 0)).collect();
    let (mut most, mut sent, mut stalled) = (0, 0, Vec::new());
    for qos in [0, 1] {
        stalled.push(world.subscriber(4, "flood/#", qos).await);
    }
    // 256 MiB at most, a megabyte at a time; each time the server has read it when it answers.
    while slow() < 2 && sent < 256 {
        publisher.send(&batch).await.unwrap();
        publisher.ping().await.unwrap();
        most = most.max(resident_bytes(world.server.process.id()));
        sent += 1;
    }
    let grown = most.saturating_sub(before) / 1024 / 1024;
    println!("two stalled subscribers disconnected within {sent} MiB; server grew by {grown} MiB at most");
    assert_eq!(slow(), 2);
    assert!(grown < 96, "{grown} MiB");
    // One that reads nothing of a little is seen by the clock: more than the kernel's buffers hold, less than the queue.
    let idle = world.subscriber(4, "idle/#", 0).await;
    let big = vec![0x55; 100_000];
    let little: Vec<u8> = (0..75).flat_map(|_| publish(4, "idle/x", &big, 0, false, 0)).collect();
    publisher.send(&little).await.unwrap();
    let start = Instant::now();
    until("the clock sees a slow consumer", MOMENT, async || (slow() == 3).then_some(())).await;
    println!("a subscriber that stopped reading was disconnected after {:?}", start.elapsed());
    drop((stalled, idle));
    publisher.publish("end", b"end", false).await.unwrap();
    println!("the subscriber that reads got {} messages", reader.await.unwrap());
    assert_eq!(metric(&world.server, "openclaw_watch_engine_rebuilds_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_of_qos_1_gets_all_or_is_disconnected() {
    let world = World::new(&[]).await;
    let mut publisher = world.client(4, "flooder").await;
    let payload = vec![0x55; 4096];
    for round in 0..4u16 {
        let tag = round.to_le_bytes()[0];
        let mut subscriber = world.subscriber(4, "flood/#", 1).await;
        let reading = tokio::spawn(async move {
            let mut numbers = Vec::new();
            while let Ok(message) = subscriber.message().await {
                // What is under way of the round before is passed over.
                if message.payload.last() != Some(&tag) {
                    continue;
                }
                if message.topic == "flood/end" {
                    return (numbers, true);
                }
                numbers.push(u16::from_be_bytes([message.payload[0], message.payload[1]]));
            }
            (numbers, false)
        });
        for batch in 0..16u16 {
            let mut bytes = Vec::new();
            for n in 0..256 {
                let number = (batch * 256 + n).to_be_bytes();
                let whole = [&number[..], &payload, &[tag]].concat();
                bytes.extend(publish(4, "flood/x", &whole, 1, false, batch * 256 + n + 1));
            }
            publisher.send(&bytes).await.unwrap();
            if round % 2 == 0 {
                publisher.ping().await.unwrap();
            }
        }
        publisher.publish("flood/end", &[tag], false).await.unwrap();
        let (numbers, to_the_end) = reading.await.unwrap();
        println!("round {round}: {} of 4096 messages, to the end: {to_the_end}", numbers.len());
        assert!(numbers.iter().copied().eq(0..u16::try_from(numbers.len()).unwrap()), "a gap, unannounced");
        assert!(!to_the_end || numbers.len() == 4096, "a gap at the end, unannounced");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_only_where_it_is_allowed() {
    let world = World::new(&[("BROKER__PLAIN_TEXT", "never")]).await;
    assert!(Client::try_plain(world.address(), &world.options(4, "plain")).await.is_err());
    assert_eq!(metric(&world.server, "openclaw_watch_refused_plain_total"), 1);
    Client::connect(world.address(), &world.options(4, "encrypted")).await.ping().await.unwrap();
    let allowed = World::new(&[]).await;
    allowed.client(4, "plain").await.ping().await.unwrap();
}
