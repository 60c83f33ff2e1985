//! Stored, then acknowledged: with a real database, that also fails.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use protocol::Outcome::{AlreadyStored, Refused, Stored};
use protocol::{
    Ack, Acknowledge, Clock, Delivery, DeviceId, DeviceTopic, Host, KeyId, Message, Outcome, Payload as _,
    Presence, Publication, Qos, Timestamp, Topic, TopicName, TopicRoot,
};
use recorder::{Config, Handle, Recorder};
use store::{Actor, DeviceKind, Store};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const SPOOL: &str = "abcdefghijkl";

/// Everybody who waits for an acknowledgement.
#[derive(Default)]
struct Senders {
    told: Mutex<Vec<(u64, Outcome)>>,
    news: Notify,
}

impl Acknowledge for Senders {
    fn acknowledge(&self, token: u64, outcome: Outcome) {
        self.told.lock().unwrap().push((token, outcome));
        self.news.notify_one();
    }
}

impl Senders {
    fn told(&self) -> Vec<(u64, Outcome)> {
        self.told.lock().unwrap().clone()
    }

    async fn wait_for(&self, count: usize) -> Vec<(u64, Outcome)> {
        let all = async {
            while self.told().len() < count {
                self.news.notified().await;
            }
        };
        timeout(Duration::from_secs(30), all).await.expect("all are acknowledged");
        self.told()
    }
}

struct World {
    dir: TempDir,
    store: Store,
    device: DeviceId,
    senders: Arc<Senders>,
    inbox: mpsc::Sender<Delivery>,
    published: Arc<Mutex<Vec<Publication>>>,
    handle: Handle,
    drain: CancellationToken,
    hard: CancellationToken,
    recorder: Option<Running>,
    tasks: JoinSet<()>,
}

type Running = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl World {
    /// The recorder is ready and does not run yet.
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let settings = store::Config {
            data_dir: dir.path().join("data"),
            create: true,
            topic_root: TopicRoot::default(),
            readers: 1,
        };
        let store = Store::open(settings, Clock::manual(NOW)).await.unwrap();
        let device =
            store.add_device(&Actor::server(), "one", &[], DeviceKind::Agent).await.unwrap().unwrap().0;
        let (inbox, receiver) = mpsc::channel(recorder::INBOX);
        let published = Arc::new(Mutex::new(Vec::new()));
        let words = published.clone();
        let config = Config {
            topic_root: TopicRoot::default(),
            data_dir: dir.path().to_owned(),
            gather: Duration::from_millis(5),
            min_free_bytes: 0,
        };
        let recorder = Recorder::new(config, store.clone(), receiver, move |word: &Publication| {
            words.lock().unwrap().push(word.clone());
        });
        let (drain, hard) = (CancellationToken::new(), CancellationToken::new());
        Self {
            dir,
            store,
            device,
            senders: Arc::default(),
            inbox,
            published,
            handle: recorder.handle(),
            recorder: Some(Box::pin(recorder.run(drain.clone(), hard.clone()))),
            drain,
            hard,
            tasks: JoinSet::new(),
        }
    }

    fn start(&mut self) {
        self.tasks.spawn(self.recorder.take().unwrap());
    }

    async fn ended(&mut self) {
        timeout(Duration::from_secs(30), self.tasks.join_next()).await.expect("it ends").unwrap().unwrap();
    }

    async fn send(&self, token: u64, topic: DeviceTopic, payload: impl Into<Bytes>) {
        let topic = Topic { device: self.device, what: topic }.name(&TopicRoot::default());
        self.deliver(token, Some(self.device), topic, payload).await;
    }

    async fn deliver(
        &self,
        token: u64,
        device: Option<DeviceId>,
        topic: TopicName,
        payload: impl Into<Bytes>,
    ) {
        let message = Message {
            device,
            key: KeyId::generate(),
            topic,
            payload: payload.into(),
            retain: true,
            qos: Qos::AtLeastOnce,
            properties: Bytes::new(),
            will: false,
            received_at: NOW,
        };
        self.inbox.send(Delivery { message, ack: Ack::new(self.senders.clone(), token) }).await.unwrap();
    }

    async fn report(&self, seq: u64) {
        let payload = format!(r#"{{"v":1,"spool":"{SPOOL}","seq":{seq},"at":{}}}"#, NOW.0);
        self.send(seq, DeviceTopic::Report, payload).await;
    }

    async fn recorded(&self) -> Vec<i64> {
        self.store.recorded_seqs(self.device).await.unwrap()
    }

    fn counter(&self, name: &str) -> u64 {
        self.handle.counters().into_iter().find(|(n, _)| *n == name).unwrap().1
    }
}

async fn until(what: &str, check: impl Fn() -> bool) {
    let wait = async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), wait).await.expect(what);
}

/// Whoever looks when the acknowledgement comes finds the row.
struct Look(Store, DeviceId, mpsc::Sender<(u64, Vec<i64>)>);

impl Acknowledge for Look {
    fn acknowledge(&self, token: u64, outcome: Outcome) {
        assert_eq!(outcome, Stored);
        let found = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.0.recorded_seqs(self.1)).unwrap()
        });
        self.2.try_send((token, found)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_acknowledges_what_is_committed() {
    let mut world = World::new().await;
    let (tx, mut found) = mpsc::channel(100);
    let look = Arc::new(Look(world.store.clone(), world.device, tx));
    world.start();
    let topic = Topic { device: world.device, what: DeviceTopic::Report }.name(&TopicRoot::default());
    for seq in 1..=50u64 {
        let payload = format!(r#"{{"v":1,"spool":"{SPOOL}","seq":{seq},"at":{}}}"#, NOW.0);
        let message = Message {
            device: Some(world.device),
            key: KeyId::generate(),
            topic: topic.clone(),
            payload: payload.into(),
            retain: false,
            qos: Qos::AtLeastOnce,
            properties: Bytes::new(),
            will: false,
            received_at: NOW,
        };
        world.inbox.send(Delivery { message, ack: Ack::new(look.clone(), seq) }).await.unwrap();
    }
    for seq in 1..=50 {
        let (token, rows) = timeout(Duration::from_secs(10), found.recv()).await.unwrap().unwrap();
        assert_eq!(token, seq, "acknowledged in the order in which they came");
        assert!(rows.contains(&i64::try_from(seq).unwrap()));
    }
    // A few at a time, not each alone.
    assert!(world.counter("batches_committed") < 50 && world.counter("messages_recorded") == 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_write_acknowledges_nothing_and_resumes_by_itself() {
    let mut world = World::new().await;
    world.store.break_recording().await.unwrap();
    world.start();
    for seq in 1..=10 {
        world.report(seq).await;
    }
    until("it says that it fails", || world.handle.failing_since() == Some(NOW)).await;
    world.report(11).await;
    assert_eq!(world.senders.told(), []);
    world.store.mend().await.unwrap();
    let told = world.senders.wait_for(11).await;
    assert_eq!(told, (1..=11).map(|seq| (seq, Stored)).collect::<Vec<_>>());
    assert_eq!(world.handle.failing_since(), None);
    assert_eq!(world.recorded().await, (1..=11).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_process_holds_the_database_nothing_is_acknowledged() {
    let mut world = World::new().await;
    let settings = store::Config {
        data_dir: world.store.path().parent().unwrap().to_owned(),
        create: false,
        topic_root: TopicRoot::default(),
        readers: 1,
    };
    let other = Store::open(settings, Clock::manual(NOW)).await.unwrap();
    let held = other.hold().await.unwrap();
    world.start();
    world.report(1).await;
    // Longer than SQLite itself waits.
    until("it says that it fails", || world.handle.failing_since().is_some()).await;
    assert_eq!(world.senders.told(), []);
    drop(held);
    assert_eq!(world.senders.wait_for(1).await, [(1, Stored)]);
    assert_eq!(world.recorded().await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_payload_costs_that_payload_only() {
    let mut world = World::new().await;
    world.start();
    world.report(1).await;
    for (token, payload) in
        [(100, "nonsense"), (101, "{}"), (102, ""), (103, r#"{"v":1,"spool":"x","seq":1}"#)]
    {
        world.send(token, DeviceTopic::Report, payload).await;
    }
    world.report(2).await;
    world.report(1).await;
    let mut told = world.senders.wait_for(7).await;
    told.sort_by_key(|(token, _)| *token);
    let right =
        [(1, Stored), (1, AlreadyStored), (2, Stored), (100, Refused), (101, Refused), (102, Refused)];
    assert_eq!(told[..6], right);
    assert_eq!(world.recorded().await, [1, 2]);
    assert_eq!((world.counter("messages_refused"), world.counter("messages_duplicate")), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_database_never_takes_does_not_stop_the_others() {
    let mut world = World::new().await;
    world.store.refuse_seq(37).await.unwrap();
    for seq in 1..=100 {
        world.report(seq).await;
    }
    world.start();
    let told = world.senders.wait_for(100).await;
    let refused: Vec<u64> = told.iter().filter(|(_, o)| *o == Refused).map(|(seq, _)| *seq).collect();
    assert_eq!(refused, [37]);
    assert_eq!(told.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    assert_eq!(world.recorded().await, (1..=100).filter(|seq| *seq != 37).collect::<Vec<_>>());
    assert_eq!(world.handle.failing_since(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_finishes_what_is_in_the_inbox() {
    let mut world = World::new().await;
    for seq in 1..=4_000 {
        world.report(seq).await;
    }
    world.drain.cancel();
    world.start();
    world.ended().await;
    assert_eq!(world.senders.told().len(), 4_000);
    assert!(world.senders.told().iter().all(|(_, outcome)| *outcome == Stored));
    assert_eq!(world.recorded().await, (1..=4_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_stop_drops_what_is_left_and_says_so() {
    let mut world = World::new().await;
    world.store.break_recording().await.unwrap();
    world.start();
    for seq in 1..=3 {
        world.report(seq).await;
    }
    until("it says that it fails", || world.handle.failing_since().is_some()).await;
    world.drain.cancel();
    world.hard.cancel();
    world.ended().await;
    let mut told = world.senders.wait_for(3).await;
    told.sort_by_key(|(token, _)| *token);
    assert_eq!(told, (1..=3).map(|seq| (seq, Outcome::NotStored)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_word_follows_the_epoch() {
    let mut world = World::new().await;
    world.start();
    let birth = |epoch| Presence::birth(epoch, NOW, "1", None, Host::default()).encode();
    world.send(1, DeviceTopic::Presence, birth(1)).await;
    world.send(2, DeviceTopic::Presence, birth(2)).await;
    // The session before was taken over.
    world.send(3, DeviceTopic::Presence, Presence::will(1).encode()).await;
    world.send(4, DeviceTopic::Presence, Presence::farewell(2, NOW).encode()).await;
    let told = world.senders.wait_for(4).await;
    assert_eq!(told, [(1, Stored), (2, Stored), (3, AlreadyStored), (4, Stored)]);
    world.drain.cancel();
    world.ended().await;
    let words = world.published.lock().unwrap();
    let texts: Vec<_> = words.iter().map(|w| (w.retain, w.payload.as_ref())).collect();
    assert_eq!(texts, [(true, &b"online"[..]), (true, b"online"), (true, b"offline")]);
    assert!(words.iter().all(|w| w.topic.as_str() == format!("openclaw/{}/status", world.device)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_may_retain_what_it_likes() {
    let mut world = World::new().await;
    world.start();
    world.deliver(1, None, TopicName::parse("house/lamp").unwrap(), "on").await;
    // A device that is gone, and a topic that is not for devices.
    let gone = DeviceId::generate();
    let topic = Topic { device: gone, what: DeviceTopic::Presence }.name(&TopicRoot::default());
    world.deliver(2, Some(gone), topic, Presence::will(1).encode()).await;
    world.send(3, DeviceTopic::Alert, "{}").await;
    let mut told = world.senders.wait_for(3).await;
    told.sort_by_key(|(token, _)| *token);
    assert_eq!(told, [(1, Stored), (2, Refused), (3, Refused)]);
    let rows = world.store.retained().await.unwrap();
    assert_eq!(rows.iter().map(|r| r.topic.as_str()).collect::<Vec<_>>(), ["house/lamp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_do_not_come_back_after_a_restart_are_offline() {
    let mut world = World::new().await;
    world.start();
    let birth = Presence::birth(7, NOW, "1", None, Host::default()).encode();
    world.send(1, DeviceTopic::Presence, birth).await;
    world.senders.wait_for(1).await;
    world.drain.cancel();
    world.ended().await;
    assert!(world.store.device(world.device).unwrap().presence.unwrap().online);
    // The server starts again; for 45 s the device has time.
    let (_inbox, receiver) = mpsc::channel(8);
    let words = world.published.clone();
    words.lock().unwrap().clear();
    let config = Config {
        topic_root: TopicRoot::default(),
        data_dir: world.dir.path().to_owned(),
        gather: Duration::ZERO,
        min_free_bytes: 0,
    };
    let again = Recorder::new(config, world.store.clone(), receiver, move |word: &Publication| {
        words.lock().unwrap().push(word.clone());
    });
    let hard = CancellationToken::new();
    let runtime = std::thread::spawn({
        let hard = hard.clone();
        move || {
            let paused =
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
            paused.unwrap().block_on(again.run(CancellationToken::new(), hard));
        }
    });
    let (store, device) = (world.store.clone(), world.device);
    until("it is offline", || !store.device(device).unwrap().presence.unwrap().online).await;
    hard.cancel();
    runtime.join().unwrap();
    let reason = store.device(device).unwrap().presence.unwrap().reason;
    assert_eq!(reason, Some(protocol::OfflineReason::ServerRestart));
    let told: Vec<_> = world.published.lock().unwrap().iter().map(|w| w.payload.clone()).collect();
    assert!(told.iter().any(|payload| payload == "offline"), "{told:?}");
}

#[tokio::test]
async fn with_too_little_room_nothing_is_acknowledged_until_there_is_room_again() {
    let world = World::new().await;
    // A folder of its own in memory would need rights: more than there is stands for a disk that is full.
    let (inbox, receiver) = mpsc::channel(8);
    let config = |min_free_bytes| Config {
        topic_root: TopicRoot::default(),
        data_dir: world.dir.path().to_owned(),
        gather: Duration::ZERO,
        min_free_bytes,
    };
    let full = Recorder::new(config(u64::MAX), world.store.clone(), receiver, |_: &Publication| {});
    let (handle, hard) = (full.handle(), CancellationToken::new());
    let mut running = JoinSet::new();
    running.spawn(full.run(CancellationToken::new(), hard.clone()));
    let payload = format!(r#"{{"v":1,"spool":"{SPOOL}","seq":1,"at":{}}}"#, NOW.0);
    let message = || Message {
        device: Some(world.device),
        key: KeyId::generate(),
        topic: Topic { device: world.device, what: DeviceTopic::Report }.name(&TopicRoot::default()),
        payload: payload.clone().into(),
        retain: false,
        qos: Qos::AtLeastOnce,
        properties: Bytes::new(),
        will: false,
        received_at: NOW,
    };
    inbox.send(Delivery { message: message(), ack: Ack::new(world.senders.clone(), 1) }).await.unwrap();
    until("it says so", || handle.trouble() == Some(recorder::Trouble::DiskLow)).await;
    assert_eq!(handle.failing_since(), Some(NOW));
    hard.cancel();
    running.join_next().await.unwrap().unwrap();
    assert_eq!(world.recorded().await, [0i64; 0]);
    // There is room: the device sends it again.
    let (inbox, receiver) = mpsc::channel(8);
    let free = Recorder::new(config(1), world.store.clone(), receiver, |_: &Publication| {});
    let (handle, drain) = (free.handle(), CancellationToken::new());
    running.spawn(free.run(drain.clone(), CancellationToken::new()));
    inbox.send(Delivery { message: message(), ack: Ack::new(world.senders.clone(), 1) }).await.unwrap();
    drain.cancel();
    running.join_next().await.unwrap().unwrap();
    assert_eq!((world.recorded().await, handle.trouble()), (vec![1], None));
}
