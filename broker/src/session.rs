//! One client: from its CONNECT to the last byte, and beyond it when its session is kept.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use protocol::{
    ApiKey, Delivery, DeviceId, DeviceTopic, Identity, KeyKind, Message, OfflineReason, Payload as _,
    Presence, Qos, Topic, TopicFilter, limits, unpack,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::{debug, info};

use crate::attempts::{AttemptOutcome, Caller, Via};
use crate::directory::WhyNot;
use crate::engine::{EngineFilter, Subscriber};
use crate::hub::{Control, Hub, Place, Receipt, Receipts, SessionId};
use crate::message::Routed;
use crate::metrics::{Gauge, add, count};
use crate::mqtt::{
    Connect, ConnectCode, DecodeError, Decoder, Outgoing, Packet, Publish, Reply, RetainHandling,
    ServerLimits, Subscription, Version, Will, encode,
};
use crate::retained::Retained;
use crate::wire::{Stream, Turn, Wire};

/// Publishes of one client that wait for the store; above it, the client is not read from.
const MAX_WAITING: usize = 256;
/// The same in bytes of payload: what one client can make the server hold.
const MAX_WAITING_BYTES: usize = 1024 * 1024;
/// Publishes to one client that it has not acknowledged; above it, they wait in its queue.
const MAX_IN_FLIGHT: usize = 100;
/// Bytes of answers and messages that wait to be written; above it, the client is not read from and its queue waits.
const MAX_OUTPUT: usize = 64 * 1024;
/// The largest CONNECT that is read: whoever sends it has not shown a key yet.
const MAX_CONNECT_BYTES: usize = 32 * 1024;
/// Numbers of messages that are remembered to tell copies, when filters overlap.
const MAX_RECENT: usize = 512;
/// Topics that are looked at in one turn for a new subscriber.
const RETAINED_STEPS: usize = 2_000;

/// Why a session is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kick {
    /// The key was revoked, or its rights changed.
    Revoked,
}

/// Why a connection ended.
enum End {
    /// DISCONNECT.
    Goodbye {
        will: bool,
    },
    /// The peer closed, or the network did.
    Closed,
    KeepAlive,
    Protocol(DecodeError),
    TakenOver(tokio::sync::oneshot::Sender<Option<Box<Kept>>>),
    Kicked(Kick),
    SlowConsumer,
    /// The store could not take what was published.
    NotStored,
    Shutdown,
}

impl End {
    fn reason_code(&self) -> Option<u8> {
        match self {
            Self::Goodbye { .. } | Self::Closed => None,
            Self::KeepAlive => Some(0x8d),
            Self::Protocol(error) => Some(error.reason()),
            Self::TakenOver(_) => Some(0x8e),
            Self::Kicked(Kick::Revoked) => Some(0x87),
            Self::SlowConsumer => Some(0x97),
            Self::NotStored => Some(0x80),
            Self::Shutdown => Some(0x8b),
        }
    }

    fn offline_reason(&self) -> OfflineReason {
        match self {
            Self::KeepAlive => OfflineReason::KeepAliveTimeout,
            Self::Protocol(_) => OfflineReason::ProtocolError,
            Self::TakenOver(_) => OfflineReason::TakenOver,
            Self::Kicked(Kick::Revoked) => OfflineReason::KeyRevoked,
            _ => OfflineReason::ConnectionLost,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Goodbye { .. } => "disconnect",
            Self::Closed => "closed",
            Self::KeepAlive => "keep-alive",
            Self::Protocol(_) => "protocol error",
            Self::TakenOver(_) => "taken over",
            Self::Kicked(_) => "key revoked",
            Self::SlowConsumer => "slow consumer",
            Self::NotStored => "not stored",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What outlives a connection when the session is kept.
pub(crate) struct Kept {
    subscriptions: Vec<Subscribed>,
    link: Option<Link>,
    /// Numbers of the latest messages, when filters overlap: the router sends a copy for each.
    recent: VecDeque<u64>,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// Sent on an earlier connection and not settled; sent again before anything else, in its order (§4.4).
    unsettled: VecDeque<InFlight>,
    in_flight: VecDeque<InFlight>,
    receipts: Arc<Receipts>,
    /// QoS 2 publishes that are on their way into the store: not answered yet, and not taken a second time.
    taking: HashSet<u16>,
    /// QoS 2 publishes that were taken and not yet released.
    received: HashSet<u16>,
    last_packet_id: u16,
    expiry_secs: u32,
}

struct Link {
    subscriber: Subscriber,
    hub: Arc<Hub>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hub.subscribers.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Subscribed {
    filter: TopicFilter,
    at_engine: EngineFilter,
    qos: Qos,
    no_local: bool,
    retain_as_published: bool,
    id: Option<u32>,
}

struct Queued {
    topic: Bytes,
    payload: Bytes,
    properties: Bytes,
    qos: Qos,
    retain: bool,
    subscription_ids: Vec<u32>,
}

impl Queued {
    fn len(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len() + 64
    }
}

struct InFlight {
    packet_id: u16,
    /// QoS 2: PUBREC has come, PUBREL was sent.
    released: bool,
    message: Queued,
}

/// Where a new subscriber is in the list of retained messages.
struct Cursor {
    filter: TopicFilter,
    qos: Qos,
    id: Option<u32>,
    after: Option<Arc<str>>,
}

/// A last will. Dropping it publishes it, so that no way of ending is forgotten, a panic included.
struct LastWill {
    hub: Arc<Hub>,
    /// So that it comes after what the client published before.
    receipts: Arc<Receipts>,
    message: Option<Message>,
    reason: OfflineReason,
}

impl LastWill {
    fn disarm(&mut self) {
        self.message = None;
    }
}

impl Drop for LastWill {
    fn drop(&mut self) {
        let Some(mut message) = self.message.take() else {
            return;
        };
        if self.hub.shutdown.is_cancelled() {
            // The server is stopping: that says nothing about the device.
            return;
        }
        count(&self.hub.metrics.wills);
        message.received_at = self.hub.clock.now();
        let ours = Topic::parse(&self.hub.root, message.topic.as_str());
        if ours.is_some_and(|t| t.what == DeviceTopic::Presence)
            && let Ok(mut presence) = Presence::decode(&message.payload)
        {
            // Written before the end it tells of; the gate knows how it came.
            presence.reason = Some(self.reason);
            message.payload = presence.encode().into();
        }
        let hub = self.hub.clone();
        if !Hub::is_recorded(&message) {
            self.receipts.pass(message, 0);
            return;
        }
        let delivery = self.receipts.delivery(message, 0);
        match hub.inbox.try_send(delivery) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(delivery)) => {
                // A will waits for its place like every other message; at most one per connection does.
                let inbox = hub.inbox.clone();
                hub.tasks.spawn(async move { drop(inbox.send(delivery).await) });
            }
        }
    }
}

pub(crate) struct Session {
    hub: Arc<Hub>,
    wire: Wire,
    place: Place,
    identity: Identity,
    decoder: Decoder,
    version: Version,
    keep_alive: Option<Duration>,
    heard_at: Instant,
    timer: Pin<Box<Sleep>>,
    will: LastWill,
    kept: Box<Kept>,
    window: usize,
    max_packet: Option<u32>,
    /// A publish for which the inbox had no room; nothing more is read until it has.
    pending: Option<Delivery>,
    cursors: VecDeque<Cursor>,
    slow: bool,
    _gauge: Gauge,
}

/// Reads the CONNECT and answers it. `None` when the client was refused.
pub(crate) async fn begin(hub: &Arc<Hub>, mut wire: Wire, caller: Caller) -> Option<Box<Session>> {
    let decoder = Decoder { version: None, max_packet: MAX_CONNECT_BYTES };
    let connect = loop {
        match decoder.decode(&mut wire.input) {
            Ok(Some(Packet::Connect(connect))) => break connect,
            Ok(Some(_)) => return None,
            Ok(None) => {}
            Err(error) => {
                count(&hub.metrics.refused_protocol);
                hub.note(caller, AttemptOutcome::BadProtocol, None, Some(error.word().into()));
                if error == DecodeError::UnsupportedVersion {
                    // In the dialect that the client is most likely to understand.
                    refuse(hub, wire, Version::V311, ConnectCode::UnsupportedVersion).await;
                } else {
                    wire.close().await;
                }
                return None;
            }
        }
        match wire.read_some().await {
            Turn::Read(_) | Turn::Wrote(_) => {}
            Turn::End | Turn::Failed(_) => {
                count(&hub.metrics.refused_protocol);
                hub.note(caller, AttemptOutcome::NotMqtt, None, Some("closed".into()));
                return None;
            }
        }
    };
    let identity = match authenticate(hub, &connect).await {
        Ok(identity) => identity,
        Err(Refused { code, outcome, device, detail }) => {
            hub.note(caller, outcome, device, detail.map(Into::into));
            refuse(hub, wire, connect.version, code).await;
            return None;
        }
    };
    let client = match &identity.device {
        // A device is one session, whatever it calls itself.
        Some(device) => device.to_string(),
        None if connect.client_id.is_empty() => format!("auto-{}", protocol::KeyId::generate()),
        None => connect.client_id.clone(),
    };
    let id = SessionId { key: identity.key, client: client.clone().into_boxed_str() };
    let Ok((place, before)) = Place::claim(hub, id, identity.clone()).await else {
        hub.note(caller, AttemptOutcome::Limited, identity.device, Some("taken_over".into()));
        refuse(hub, wire, connect.version, ConnectCode::ServerUnavailable).await;
        return None;
    };
    // Revoked while it was being let in: its kick may have come before it had its place.
    if hub.directory.current(identity.key).as_ref() != Some(&identity) {
        drop(place);
        count(&hub.metrics.refused_key);
        hub.note(caller, AttemptOutcome::RevokedKey, identity.device, None);
        refuse(hub, wire, connect.version, ConnectCode::NotAuthorized).await;
        return None;
    }
    hub.note(caller, AttemptOutcome::Accepted, identity.device, None);
    let assigned = connect.client_id.is_empty().then_some(client);
    let websocket = caller.via == Via::WebSocket;
    let session =
        Session::accept(hub, wire, *connect, identity, place, before, assigned.as_deref(), websocket);
    Some(Box::new(session))
}

/// Why a client is not let in: what it is told, and what people may know.
struct Refused {
    code: ConnectCode,
    outcome: AttemptOutcome,
    device: Option<DeviceId>,
    detail: Option<&'static str>,
}

async fn authenticate(hub: &Hub, connect: &Connect) -> Result<Identity, Refused> {
    let text = connect.password.as_ref().and_then(|password| std::str::from_utf8(password).ok());
    // Nothing is proven by the name; it says whom to tell about it.
    let device = text.and_then(ApiKey::subject_in).filter(|device| hub.directory.knows(*device));
    let refused = |code, outcome, detail| Refused { code, outcome, device, detail };
    if connect.enhanced_auth {
        count(&hub.metrics.refused_key);
        let code = ConnectCode::BadAuthenticationMethod;
        return Err(refused(code, AttemptOutcome::BadProtocol, Some("enhanced_auth")));
    }
    let key = text.and_then(|text| ApiKey::parse(text).ok());
    let mut identity = key.as_ref().and_then(|key| hub.directory.identify(key));
    if let (Some(key), None) = (&key, &identity) {
        hub.directory.look_again().await;
        identity = hub.directory.identify(key);
    }
    let Some(identity) = identity else {
        count(&hub.metrics.refused_key);
        let (outcome, detail) = match key.map(|key| hub.directory.why_not(&key)) {
            None if text.is_none_or(str::is_empty) => (AttemptOutcome::UnknownKey, Some("no_key")),
            None => (AttemptOutcome::UnknownKey, Some("incomplete")),
            Some(WhyNot::Unknown) => (AttemptOutcome::UnknownKey, None),
            Some(WhyNot::Revoked) => (AttemptOutcome::RevokedKey, None),
            Some(WhyNot::Expired) => (AttemptOutcome::ExpiredKey, None),
        };
        return Err(refused(ConnectCode::BadCredentials, outcome, detail));
    };
    let no_id = connect.version == Version::V311 && connect.client_id.is_empty() && !connect.clean_start;
    if no_id || connect.client_id.len() > limits::MAX_TEXT_CHARS {
        count(&hub.metrics.refused_protocol);
        return Err(refused(ConnectCode::ClientIdNotValid, AttemptOutcome::BadProtocol, Some("client_id")));
    }
    if let Some(Will { topic, .. }) = &connect.will
        && !identity.may_publish(&hub.root, topic.as_str())
    {
        count(&hub.metrics.refused_rights);
        return Err(refused(ConnectCode::NotAuthorized, AttemptOutcome::NotAllowed, Some("will")));
    }
    let clients = hub.metrics.clients_now.load(Ordering::Relaxed);
    if clients >= u64::try_from(hub.config.max_clients).unwrap_or(u64::MAX) {
        count(&hub.metrics.refused_rights);
        return Err(refused(ConnectCode::QuotaExceeded, AttemptOutcome::Limited, Some("clients")));
    }
    Ok(identity)
}

/// A device's payload as everybody else reads it. One that cannot be unpacked stays as it is, and the recorder refuses it.
fn unpacked(payload: Bytes) -> Bytes {
    match unpack(&payload) {
        Ok(Cow::Owned(plain)) => plain.into(),
        Ok(Cow::Borrowed(_)) | Err(_) => payload,
    }
}

fn server_limits(hub: &Hub, asked_expiry: u32) -> ServerLimits {
    let most = hub.config.max_session_expiry_s;
    ServerLimits {
        receive_maximum: u16::try_from(MAX_WAITING).unwrap_or(u16::MAX),
        maximum_packet_size: u32::try_from(limits::MAX_PACKET_BYTES).unwrap_or(u32::MAX),
        session_expiry_secs: (asked_expiry > most).then_some(most),
        keep_alive_secs: None,
    }
}

async fn refuse(hub: &Hub, mut wire: Wire, version: Version, code: ConnectCode) {
    let limits = server_limits(hub, 0);
    let reply = Reply::ConnAck { session_present: false, code, assigned_client_id: None, limits };
    encode(&mut wire.output, version, &reply);
    wire.close().await;
}

impl Session {
    #[expect(clippy::too_many_arguments, reason = "the one place where a session is made")]
    fn accept(
        hub: &Arc<Hub>,
        mut wire: Wire,
        connect: Connect,
        identity: Identity,
        place: Place,
        before: Option<Box<Kept>>,
        assigned: Option<&str>,
        websocket: bool,
    ) -> Self {
        let metrics = &hub.metrics;
        count(if connect.version == Version::V5 {
            &metrics.connections_mqtt5
        } else {
            &metrics.connections_mqtt3
        });
        if websocket {
            count(&metrics.connections_websocket);
        }
        let resumed = before.filter(|_| !connect.clean_start);
        let session_present = resumed.is_some();
        let mut kept = match resumed {
            Some(kept) => kept.resumed(),
            None => Box::new(Kept::new(Receipts::new(hub.clone(), place.number))),
        };
        kept.expiry_secs = connect.session_expiry_secs.min(hub.config.max_session_expiry_s);
        let reply = Reply::ConnAck {
            session_present,
            code: ConnectCode::Accepted,
            assigned_client_id: assigned,
            limits: server_limits(hub, connect.session_expiry_secs),
        };
        encode(&mut wire.output, connect.version, &reply);
        let now = hub.clock.now();
        let will = connect.will.map(|will| Message {
            device: identity.device,
            key: identity.key,
            topic: will.topic,
            payload: will.payload,
            retain: will.retain,
            qos: will.qos,
            properties: will.properties,
            will: true,
            received_at: now,
        });
        Self {
            will: LastWill {
                hub: hub.clone(),
                receipts: kept.receipts.clone(),
                message: will,
                reason: OfflineReason::ConnectionLost,
            },
            hub: hub.clone(),
            wire,
            place,
            identity,
            decoder: Decoder { version: Some(connect.version), max_packet: limits::MAX_PACKET_BYTES },
            version: connect.version,
            keep_alive: (connect.keep_alive_secs > 0)
                .then(|| Duration::from_millis(u64::from(connect.keep_alive_secs) * 1500)),
            heard_at: Instant::now(),
            timer: Box::pin(sleep_until(Instant::now())),
            kept,
            window: usize::from(connect.receive_maximum).min(MAX_IN_FLIGHT),
            max_packet: connect.maximum_packet_size,
            pending: None,
            cursors: VecDeque::new(),
            slow: false,
            _gauge: Gauge::new(metrics, |m| &m.clients_now),
        }
    }

    /// Serves the client until it is gone, and keeps its session if that was agreed.
    pub(crate) async fn run(mut self: Box<Self>) {
        info!(
            key.id = %self.place.id.key, client.id = %self.place.id.client, mqtt = ?self.version,
            device.id = self.identity.device.map(tracing::field::display), "client connected"
        );
        let end = self.serve().await;
        // Boxed, as all that happens once: an idle client's task stays small.
        Box::pin(self.end(end)).await;
    }

    async fn end(mut self: Box<Self>, end: End) {
        info!(
            key.id = %self.place.id.key, client.id = %self.place.id.client, end = end.word(),
            device.id = self.identity.device.map(tracing::field::display), "client disconnected"
        );
        if let Some(reason) = end.reason_code() {
            encode(&mut self.wire.output, self.version, &Reply::Disconnect { reason });
        }
        match &end {
            End::Goodbye { will: false } | End::Shutdown => self.will.disarm(),
            End::SlowConsumer => count(&self.hub.metrics.slow_consumers),
            End::Kicked(Kick::Revoked) => count(&self.hub.metrics.revoked_disconnects),
            End::Protocol(error) => {
                count(&self.hub.metrics.refused_protocol);
                debug!(key.id = %self.place.id.key, error = %error, "client broke the protocol");
            }
            _ => {}
        }
        if let Some(delivery) = self.pending.take() {
            // It was read before the end, so it goes before the will.
            drop(self.hub.inbox.send(delivery).await);
        }
        self.will.reason = end.offline_reason();
        let hub = self.hub.clone();
        let (wire, place, mut kept) = self.parts();
        if let End::TakenOver(reply) = end {
            drop(reply.send((kept.expiry_secs > 0).then_some(kept)));
            wire.close().await;
            return;
        }
        if matches!(end, End::Kicked(_) | End::SlowConsumer) {
            // What is kept for a slow client is what made it too much.
            kept.expiry_secs = 0;
        }
        let parked = hub.metrics.sessions_parked_now.load(Ordering::Relaxed);
        let room = parked < u64::try_from(hub.config.max_parked_sessions).unwrap_or(u64::MAX);
        if kept.expiry_secs == 0 || !room || hub.shutdown.is_cancelled() {
            drop((place, kept));
            wire.close().await;
            return;
        }
        // The place is never empty: a client that is back at once finds its session.
        drop(hub.tasks.spawn(wire.close()));
        Box::pin(park(hub, place, kept)).await;
    }

    /// What is left when the connection is gone. The rest is dropped: the last will is published by that.
    fn parts(self: Box<Self>) -> (Wire, Place, Box<Kept>) {
        let Self { wire, place, kept, .. } = *self;
        (wire, place, kept)
    }

    async fn serve(&mut self) -> End {
        let hub = self.hub.clone();
        loop {
            while self.may_read() {
                match self.decoder.decode(&mut self.wire.input) {
                    Ok(Some(packet)) => {
                        if let Some(end) = self.handle(packet).await {
                            return end;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return End::Protocol(error),
                }
            }
            self.wire.rest();
            self.pump();
            let more_retained = self.retained_step();
            if self.slow {
                return End::SlowConsumer;
            }
            let deadline = self.deadline();
            if self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
            let reading = self.may_read();
            tokio::select! {
                () = hub.shutdown.cancelled() => return End::Shutdown,
                control = self.place.control.recv() => match control {
                    Some(Control::TakeOver(reply)) => return End::TakenOver(reply),
                    Some(Control::Kick(kick)) => return End::Kicked(kick),
                    None => return End::Shutdown,
                },
                room = hub.inbox.reserve(), if self.pending.is_some() => match room {
                    Ok(room) => if let Some(delivery) = self.pending.take() {
                        room.send(delivery);
                    },
                    Err(_) => return End::NotStored,
                },
                () = self.kept.receipts.news.notified() => {
                    if let Some(end) = self.receive_receipts() {
                        return end;
                    }
                }
                message = next_message(&mut self.kept.link) => self.enqueue_all(message),
                turn = self.wire.turn(reading) => if let Some(end) = self.turned(turn) {
                    return end;
                },
                () = self.timer.as_mut() => {
                    let now = Instant::now();
                    if self.stalled_at().is_some_and(|at| at <= now) {
                        return End::SlowConsumer;
                    }
                    if reading && self.silent_at().is_some_and(|at| at <= now) {
                        // Late ourselves? Then what would have been in time lies there unread.
                        let Ok(turn) = timeout(Duration::ZERO, self.wire.turn(true)).await else {
                            return End::KeepAlive;
                        };
                        if let Some(end) = self.turned(turn) {
                            return end;
                        }
                    }
                    let next = self.deadline().max(now + Duration::from_millis(10));
                    self.timer.as_mut().reset(next);
                }
                // A large fleet's retained messages are looked through in steps, with a turn for everybody between.
                () = tokio::task::yield_now(), if more_retained && self.wire.output.len() < MAX_OUTPUT => {}
            }
            if !reading {
                // The client was not read from: its silence is ours.
                self.heard_at = Instant::now();
            }
        }
    }

    fn turned(&mut self, turn: Turn) -> Option<End> {
        match turn {
            Turn::Read(n) => {
                add(&self.hub.metrics.bytes_received, u64::try_from(n).unwrap_or(0));
                self.heard_at = Instant::now();
                None
            }
            Turn::Wrote(n) => {
                add(&self.hub.metrics.bytes_sent, u64::try_from(n).unwrap_or(0));
                None
            }
            Turn::End => Some(End::Closed),
            Turn::Failed(error) => {
                debug!(error = %error, "connection failed");
                Some(End::Closed)
            }
        }
    }

    fn may_read(&self) -> bool {
        let (waiting, bytes) = self.kept.receipts.waiting();
        self.pending.is_none()
            && waiting < MAX_WAITING
            && bytes < MAX_WAITING_BYTES
            && self.wire.output.len() < MAX_OUTPUT
    }

    fn stalled_at(&self) -> Option<Instant> {
        self.wire.stalled_until(Duration::from_secs(self.hub.config.write_timeout_s))
    }

    fn silent_at(&self) -> Option<Instant> {
        self.keep_alive.map(|limit| self.heard_at + limit)
    }

    fn deadline(&self) -> Instant {
        let far = Instant::now() + Duration::from_hours(1);
        [self.stalled_at(), self.silent_at()].into_iter().flatten().min().unwrap_or(far)
    }

    fn reply(&mut self, reply: &Reply<'_>) {
        encode(&mut self.wire.output, self.version, reply);
    }

    async fn handle(&mut self, packet: Packet) -> Option<End> {
        match packet {
            Packet::Connect(_) => return Some(End::Protocol(DecodeError::Protocol("CONNECT comes twice"))),
            Packet::Publish(publish) => return self.publish(*publish),
            Packet::PubAck { packet_id } => self.settle(packet_id, Qos::AtLeastOnce),
            Packet::PubRec { packet_id, reason } => self.received_by_client(packet_id, reason),
            Packet::PubComp { packet_id } => self.settle(packet_id, Qos::ExactlyOnce),
            Packet::PubRel { packet_id } => {
                let reason = if self.kept.received.remove(&packet_id) { 0 } else { 0x92 };
                self.reply(&Reply::PubComp { packet_id, reason });
            }
            Packet::Subscribe { packet_id, subscription_id, filters } => {
                let mut codes = Vec::with_capacity(filters.len());
                for subscription in filters {
                    codes.push(Box::pin(self.subscribe(subscription, subscription_id)).await);
                }
                self.reply(&Reply::SubAck { packet_id, codes: &codes });
            }
            Packet::Unsubscribe { packet_id, filters } => {
                let mut codes = Vec::with_capacity(filters.len());
                for filter in filters {
                    codes.push(Box::pin(self.unsubscribe(&filter)).await);
                }
                self.reply(&Reply::UnsubAck { packet_id, codes: &codes });
            }
            Packet::PingReq => self.reply(&Reply::PingResp),
            Packet::Disconnect { reason, session_expiry_secs } => {
                if let Some(secs) = session_expiry_secs {
                    if self.kept.expiry_secs == 0 && secs > 0 {
                        return Some(End::Protocol(DecodeError::Protocol(
                            "a session that was not kept cannot be",
                        )));
                    }
                    self.kept.expiry_secs = secs.min(self.hub.config.max_session_expiry_s);
                }
                return Some(End::Goodbye { will: reason == 0x04 });
            }
        }
        None
    }

    fn publish(&mut self, publish: Publish) -> Option<End> {
        count(&self.hub.metrics.messages_received);
        let Publish { qos, retain, topic, packet_id, payload, properties, .. } = publish;
        let too_long = payload.len() > limits::MAX_PAYLOAD_BYTES;
        let ours = self.identity.kind == KeyKind::Device;
        let full = retain && !ours && !payload.is_empty() && self.hub.retained.len() >= self.retained_limit();
        if too_long || full || !self.identity.may_publish(&self.hub.root, topic.as_str()) {
            count(&self.hub.metrics.publish_denied);
            debug!(key.id = %self.identity.key, topic = %topic, "publish denied");
            // 3.1.1 has no word for it, and a client that gets no answer would send it for ever (§3.3.5).
            if qos != Qos::AtMostOnce {
                self.kept.receipts.refuse(packet_id, qos, if too_long || full { 0x97 } else { 0x87 });
            }
            return None;
        }
        if qos == Qos::ExactlyOnce {
            if self.kept.received.contains(&packet_id) {
                self.reply(&Reply::PubRec { packet_id, reason: 0 });
                return None;
            }
            if !self.kept.taking.insert(packet_id) {
                return None;
            }
        }
        let message = Message {
            device: self.identity.device,
            key: self.identity.key,
            topic,
            payload: if ours { unpacked(payload) } else { payload },
            retain,
            qos,
            properties,
            will: false,
            received_at: self.hub.clock.now(),
        };
        if !Hub::is_recorded(&message) {
            self.kept.receipts.pass(message, packet_id);
            return None;
        }
        let delivery = self.kept.receipts.delivery(message, packet_id);
        match self.hub.inbox.try_send(delivery) {
            Ok(()) => {}
            Err(TrySendError::Full(delivery)) => self.pending = Some(delivery),
            Err(TrySendError::Closed(_)) => return Some(End::NotStored),
        }
        None
    }

    fn retained_limit(&self) -> usize {
        // Devices' own topics are few and always have room; this bounds what services may add.
        self.hub.config.max_retained.saturating_add(self.hub.config.max_clients * DeviceTopic::ALL.len())
    }

    fn receive_receipts(&mut self) -> Option<End> {
        for Receipt { packet_id, qos, reason } in self.kept.receipts.take_done() {
            if qos == Qos::ExactlyOnce {
                self.kept.taking.remove(&packet_id);
            }
            let Some(reason) = reason else { return Some(End::NotStored) };
            match qos {
                _ if packet_id == 0 => {}
                Qos::AtMostOnce | Qos::AtLeastOnce => self.reply(&Reply::PubAck { packet_id, reason }),
                Qos::ExactlyOnce => {
                    // A PUBREC that refuses ends it; 3.1.1 has none, so there it goes on.
                    if reason < 0x80 || self.version == Version::V311 {
                        self.kept.received.insert(packet_id);
                    }
                    self.reply(&Reply::PubRec { packet_id, reason });
                }
            }
        }
        None
    }

    async fn subscribe(&mut self, subscription: Subscription, id: Option<u32>) -> u8 {
        let v5 = self.version == Version::V5;
        let refusal = |code: u8| if v5 { code } else { 0x80 };
        let Ok(filter) = subscription.filter else {
            count(&self.hub.metrics.subscribe_denied);
            return refusal(0x8f);
        };
        if filter.as_str().starts_with("$share/") {
            count(&self.hub.metrics.subscribe_denied);
            return refusal(0x9e);
        }
        if !self.identity.may_subscribe(&filter) {
            count(&self.hub.metrics.subscribe_denied);
            debug!(key.id = %self.identity.key, filter = %filter, "subscription denied");
            return refusal(0x87);
        }
        let known = self.kept.subscriptions.iter().position(|s| s.filter == filter);
        let too_many =
            known.is_none() && self.kept.subscriptions.len() >= self.hub.config.max_filters_per_client;
        if too_many {
            count(&self.hub.metrics.subscribe_denied);
            return refusal(0x97);
        }
        if self.kept.link.is_none() {
            let before = self.hub.subscribers.fetch_add(1, Ordering::Relaxed);
            let link = Link { subscriber: self.hub.engine.attach(), hub: self.hub.clone() };
            if before >= self.hub.config.max_subscribers {
                count(&self.hub.metrics.subscribe_denied);
                return refusal(0x97);
            }
            self.kept.link = Some(link);
        }
        let at_engine = self.hub.engine.filter(&filter);
        if let Some(link) = &self.kept.link
            && !self.kept.subscriptions.iter().any(|s| s.at_engine == at_engine)
        {
            link.subscriber.subscribe(&at_engine).await;
        }
        let subscribed = Subscribed {
            filter: filter.clone(),
            at_engine,
            qos: subscription.qos,
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            id,
        };
        match known.and_then(|at| self.kept.subscriptions.get_mut(at)) {
            Some(place) => *place = subscribed,
            None => self.kept.subscriptions.push(subscribed),
        }
        let wanted = match subscription.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => known.is_none(),
            RetainHandling::Never => false,
        };
        if wanted {
            self.cursors.push_back(Cursor { filter, qos: subscription.qos, id, after: None });
        }
        subscription.qos as u8
    }

    async fn unsubscribe(&mut self, filter: &str) -> u8 {
        let Some(at) = self.kept.subscriptions.iter().position(|s| s.filter.as_str() == filter) else {
            return 0x11;
        };
        let subscribed = self.kept.subscriptions.remove(at);
        self.cursors.retain(|cursor| cursor.filter != subscribed.filter);
        if let Some(link) = &self.kept.link
            && !self.kept.subscriptions.iter().any(|s| s.at_engine == subscribed.at_engine)
        {
            link.subscriber.unsubscribe(&subscribed.at_engine).await;
        }
        if self.kept.subscriptions.is_empty() {
            self.kept.link = None;
        }
        0
    }

    /// Queues the next retained messages of new subscriptions while there is room. Whether there are more.
    fn retained_step(&mut self) -> bool {
        let now = self.hub.clock.now();
        while self.wire.output.len() < MAX_OUTPUT && self.kept.queue.is_empty() {
            let Some(cursor) = self.cursors.front_mut() else {
                return false;
            };
            match self.hub.retained.next(&cursor.filter, cursor.after.as_ref(), now, RETAINED_STEPS) {
                Ok(Some((topic, Retained { payload, qos, properties, .. }))) => {
                    let message = Queued {
                        topic: Bytes::copy_from_slice(topic.as_bytes()),
                        payload,
                        properties,
                        qos: qos.min(cursor.qos),
                        retain: true,
                        subscription_ids: cursor.id.into_iter().collect(),
                    };
                    cursor.after = Some(topic);
                    self.kept.push(message);
                    self.pump();
                }
                Ok(None) => {
                    self.cursors.pop_front();
                }
                Err(so_far) => {
                    cursor.after = Some(so_far);
                    return true;
                }
            }
        }
        false
    }

    fn enqueue_all(&mut self, first: Routed) {
        let mut next = Some(first);
        for _ in 0..64 {
            let Some(message) = next else { return };
            self.enqueue(message);
            next = self.kept.link.as_mut().and_then(|link| link.subscriber.try_next()).and_then(Routed::open);
        }
        if let Some(message) = next {
            self.enqueue(message);
        }
    }

    fn enqueue(&mut self, message: Routed) {
        if message.after_gap && self.kept.subscriptions.iter().any(|s| s.qos != Qos::AtMostOnce) {
            // More was promised than QoS 0: better an end that it sees than a loss that it does not.
            self.slow = true;
            return;
        }
        let Some(queued) = self.kept.wanted(message) else {
            return;
        };
        let config = &self.hub.config;
        if self.kept.queue.len() >= config.max_queued_messages
            || self.kept.queued_bytes >= config.max_queued_bytes
        {
            self.slow = true;
            return;
        }
        self.kept.push(queued);
        if self.wire.output.len() < MAX_OUTPUT {
            self.pump();
        }
    }

    /// Moves messages from the queue to the wire, as far as the client's window and ours allow.
    fn pump(&mut self) {
        while self.wire.output.len() < MAX_OUTPUT {
            let room = self.kept.in_flight.len() < self.window;
            if room && let Some(again) = self.kept.unsettled.pop_front() {
                if again.released {
                    self.reply(&Reply::PubRel { packet_id: again.packet_id, reason: 0 });
                } else if !self.send(&again.message, again.packet_id, true) {
                    continue;
                }
                self.kept.in_flight.push_back(again);
                continue;
            }
            let Some(next) = self.kept.queue.front() else {
                return;
            };
            if next.qos != Qos::AtMostOnce && !(room && self.kept.unsettled.is_empty()) {
                return;
            }
            let Some(message) = self.kept.pop() else { return };
            let packet_id = if message.qos == Qos::AtMostOnce { 0 } else { self.kept.packet_id() };
            if self.send(&message, packet_id, false) && packet_id != 0 {
                self.kept.in_flight.push_back(InFlight { packet_id, released: false, message });
            }
        }
    }

    /// False when it is larger than the client takes: then it counts as sent and settled (MQTT 5 §3.1.2.11.4).
    fn send(&mut self, message: &Queued, packet_id: u16, dup: bool) -> bool {
        let publish = Outgoing {
            dup,
            qos: message.qos,
            retain: message.retain,
            topic: std::str::from_utf8(&message.topic).unwrap_or_default(),
            packet_id,
            payload: &message.payload,
            properties: &message.properties,
            subscription_ids: &message.subscription_ids,
        };
        let before = self.wire.output.len();
        encode(&mut self.wire.output, self.version, &Reply::Publish { publish });
        let len = self.wire.output.len() - before;
        if self.max_packet.is_some_and(|max| len > usize::try_from(max).unwrap_or(usize::MAX)) {
            self.wire.output.truncate(before);
            return false;
        }
        count(&self.hub.metrics.messages_sent);
        true
    }

    fn settle(&mut self, packet_id: u16, qos: Qos) {
        self.kept.in_flight.retain(|f| !(f.packet_id == packet_id && f.message.qos == qos));
    }

    fn received_by_client(&mut self, packet_id: u16, reason: u8) {
        let flying = self.kept.in_flight.iter_mut().find(|f| f.packet_id == packet_id);
        match flying.filter(|f| f.message.qos == Qos::ExactlyOnce) {
            Some(_) if reason >= 0x80 => self.settle(packet_id, Qos::ExactlyOnce),
            Some(in_flight) => {
                in_flight.released = true;
                // Only its id is needed from here on.
                in_flight.message.payload = Bytes::new();
                self.reply(&Reply::PubRel { packet_id, reason: 0 });
            }
            None => self.reply(&Reply::PubRel { packet_id, reason: 0x92 }),
        }
    }
}

impl Kept {
    fn new(receipts: Arc<Receipts>) -> Self {
        Self {
            subscriptions: Vec::new(),
            link: None,
            recent: VecDeque::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            unsettled: VecDeque::new(),
            in_flight: VecDeque::new(),
            receipts,
            taking: HashSet::new(),
            received: HashSet::new(),
            last_packet_id: 0,
            expiry_secs: 0,
        }
    }

    /// The session has a new connection.
    fn resumed(mut self: Box<Self>) -> Box<Self> {
        self.receipts.reconnected();
        // What had not been sent again yet comes behind what had.
        self.in_flight.append(&mut self.unsettled);
        self.unsettled = std::mem::take(&mut self.in_flight);
        self
    }

    fn push(&mut self, message: Queued) {
        self.queued_bytes += message.len();
        self.queue.push_back(message);
    }

    fn pop(&mut self) -> Option<Queued> {
        let message = self.queue.pop_front()?;
        self.queued_bytes = self.queued_bytes.saturating_sub(message.len());
        Some(message)
    }

    fn packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            // At most MAX_IN_FLIGHT ids are in use.
            if !self.in_flight.iter().chain(&self.unsettled).any(|f| f.packet_id == self.last_packet_id) {
                return self.last_packet_id;
            }
        }
    }

    /// The message as this client's subscriptions ask for it; `None` if none of them does.
    fn wanted(&mut self, message: Routed) -> Option<Queued> {
        if self.subscriptions.len() > 1 {
            if self.recent.contains(&message.number) {
                return None;
            }
            if self.recent.len() >= MAX_RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(message.number);
        }
        let topic = std::str::from_utf8(&message.topic).ok()?;
        let own = message.origin == self.receipts.origin;
        let mut qos = None;
        let mut retain = false;
        let mut subscription_ids = Vec::new();
        for subscribed in &self.subscriptions {
            if (own && subscribed.no_local) || !subscribed.filter.matches(topic) {
                continue;
            }
            qos = qos.max(Some(subscribed.qos));
            retain |= subscribed.retain_as_published && message.retain;
            subscription_ids.extend(subscribed.id);
        }
        Some(Queued {
            qos: qos?.min(message.qos),
            topic: message.topic,
            payload: message.payload,
            properties: message.properties,
            retain,
            subscription_ids,
        })
    }
}

async fn next_message(link: &mut Option<Link>) -> Routed {
    let Some(link) = link else {
        return std::future::pending().await;
    };
    loop {
        if let Some(message) = Routed::open(link.subscriber.next().await) {
            return message;
        }
    }
}

/// Keeps a session while its client is away: collects what it subscribed to, up to its limits.
async fn park(hub: Arc<Hub>, mut place: Place, mut kept: Box<Kept>) {
    let _gauge = Gauge::new(&hub.metrics, |m| &m.sessions_parked_now);
    let expires = Instant::now() + Duration::from_secs(u64::from(kept.expiry_secs));
    // What was QoS 0 is not kept for later (§4.1).
    kept.queue.retain(|message| message.qos != Qos::AtMostOnce);
    kept.queued_bytes = kept.queue.iter().map(Queued::len).sum();
    loop {
        tokio::select! {
            () = hub.shutdown.cancelled() => break,
            () = sleep_until(expires) => break,
            control = place.control.recv() => {
                if let Some(Control::TakeOver(reply)) = control {
                    drop(reply.send(Some(kept)));
                    return;
                }
                break;
            }
            message = next_message(&mut kept.link) => {
                let Some(message) = kept.wanted(message).filter(|m| m.qos != Qos::AtMostOnce) else { continue };
                kept.push(message);
                while kept.queue.len() > hub.config.max_queued_messages
                    || kept.queued_bytes > hub.config.max_queued_bytes
                {
                    kept.pop();
                    count(&hub.metrics.offline_dropped);
                }
            }
        }
    }
}

/// Serves MQTT on a stream whose first bytes may have been read already.
pub(crate) async fn serve(
    hub: Arc<Hub>,
    stream: Stream,
    input: bytes::BytesMut,
    caller: Caller,
    deadline: Instant,
    admission: impl Send,
) {
    let wire = Wire::new(stream, input);
    match tokio::time::timeout_at(deadline, Box::pin(begin(&hub, wire, caller))).await {
        Ok(Some(session)) => {
            drop(admission);
            session.run().await;
        }
        Ok(None) => {}
        Err(_) => {
            count(&hub.metrics.refused_timeout);
            hub.note(caller, AttemptOutcome::TimedOut, None, None);
        }
    }
}
