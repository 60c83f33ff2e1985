//! One MQTT connection to the server. The only file that names rumqttc.
//!
//! Each attempt gets a fresh client with a clean session, and we keep our own window of publishes in flight, smaller
//! than rumqttc's: so its own queues of unconfirmed messages, which forget some on a reconnect and can collide, are
//! never used. What a lost connection had not confirmed is still in the spool.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use protocol::{ApiKey, Clock, TopicName, limits};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions, NetworkOptions,
    Outgoing, Packet, QoS, StateError, TlsConfiguration,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::address::{ServerAddress, Transport};
use crate::tls::{Pin, client_config};
use crate::trouble::{Cause, LinkError};

/// How long an attempt may take until the server has said yes.
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);
/// How long a publish may wait for its PUBACK.
pub(crate) const ACK_DEADLINE: Duration = Duration::from_secs(30);
/// How long a DISCONNECT may take to leave.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// The largest packet we read. A server sends a device nothing but short confirmations.
const MAX_INCOMING_BYTES: usize = 16 * 1024;
/// Publishes on their way at one time.
const WINDOW: usize = limits::AGENT_IN_FLIGHT as usize;

/// Where and as whom to connect.
pub(crate) struct Target {
    server: ServerAddress,
    key: ApiKey,
    client_id: String,
    clock: Clock,
    /// What rumqttc connects to: a name or an address without brackets, or a URL.
    address: String,
    transport: rumqttc::Transport,
}

impl Target {
    /// Prepares for connecting. The rules for the server's certificate are made once, so that reconnects can resume a
    /// TLS session.
    pub(crate) fn new(
        server: ServerAddress,
        key: ApiKey,
        client_id: String,
        pin: Option<Pin>,
        clock: Clock,
    ) -> Result<Self, LinkError> {
        let tls = || match client_config(pin) {
            Ok(tls) => Ok(TlsConfiguration::Rustls(tls)),
            Err(error) => Err(LinkError { server: server.clone(), at: clock.now(), cause: error.into() }),
        };
        let (address, transport) = match server.transport() {
            Transport::Plain => (server.host().to_owned(), rumqttc::Transport::Tcp),
            Transport::Tls => (server.host().to_owned(), rumqttc::Transport::Tls(tls()?)),
            Transport::WebSocket { .. } => (server.to_string(), rumqttc::Transport::Wss(tls()?)),
        };
        Ok(Self { server, key, client_id, clock, address, transport })
    }
}

/// What the server shall publish for us when the connection ends without a goodbye.
pub(crate) struct Will {
    pub(crate) topic: TopicName,
    pub(crate) payload: Vec<u8>,
}

/// A publish that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Its payload is above the protocol's limit and always will be.
    TooLong,
    /// The window is full, or the connection is gone; the next [`Link::confirmed`] tells.
    Later,
}

/// A connection that the server has accepted. `T` is what a publish is known by.
pub(crate) struct Link<T> {
    target: Arc<Target>,
    client: AsyncClient,
    /// The driver stops reading from the network while this is full, which cannot be for long: whoever holds the
    /// link always waits in `confirmed`.
    events: mpsc::Receiver<Result<Event, ConnectionError>>,
    /// How the connection ended, seen before anybody waited for it.
    ended: Option<ConnectionError>,
    /// Ends with the link.
    _driver: JoinSet<()>,
    /// Handed to rumqttc, which has not yet written them.
    submitted: VecDeque<(T, Instant)>,
    /// Written, oldest first. A confirmed one stays until all before it are confirmed too, so that the window slides
    /// and rumqttc never meets a packet id that is still in use.
    in_flight: VecDeque<InFlight<T>>,
}

struct InFlight<T> {
    packet_id: u16,
    /// `None` once confirmed.
    tag: Option<T>,
    since: Instant,
}

impl<T> Link<T> {
    /// Connects and waits for the server's yes.
    pub(crate) async fn connect(target: Arc<Target>, will: Option<Will>) -> Result<Self, LinkError> {
        let (client, mut event_loop) = AsyncClient::new(options(&target, will), WINDOW + 1);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_DEADLINE.as_secs());
        event_loop.set_network_options(network);

        // The first event of a fresh client is the CONNACK.
        match timeout(CONNECT_DEADLINE, event_loop.poll()).await {
            Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => {}
            Ok(Ok(_)) => return Err(failed(&target, Cause::NotMqtt)),
            Ok(Err(error)) => return Err(failed(&target, cause(&error))),
            Err(_) => return Err(failed(&target, Cause::Timeout)),
        }

        let (sender, events) = mpsc::channel(2 * WINDOW);
        let mut driver = JoinSet::new();
        driver.spawn(drive(event_loop, sender));
        Ok(Self {
            target,
            client,
            events,
            ended: None,
            _driver: driver,
            submitted: VecDeque::new(),
            in_flight: VecDeque::new(),
        })
    }

    /// How many publishes are on their way.
    pub(crate) fn window(&self) -> usize {
        self.submitted.len() + self.in_flight.len()
    }

    /// How many publishes would be taken now.
    pub(crate) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.window())
    }

    /// Whether a publish would be taken now.
    pub(crate) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Publishes with QoS 1. The server's confirmation comes through [`Link::confirmed`] with `tag`.
    pub(crate) fn publish(
        &mut self,
        topic: &TopicName,
        retain: bool,
        payload: Vec<u8>,
        tag: T,
    ) -> Result<(), NotTaken> {
        if payload.len() > limits::MAX_PAYLOAD_BYTES {
            return Err(NotTaken::TooLong);
        }
        if !self.has_room() {
            return Err(NotTaken::Later);
        }
        self.client
            .try_publish(topic.as_str(), QoS::AtLeastOnce, retain, payload)
            .map_err(|_| NotTaken::Later)?;
        self.submitted.push_back((tag, Instant::now()));
        Ok(())
    }

    /// Waits until the server has confirmed a publish. Fails when the connection is gone, or when the server is silent
    /// for [`ACK_DEADLINE`]. May be dropped while waiting, without loss.
    pub(crate) async fn confirmed(&mut self) -> Result<T, LinkError> {
        if let Some(error) = self.ended.take() {
            return Err(failed(&self.target, cause(&error)));
        }
        loop {
            let oldest =
                self.in_flight.front().map(|f| f.since).or(self.submitted.front().map(|(_, since)| *since));
            let event = match oldest {
                Some(since) => {
                    match tokio::time::timeout_at(since + ACK_DEADLINE, self.events.recv()).await {
                        Ok(event) => event,
                        Err(_) => return Err(failed(&self.target, Cause::NoAcknowledgement)),
                    }
                }
                None => self.events.recv().await,
            };
            if let Some(tag) = self.note(event)? {
                return Ok(tag);
            }
        }
    }

    /// A publish that the server has confirmed already. What ended the connection is left for [`Link::confirmed`].
    pub(crate) fn confirmed_already(&mut self) -> Option<T> {
        loop {
            match self.events.try_recv() {
                Ok(Ok(event)) => {
                    if let Ok(Some(tag)) = self.note(Some(Ok(event))) {
                        return Some(tag);
                    }
                }
                Ok(Err(error)) => self.ended = Some(error),
                Err(_) => return None,
            }
        }
    }

    /// Says DISCONNECT and waits until it has left.
    pub(crate) async fn close(mut self) {
        if self.client.try_disconnect().is_err() {
            return;
        }
        let gone = async {
            while let Some(Ok(event)) = self.events.recv().await {
                if event == Event::Outgoing(Outgoing::Disconnect) {
                    break;
                }
            }
        };
        // Late is as good as never: the server then tells the will, which is true as well.
        timeout(CLOSE_DEADLINE, gone).await.ok();
    }

    fn note(&mut self, event: Option<Result<Event, ConnectionError>>) -> Result<Option<T>, LinkError> {
        match event {
            Some(Ok(Event::Outgoing(Outgoing::Publish(packet_id)))) => {
                if let Some((tag, since)) = self.submitted.pop_front() {
                    self.in_flight.push_back(InFlight { packet_id, tag: Some(tag), since });
                }
                Ok(None)
            }
            Some(Ok(Event::Incoming(Packet::PubAck(ack)))) => {
                let waiting = |f: &&mut InFlight<T>| f.packet_id == ack.pkid && f.tag.is_some();
                let tag = self.in_flight.iter_mut().find(waiting).and_then(|f| f.tag.take());
                while self.in_flight.front().is_some_and(|f| f.tag.is_none()) {
                    self.in_flight.pop_front();
                }
                Ok(tag)
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(failed(&self.target, cause(&error))),
            None => Err(failed(&self.target, Cause::Closed)),
        }
    }
}

/// Runs rumqttc until the connection ends. In a task of its own because `poll` must not be dropped halfway: a packet
/// could be counted as sent and never be written.
async fn drive(mut event_loop: EventLoop, events: mpsc::Sender<Result<Event, ConnectionError>>) {
    loop {
        let event = event_loop.poll().await;
        let over = event.is_err();
        if events.send(event).await.is_err() || over {
            return;
        }
    }
}

fn options(target: &Target, will: Option<Will>) -> MqttOptions {
    let mut options = MqttOptions::new(&target.client_id, &target.address, target.server.port());
    options
        .set_transport(target.transport.clone())
        .set_credentials(target.key.subject().as_str(), target.key.reveal())
        .set_clean_session(true)
        .set_keep_alive(Duration::from_secs(u64::from(limits::AGENT_KEEP_ALIVE_SECS)))
        .set_max_packet_size(MAX_INCOMING_BYTES, limits::MAX_PACKET_BYTES)
        .set_inflight(2 * limits::AGENT_IN_FLIGHT);
    if let Some(Will { topic, payload }) = will {
        options.set_last_will(LastWill::new(topic.as_str(), payload, QoS::AtLeastOnce, true));
    }
    options
}

fn failed(target: &Target, cause: Cause) -> LinkError {
    LinkError { server: target.server.clone(), at: target.clock.now(), cause }
}

fn cause(error: &ConnectionError) -> Cause {
    match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword => Cause::KeyRefused,
            ConnectReturnCode::ServiceUnavailable => Cause::Refused("it is not ready"),
            ConnectReturnCode::BadClientId => Cause::Refused("it does not accept the client id"),
            ConnectReturnCode::RefusedProtocolVersion => Cause::Refused("it does not speak MQTT 3.1.1"),
            ConnectReturnCode::Success => Cause::NotMqtt,
        },
        ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout
        | ConnectionError::MqttState(StateError::AwaitPingResp) => Cause::Timeout,
        ConnectionError::MqttState(StateError::ConnectionAborted) => Cause::Closed,
        ConnectionError::MqttState(StateError::Io(error)) => Cause::of(error),
        ConnectionError::MqttState(StateError::Deserialization(rumqttc::Error::Io(error))) => {
            match Cause::of(error) {
                // The stream ended within what would have been a packet.
                Cause::Io(error) if error.kind() == std::io::ErrorKind::Other => Cause::NotMqtt,
                cause => cause,
            }
        }
        ConnectionError::NotConnAck(_) | ConnectionError::MqttState(_) => Cause::NotMqtt,
        other => match Cause::of(other) {
            Cause::Other(problem) if is_web_socket(other) => Cause::WebSocket(problem),
            cause => cause,
        },
    }
}

fn is_web_socket(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::Websocket(_)
            | ConnectionError::WsConnect(_)
            | ConnectionError::ResponseValidation(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{DeviceId, DeviceTopic, Topic, TopicRoot};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// The server's half of a connection, for doing what a good server does not.
    struct Peer(TcpStream);

    impl Peer {
        /// Reads one packet: its first byte and its body.
        async fn read(&mut self) -> (u8, Vec<u8>) {
            let kind = self.0.read_u8().await.unwrap();
            let (mut length, mut shift) = (0usize, 0);
            loop {
                let byte = self.0.read_u8().await.unwrap();
                length |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.unwrap();
            (kind, body)
        }

        /// Reads a publish and returns its packet id.
        async fn read_publish(&mut self) -> u16 {
            let (kind, body) = self.read().await;
            assert_eq!(kind & 0xf6, 0x32, "a publish with QoS 1");
            let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
            u16::from_be_bytes([body[topic + 2], body[topic + 3]])
        }

        async fn confirm(&mut self, packet_id: u16) {
            let [high, low] = packet_id.to_be_bytes();
            self.0.write_all(&[0x40, 2, high, low]).await.unwrap();
        }
    }

    fn target(port: u16) -> Arc<Target> {
        let server = ServerAddress::parse(&format!("mqtt://127.0.0.1:{port}")).unwrap();
        let key = ApiKey::generate(DeviceId::generate());
        Arc::new(Target::new(server, key, "test".to_owned(), None, Clock::system()).unwrap())
    }

    fn topic() -> TopicName {
        Topic { device: DeviceId::generate(), what: DeviceTopic::Report }.name(&TopicRoot::default())
    }

    async fn connected() -> (Link<u32>, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accept = async {
            let mut peer = Peer(listener.accept().await.unwrap().0);
            assert_eq!(peer.read().await.0, 0x10, "a CONNECT");
            peer.0.write_all(&[0x20, 2, 0, 0]).await.unwrap();
            peer
        };
        let (link, peer) =
            tokio::join!(Link::connect(target(listener.local_addr().unwrap().port()), None), accept);
        (link.unwrap(), peer)
    }

    #[tokio::test]
    async fn confirmations_find_their_publish_in_any_order() {
        let (mut link, mut peer) = connected().await;
        let topic = topic();
        for tag in 0..3 {
            link.publish(&topic, false, vec![b'x'], tag).unwrap();
        }
        let ids = [peer.read_publish().await, peer.read_publish().await, peer.read_publish().await];
        for (index, tag) in [(1, 1), (0, 0), (2, 2)] {
            peer.confirm(ids[index]).await;
            assert_eq!(link.confirmed().await.unwrap(), tag);
        }
        assert_eq!(link.window(), 0);
    }

    #[tokio::test]
    async fn the_window_slides_only_past_what_is_confirmed() {
        let (mut link, mut peer) = connected().await;
        let topic = topic();
        for tag in 0..u32::from(limits::AGENT_IN_FLIGHT) {
            link.publish(&topic, false, vec![b'x'], tag).unwrap();
        }
        assert_eq!(link.publish(&topic, false, vec![], 99), Err(NotTaken::Later));
        let mut ids = Vec::new();
        for _ in 0..limits::AGENT_IN_FLIGHT {
            ids.push(peer.read_publish().await);
        }
        for id in ids.iter().skip(1) {
            peer.confirm(*id).await;
            link.confirmed().await.unwrap();
        }
        assert!(!link.has_room(), "the oldest is still open");
        peer.confirm(ids[0]).await;
        assert_eq!(link.confirmed().await.unwrap(), 0);
        assert_eq!(link.window(), 0);
    }

    #[tokio::test]
    async fn a_payload_above_the_limit_does_not_leave() {
        let (mut link, mut peer) = connected().await;
        let topic = topic();
        let long = vec![b'x'; limits::MAX_PAYLOAD_BYTES + 1];
        assert_eq!(link.publish(&topic, false, long, 1), Err(NotTaken::TooLong));
        link.publish(&topic, false, vec![b'x'; limits::MAX_PAYLOAD_BYTES], 2).unwrap();
        let id = peer.read_publish().await;
        peer.confirm(id).await;
        assert_eq!(link.confirmed().await.unwrap(), 2, "the limit itself passes");
    }

    #[tokio::test]
    async fn a_server_that_does_not_confirm_is_left() {
        let (mut link, mut peer) = connected().await;
        link.publish(&topic(), false, vec![b'x'], 1).unwrap();
        peer.read_publish().await;
        tokio::time::pause();
        let answer_pings = async {
            loop {
                assert_eq!(peer.read().await.0, 0xc0, "a PINGREQ");
                peer.0.write_all(&[0xd0, 0]).await.unwrap();
            }
        };
        let start = Instant::now();
        let error = tokio::select! {
            confirmed = link.confirmed() => confirmed.unwrap_err(),
            () = answer_pings => unreachable!(),
        };
        assert!(matches!(error.cause, Cause::NoAcknowledgement), "{error:?}");
        assert_eq!(start.elapsed().as_secs(), ACK_DEADLINE.as_secs());
    }

    #[tokio::test]
    async fn a_server_that_is_silent_is_left() {
        let (mut link, peer) = connected().await;
        tokio::time::pause();
        let error = link.confirmed().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Timeout), "{error:?}");
        drop(peer);

        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error =
            Link::<u32>::connect(target(silent.local_addr().unwrap().port()), None).await.err().unwrap();
        assert!(matches!(error.cause, Cause::Timeout), "{error:?}");
    }

    #[tokio::test]
    async fn a_closed_connection_is_noticed() {
        let (mut link, peer) = connected().await;
        drop(peer);
        let error = link.confirmed().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Closed), "{error:?}");
    }
}
