//! What all connections share: who is connected, what is retained, where messages go.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::{
    Ack, Acknowledge, Clock, Delivery, DeviceId, Identity, KeyId, Message, Outcome, Publication, Qos,
    TopicName, TopicRoot,
};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::{Attempt, AttemptOutcome, Attempts, Caller};
use crate::engine::Engine;
use crate::message::Routed;
use crate::metrics::{Metrics, count};
use crate::retained::{Retained, RetainedMessages};
use crate::session::{Kept, Kick};
use crate::{Config, Directory};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) root: TopicRoot,
    pub(crate) clock: Clock,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) inbox: mpsc::Sender<Delivery>,
    pub(crate) engine: Engine,
    pub(crate) retained: RetainedMessages,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
    pub(crate) sessions: Sessions,
    pub(crate) subscribers: AtomicUsize,
    pub(crate) attempts: Attempts,
    /// From where each device came last. One entry for each device that there is or was since the start.
    addresses: Mutex<HashMap<DeviceId, IpAddr>>,
    next_message: AtomicU64,
}

impl Hub {
    #[expect(clippy::too_many_arguments, reason = "assembled in one place, by name")]
    pub(crate) fn new(
        config: Config,
        root: TopicRoot,
        clock: Clock,
        directory: Arc<dyn Directory>,
        inbox: mpsc::Sender<Delivery>,
        retained: RetainedMessages,
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let engine = Engine::start(
            config.max_subscribers + 64,
            config.max_filters,
            metrics.clone(),
            &tasks,
            shutdown.clone(),
        );
        Self {
            config,
            root,
            clock,
            directory,
            inbox,
            engine,
            retained,
            metrics,
            tasks,
            shutdown,
            sessions: Sessions::default(),
            subscribers: AtomicUsize::new(0),
            attempts: Attempts::default(),
            addresses: Mutex::default(),
            next_message: AtomicU64::new(1),
        }
    }

    /// Notes what became of a connection.
    pub(crate) fn note(
        &self,
        caller: Caller,
        outcome: AttemptOutcome,
        device: Option<DeviceId>,
        detail: Option<Cow<'static, str>>,
    ) {
        let Caller { address, via } = caller;
        if let (AttemptOutcome::Accepted, Some(device)) = (outcome, device) {
            lock(&self.addresses).insert(device, address);
        }
        self.attempts.note(Attempt { at: self.clock.now(), address, outcome, device, detail, via, count: 1 });
    }

    /// From where a device came last.
    pub(crate) fn address_of(&self, device: DeviceId) -> Option<IpAddr> {
        lock(&self.addresses).get(&device).copied()
    }

    /// A message that is stored (or need not be): retained and fanned out.
    pub(crate) fn route(&self, message: &Message, origin: u64) {
        if message.retain {
            // Copied: the message is a part of a read buffer, which would live as long.
            let retained = Retained {
                payload: Bytes::copy_from_slice(&message.payload),
                qos: message.qos,
                properties: Bytes::copy_from_slice(&message.properties),
                at: message.received_at,
            };
            self.retained.set(message.topic.as_str(), retained);
        }
        self.fan_out(
            &message.topic,
            &message.payload,
            &message.properties,
            message.qos,
            message.retain,
            origin,
        );
    }

    /// A word of the server itself.
    pub(crate) fn publish(&self, publication: &Publication) {
        if publication.retain {
            let retained = Retained {
                payload: publication.payload.clone(),
                qos: Qos::AtLeastOnce,
                properties: Bytes::new(),
                at: self.clock.now(),
            };
            self.retained.set(publication.topic.as_str(), retained);
        }
        let none = Bytes::new();
        let Publication { topic, payload, retain } = publication;
        self.fan_out(topic, payload, &none, Qos::AtLeastOnce, *retain, 0);
    }

    fn fan_out(
        &self,
        topic: &TopicName,
        payload: &Bytes,
        properties: &Bytes,
        qos: Qos,
        retain: bool,
        origin: u64,
    ) {
        let number = self.next_message.fetch_add(1, Ordering::Relaxed);
        self.engine.publish(topic, || {
            let (payload, properties) = (payload.clone(), properties.clone());
            Routed { number, origin, retain, qos, after_gap: false, topic: Bytes::new(), properties, payload }
                .envelope()
        });
    }

    /// Whether the message must be stored before it is acknowledged.
    pub(crate) fn is_recorded(message: &Message) -> bool {
        message.device.is_some() || message.retain
    }
}

/// One session's publishes, in the order in which they were read. Each is answered and fanned out only after those
/// before it (MQTT §4.6), whether it goes through the store, needs no store, or is refused. It outlives the connection:
/// a message that was read is recorded and fanned out even when its sender is gone by then.
pub(crate) struct Receipts {
    hub: Arc<Hub>,
    /// Who published, for the "no local" option.
    pub(crate) origin: u64,
    state: Mutex<ReceiptState>,
    pub(crate) news: Notify,
}

#[derive(Default)]
struct ReceiptState {
    /// The token of the first of `waiting`.
    first: u64,
    waiting: VecDeque<Waiting>,
    /// Payload bytes of `waiting`.
    waiting_bytes: usize,
    done: Vec<Receipt>,
}

struct Waiting {
    packet_id: u16,
    bytes: usize,
    qos: Qos,
    what: What,
}

enum What {
    /// Under way to the store.
    Sent(Message),
    /// Needs no store, or the store has said what became of it.
    Settled(Message, Outcome),
    /// Refused at the gate, with an MQTT 5 reason.
    Refused(u8),
}

/// What became of one publish.
pub(crate) struct Receipt {
    /// 0 when nobody waits for an answer.
    pub(crate) packet_id: u16,
    pub(crate) qos: Qos,
    /// The MQTT 5 reason; `None` when the store did not take it.
    pub(crate) reason: Option<u8>,
}

impl Receipts {
    pub(crate) fn new(hub: Arc<Hub>, origin: u64) -> Arc<Self> {
        Arc::new(Self { hub, origin, state: Mutex::default(), news: Notify::new() })
    }

    /// Makes a delivery of a message; `packet_id` comes back with its receipt.
    pub(crate) fn delivery(self: &Arc<Self>, message: Message, packet_id: u16) -> Delivery {
        let mut state = lock(&self.state);
        let token = state.first + state.waiting.len() as u64;
        let what = What::Sent(message.clone());
        let (qos, bytes) = (message.qos, message.payload.len());
        state.waiting_bytes += bytes;
        state.waiting.push_back(Waiting { packet_id, bytes, qos, what });
        drop(state);
        Delivery { message, ack: Ack::new(self.clone(), token) }
    }

    /// A message that needs no store: fanned out in its turn.
    pub(crate) fn pass(&self, message: Message, packet_id: u16) {
        let qos = message.qos;
        self.add(Waiting { packet_id, bytes: 0, qos, what: What::Settled(message, Outcome::Stored) });
    }

    /// A publish that was refused: answered in its turn.
    pub(crate) fn refuse(&self, packet_id: u16, qos: Qos, reason: u8) {
        self.add(Waiting { packet_id, bytes: 0, qos, what: What::Refused(reason) });
    }

    fn add(&self, waiting: Waiting) {
        let mut state = lock(&self.state);
        state.waiting.push_back(waiting);
        self.advance(&mut state);
    }

    /// How many wait, and the bytes of their payloads.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.waiting.len(), state.waiting_bytes)
    }

    pub(crate) fn take_done(&self) -> Vec<Receipt> {
        std::mem::take(&mut lock(&self.state).done)
    }

    /// The session has a new connection: what the old one published with QoS 1 is not answered there, because the
    /// client sends it again. QoS 2 ids belong to the session and are.
    pub(crate) fn reconnected(&self) {
        let mut state = lock(&self.state);
        state.done.retain(|receipt| receipt.qos == Qos::ExactlyOnce);
        for waiting in &mut state.waiting {
            if waiting.qos != Qos::ExactlyOnce {
                waiting.packet_id = 0;
            }
        }
    }

    /// Fans out and answers what has nothing unsettled before it. Under the lock, so that two threads keep the order.
    fn advance(&self, state: &mut ReceiptState) {
        let mut news = false;
        while state.waiting.front().is_some_and(|first| !matches!(first.what, What::Sent(_))) {
            let Some(Waiting { packet_id, bytes, qos, what }) = state.waiting.pop_front() else { break };
            state.waiting_bytes -= bytes;
            state.first += 1;
            let reason = match what {
                What::Refused(reason) => Some(reason),
                What::Sent(_) => None,
                What::Settled(message, outcome) => self.settle(message, outcome),
            };
            state.done.push(Receipt { packet_id, qos, reason });
            news = true;
        }
        if state.waiting.is_empty() {
            // An idle device keeps no table.
            state.waiting = VecDeque::new();
        }
        if news {
            self.news.notify_one();
        }
    }

    fn settle(&self, message: Message, outcome: Outcome) -> Option<u8> {
        match outcome {
            Outcome::Stored => self.hub.route(&message, self.origin),
            Outcome::StoredLate => self.hub.route(&Message { retain: false, ..message }, self.origin),
            Outcome::AlreadyStored => {}
            Outcome::Refused => {
                count(&self.hub.metrics.payloads_refused);
                // Acknowledged too: sending it again would not make it better.
                return Some(0x99);
            }
            Outcome::NotStored => return None,
        }
        Some(0)
    }
}

impl Acknowledge for Receipts {
    fn acknowledge(&self, token: u64, outcome: Outcome) {
        let mut state = lock(&self.state);
        let at = token.checked_sub(state.first).and_then(|at| usize::try_from(at).ok());
        let Some(waiting) = at.and_then(|at| state.waiting.get_mut(at)) else {
            return;
        };
        if let What::Sent(message) = std::mem::replace(&mut waiting.what, What::Refused(0)) {
            waiting.what = What::Settled(message, outcome);
        }
        self.advance(&mut state);
    }
}

/// Who is connected or kept, by key and client id.
#[derive(Default)]
pub(crate) struct Sessions {
    all: Mutex<HashMap<SessionId, Entry>>,
    next: AtomicU64,
}

/// A session belongs to a key, so that one key's client can never take over another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId {
    pub(crate) key: KeyId,
    pub(crate) client: Box<str>,
}

struct Entry {
    number: u64,
    identity: Identity,
    control: mpsc::Sender<Control>,
}

/// What a session is told from outside.
pub(crate) enum Control {
    /// Another connection continues the session; hand over what is kept.
    TakeOver(oneshot::Sender<Option<Box<Kept>>>),
    /// End, and keep nothing.
    Kick(Kick),
}

/// A connection's place in [`Sessions`]. Dropping it gives it up, unless another connection has taken it.
pub(crate) struct Place {
    pub(crate) id: SessionId,
    pub(crate) number: u64,
    pub(crate) control: mpsc::Receiver<Control>,
    hub: Arc<Hub>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = lock(&self.hub.sessions.all);
        if all.get(&self.id).is_some_and(|entry| entry.number == self.number) {
            all.remove(&self.id);
        }
    }
}

/// How long a session that is taken over may need to hand over what it keeps; less than the time for a CONNECT.
const HAND_OVER: Duration = Duration::from_secs(5);

impl Place {
    /// Takes the place of a session; the one that had it is told to hand over.
    /// Returns the place and what the session before kept, or `Err` if it does not answer.
    pub(crate) async fn claim(
        hub: &Arc<Hub>,
        id: SessionId,
        identity: Identity,
    ) -> Result<(Self, Option<Box<Kept>>), NoAnswer> {
        // Room for a takeover and a kick at the same time; a full one is being told to end already.
        let (control_tx, control) = mpsc::channel(2);
        let number = hub.sessions.next.fetch_add(1, Ordering::Relaxed) + 1;
        let before =
            lock(&hub.sessions.all).insert(id.clone(), Entry { number, identity, control: control_tx });
        let place = Self { id, number, control, hub: hub.clone() };
        let Some(before) = before else {
            return Ok((place, None));
        };
        let (reply, answer) = oneshot::channel();
        let handed_over = async {
            // A session that has ended drops what it is told.
            before.control.send(Control::TakeOver(reply)).await.ok()?;
            answer.await.ok()?
        };
        match timeout(HAND_OVER, handed_over).await {
            Ok(kept) => Ok((place, kept)),
            Err(_) => Err(NoAnswer),
        }
    }
}

impl Sessions {
    /// Ends each session whose key may not do any more what it could when it connected.
    pub(crate) fn kick_revoked(&self, directory: &dyn Directory) {
        for (id, entry) in lock(&self.all).iter() {
            if directory.current(id.key).as_ref() != Some(&entry.identity) {
                // Full means that it is being ended already.
                drop(entry.control.try_send(Control::Kick(Kick::Revoked)));
            }
        }
    }
}

/// The session that had the place did not hand over in time.
#[derive(Debug)]
pub(crate) struct NoAnswer;
