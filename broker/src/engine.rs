//! rumqttd as the in-process router for third-party subscribers; the only file that names it.
//!
//! What rumqttd cannot survive never reaches it:
//!
//! - Topics travel below `t/`, so that none begins with a non-ASCII character (it slices the first byte) or `$`.
//! - QoS, properties and origin of a message travel inside the payload (see `message.rs`): rumqttd raises the
//!   QoS, loses properties, and panics where versions mix.
//! - Every subscription is QoS 1 on this side and acknowledged as soon as the message has left the link. The window
//!   of 100 keeps the link's buffer below the 200 at which rumqttd pauses a link, and un-pausing a link that is
//!   going away panics it.
//! - Client ids are numbers of ours and never come twice.
//! - `LinkTx::send` blocks the thread while 1,000 events wait: links look at the backlog first and wait in async.
//!
//! A supervisor sends itself a probe through the router. When the router is dead or does not answer, a new one is
//! built and every link subscribes again. What was under way for third parties is lost then, and counted; nothing
//! that is stored depends on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::{TopicFilter, TopicName};
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::{
    Disconnect, DisconnectReasonCode, Filter, Packet, Protocol as _, PubAck, PubAckReason, Publish, QoS,
    RetainForwardRule, Subscribe,
};
use rumqttd::{Forward, Notification, Router, RouterConfig};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::metrics::{Metrics, count};

/// Messages that wait for the trunk. When it is full a message for third parties is dropped and counted: devices
/// never wait for the engine.
const TRUNK_QUEUE: usize = 16_384;
/// Messages that wait for one subscriber's session. When it is full the link waits, and the router keeps them.
const LINK_QUEUE: usize = 256;
/// Subscriptions that wait for a link; a session waits for its turn.
const LINK_COMMANDS: usize = 16;
/// The router's own queue holds 1,000 events and blocks the thread when it is full.
const ROUTER_BACKLOG: usize = 500;
const PROBE_TOPIC: &str = "probe";
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How long the router may take to answer a probe before it counts as hung.
const PROBE_DEADLINE: Duration = Duration::from_secs(10);

type Link = (LinkTx, LinkRx);
type Connect = Box<dyn Fn(&str) -> Option<Link> + Send + Sync>;

/// One life of the router. Its event channel has a type that cannot be named, so closures hold it.
struct Generation {
    number: u64,
    connect: Connect,
    backlog: Box<dyn Fn() -> usize + Send + Sync>,
    dead: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Generation {
    fn start(number: u64, max_links: usize) -> Self {
        let config = RouterConfig {
            max_connections: max_links,
            max_outgoing_packet_count: 200,
            max_segment_size: 1024 * 1024,
            max_segment_count: 4,
            custom_segment: None,
            initialized_filters: None,
            shared_subscriptions_strategy: rumqttd::Strategy::default(),
        };
        let events = Router::new(0, config).spawn();
        let (for_backlog, for_dead) = (events.clone(), events.clone());
        Self {
            number,
            connect: Box::new(move |id| {
                LinkBuilder::new(id, events.clone()).build().ok().map(|(tx, rx, _)| (tx, rx))
            }),
            backlog: Box::new(move || for_backlog.len()),
            dead: Box::new(move || for_dead.is_disconnected()),
        }
    }

    async fn connect(self: &Arc<Self>, id: String) -> Option<Link> {
        let generation = self.clone();
        let build = tokio::task::spawn_blocking(move || (generation.connect)(&id));
        timeout(Duration::from_secs(5), build).await.ok()?.ok()?
    }

    /// Waits until the router's queue has room; a hung router never has.
    async fn room(&self) -> Result<(), Gone> {
        let full = async {
            while (self.backlog)() > ROUTER_BACKLOG && !(self.dead)() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PROBE_DEADLINE, full).await.map_err(|_| Gone)
    }
}

async fn send(generation: &Generation, tx: &mut LinkTx, packet: Packet) -> Result<(), Gone> {
    generation.room().await?;
    tx.send(packet).await.map(drop).map_err(|_| Gone)
}

/// The router of this generation does not answer any more.
struct Gone;

/// A message as it left the router.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    pub(crate) topic: Bytes,
    pub(crate) envelope: Bytes,
}

/// The fan-out to third-party subscribers.
#[derive(Clone)]
pub(crate) struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    generation: watch::Receiver<Arc<Generation>>,
    trunk: mpsc::Sender<(String, Bytes)>,
    subscribers: AtomicU64,
    next_link: AtomicU64,
    last_probe: AtomicU64,
    suspect: tokio::sync::Notify,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
}

impl Engine {
    /// Starts the router, its trunk and its supervisor; they end with `shutdown`.
    pub(crate) fn start(
        max_links: usize,
        metrics: Arc<Metrics>,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (generation_tx, generation) = watch::channel(Arc::new(Generation::start(0, max_links)));
        let (trunk, trunk_rx) = mpsc::channel(TRUNK_QUEUE);
        let engine = Self {
            inner: Arc::new(Inner {
                generation,
                trunk,
                subscribers: AtomicU64::new(0),
                next_link: AtomicU64::new(0),
                last_probe: AtomicU64::new(0),
                suspect: tokio::sync::Notify::new(),
                tasks: tasks.clone(),
                metrics,
            }),
        };
        tasks.spawn(engine.clone().trunk(trunk_rx, shutdown.clone()));
        tasks.spawn(engine.clone().supervise(generation_tx, max_links, shutdown));
        engine
    }

    /// Hands a message to the subscribers there are. Never waits: what finds no room is dropped and counted.
    pub(crate) fn publish(&self, topic: &TopicName, envelope: impl FnOnce() -> Bytes) {
        if self.inner.subscribers.load(Ordering::Acquire) == 0 {
            return;
        }
        if self.inner.trunk.try_send((format!("t/{topic}"), envelope())).is_err() {
            count(&self.inner.metrics.engine_dropped);
        }
    }

    /// Whether the last probe came back in time.
    pub(crate) fn alive(&self) -> bool {
        !(self.inner.generation.borrow().dead)()
    }

    /// A link of its own for one subscriber.
    pub(crate) fn attach(&self) -> Subscriber {
        self.inner.subscribers.fetch_add(1, Ordering::AcqRel);
        let (commands, commands_rx) = mpsc::channel(LINK_COMMANDS);
        let (messages_tx, messages) = mpsc::channel(LINK_QUEUE);
        self.inner.tasks.spawn(self.clone().link(commands_rx, messages_tx));
        Subscriber { commands, messages }
    }

    fn link_id(&self) -> String {
        format!("link{}", self.inner.next_link.fetch_add(1, Ordering::Relaxed))
    }

    async fn trunk(self, mut messages: mpsc::Receiver<(String, Bytes)>, shutdown: CancellationToken) {
        let mut generations = self.inner.generation.clone();
        'generation: loop {
            let generation = generations.borrow_and_update().clone();
            let Some((mut tx, mut rx)) = generation.connect(self.link_id()).await else {
                self.suspicious(&mut generations).await;
                continue;
            };
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    changed = generations.changed() => {
                        if changed.is_err() { return; }
                        continue 'generation;
                    }
                    // Nothing is sent to the trunk, but the router's word of its end is.
                    gone = rx.next() => if gone.is_err() {
                        self.suspicious(&mut generations).await;
                        continue 'generation;
                    },
                    message = messages.recv() => {
                        let Some((topic, payload)) = message else { return };
                        let packet = Packet::Publish(Publish::new(Bytes::from(topic), payload, false), None);
                        if send(&generation, &mut tx, packet).await.is_err() {
                            count(&self.inner.metrics.engine_dropped);
                            self.suspicious(&mut generations).await;
                            continue 'generation;
                        }
                    }
                }
            }
        }
    }

    /// Asks the supervisor to look, and waits for a new generation (or a moment).
    async fn suspicious(&self, generations: &mut watch::Receiver<Arc<Generation>>) {
        self.inner.suspect.notify_one();
        let _ = timeout(Duration::from_millis(200), generations.changed()).await;
    }

    async fn supervise(
        self,
        generation_tx: watch::Sender<Arc<Generation>>,
        max_links: usize,
        shutdown: CancellationToken,
    ) {
        let (probe_tx, mut probe_rx) = mpsc::channel::<u64>(8);
        let first = generation_tx.borrow().clone();
        let mut link = self.probe_link(&first, probe_tx.clone()).await;
        let mut ticks = interval(PROBE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_answer = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
                () = self.inner.suspect.notified() => {}
                answer = probe_rx.recv() => {
                    if answer == Some(self.inner.last_probe.load(Ordering::Relaxed)) {
                        last_answer = Instant::now();
                    }
                    continue;
                }
            }
            let generation = generation_tx.borrow().clone();
            let number = self.inner.last_probe.fetch_add(1, Ordering::Relaxed) + 1;
            let probe = Bytes::copy_from_slice(&number.to_be_bytes());
            // Through the trunk, as every message goes: a full trunk is looked at, not waited for.
            let sent = self.inner.trunk.try_send((PROBE_TOPIC.to_owned(), probe)).is_ok();
            let dead = (generation.dead)() || link.is_none();
            let hung = last_answer.elapsed() > PROBE_DEADLINE;
            if !dead && !hung {
                continue;
            }
            count(&self.inner.metrics.engine_rebuilds);
            error!(
                engine.generation = generation.number,
                dead,
                hung,
                trunk.full = !sent,
                "engine stopped answering, building a new one"
            );
            let next = Arc::new(Generation::start(generation.number + 1, max_links));
            link = self.probe_link(&next, probe_tx.clone()).await;
            generation_tx.send_replace(next);
            last_answer = Instant::now();
            info!(
                engine.generation = generation.number + 1,
                "engine is new, subscribers are being linked again"
            );
        }
    }

    async fn probe_link(&self, generation: &Arc<Generation>, answers: mpsc::Sender<u64>) -> Option<()> {
        let (mut tx, mut rx) = generation.connect(self.link_id()).await?;
        send(generation, &mut tx, subscription(PROBE_TOPIC.to_owned())).await.ok()?;
        let generation = generation.clone();
        self.inner.tasks.spawn(async move {
            loop {
                let notification = tokio::select! {
                    () = answers.closed() => return,
                    notification = rx.next() => notification,
                };
                let forward = match notification {
                    Ok(Some(Notification::Forward(forward))) => forward,
                    Ok(_) => continue,
                    Err(_) => return,
                };
                let number = forward.publish.payload[..].try_into().map(u64::from_be_bytes);
                if acknowledge(&generation, &mut tx, forward).await.is_err() {
                    return;
                }
                // A full queue holds a newer answer than nothing: this one is not missed.
                if let Ok(number) = number {
                    let _ = answers.try_send(number);
                }
            }
        });
        Some(())
    }

    /// Serves one subscriber until its session is gone, through as many generations as it takes.
    async fn link(self, mut commands: mpsc::Receiver<Command>, messages: mpsc::Sender<Forwarded>) {
        let mut filters: Vec<String> = Vec::new();
        let mut generations = self.inner.generation.clone();
        'generation: loop {
            let generation = generations.borrow_and_update().clone();
            let Some((mut tx, mut rx)) = generation.connect(self.link_id()).await else {
                if commands.is_closed() && messages.is_closed() {
                    break;
                }
                self.suspicious(&mut generations).await;
                continue;
            };
            for filter in &filters {
                if send(&generation, &mut tx, subscription(filter.clone())).await.is_err() {
                    self.suspicious(&mut generations).await;
                    continue 'generation;
                }
            }
            loop {
                let outcome = tokio::select! {
                    command = commands.recv() => match command {
                        None => {
                            let end = Disconnect { reason_code: DisconnectReasonCode::NormalDisconnection };
                            drop(send(&generation, &mut tx, Packet::Disconnect(end, None)).await);
                            break 'generation;
                        }
                        Some(command) => command.run(&generation, &mut tx, &mut filters).await,
                    },
                    changed = generations.changed() => {
                        if changed.is_err() { break 'generation; }
                        continue 'generation;
                    }
                    notification = rx.next() => match notification {
                        Ok(Some(Notification::Forward(forward))) => {
                            let forwarded = Forwarded {
                                topic: forward.publish.topic.slice(2.min(forward.publish.topic.len())..),
                                envelope: forward.publish.payload.clone(),
                            };
                            let taken = acknowledge(&generation, &mut tx, forward).await;
                            // Waits for a session that is behind; the session decides when that is too slow.
                            if messages.send(forwarded).await.is_err() { Ok(()) } else { taken }
                        }
                        Ok(Some(Notification::Disconnect(..))) | Err(_) => Err(Gone),
                        Ok(_) => Ok(()),
                    },
                };
                if outcome.is_err() {
                    self.suspicious(&mut generations).await;
                    continue 'generation;
                }
            }
        }
        self.inner.subscribers.fetch_sub(1, Ordering::AcqRel);
    }
}

fn subscription(path: String) -> Packet {
    let filter = Filter {
        path,
        qos: QoS::AtLeastOnce,
        nolocal: false,
        preserve_retain: false,
        retain_forward_rule: RetainForwardRule::Never,
    };
    Packet::Subscribe(Subscribe { pkid: 1, filters: vec![filter] }, None)
}

async fn acknowledge(generation: &Generation, tx: &mut LinkTx, forward: Forward) -> Result<(), Gone> {
    // The packet id is private to rumqttd; it can be read from the encoded packet.
    let mut publish = forward.publish;
    publish.payload = Bytes::new();
    let id_at = 2 + publish.topic.len();
    let mut bytes = BytesMut::with_capacity(id_at + 8);
    if V4.write(Packet::Publish(publish, None), &mut bytes).is_err() {
        warn!("engine forwarded a message that cannot be encoded");
        return Err(Gone);
    }
    let tail = bytes.len().checked_sub(2).and_then(|at| bytes.get(at..)).unwrap_or_default();
    let Ok(id) = <[u8; 2]>::try_from(tail) else {
        return Err(Gone);
    };
    let ack = PubAck { pkid: u16::from_be_bytes(id), reason: PubAckReason::Success };
    send(generation, tx, Packet::PubAck(ack, None)).await
}

enum Command {
    Subscribe(String, oneshot::Sender<()>),
    Unsubscribe(String),
}

impl Command {
    async fn run(
        self,
        generation: &Generation,
        tx: &mut LinkTx,
        filters: &mut Vec<String>,
    ) -> Result<(), Gone> {
        match self {
            Self::Subscribe(filter, done) => {
                if !filters.contains(&filter) {
                    filters.push(filter.clone());
                }
                let outcome = send(generation, tx, subscription(filter)).await;
                // A dead router is not the subscriber's trouble: the filter is on the list for the next one.
                let _ = done.send(());
                outcome
            }
            Self::Unsubscribe(filter) => {
                filters.retain(|f| *f != filter);
                generation.room().await?;
                tx.unsubscribe(filter).map(drop).map_err(|_| Gone)
            }
        }
    }
}

/// One subscriber's link to the router. Dropping it ends the link.
pub(crate) struct Subscriber {
    commands: mpsc::Sender<Command>,
    messages: mpsc::Receiver<Forwarded>,
}

impl Subscriber {
    /// Returns when each message published from now on will be seen.
    pub(crate) async fn subscribe(&self, filter: &TopicFilter) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Subscribe(format!("t/{filter}"), done)).await.is_ok() {
            // A link that is gone answers by dropping; the session ends then anyway.
            let _ = wait.await;
        }
    }

    /// The filter is not wanted any more.
    pub(crate) async fn unsubscribe(&self, filter: &TopicFilter) {
        drop(self.commands.send(Command::Unsubscribe(format!("t/{filter}"))).await);
    }

    /// The next message if there is one already.
    pub(crate) fn try_next(&mut self) -> Option<Forwarded> {
        self.messages.try_recv().ok()
    }

    /// The next message; waits for ever when the engine is shutting down.
    pub(crate) async fn next(&mut self) -> Forwarded {
        match self.messages.recv().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Engine {
        /// Kills the router by a topic that the gate never lets through.
        async fn kill(&self) {
            self.inner.trunk.send(("é".to_owned(), Bytes::from_static(b"x"))).await.unwrap();
        }
    }

    async fn received(subscriber: &mut Subscriber, engine: &Engine, topic: &TopicName) -> Forwarded {
        // Messages under way while a router is rebuilt are lost; a later one must arrive.
        for _ in 0..100 {
            engine.publish(topic, || Bytes::from_static(b"hello"));
            if let Ok(message) = timeout(Duration::from_millis(100), subscriber.next()).await {
                return message;
            }
        }
        panic!("nothing arrived in 10 s");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_dead_router_is_replaced_and_subscribers_stay() {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let metrics = Arc::new(Metrics::default());
        let engine = Engine::start(100, metrics.clone(), &tasks, shutdown.clone());
        let topic = TopicName::parse("a/b").unwrap();
        let mut subscriber = engine.attach();
        subscriber.subscribe(&TopicFilter::parse("a/#").unwrap()).await;
        for rebuilds in 0..3 {
            assert_eq!(metrics.engine_rebuilds.load(Ordering::Relaxed), rebuilds);
            let message = received(&mut subscriber, &engine, &topic).await;
            assert_eq!((&message.topic[..], &message.envelope[..]), (&b"a/b"[..], &b"hello"[..]));
            engine.kill().await;
            while metrics.engine_rebuilds.load(Ordering::Relaxed) == rebuilds {
                sleep(Duration::from_millis(5)).await;
            }
        }
        received(&mut subscriber, &engine, &topic).await;
        drop(subscriber);
        shutdown.cancel();
        tasks.close();
        timeout(Duration::from_secs(5), tasks.wait()).await.expect("every task ends with the engine");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_burst_reaches_every_subscriber_whole() {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let engine = Engine::start(100, Arc::new(Metrics::default()), &tasks, shutdown.clone());
        for round in 0..20u32 {
            let mut subscribers = Vec::new();
            for _ in 0..3 {
                let subscriber = engine.attach();
                subscriber.subscribe(&TopicFilter::parse("burst/#").unwrap()).await;
                subscribers.push(subscriber);
            }
            for i in 0..300u32 {
                let topic = TopicName::parse(&format!("burst/{i}")).unwrap();
                engine.publish(&topic, || Bytes::copy_from_slice(&round.to_be_bytes()));
            }
            for subscriber in &mut subscribers {
                for i in 0..300 {
                    let next = timeout(Duration::from_secs(5), subscriber.next()).await;
                    let message = next.unwrap_or_else(|_| panic!("round {round}: stopped after {i} of 300"));
                    assert_eq!(message.envelope[..], round.to_be_bytes());
                }
            }
        }
        shutdown.cancel();
    }
}
