//! The agent at work: sampling goes on whatever the connection does, and the connection takes what is there.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::{
    AgentHealth, ApiKey, Audit, Clock, DeviceTopic, Events, Gateway, Log, Payload, Presence, Report, SpoolId,
    Topic, TopicName, Usage, limits, pack, unpack,
};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::address::Transport;
use crate::backoff::{self, delay};
use crate::clock::{Clocks, Stamp};
use crate::collect::{Collectors, Sample, boot_id, facts};
use crate::config::{Config, OpenClawConfig};
use crate::host_watch::HostWatch;
use crate::link::{Link, NotTaken, Target, Will};
use crate::openclaw::watch::{Files, Watch};
use crate::outbox::Outbox;
use crate::spool::{Item, Spool, SpoolLimits};
use crate::state::{AlreadyRunning, State};
use crate::trouble::{Cause, LinkError, Stage, explain};

/// The agent's version, as it stands in the birth.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Time between the two readings that the first sample's rates need.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long the first report waits for the first look at OpenClaw.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// A sample that is younger counts as the present.
const FRESH: Duration = Duration::from_secs(2);
/// A connection that lasted as long is worth a quick return. Shorter ones slow down: two agents with one key take each
/// other's place, and must not do so several times a second.
const SETTLED: Duration = Duration::from_secs(5);
/// How long a stop waits until the server has the farewell.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);
/// After an outage the backlog leaves in batches of this many ...
const BACKLOG_BATCH: usize = 20;
/// ... with this pause between them, so that a fleet that comes back together does not drown its server, and
/// the present always finds room in the window.
const BACKLOG_PAUSE: Duration = Duration::from_millis(200);
/// Reports of the backlog on their way at one time.
const BACKLOG_WINDOW: usize = 32;

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is one already.
    #[error(transparent)]
    AlreadyRunning(#[from] AlreadyRunning),
    /// The server cannot be reached. Only where nothing tries again.
    #[error("{}", explain(.0))]
    Link(LinkError),
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// Runs the agent until `shutdown`, then says goodbye to the server. Trouble with the network, the server or the
/// key is logged, and tried again.
pub async fn run(config: Config, clock: Clock, shutdown: CancellationToken) -> Result<(), Error> {
    let mut state = State::open(&config.state_dir)?;
    let agent = Agent::new(&config, clock, &state).await;
    info!(
        device.id = %agent.device(), server = %config.server, interval_s = config.interval.as_secs(),
        version = VERSION, "agent started"
    );
    tokio::select! {
        () = agent.sample_for_ever() => {}
        () = agent.connect_for_ever(&mut state, &shutdown) => {}
        () = agent.watch.run() => {}
        () = agent.host.watch_for_ever(&agent.outbox) => {}
    }
    agent.outbox.with(Spool::close).await;
    info!("agent stopped");
    Ok(())
}

/// Connects, sends a birth and one report, waits until the server has stored both, and says goodbye.
pub async fn once(config: Config, clock: Clock) -> Result<(), Error> {
    let mut state = State::open(&config.state_dir)?;
    let agent = Agent::new(&config, clock, &state).await;
    let mut collectors = Collectors::new();
    let connect = agent.connect(&mut state);
    let sample = async {
        collectors.sample().await;
        sleep(WARM_UP).await;
        agent.watch.look_once().await;
        agent.push(collectors.sample().await).await;
    };
    let (connected, ()) = tokio::join!(connect, sample);
    let (mut link, epoch) = connected?;
    agent.send_birth(&mut link, epoch).await;
    let present = agent.outbox.with(|spool| spool.next_seq()).await - 1;
    agent.send(&mut link, present..u64::MAX, false).await;
    loop {
        agent.send(&mut link, 0..present, true).await;
        if link.window() == 0 {
            break;
        }
        let tag = link.confirmed().await?;
        agent.confirm(&mut link, tag).await;
    }
    agent.outbox.with(Spool::close).await;
    agent.say_goodbye(link, epoch).await;
    Ok(())
}

/// What would be sent. Every message as it would be now, but for the numbers that the spool gives.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The birth of the next connection.
    pub birth: Presence,
    /// A report of this moment.
    pub report: Report,
    /// What OpenClaw used, since it was installed; the newest quarters first.
    pub usage: Vec<Usage>,
    /// Its errors of late.
    pub log: Option<Log>,
    /// What happened to it since the agent last looked, as a new agent sees it.
    pub events: Option<Events>,
    /// How safe it is.
    pub audit: Option<Audit>,
}

/// Measures and reads as the agent would, and sends nothing. Needs no server.
pub async fn preview(interval: Duration, openclaw: &OpenClawConfig, clock: &Clock) -> Preview {
    let mut collectors = Collectors::new();
    collectors.sample().await;
    let spool = Spool::in_memory(SpoolLimits::default());
    let outbox = Arc::new(Outbox::new(spool, Clocks::new(clock.clone(), None)));
    let found = Watch::new(outbox, openclaw.clone(), Files::default()).preview().await;
    let sample = collectors.sample().await;
    let now = clock.now();
    let epoch = u64::try_from(now.as_millis() / 1000).unwrap_or(0);
    let mut seq = 0;
    let (v, at, spool) = (1, now, SpoolId::generate());
    let mut next = || {
        seq += 1;
        seq
    };
    let health = AgentHealth { spooled: Some(0), dropped: Some(0), ..AgentHealth::default() };
    let sites = !found.sites.is_empty();
    Preview {
        birth: Presence::birth(epoch, now, VERSION, boot_id(), facts()),
        report: Report {
            spool,
            seq: next(),
            at,
            ..sample.into_report(interval, Some(found.openclaw), health)
        },
        usage: found
            .rows
            .chunks(limits::MAX_USAGE_ROWS)
            .map(|rows| Usage { v, spool, seq: next(), at, ledger: found.ledger, rows: rows.to_vec() })
            .collect(),
        log: (!found.records.is_empty()).then(|| Log { v, spool, seq: next(), at, records: found.records }),
        events: (!found.events.is_empty()).then(|| Events {
            v,
            spool,
            seq: next(),
            at,
            events: found.events,
        }),
        audit: sites.then(|| Audit { spool, seq: next(), at, ..found.audit }),
    }
}

/// One thing that [`check`] looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `None` when it could not be looked at.
    pub fine: Option<bool>,
    /// What was found, and what to do about it.
    pub text: String,
}

/// Tries everything that the agent needs, without disturbing an agent that runs with the same state folder, and says
/// what it found.
pub async fn check(config: &Config, clock: &Clock) -> Vec<Finding> {
    let finding = |fine, text: String| Finding { fine, text };
    let mut findings = Vec::new();
    let dir = config.state_dir.display();
    findings.push(match crate::state::is_writable(&config.state_dir) {
        Ok(()) => finding(Some(true), format!("the state folder {dir} can be written")),
        Err(error) => finding(
            Some(false),
            format!("the state folder {dir} cannot be written ({error}); run as the agent's user, or give another with --state-dir"),
        ),
    });

    findings.push(match spool_finding(&config.state_dir) {
        Ok(text) => finding(Some(true), text),
        Err(text) => finding(Some(false), text),
    });
    for gateway in openclaw_findings(config, clock).await {
        findings.push(gateway);
    }

    // A device is one connection: showing its key would end the one of an agent that runs. Then a key that nobody
    // has must do, which finds out everything but whether the real one is accepted.
    let running = crate::state::is_taken(&config.state_dir);
    let device = config.key.subject();
    let key = if running { ApiKey::generate(device) } else { config.key.clone() };
    let target =
        Target::new(config.server.clone(), key, format!("{device}-check"), config.pin, clock.clone());
    // No will and no birth, so that nobody hears of it.
    let outcome = match target {
        Ok(target) => Link::<()>::connect(Arc::new(target), None).await,
        Err(error) => Err(error),
    };
    let failure = match outcome {
        Ok(link) => {
            link.close().await;
            None
        }
        Err(error) if running && matches!(error.cause, Cause::KeyRefused) => None,
        Err(error) => Some((error.cause.stage(), explain(&error))),
    };
    let secure = match (config.server.transport(), config.pin) {
        (Transport::Plain, _) => "needs no certificate: it is this machine itself",
        (_, Some(_)) => "shows the pinned certificate",
        (_, None) => "shows a certificate that this machine trusts",
    };
    let steps = [
        (Stage::Network, format!("answers at {}", config.server)),
        (Stage::Tls, secure.to_owned()),
        (Stage::Mqtt, "speaks MQTT".to_owned()),
        (Stage::Key, format!("accepts the key of device {device}")),
    ];
    for (stage, text) in steps {
        findings.push(match &failure {
            Some((failed, sentence)) if *failed == stage => finding(Some(false), sentence.clone()),
            Some((failed, _)) if *failed < stage => {
                finding(None, format!("not known: whether the server {text}"))
            }
            None if running && stage == Stage::Key => finding(
                None,
                "not tried: the key, because an agent is running with this state folder; its log says whether it is \
                 connected"
                    .to_owned(),
            ),
            _ => finding(Some(true), format!("the server {text}")),
        });
    }
    let now = jiff::Timestamp::from_millisecond(clock.now().as_millis()).unwrap_or_default();
    findings.push(finding(None, format!("this machine's clock says {now:.0}; compare it with the server's")));
    findings
}

/// What waits in the folder of the spool, seen without touching it.
fn spool_finding(state_dir: &Path) -> Result<String, String> {
    let dir = state_dir.join("spool");
    let files = match std::fs::read_dir(&dir) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok("no reports wait on disk".to_owned());
        }
        Err(error) => return Err(format!("the spool {} cannot be read ({error})", dir.display())),
    };
    let sizes: Vec<u64> = files.flatten().filter_map(|file| Some(file.metadata().ok()?.len())).collect();
    Ok(format!("the spool takes {} KiB in {} files", sizes.iter().sum::<u64>().div_ceil(1024), sizes.len()))
}

/// OpenClaw as the agent finds it, in words.
async fn openclaw_findings(config: &Config, clock: &Clock) -> Vec<Finding> {
    let outbox =
        Arc::new(Outbox::new(Spool::in_memory(SpoolLimits::default()), Clocks::new(clock.clone(), None)));
    let watch = Watch::new(outbox, config.openclaw.clone(), Files::default());
    let found = watch.gateways_now().await;
    if found.is_empty() {
        let text = match &config.openclaw.home {
            Some(home) => format!("no OpenClaw in {}: nothing of it will be reported", home.display()),
            None => "no OpenClaw found on this machine; give its folder with --openclaw-home if it has one"
                .to_owned(),
        };
        return vec![Finding { fine: None, text }];
    }
    let one = |(home, gateway): (PathBuf, Gateway)| {
        let version =
            gateway.version.or(gateway.installed_version).map_or_else(String::new, |v| format!(" {v}"));
        let state = gateway.state.as_str().replace('_', " ");
        let text = format!("OpenClaw{version} in {} ({}): {state}", home.display(), gateway.name);
        match gateway.problem {
            Some(problem) => Finding { fine: Some(false), text: format!("{text}; {problem}") },
            None => Finding { fine: Some(true), text },
        }
    };
    found.into_iter().map(one).collect()
}

/// What is known a publish by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Birth,
    Farewell,
    /// A message of the spool, by its number.
    Spooled(u64),
}

/// What the parts share: some fill the spool, one empties it.
struct Agent {
    target: Result<Arc<Target>, LinkError>,
    config: Config,
    clock: Clock,
    presence: TopicName,
    outbox: Arc<Outbox>,
    watch: Watch,
    host: HostWatch,
    /// Told when the present is wanted before it is due.
    wanted: Notify,
}

impl Agent {
    async fn new(config: &Config, clock: Clock, state: &State) -> Self {
        let device = config.key.subject();
        let boot = tokio::task::spawn_blocking(boot_id).await.unwrap_or_default().map(|id| id.0);
        let clocks = Clocks::new(clock.clone(), boot.as_deref());
        let spool = state.spool(config.spool_limits, clocks.stamp().boot).await;
        let outbox = Arc::new(Outbox::new(spool, clocks));
        let files = Files {
            gateways: state.file("gateways.json"),
            ledger: state.file("ledger.sqlite"),
            usage: state.file("usage.json"),
            log: state.file("log.json"),
            audit: state.file("audit.json"),
        };
        Self {
            target: target(config, &clock),
            presence: Topic { device, what: DeviceTopic::Presence }.name(&config.topic_root),
            config: config.clone(),
            clock,
            watch: Watch::new(Arc::clone(&outbox), config.openclaw.clone(), files),
            host: HostWatch::new(state.file("host.json"), boot),
            outbox,
            wanted: Notify::new(),
        }
    }

    fn device(&self) -> protocol::DeviceId {
        self.config.key.subject()
    }

    /// Takes a sample at every interval, and when one is wanted.
    async fn sample_for_ever(&self) {
        let mut collectors = Collectors::new();
        collectors.sample().await;
        sleep(WARM_UP).await;
        // The first report is to say how OpenClaw is; a host that answers slowly is not waited for.
        timeout(FIRST_LOOK, self.watch.looked()).await.ok();
        let mut ticks = interval(self.config.interval);
        // After a suspend or a stall the next sample comes at once and the ones missed never.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.wanted.notified() => ticks.reset(),
                () = self.watch.changed.notified() => {}
            }
            self.push(collectors.sample().await).await;
        }
    }

    async fn push(&self, sample: Sample) {
        let interval = self.config.interval;
        let health = AgentHealth { backfill_pct: self.watch.backfill_pct(), ..self.outbox.health().await };
        let report = sample.into_report(interval, self.watch.openclaw(), health);
        let seq = self
            .outbox
            .push(DeviceTopic::Report, move |spool, seq, stamp| {
                Report { spool, seq, at: stamp.wall, ..report.clone() }.encode()
            })
            .await;
        debug!(report.seq = seq, "report taken");
    }

    /// The number of the newest report, if that is young enough to be the present.
    fn present(&self) -> Option<u64> {
        self.outbox.newest_report().filter(|(_, at)| at.elapsed() < FRESH).map(|(seq, _)| seq)
    }

    /// Connects, serves the connection until it is lost, and so on until `shutdown`.
    async fn connect_for_ever(&self, state: &mut State, shutdown: &CancellationToken) {
        let mut failures = 0u32;
        let mut said = String::new();
        loop {
            let connected = tokio::select! {
                connected = self.connect(state) => connected,
                () = shutdown.cancelled() => return,
            };
            let lost = match connected {
                Ok((link, epoch)) => {
                    info!(server = %self.config.server, epoch, "connected");
                    said.clear();
                    let since = Instant::now();
                    let Err(error) = self.serve(link, epoch, shutdown).await else {
                        return;
                    };
                    if since.elapsed() >= SETTLED && !matches!(error.cause, Cause::NoAcknowledgement) {
                        failures = 0;
                    }
                    error
                }
                Err(error) => error,
            };
            self.outbox.with(Spool::rewind).await;
            failures = failures.saturating_add(1);
            let pause = delay(lost.cause.pace(), failures, backoff::random());
            let sentence = explain(&lost);
            // Once for each reason; the attempts themselves would fill the log.
            if sentence == said {
                debug!(attempt = failures, retry_in_ms = millis(pause), "no connection, trying again");
            } else {
                match lost.cause {
                    Cause::KeyRefused | Cause::WrongPin { .. } => {
                        error!("no connection, trying again every minute or so: {sentence}");
                    }
                    _ => warn!(retry_in_ms = millis(pause), "no connection, trying again: {sentence}"),
                }
                said = sentence;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn connect(&self, state: &mut State) -> Result<(Link<Tag>, u64), LinkError> {
        let target = match &self.target {
            Ok(target) => Arc::clone(target),
            // The authorities of the machine may have been installed meanwhile.
            Err(_) => target(&self.config, &self.clock)?,
        };
        let epoch = state.next_epoch(self.clock.now());
        let will = Will { topic: self.presence.clone(), payload: Presence::will(epoch).encode() };
        Ok((Link::connect(target, Some(will)).await?, epoch))
    }

    /// Sends what there is until the connection is lost (`Err`) or the agent shall stop (`Ok`).
    async fn serve(
        &self,
        mut link: Link<Tag>,
        epoch: u64,
        shutdown: &CancellationToken,
    ) -> Result<(), LinkError> {
        self.send_birth(&mut link, epoch).await;
        // The present first: the newest report if it is fresh, or else one taken now. All before it is backlog, and
        // waits until the present has left (or had been confirmed on the connection before).
        let fresh = self.present();
        let (present, mut present_sent) = self
            .outbox
            .with(move |spool| match fresh {
                Some(seq) => (seq, !spool.has_unsent(seq..seq + 1)),
                None => (spool.next_seq(), false),
            })
            .await;
        if fresh.is_none() {
            self.wanted.notify_one();
        }
        let mut pace = interval(BACKLOG_PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backlog = true;
        loop {
            present_sent |= self.send(&mut link, present..u64::MAX, false).await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.outbox.pushed.notified() => {}
                _ = pace.tick(), if present_sent && backlog => {
                    self.send(&mut link, 0..present, true).await;
                    // Whatever belongs to the past is in the spool already: once it is all sent, it stays so.
                    backlog = self.outbox.with(move |spool| spool.has_unsent(0..present)).await;
                }
                confirmed = link.confirmed() => self.confirm(&mut link, confirmed?).await,
            }
        }
        self.say_goodbye(link, epoch).await;
        Ok(())
    }

    /// Sends messages of the spool whose numbers are in `range`; the backlog of an outage a batch at a time. Says
    /// whether there were any.
    async fn send(&self, link: &mut Link<Tag>, range: Range<u64>, backlog: bool) -> bool {
        let room = link.room();
        let batch = if backlog {
            BACKLOG_BATCH.min(BACKLOG_WINDOW.saturating_sub(link.window())).min(room)
        } else {
            room
        };
        if batch == 0 {
            return false;
        }
        let items: Vec<Item> = self
            .outbox
            .with(move |spool| std::iter::from_fn(|| spool.next_unsent(range.clone())).take(batch).collect())
            .await;
        let sent = !items.is_empty();
        let now = self.outbox.stamp();
        for item in items {
            let seq = item.seq;
            let topic = Topic { device: self.device(), what: item.what }.name(&self.config.topic_root);
            let live = match item.what {
                DeviceTopic::Report => !backlog,
                DeviceTopic::Audit => true,
                _ => false,
            };
            let payload = dated(item, &now, backlog, self.config.pack);
            match link.publish(&topic, live, payload, Tag::Spooled(seq)) {
                // The connection is gone; `confirmed` says so next, and the message is sent on the next one.
                Ok(()) | Err(NotTaken::Later) => {}
                Err(NotTaken::TooLong) => {
                    warn!(report.seq = seq, "a message is longer than the protocol allows; dropping it");
                    self.outbox.with(move |spool| spool.give_up(seq)).await;
                }
            }
        }
        sent
    }

    async fn send_birth(&self, link: &mut Link<Tag>, epoch: u64) {
        let host = tokio::task::spawn_blocking(|| (boot_id(), facts())).await;
        let (boot_id, host) = host.unwrap_or_default();
        let birth = Presence::birth(epoch, self.clock.now(), VERSION, boot_id, host);
        // A fresh connection has room. If it is gone already, `confirmed` says so next.
        link.publish(&self.presence, true, birth.encode(), Tag::Birth).ok();
    }

    /// Frees what the server has stored, and everything else that it has confirmed meanwhile.
    async fn confirm(&self, link: &mut Link<Tag>, first: Tag) {
        let mut seqs = Vec::new();
        let mut next = Some(first);
        while let Some(tag) = next {
            if let Tag::Spooled(seq) = tag {
                seqs.push(seq);
            }
            // A lost connection is met by the next wait.
            next = link.confirmed_already();
        }
        if !seqs.is_empty() {
            debug!(count = seqs.len(), "stored by the server");
            self.outbox.with(move |spool| seqs.into_iter().for_each(|seq| spool.acknowledge(seq))).await;
        }
    }

    /// Tells the server that the device goes on purpose, and waits until it knows.
    async fn say_goodbye(&self, mut link: Link<Tag>, epoch: u64) {
        let farewell = Presence::farewell(epoch, self.clock.now()).encode();
        let told = timeout(FAREWELL_DEADLINE, async {
            while !link.has_room() {
                let tag = link.confirmed().await?;
                self.confirm(&mut link, tag).await;
            }
            link.publish(&self.presence, true, farewell, Tag::Farewell).ok();
            loop {
                match link.confirmed().await? {
                    Tag::Farewell => return Ok::<_, LinkError>(()),
                    Tag::Birth => {}
                    Tag::Spooled(seq) => self.outbox.with(move |spool| spool.acknowledge(seq)).await,
                }
            }
        });
        if let Ok(Ok(())) = told.await {
            link.close().await;
        } else {
            // Without DISCONNECT, so that the server tells the will: the farewell may not have arrived.
            warn!("the server did not confirm the farewell");
        }
    }
}

fn target(config: &Config, clock: &Clock) -> Result<Arc<Target>, LinkError> {
    let key = config.key.clone();
    let client_id = key.subject().to_string();
    Target::new(config.server.clone(), key, client_id, config.pin, clock.clone()).map(Arc::new)
}

/// A message's payload as it leaves now: a report of the past says that it is late, and whatever was said by a clock that was
/// set since is dated by the clock of now.
fn dated(item: Item, now: &Stamp, historical: bool, packed: bool) -> Vec<u8> {
    let moved = item.stamp.seen_from(now).millis_since(item.stamp.wall);
    let changes = moved != 0 || (item.what == DeviceTopic::Report && historical);
    if packed && !changes {
        return item.payload;
    }
    // What we packed ourselves can be unpacked; if the disk has changed it, the server will say what it thinks of it.
    let plain = match unpack(&item.payload) {
        Ok(plain) => plain.into_owned(),
        Err(_) => return item.payload,
    };
    let plain = if changes { redated(item.what, &plain, moved, historical).unwrap_or(plain) } else { plain };
    if packed { pack(plain) } else { plain }
}

/// A payload with its times moved; `None` for what is not what its topic promises.
fn redated(what: DeviceTopic, plain: &[u8], moved: i64, historical: bool) -> Option<Vec<u8>> {
    Some(match what {
        DeviceTopic::Report => {
            let report = Report::decode(plain).ok()?;
            Report { historical, at: report.at.plus_millis(moved), ..report }.encode()
        }
        DeviceTopic::Event => {
            let mut events = Events::decode(plain).ok()?;
            events.at = events.at.plus_millis(moved);
            events.events.iter_mut().for_each(|event| event.at = event.at.plus_millis(moved));
            events.encode()
        }
        DeviceTopic::Log => {
            let mut log = Log::decode(plain).ok()?;
            log.at = log.at.plus_millis(moved);
            log.records.iter_mut().for_each(|record| record.at = record.at.plus_millis(moved));
            log.encode()
        }
        DeviceTopic::Audit => {
            let audit = Audit::decode(plain).ok()?;
            Audit { at: audit.at.plus_millis(moved), ..audit }.encode()
        }
        // Tokens are dated by OpenClaw, for ever.
        _ => return None,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Timestamp;

    #[test]
    fn the_agent_can_run_on_any_runtime() {
        fn sendable<T: Send>(_: &T) {}
        let key = ApiKey::generate(protocol::DeviceId::generate());
        let config = Config::new(crate::ServerAddress::parse("127.0.0.1:1").unwrap(), key, "/nowhere".into());
        let clock = Clock::manual(Timestamp(0));
        sendable(&run(config.clone(), clock.clone(), CancellationToken::new()));
        sendable(&once(config.clone(), clock.clone()));
        sendable(&check(&config, &clock));
    }

    #[test]
    fn a_late_report_says_that_it_is_late_and_moves_with_the_clock() {
        let at = |wall, uptime_ms| Stamp { wall: Timestamp(wall), uptime_ms, boot: 7 };
        let report = Report {
            at: Timestamp(5_000),
            ..Sample::default().into_report(Duration::from_secs(30), None, AgentHealth::default())
        };
        let item = |payload| Item { seq: 7, what: DeviceTopic::Report, stamp: at(5_000, 1_000), payload };
        let check = |now, historical, expected: &Report| {
            for packed in [true, false] {
                let sent = dated(item(pack(report.encode())), &now, historical, packed);
                assert_eq!(sent.first() == Some(&b'{'), !packed);
                assert_eq!(&Report::decode(&unpack(&sent).unwrap()).unwrap(), expected);
            }
        };
        check(at(6_000, 2_000), false, &report);
        check(at(6_000, 2_000), true, &Report { historical: true, ..report.clone() });
        let day = 86_400_000;
        check(
            at(6_000 + day, 2_000),
            true,
            &Report { historical: true, at: Timestamp(5_000 + day), ..report.clone() },
        );
        assert_eq!(
            dated(item(b"{}".to_vec()), &at(6_000, 2_000), true, false),
            b"{}",
            "what is no report stays"
        );
    }
}
