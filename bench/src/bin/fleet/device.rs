//! One simulated device: a small task that speaks MQTT 3.1.1 as the agent does.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bench::mqtt::{PUBACK, Stream, connect, disconnect, ping, publish, take, topic};
use bytes::BytesMut;
use protocol::{ApiKey, Clock, DeviceTopic, Payload as _, Presence, SpoolId, limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use crate::payload::{self, Reports};
use crate::stats::Histogram;

/// Reports of a backlog are this far apart.
const BACKLOG_STEP_MS: i64 = 30_000;

/// What the fleet is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Connect, say so, and wait.
    Gather,
    /// Send.
    Send,
    /// Send nothing more; wait for what is unacknowledged, and leave.
    Finish,
}

/// What all devices share.
pub(crate) struct Fleet {
    pub(crate) address: String,
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) clock: Clock,
    pub(crate) reports: Reports,
    pub(crate) window: usize,
    /// Between two reports of one device; `None`: as fast as they are acknowledged.
    pub(crate) interval: Option<Duration>,
    pub(crate) backlog: u64,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Handshakes at the same time.
    pub(crate) handshakes: Semaphore,
    pub(crate) puback: Histogram,
    pub(crate) acked: AtomicU64,
    pub(crate) ready: AtomicUsize,
    pub(crate) lost_connections: AtomicU64,
}

/// A device.
pub(crate) struct Device {
    fleet: Arc<Fleet>,
    key: ApiKey,
    spool: SpoolId,
    report_topic: String,
    presence_topic: String,
    epoch: u64,
    next_live: u64,
    next_old: u64,
    /// Reports under way, oldest first: the packet id is the low part of the number.
    waiting: VecDeque<(u64, Instant)>,
    /// Numbers that were acknowledged.
    acked: Vec<u64>,
    /// How long after the others begin it begins.
    turn: Option<Duration>,
    due: Option<Instant>,
    said_ready: bool,
}

/// The id of births and farewells; reports have the others.
const PRESENCE_ID: u16 = u16::MAX;

fn packet_id(seq: u64) -> u16 {
    u16::try_from(seq % 60_000).unwrap_or(0) + 1
}

impl Device {
    /// `n` of `of`: devices speak one after the other, not all at once.
    pub(crate) fn new(fleet: Arc<Fleet>, key: ApiKey, n: usize, of: usize) -> Self {
        let share = u32::try_from(n).unwrap_or(0);
        let turn = fleet.interval.map(|interval| interval * share / u32::try_from(of.max(1)).unwrap_or(1));
        Self {
            report_topic: topic(&key, DeviceTopic::Report),
            presence_topic: topic(&key, DeviceTopic::Presence),
            spool: SpoolId::generate(),
            epoch: 0,
            next_live: fleet.backlog + 1,
            next_old: 1,
            waiting: VecDeque::new(),
            acked: Vec::new(),
            turn,
            due: None,
            said_ready: false,
            key,
            fleet,
        }
    }

    /// Lives until the fleet has finished; the numbers that were acknowledged.
    pub(crate) async fn run(mut self) -> (protocol::DeviceId, Vec<u64>) {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.connection().await {
                Ok(()) => break,
                Err(_) if *self.fleet.phase.borrow() == Phase::Finish => break,
                Err(_) => {
                    self.fleet.lost_connections.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
            }
        }
        (self.key.subject(), self.acked)
    }

    async fn connection(&mut self) -> io::Result<()> {
        let fleet = self.fleet.clone();
        let mut phase = fleet.phase.clone();
        self.epoch += 1;
        let mut input = BytesMut::new();
        let permit = fleet.handshakes.acquire().await.map_err(io::Error::other)?;
        let open = connect(&fleet.address, fleet.tls.as_ref(), &self.key, self.epoch, &mut input);
        let mut stream = timeout(Duration::from_secs(30), open).await??;
        drop(permit);

        let mut out = BytesMut::new();
        let now = fleet.clock.now();
        publish(&mut out, &self.presence_topic, PRESENCE_ID, &payload::birth(self.epoch, now), true);
        // What was under way is sent again.
        let again: Vec<u64> = self.waiting.drain(..).map(|(seq, _)| seq).collect();
        for seq in again {
            self.report(&mut out, seq);
        }
        if !self.said_ready {
            self.live(&mut out);
        }
        let ping_every = Duration::from_secs(u64::from(limits::AGENT_KEEP_ALIVE_SECS));
        let mut ping_at = Instant::now() + ping_every;
        loop {
            let now_phase = *phase.borrow_and_update();
            if now_phase == Phase::Send {
                if let Some(turn) = self.turn.take() {
                    self.due = Some(Instant::now() + turn);
                }
                self.fill(&mut out);
            }
            if !out.is_empty() {
                stream.write_all(&out).await?;
                stream.flush().await?;
                out = BytesMut::new();
                ping_at = Instant::now() + ping_every;
            }
            if !self.said_ready && self.waiting.is_empty() {
                self.said_ready = true;
                fleet.ready.fetch_add(1, Ordering::Relaxed);
            }
            if now_phase == Phase::Finish && self.waiting.is_empty() {
                return self.leave(stream).await;
            }
            let due = self.due.filter(|_| now_phase == Phase::Send && self.waiting.len() < fleet.window);
            if input.is_empty() {
                // An idle device keeps no buffer.
                input = BytesMut::new();
            }
            tokio::select! {
                read = stream.read_buf(&mut input) => {
                    if read? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    while let Some((first, body)) = take(&mut input) {
                        self.received(first, &body);
                    }
                }
                () = sleep_until(due.unwrap_or(ping_at).min(ping_at)) => {
                    if Instant::now() >= ping_at {
                        ping(&mut out);
                    }
                }
                changed = phase.changed() => changed.map_err(io::Error::other)?,
            }
        }
    }

    fn received(&mut self, first: u8, body: &[u8]) {
        let (PUBACK, Some(id)) = (first, body.first_chunk::<2>()) else {
            return;
        };
        let id = u16::from_be_bytes(*id);
        let at = self.waiting.iter().position(|(seq, _)| packet_id(*seq) == id);
        if let Some((seq, sent)) = at.and_then(|at| self.waiting.remove(at)) {
            self.fleet.puback.add(sent.elapsed());
            self.fleet.acked.fetch_add(1, Ordering::Relaxed);
            self.acked.push(seq);
        }
    }

    fn live(&mut self, out: &mut BytesMut) {
        let seq = self.next_live;
        self.next_live += 1;
        self.report(out, seq);
    }

    fn report(&mut self, out: &mut BytesMut, seq: u64) {
        let old = seq <= self.fleet.backlog;
        let age = i64::try_from(self.fleet.backlog.saturating_sub(seq) + 1).unwrap_or(0) * BACKLOG_STEP_MS;
        let now = self.fleet.clock.now();
        let at = if old { now.plus_millis(-age) } else { now };
        let payload = self.fleet.reports.get(self.spool, seq, at, old);
        publish(out, &self.report_topic, packet_id(seq), payload.as_bytes(), !old);
        self.waiting.push_back((seq, Instant::now()));
    }

    /// Sends what is due, as far as the window allows: the present first, then the past.
    fn fill(&mut self, out: &mut BytesMut) {
        while self.waiting.len() < self.fleet.window {
            let now = Instant::now();
            match (self.fleet.interval, &mut self.due) {
                (Some(interval), Some(due)) if *due <= now => {
                    // Reports that fell due while nothing could be sent are sent, too.
                    *due += interval;
                    self.live(out);
                }
                _ if self.next_old <= self.fleet.backlog => {
                    let seq = self.next_old;
                    self.next_old += 1;
                    self.report(out, seq);
                }
                (None, _) => self.live(out),
                _ => return,
            }
        }
    }

    async fn leave(&self, mut stream: Box<dyn Stream>) -> io::Result<()> {
        let mut out = BytesMut::new();
        let farewell = Presence::farewell(self.epoch, self.fleet.clock.now()).encode();
        publish(&mut out, &self.presence_topic, PRESENCE_ID, &farewell, true);
        disconnect(&mut out);
        stream.write_all(&out).await?;
        stream.shutdown().await
    }
}
