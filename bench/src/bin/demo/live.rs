//! Going on as the devices of a filled folder, against a running server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bench::mqtt::{PUBACK, Stream, connect, disconnect, ping, publish, take, topic};
use bytes::BytesMut;
use protocol::{
    ApiKey, Clock, DeviceTopic, Log, Payload as _, Presence, QUARTER_MILLIS, SpoolId, Timestamp, Usage,
    limits,
};
use store::Prices;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::cast::{End, Machine, machines};
use crate::cli::Live;
use crate::dice::Dice;
use crate::errors;
use crate::keys::Kept;
use crate::life::{DAY, Life};
use crate::sample::Context;
use crate::say;
use crate::tokens;

const EACH: Duration = Duration::from_secs(5);
const COUNT_EVERY: Duration = Duration::from_secs(20);
/// How often something goes wrong in the whole fleet.
const ERROR_EVERY: Duration = Duration::from_secs(20);
const SLOWEST_RETRY: Duration = Duration::from_secs(5);

struct Fleet {
    address: String,
    tls: Option<TlsConnector>,
    prices: Prices,
    clock: Clock,
    every: Duration,
    /// Chance that a device tells of an error with a report.
    error_share: f64,
    end: i64,
    stop: CancellationToken,
}

struct Device {
    fleet: Arc<Fleet>,
    machine: Machine,
    life: Life,
    key: ApiKey,
    ledger: SpoolId,
    spool: SpoolId,
    seq: u64,
    packet: u16,
    unacknowledged: usize,
}

/// Runs until it is told to stop.
pub(crate) async fn live(cli: &Live, clock: Clock) -> anyhow::Result<()> {
    let kept = Kept::read(&cli.data_dir)?;
    ensure!(cli.rate.is_none_or(|rate| rate > 0.0), "--rate must be more than 0");
    let machines = machines(usize::from(kept.devices), kept.seed, kept.hostile);
    let there = |end: End| !matches!(end, End::Never | End::Unreachable | End::Rebooting | End::Asleep);
    let mut parts = Vec::new();
    for (n, machine) in machines.into_iter().enumerate() {
        let known = kept.keys.iter().find(|known| known.name == machine.name);
        if let Some(known) = known.filter(|_| there(machine.end)) {
            let key = ApiKey::parse(&known.key).context("a key in demo-keys.json")?;
            let life = Life::new(&machine, n, kept.end, i64::from(kept.days));
            parts.push((machine, life, key, known.ledger));
        }
    }
    let count = f64::from(u32::try_from(parts.len())?).max(1.0);
    let every = cli.rate.map_or(EACH, |rate| Duration::from_secs_f64(count / rate));
    let stop = CancellationToken::new();
    let fleet = Arc::new(Fleet {
        address: cli.server.clone(),
        tls: cli.tls.then(bench::tls::connector).transpose()?,
        prices: Prices::embedded(),
        clock,
        every,
        error_share: every.as_secs_f64() / ERROR_EVERY.as_secs_f64() / count,
        end: kept.end,
        stop: stop.clone(),
    });
    say(&format!(
        "{count} devices report to {} every {:.1} s; Ctrl-C ends it",
        cli.server,
        every.as_secs_f64()
    ));
    let mut devices = JoinSet::new();
    for (machine, life, key, ledger) in parts {
        let (fleet, spool) = (fleet.clone(), SpoolId::generate());
        let device =
            Device { fleet, machine, life, key, ledger, spool, seq: 0, packet: 0, unacknowledged: 0 };
        devices.spawn(device.run());
    }
    asked_to_stop().await?;
    stop.cancel();
    drop(timeout(Duration::from_secs(5), devices.join_all()).await);
    Ok(())
}

async fn asked_to_stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            done = tokio::signal::ctrl_c() => done,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

impl Device {
    async fn run(mut self) {
        let stop = self.fleet.stop.clone();
        let mut pause = Duration::from_millis(200);
        loop {
            match self.connection().await {
                Ok(()) => return,
                Err(error) => say(&format!("{}: {error}", self.machine.name)),
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = (pause * 2).min(SLOWEST_RETRY);
        }
    }

    fn now(&self) -> i64 {
        self.fleet.clock.now().0
    }

    fn seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    fn say(&mut self, out: &mut BytesMut, what: DeviceTopic, payload: &[u8], retain: bool) {
        self.packet = self.packet % u16::MAX + 1;
        self.unacknowledged += 1;
        publish(out, &topic(&self.key, what), self.packet, payload, retain);
    }

    /// One connection, from the birth to the farewell.
    async fn connection(&mut self) -> io::Result<()> {
        let fleet = self.fleet.clone();
        let stop = fleet.stop.clone();
        // Greater than that of any earlier connection.
        let epoch = u64::try_from(self.now()).unwrap_or(0);
        self.unacknowledged = 0;
        let mut input = BytesMut::new();
        let open = connect(&fleet.address, fleet.tls.as_ref(), &self.key, epoch, &mut input);
        let mut stream = timeout(Duration::from_secs(20), open).await??;
        let mut out = BytesMut::new();
        let now = self.now();
        let birth = Presence::birth(
            epoch,
            Timestamp(now),
            env!("CARGO_PKG_VERSION"),
            Some(self.life.boot(now)),
            self.machine.host(),
        );
        self.say(&mut out, DeviceTopic::Presence, &birth.encode(), true);
        self.report(&mut out);
        // Devices speak one after the other.
        let turn = fleet.every.mul_f64(Dice::new(self.machine.seed, 9).unit());
        let mut due = Instant::now() + turn;
        let mut count_due = Instant::now();
        let ping_every = Duration::from_secs(u64::from(limits::AGENT_KEEP_ALIVE_SECS));
        let mut ping_at = Instant::now() + ping_every;
        loop {
            if !out.is_empty() {
                stream.write_all(&out).await?;
                stream.flush().await?;
                out.clear();
                ping_at = Instant::now() + ping_every;
            }
            tokio::select! {
                () = stop.cancelled() => return self.leave(stream, epoch).await,
                read = stream.read_buf(&mut input) => {
                    if read? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    while let Some((first, _)) = take(&mut input) {
                        self.unacknowledged -= usize::from(first == PUBACK && self.unacknowledged > 0);
                    }
                }
                () = tokio::time::sleep_until(due.min(ping_at)) => {
                    if Instant::now() >= ping_at {
                        ping(&mut out);
                    }
                    if Instant::now() >= due {
                        due += fleet.every;
                        // A server that does not acknowledge is not told more.
                        if self.unacknowledged < usize::from(limits::AGENT_IN_FLIGHT) {
                            self.report(&mut out);
                            self.error(&mut out);
                            if Instant::now() >= count_due {
                                count_due = Instant::now() + COUNT_EVERY;
                                self.count(&mut out);
                            }
                        }
                    }
                }
            }
        }
    }

    fn report(&mut self, out: &mut BytesMut) {
        let (now, seq) = (self.now(), self.seq());
        let every = i64::try_from(self.fleet.every.as_millis()).unwrap_or(0).max(1_000);
        let context = Context { machine: &self.machine, life: &self.life, end: self.fleet.end };
        let report = context.report(now, every, self.spool, seq, false);
        self.say(out, DeviceTopic::Report, &report.encode(), true);
    }

    fn error(&mut self, out: &mut BytesMut) {
        let now = self.now();
        if !self.life.works(now)
            || !Dice::new(self.machine.seed ^ 0xe, now.cast_unsigned()).chance(self.fleet.error_share)
        {
            return;
        }
        let records = errors::now(&self.machine, &self.life, now).into_iter().collect();
        let log = Log { v: 1, spool: self.spool, seq: self.seq(), at: Timestamp(now), records };
        self.say(out, DeviceTopic::Log, &log.encode(), false);
    }

    /// The quarter that is not over, and the ones before, back to the end of the past (of a day at most).
    fn count(&mut self, out: &mut BytesMut) {
        let now = self.now();
        let from = if self.seq < 4 { self.fleet.end.max(now - DAY) } else { now - QUARTER_MILLIS };
        let mut quarter = from.div_euclid(QUARTER_MILLIS) * QUARTER_MILLIS;
        let mut rows = Vec::new();
        while quarter <= now && rows.len() < limits::MAX_USAGE_ROWS / 2 {
            rows.extend(tokens::rows(
                &self.machine,
                &self.life,
                &self.fleet.prices,
                self.fleet.end,
                quarter,
                now,
            ));
            quarter += QUARTER_MILLIS;
        }
        if !rows.is_empty() {
            let usage = Usage {
                v: 1,
                spool: self.spool,
                seq: self.seq(),
                at: Timestamp(now),
                ledger: self.ledger,
                rows,
            };
            self.say(out, DeviceTopic::Usage, &usage.encode(), false);
        }
    }

    async fn leave(&mut self, mut stream: Box<dyn Stream>, epoch: u64) -> io::Result<()> {
        let mut out = BytesMut::new();
        let farewell = Presence::farewell(epoch, Timestamp(self.now())).encode();
        self.say(&mut out, DeviceTopic::Presence, &farewell, true);
        disconnect(&mut out);
        stream.write_all(&out).await?;
        stream.shutdown().await
    }
}
