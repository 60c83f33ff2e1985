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
//! - It keeps a log of some MiB for each filter it was ever given and never frees one: their number is bounded, and
//!   subscribers of further filters share one that matches everything. (The gate looks at each message's topic again.)
//! - `LinkTx::send` blocks the thread while 1,000 events wait: links look at the backlog first and wait in async.
//!
//! A supervisor sends itself a probe through the router. When the router is dead or does not answer, a new one is
//! built and every link subscribes again. What was under way for third parties is lost then, and counted; nothing
//! that is stored depends on it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

use crate::metrics::{Metrics, add, count};

/// Messages that wait for the trunk. When it is full a message for third parties is dropped and counted: devices
/// never wait for the engine.
const TRUNK_QUEUE: usize = 16_384;
/// Their bytes; the same happens when there are too many.
const TRUNK_BYTES: usize = 32 * 1024 * 1024;
/// What is sent to the router before its readers are waited for: a part of what its logs hold, so that a burst does
/// not overtake a reader that reads.
const BURST_BYTES: usize = 512 * 1024;
/// The longest wait for them. Who is slower than this loses messages, and is told.
const BURST_WAIT: Duration = Duration::from_millis(250);
/// A link that got nothing for so long, while the router has nothing to do, has read all there is.
const CAUGHT_UP: Duration = Duration::from_millis(2);
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

/// A filter as the router knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EngineFilter(TopicFilter);

/// A link's filters and how far each has been read.
///
/// The router skips what a reader was too slow for, and does not say so. But each message carries its place in the
/// log of the filter it was read for, so what was skipped shows as a gap.
#[derive(Debug, Default)]
struct Positions(Vec<(EngineFilter, Option<u64>)>);

impl Positions {
    fn add(&mut self, filter: EngineFilter) {
        if !self.0.iter().any(|(f, _)| *f == filter) {
            self.0.push((filter, None));
        }
    }

    fn remove(&mut self, filter: &EngineFilter) {
        self.0.retain(|(f, _)| f != filter);
        // Messages of the filter that is gone may be under way, and look like gaps in another's.
        self.forget();
    }

    fn forget(&mut self) {
        for (_, next) in &mut self.0 {
            *next = None;
        }
    }

    /// How many messages were skipped before this one. Which filter it was read for is not said: when several match,
    /// it is the one that it fits best.
    fn skipped(&mut self, topic: &str, place: u64) -> u64 {
        let gap = |next: Option<u64>| match next {
            Some(next) => place.checked_sub(next).map(|gap| (gap > 0, gap)),
            // Not known yet: better than a gap, worse than the very next.
            None => Some((false, 1)),
        };
        let matching = self.0.iter_mut().filter(|(filter, _)| filter.0.matches(topic));
        let best =
            matching.filter_map(|(_, next)| gap(*next).map(|gap| (gap, next))).min_by_key(|(gap, _)| *gap);
        let Some(((skipped, gap), next)) = best else { return 0 };
        *next = Some(place + 1);
        if skipped { gap } else { 0 }
    }
}

/// A message as it left the router.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    pub(crate) topic: Bytes,
    pub(crate) envelope: Bytes,
    /// Messages were lost before this one: the link was too slow for the router.
    pub(crate) after_gap: bool,
}

/// The fan-out to third-party subscribers.
#[derive(Clone)]
pub(crate) struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    generation: watch::Receiver<Arc<Generation>>,
    trunk: mpsc::Sender<(String, Bytes)>,
    trunk_bytes: AtomicUsize,
    subscribers: AtomicU64,
    /// Links that have not read all there is.
    reading: AtomicUsize,
    filters: Mutex<HashSet<EngineFilter>>,
    max_filters: usize,
    next_link: AtomicU64,
    suspect: tokio::sync::Notify,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
}

impl Engine {
    /// Starts the router, its trunk and its supervisor; they end with `shutdown`.
    pub(crate) fn start(
        max_links: usize,
        max_filters: usize,
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
                trunk_bytes: AtomicUsize::new(0),
                subscribers: AtomicU64::new(0),
                reading: AtomicUsize::new(0),
                filters: Mutex::default(),
                max_filters,
                next_link: AtomicU64::new(0),
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
        let message = (format!("t/{topic}"), envelope());
        let bytes = message.0.len() + message.1.len();
        let before = self.inner.trunk_bytes.fetch_add(bytes, Ordering::AcqRel);
        if before + bytes > TRUNK_BYTES || self.inner.trunk.try_send(message).is_err() {
            self.inner.trunk_bytes.fetch_sub(bytes, Ordering::AcqRel);
            count(&self.inner.metrics.engine_dropped);
        }
    }

    /// What to subscribe to at the router for a client's filter.
    pub(crate) fn filter(&self, wanted: &TopicFilter) -> EngineFilter {
        // Too long with its prefix, perhaps.
        let own = TopicFilter::parse(&format!("t/{wanted}")).ok().map(EngineFilter);
        let mut filters = self.inner.filters.lock().unwrap_or_else(PoisonError::into_inner);
        match own {
            Some(own) if filters.contains(&own) || filters.len() < self.inner.max_filters => {
                filters.insert(own.clone());
                own
            }
            _ => EngineFilter(TopicFilter::parse("t/#").expect("a valid filter")),
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
        let mut burst = 0;
        'generation: loop {
            let generation = generations.borrow_and_update().clone();
            let Some((mut tx, mut rx)) = generation.connect(self.link_id()).await else {
                self.suspicious(&mut generations).await;
                continue;
            };
            loop {
                if burst >= BURST_BYTES {
                    burst = 0;
                    // In vain for those that are too slow.
                    let _ = timeout(BURST_WAIT, self.all_caught_up(&generation)).await;
                }
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
                        let bytes = topic.len() + payload.len();
                        self.inner.trunk_bytes.fetch_sub(bytes, Ordering::AcqRel);
                        burst += bytes;
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

    async fn all_caught_up(&self, generation: &Generation) {
        while (generation.backlog)() > 0 || self.inner.reading.load(Ordering::Acquire) > 0 {
            sleep(CAUGHT_UP).await;
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
        let (answers_tx, mut answers) = mpsc::channel::<u64>(8);
        let first = generation_tx.borrow().clone();
        let mut probes = self.probe_link(&first, answers_tx.clone()).await;
        let mut ticks = interval(PROBE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_answer = Instant::now();
        // Probes are numbered; those of an earlier router say nothing of this one.
        let (mut number, mut first_number) = (0, 1);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
                () = self.inner.suspect.notified() => {}
                answer = answers.recv() => {
                    if answer.is_some_and(|answer| answer >= first_number) {
                        last_answer = Instant::now();
                    }
                    continue;
                }
            }
            let generation = generation_tx.borrow().clone();
            number += 1;
            // A full queue of probes is a router that does not take them.
            let linked = probes.as_ref().is_some_and(|probes| {
                !matches!(probes.try_send(number), Err(mpsc::error::TrySendError::Closed(_)))
            });
            let dead = (generation.dead)() || !linked;
            let hung = last_answer.elapsed() > PROBE_DEADLINE;
            if !dead && !hung {
                continue;
            }
            count(&self.inner.metrics.engine_rebuilds);
            error!(
                engine.generation = generation.number,
                dead, hung, "engine stopped answering, building a new one"
            );
            let next = Arc::new(Generation::start(generation.number + 1, max_links));
            probes = self.probe_link(&next, answers_tx.clone()).await;
            generation_tx.send_replace(next);
            first_number = number + 1;
            last_answer = Instant::now();
            info!(
                engine.generation = generation.number + 1,
                "engine is new, subscribers are being linked again"
            );
        }
    }

    /// A link of its own for probes: traffic of others, however much, is no sign of a router that hangs.
    /// Numbers sent to it come back through `answers` while the router works.
    async fn probe_link(
        &self,
        generation: &Arc<Generation>,
        answers: mpsc::Sender<u64>,
    ) -> Option<mpsc::Sender<u64>> {
        let (mut tx, mut rx) = generation.connect(self.link_id()).await?;
        send(generation, &mut tx, subscription(PROBE_TOPIC.to_owned())).await.ok()?;
        let generation = generation.clone();
        let (probes_tx, mut probes) = mpsc::channel::<u64>(8);
        self.inner.tasks.spawn(async move {
            loop {
                let notification = tokio::select! {
                    number = probes.recv() => {
                        let Some(number) = number else { return };
                        let probe = Bytes::copy_from_slice(&number.to_be_bytes());
                        let publish = Publish::new(Bytes::from_static(PROBE_TOPIC.as_bytes()), probe, false);
                        if send(&generation, &mut tx, Packet::Publish(publish, None)).await.is_err() {
                            return;
                        }
                        continue;
                    }
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
        Some(probes_tx)
    }

    /// Serves one subscriber until its session is gone, through as many generations as it takes.
    async fn link(self, mut commands: mpsc::Receiver<Command>, messages: mpsc::Sender<Forwarded>) {
        let mut filters = Positions::default();
        // Has left the router, and its session is behind. Nothing more is taken until it has gone, but commands are:
        // the session may be waiting for one.
        let mut behind: Option<Forwarded> = None;
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
            filters.forget();
            let mut reading: Option<Reading<'_>> = None;
            for (filter, _) in &filters.0 {
                if send(&generation, &mut tx, subscription(filter.0.as_str().to_owned())).await.is_err() {
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
                    () = sleep(CAUGHT_UP), if reading.is_some() && behind.is_none() => {
                        if (generation.backlog)() == 0 {
                            reading = None;
                        }
                        Ok(())
                    }
                    // The session decides when being behind is too slow. One that is gone is told of by `commands`.
                    room = messages.reserve(), if behind.is_some() => {
                        let forwarded = behind.take();
                        if let (Ok(room), Some(forwarded)) = (room, forwarded) {
                            room.send(forwarded);
                        }
                        Ok(())
                    }
                    notification = rx.next(), if behind.is_none() => match notification {
                        Ok(Some(Notification::Forward(forward))) => {
                            let place = forward.cursor.map_or(0, |(_, place)| place);
                            let topic = std::str::from_utf8(&forward.publish.topic).unwrap_or_default();
                            let skipped = filters.skipped(topic, place);
                            add(&self.inner.metrics.engine_dropped, skipped);
                            reading.get_or_insert_with(|| Reading::new(&self.inner.reading));
                            behind = Some(Forwarded {
                                after_gap: skipped > 0,
                                topic: forward.publish.topic.slice(2.min(forward.publish.topic.len())..),
                                envelope: forward.publish.payload.clone(),
                            });
                            acknowledge(&generation, &mut tx, forward).await
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

/// Counts a link that has not read all there is, for as long as this lives.
struct Reading<'a>(&'a AtomicUsize);

impl<'a> Reading<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
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
    Subscribe(EngineFilter, oneshot::Sender<()>),
    Unsubscribe(EngineFilter),
}

impl Command {
    async fn run(
        self,
        generation: &Generation,
        tx: &mut LinkTx,
        filters: &mut Positions,
    ) -> Result<(), Gone> {
        match self {
            Self::Subscribe(filter, done) => {
                filters.add(filter.clone());
                let outcome = send(generation, tx, subscription(filter.0.as_str().to_owned())).await;
                // A dead router is not the subscriber's trouble: the filter is on the list for the next one.
                let _ = done.send(());
                outcome
            }
            Self::Unsubscribe(filter) => {
                filters.remove(&filter);
                generation.room().await?;
                tx.unsubscribe(filter.0.as_str().to_owned()).map(drop).map_err(|_| Gone)
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
    pub(crate) async fn subscribe(&self, filter: &EngineFilter) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Subscribe(filter.clone(), done)).await.is_ok() {
            // A link that is gone answers by dropping; the session ends then anyway.
            let _ = wait.await;
        }
    }

    /// The filter is not wanted any more.
    pub(crate) async fn unsubscribe(&self, filter: &EngineFilter) {
        drop(self.commands.send(Command::Unsubscribe(filter.clone())).await);
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
            self.inner.trunk_bytes.fetch_add("é".len() + 1, Ordering::AcqRel);
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
        let engine = Engine::start(100, 100, metrics.clone(), &tasks, shutdown.clone());
        let topic = TopicName::parse("a/b").unwrap();
        let mut subscriber = engine.attach();
        subscriber.subscribe(&engine.filter(&TopicFilter::parse("a/#").unwrap())).await;
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
        let engine = Engine::start(100, 100, Arc::new(Metrics::default()), &tasks, shutdown.clone());
        for round in 0..20u32 {
            let mut subscribers = Vec::new();
            for _ in 0..3 {
                let subscriber = engine.attach();
                subscriber.subscribe(&engine.filter(&TopicFilter::parse("burst/#").unwrap())).await;
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_subscriber_that_does_not_take_its_messages_can_still_subscribe() {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let engine = Engine::start(100, 100, Arc::new(Metrics::default()), &tasks, shutdown.clone());
        let filter = |text: &str| engine.filter(&TopicFilter::parse(text).unwrap());
        let subscriber = engine.attach();
        subscriber.subscribe(&filter("a/#")).await;
        let topic = TopicName::parse("a/b").unwrap();
        while subscriber.messages.len() < LINK_QUEUE {
            engine.publish(&topic, || Bytes::from_static(b"x"));
            tokio::task::yield_now().await;
        }
        for n in 0..LINK_COMMANDS * 2 {
            let another = filter(&format!("b/{n}"));
            let done = async {
                subscriber.subscribe(&another).await;
                subscriber.unsubscribe(&another).await;
            };
            timeout(Duration::from_secs(5), done).await.expect("the link listens while it is blocked");
        }
        shutdown.cancel();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn filters_beyond_the_limit_share_one() {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let engine = Engine::start(100, 2, Arc::new(Metrics::default()), &tasks, shutdown.clone());
        let filter = |text: &str| engine.filter(&TopicFilter::parse(text).unwrap());
        let (one, two, three, four) = (filter("a"), filter("b/+"), filter("c"), filter("d"));
        assert!(one != two && two != three);
        assert_eq!((&three, &one), (&four, &filter("a")));
        let mut subscriber = engine.attach();
        subscriber.subscribe(&three).await;
        let message = received(&mut subscriber, &engine, &TopicName::parse("c").unwrap()).await;
        assert_eq!(&message.topic[..], b"c");
        shutdown.cancel();
    }

    #[test]
    fn a_gap_in_a_log_is_seen() {
        let filter = |text: &str| EngineFilter(TopicFilter::parse(text).unwrap());
        let mut positions = Positions::default();
        positions.add(filter("t/a/#"));
        let mut check = |places: &[(&str, u64)], expected: &[u64]| {
            let skipped: Vec<u64> = places.iter().map(|(t, place)| positions.skipped(t, *place)).collect();
            assert_eq!(skipped, expected, "{places:?}");
        };
        check(&[("t/a/x", 7), ("t/a/x", 8), ("t/a/y", 9)], &[0, 0, 0]);
        check(&[("t/a/x", 15), ("t/a/x", 16)], &[5, 0]);
        positions.add(filter("t/+/x"));
        let mut check = |places: &[(&str, u64)], expected: &[u64]| {
            let skipped: Vec<u64> = places.iter().map(|(t, place)| positions.skipped(t, *place)).collect();
            assert_eq!(skipped, expected, "{places:?}");
        };
        // Two logs, each message in both.
        check(&[("t/a/x", 17), ("t/a/x", 3), ("t/a/x", 18), ("t/a/x", 4)], &[0; 4]);
        check(&[("t/a/x", 19), ("t/a/x", 8), ("t/b/x", 9)], &[0, 3, 0]);
        positions.remove(&filter("t/+/x"));
        // One of the filter that is gone, then those of the one that is there.
        assert_eq!(positions.skipped("t/a/x", 10), 0);
        assert_eq!(positions.skipped("t/a/x", 20), 9, "blind for a moment, and not for long");
    }
}
