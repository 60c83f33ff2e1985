//! What all connections share: who is connected, what is retained, where messages go.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use protocol::{
    Ack, Acknowledge, Clock, Delivery, Identity, KeyId, Message, Outcome, Publication, Qos, TopicFilter,
    TopicName, TopicRoot,
};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
    filters: Mutex<HashSet<String>>,
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
        let engine = Engine::start(config.max_subscribers + 64, metrics.clone(), &tasks, shutdown.clone());
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
            filters: Mutex::default(),
            next_message: AtomicU64::new(1),
        }
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
            Routed { number, origin, retain, qos, topic: Bytes::new(), properties, payload }.envelope()
        });
    }

    /// Whether the filter may be used: the router never frees one, so their number over its life is bounded.
    pub(crate) fn admit_filter(&self, filter: &TopicFilter) -> bool {
        let mut filters = lock(&self.filters);
        filters.contains(filter.as_str())
            || (filters.len() < self.config.max_filters && filters.insert(filter.as_str().to_owned()))
    }

    /// Whether the message must be stored before it is acknowledged.
    pub(crate) fn is_recorded(message: &Message) -> bool {
        message.device.is_some() || message.retain
    }
}

/// One connection's messages on their way into the store. It outlives the connection: a message that was read is
/// recorded and fanned out even when its sender is gone by then.
pub(crate) struct Receipts {
    hub: Arc<Hub>,
    origin: u64,
    state: Mutex<ReceiptState>,
    pub(crate) news: Notify,
}

#[derive(Default)]
struct ReceiptState {
    next: u64,
    waiting: HashMap<u64, (Message, u16)>,
    done: Vec<Receipt>,
}

/// What became of one publish.
pub(crate) struct Receipt {
    pub(crate) packet_id: u16,
    pub(crate) qos: Qos,
    pub(crate) outcome: Outcome,
}

impl Receipts {
    pub(crate) fn new(hub: Arc<Hub>, origin: u64) -> Arc<Self> {
        Arc::new(Self { hub, origin, state: Mutex::default(), news: Notify::new() })
    }

    /// Makes a delivery of a message; `packet_id` comes back with its receipt.
    pub(crate) fn delivery(self: &Arc<Self>, message: Message, packet_id: u16) -> Delivery {
        let token = {
            let mut state = lock(&self.state);
            let token = state.next;
            state.next += 1;
            state.waiting.insert(token, (message.clone(), packet_id));
            token
        };
        Delivery { message, ack: Ack::new(self.clone(), token) }
    }

    pub(crate) fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    pub(crate) fn take_done(&self) -> Vec<Receipt> {
        std::mem::take(&mut lock(&self.state).done)
    }
}

impl Acknowledge for Receipts {
    fn acknowledge(&self, token: u64, outcome: Outcome) {
        let Some((message, packet_id)) = lock(&self.state).waiting.remove(&token) else {
            return;
        };
        match outcome {
            Outcome::Stored => self.hub.route(&message, self.origin),
            Outcome::StoredLate => self.hub.route(&Message { retain: false, ..message.clone() }, self.origin),
            Outcome::Refused => count(&self.hub.metrics.payloads_refused),
            Outcome::AlreadyStored | Outcome::NotStored => {}
        }
        let mut state = lock(&self.state);
        state.done.push(Receipt { packet_id, qos: message.qos, outcome });
        if state.waiting.is_empty() {
            // An idle device keeps no table.
            state.waiting.shrink_to_fit();
        }
        drop(state);
        self.news.notify_one();
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

/// A connection's place in [`Sessions`].
pub(crate) struct Place {
    pub(crate) id: SessionId,
    pub(crate) number: u64,
    pub(crate) control: mpsc::Receiver<Control>,
}

impl Sessions {
    /// Takes the place of a session; the one that had it is told to hand over.
    /// Returns the place and what the session before kept, or `Err` if it does not answer.
    pub(crate) async fn claim(
        &self,
        id: SessionId,
        identity: Identity,
    ) -> Result<(Place, Option<Box<Kept>>), NoAnswer> {
        // Room for a takeover and a kick at the same time; a full one is being told to end already.
        let (control_tx, control) = mpsc::channel(2);
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let before = lock(&self.all).insert(id.clone(), Entry { number, identity, control: control_tx });
        let place = Place { id, number, control };
        let Some(before) = before else {
            return Ok((place, None));
        };
        let (reply, answer) = oneshot::channel();
        if before.control.send(Control::TakeOver(reply)).await.is_err() {
            return Ok((place, None));
        }
        match tokio::time::timeout(std::time::Duration::from_secs(10), answer).await {
            Ok(kept) => Ok((place, kept.unwrap_or(None))),
            Err(_) => {
                self.leave(&place);
                Err(NoAnswer)
            }
        }
    }

    /// Gives the place up, unless another has taken it.
    pub(crate) fn leave(&self, place: &Place) {
        let mut all = lock(&self.all);
        if all.get(&place.id).is_some_and(|entry| entry.number == place.number) {
            all.remove(&place.id);
        }
    }

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
