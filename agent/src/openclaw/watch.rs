//! Everything that reads OpenClaw, each at its own pace, and puts what it finds into the spool.
//!
//! - the gateways every three seconds ([`super::gateways`]): their state is in the next report, or at once when it changed;
//! - tokens every few seconds ([`super::usage`]), and on the first start the whole history, a little at a time;
//! - the log every few seconds ([`super::log`]);
//! - the security audit and the exposure of the host four times a day ([`super::audit`], [`super::exposure`]).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{
    Audit, DeviceTopic, Event, EventKind, Events, Gateway, Log, LogRecord, OpenClaw, Payload as _, SpoolId,
    Timestamp, Usage, limits,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::audit::Program;
use super::gateways::{Gateways, Look, Remembered};
use super::log::{CrashSite, Place};
use super::observer::{Crash, Site};
use super::redact::redact;
use super::usage::{Budget, Ledger};
use super::{Home, audit, exposure, log};
use crate::blocking::unblocked;
use crate::config::OpenClawConfig;
use crate::memory::Memory;
use crate::outbox::Outbox;

/// Time between two looks at the gateways, and while there are none. A crash is to be told within five seconds.
const LOOK: Duration = Duration::from_secs(3);
const LOOK_FOR_NONE: Duration = Duration::from_secs(10);
/// Time between two looks for new tokens, and between two pieces of the history on the first start.
const COUNT: Duration = Duration::from_secs(5);
const COUNT_PIECE: Duration = Duration::from_millis(20);
/// Events read at once.
const PIECE_EVENTS: usize = 5_000;
/// While the history is counted, totals are sent so often.
const COUNT_TOLD: Duration = Duration::from_secs(10);
/// Time between two looks at the log.
const READ: Duration = Duration::from_secs(5);
/// How far it was read is noted with every record, and so often without.
const READ_NOTED: Duration = Duration::from_mins(10);
/// Time between two audits, and from the start to the first look for whether one is due.
const AUDIT_MS: i64 = 6 * 60 * 60 * 1000;
const AUDIT_DELAY: Duration = Duration::from_secs(20);
const AUDIT_LOOK: Duration = Duration::from_mins(5);
/// How long the journal may take.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(5);

/// How far logs have been read, by path; `None` before the first time.
type ReadSoFar = Option<BTreeMap<PathBuf, log::Position>>;

/// The readers, and what they share with the rest of the agent.
pub(crate) struct Watch {
    outbox: Arc<Outbox>,
    config: OpenClawConfig,
    files: Files,
    now: Mutex<Now>,
    /// Told when something changed that should be told at once.
    pub(crate) changed: Notify,
    /// Told after the first look.
    looked: Notify,
}

/// Where the readers remember.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    pub(crate) gateways: Option<PathBuf>,
    pub(crate) ledger: Option<PathBuf>,
    pub(crate) usage: Option<PathBuf>,
    pub(crate) log: Option<PathBuf>,
    pub(crate) audit: Option<PathBuf>,
}

/// What is known now.
#[derive(Debug, Default)]
struct Now {
    openclaw: Option<OpenClaw>,
    sites: Vec<Site>,
    backfill_pct: Option<u8>,
}

impl Watch {
    pub(crate) fn new(outbox: Arc<Outbox>, config: OpenClawConfig, files: Files) -> Self {
        Self { outbox, config, files, now: Mutex::default(), changed: Notify::new(), looked: Notify::new() }
    }

    /// OpenClaw as of the last look; `None` before the first one.
    pub(crate) fn openclaw(&self) -> Option<OpenClaw> {
        self.now().openclaw.clone()
    }

    /// How much of the history is counted, until it all is.
    pub(crate) fn backfill_pct(&self) -> Option<u8> {
        self.now().backfill_pct
    }

    /// Waits for the first look.
    pub(crate) async fn looked(&self) {
        // Made before it is looked whether it is needed, so that a look in between is not missed.
        let looked = self.looked.notified();
        if self.now().openclaw.is_none() {
            looked.await;
        }
    }

    /// Looks at the gateways once, for a report of its own.
    pub(crate) async fn look_once(&self) {
        let mut gateways = Gateways::new(self.config.home.clone(), self.config.rpc, Remembered::default());
        let look = gateways.look(self.outbox.stamp().wall).await;
        self.now().openclaw = Some(private(look.openclaw));
    }

    /// Reads for ever.
    pub(crate) async fn run(&self) {
        tokio::join!(
            self.look_for_ever(),
            self.count_for_ever(),
            self.read_for_ever(),
            self.audit_for_ever()
        );
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // What it holds is whole after every use.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sites(&self) -> Vec<Site> {
        self.now().sites.clone()
    }

    fn homes(&self) -> Vec<Home> {
        self.now().sites.iter().map(|site| site.home.clone()).collect()
    }

    async fn remember<T>(&self, path: Option<PathBuf>) -> Arc<Mutex<Memory<T>>>
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Default + Clone + PartialEq + Send + 'static,
    {
        Arc::new(Mutex::new(self.outbox.with(move |spool| Memory::open(path, spool)).await))
    }

    async fn look_for_ever(&self) {
        let memory = self.remember::<Remembered>(self.files.gateways.clone()).await;
        let known = lock(&memory).get().clone();
        let mut gateways = Gateways::new(self.config.home.clone(), self.config.rpc, known);
        let mut pids = HashMap::new();
        loop {
            let look = gateways.look(self.outbox.stamp().wall).await;
            let sites = gateways.sites();
            let none = look.openclaw.gateways.is_empty();
            {
                let mut now = self.now();
                now.openclaw = Some(private(look.openclaw.clone()));
                now.sites.clone_from(&sites);
            }
            self.looked.notify_waiters();
            if look.changed {
                self.changed.notify_one();
            }
            // By the processes of the look before: a gateway that crashed may have started anew.
            self.tell(look, &sites, &pids, &memory, gateways.remembered()).await;
            pids.extend(sites.into_iter().filter_map(|site| Some((site.home.name, site.pid?))));
            sleep(if none { LOOK_FOR_NONE } else { LOOK }).await;
        }
    }

    /// Puts what happened into the spool, and remembers that it did.
    async fn tell(
        &self,
        look: Look,
        sites: &[Site],
        pids: &HashMap<String, u32>,
        memory: &Arc<Mutex<Memory<Remembered>>>,
        remembered: Remembered,
    ) {
        // The record first: a kill in between tells a crash twice rather than never.
        for crash in look.crashes {
            warn!(gateway = crash.gateway, reason = crash.reason, "the gateway crashed");
            let record = self.crash(crash, sites, pids).await;
            self.push_log(vec![record]).await;
        }
        let mut events: Vec<Event> = look.events.into_iter().map(clean).collect();
        while events.len() > limits::MAX_EVENTS {
            let rest = events.split_off(limits::MAX_EVENTS);
            self.push_events(std::mem::replace(&mut events, rest)).await;
        }
        for event in events.iter().filter(|event| event.kind != EventKind::Activity) {
            info!(gateway = event.gateway, from = event.from, to = event.to, "{}", event.kind.as_str());
        }
        let memory = Arc::clone(memory);
        if events.is_empty() {
            if *lock(&memory).get() != remembered {
                unblocked(move || lock(&memory).set(remembered)).await;
            }
            return;
        }
        let stamp = self.outbox.stamp();
        self.outbox
            .with(move |spool| {
                lock(&memory).push(spool, DeviceTopic::Event, stamp, remembered, |spool, seq| {
                    Events { v: 1, spool, seq, at: stamp.wall, events: events.clone() }.encode()
                })
            })
            .await;
        self.outbox.pushed.notify_one();
    }

    async fn crash(&self, crash: Crash, sites: &[Site], pids: &HashMap<String, u32>) -> LogRecord {
        let site = sites.iter().find(|site| site.home.name == crash.gateway).cloned();
        let mut error = crash.message.as_ref().map(|message| match &crash.stack {
            Some(stack) => format!("{message}\n{stack}"),
            None => message.clone(),
        });
        if let (None, Some(pid)) = (&error, pids.get(&crash.gateway)) {
            error = journal(*pid).await;
        }
        let with_text = self.config.log_text;
        let found = CrashSite { at: crash.at, reason: Some(crash.reason), error };
        let gateway = crash.gateway;
        unblocked(move || {
            let place = site.as_ref().map_or_else(
                || Place { gateway, version: None, files: Vec::new() },
                |site| log::place(&site.home, site.log_file.as_deref(), site.version.clone()),
            );
            log::crash(&found, &place, with_text)
        })
        .await
    }

    async fn push_log(&self, records: Vec<LogRecord>) {
        self.outbox
            .push(DeviceTopic::Log, move |spool, seq, stamp| {
                Log { v: 1, spool, seq, at: stamp.wall, records: records.clone() }.encode()
            })
            .await;
    }

    async fn count_for_ever(&self) {
        self.looked().await;
        let (path, now) = (self.files.ledger.clone(), self.outbox.stamp().wall);
        let mut ledger = unblocked(move || Ledger::open(path.as_deref(), now)).await;
        let told_through = self.remember::<Option<SpoolId>>(self.files.usage.clone()).await;
        let spool = self.outbox.with(|spool| spool.id()).await;
        if *lock(&told_through).get() != Some(spool) {
            // What was told before may have waited in memory, or in a file that is damaged.
            ledger = unblocked(move || {
                ledger.mark_all_changed();
                ledger
            })
            .await;
        }
        let mut known = self.lost().await;
        let mut told_at = Instant::now();
        let mut counted = 0u64;
        let mut is_first = true;
        // What was counted and could not be told before the last end is still to be told.
        let mut unsent = true;
        loop {
            let homes = self.homes();
            let (mut back, progress) = unblocked(move || {
                let progress = ledger.scan(&homes, Budget { events: PIECE_EVENTS });
                (ledger, progress)
            })
            .await;
            for trouble in &progress.trouble {
                warn!(home = trouble.home, file = %trouble.file.display(), "{}", trouble.why);
            }
            counted += progress.events;
            self.now().backfill_pct = (is_first && !progress.done && counted > 0).then_some(progress.pct);
            if is_first && progress.done {
                is_first = false;
                if counted > PIECE_EVENTS as u64 {
                    info!(events = counted, "OpenClaw's history is counted");
                    self.push_events(vec![event(EventKind::UsageBackfilled, now, Some(counted))]).await;
                }
            }
            unsent |= progress.events > 0;
            let lost = self.lost().await;
            if lost != known {
                unsent = true;
                known = lost;
                back = unblocked(move || {
                    back.mark_all_changed();
                    back
                })
                .await;
            }
            if unsent && (progress.done || told_at.elapsed() >= COUNT_TOLD) {
                if !progress.done {
                    info!(pct = progress.pct, events = counted, "counting OpenClaw's history");
                }
                back = self.tell_usage(back).await;
                unsent = !progress.done;
                told_at = Instant::now();
                let memory = Arc::clone(&told_through);
                self.outbox.with(move |spool| lock(&memory).set(Some(spool.id()))).await;
            }
            ledger = back;
            sleep(if progress.done { COUNT } else { COUNT_PIECE }).await;
        }
    }

    /// What tells that the spool has lost something.
    async fn lost(&self) -> u64 {
        self.outbox.with(|spool| spool.dropped()).await
    }

    /// Sends all totals that changed.
    async fn tell_usage(&self, ledger: Ledger) -> Ledger {
        let mut ledger = ledger;
        loop {
            let (mut back, rows) = unblocked(move || {
                let rows = ledger.changed(limits::MAX_USAGE_ROWS);
                (ledger, rows)
            })
            .await;
            if rows.is_empty() {
                return back;
            }
            let (id, sent) = (back.id(), rows.clone());
            self.outbox
                .push(DeviceTopic::Usage, move |spool, seq, stamp| {
                    Usage { v: 1, spool, seq, at: stamp.wall, ledger: id, rows: sent.clone() }.encode()
                })
                .await;
            debug!(rows = rows.len(), "usage told");
            // After it is on the disk: a kill in between sends it twice, which does no harm.
            ledger = unblocked(move || {
                back.mark_spooled(&rows);
                back
            })
            .await;
        }
    }

    async fn read_for_ever(&self) {
        self.looked().await;
        let memory = self.remember::<ReadSoFar>(self.files.log.clone()).await;
        let mut so_far = lock(&memory).get().clone();
        let mut noted_at = Instant::now();
        loop {
            let (sites, with_text, before) = (self.sites(), self.config.log_text, so_far);
            let (records, positions) = unblocked(move || {
                let places: Vec<Place> = sites
                    .iter()
                    .map(|site| log::place(&site.home, site.log_file.as_deref(), site.version.clone()))
                    .collect();
                log::read(&places, before.as_ref(), with_text)
            })
            .await;
            let next = Some(positions);
            if !records.is_empty() {
                let (memory, next, stamp) = (Arc::clone(&memory), next.clone(), self.outbox.stamp());
                self.outbox
                    .with(move |spool| {
                        lock(&memory).push(spool, DeviceTopic::Log, stamp, next, |spool, seq| {
                            Log { v: 1, spool, seq, at: stamp.wall, records: records.clone() }.encode()
                        })
                    })
                    .await;
                self.outbox.pushed.notify_one();
                noted_at = Instant::now();
            } else if noted_at.elapsed() >= READ_NOTED || lock(&memory).get().is_none() {
                let (memory, next) = (Arc::clone(&memory), next.clone());
                unblocked(move || lock(&memory).set(next)).await;
                noted_at = Instant::now();
            }
            so_far = next;
            sleep(READ).await;
        }
    }

    async fn audit_for_ever(&self) {
        self.looked().await;
        let memory = self.remember::<i64>(self.files.audit.clone()).await;
        sleep(AUDIT_DELAY).await;
        loop {
            let now = self.outbox.stamp().wall;
            let since = now.0.saturating_sub(*lock(&memory).get());
            let sites = self.sites();
            if !sites.is_empty() && !(0..AUDIT_MS).contains(&since) {
                let audit = self.audit(&sites, now).await;
                let (memory, stamp) = (Arc::clone(&memory), self.outbox.stamp());
                self.outbox
                    .with(move |spool| {
                        lock(&memory).push(spool, DeviceTopic::Audit, stamp, now.0, |spool, seq| {
                            Audit { spool, seq, at: stamp.wall, ..audit.clone() }.encode()
                        })
                    })
                    .await;
                self.outbox.pushed.notify_one();
            }
            sleep(AUDIT_LOOK).await;
        }
    }

    /// The audit of all homes, before it is numbered.
    async fn audit(&self, sites: &[Site], now: Timestamp) -> Audit {
        let mut audits = Vec::new();
        for site in sites.iter().filter(|_| self.config.audit) {
            if let Some(program) = program(site) {
                audits.push(audit::run(&site.home, &program, now).await);
            }
        }
        let sites = sites.to_vec();
        let (findings, listeners) = unblocked(move || {
            let sockets = exposure::sockets();
            let findings =
                sites.iter().flat_map(|site| exposure::findings(&site.home, site.port, &sockets)).collect();
            (findings, exposure::listeners(&sockets))
        })
        .await;
        Audit { v: 1, spool: SpoolId::generate(), seq: 0, at: now, audits, findings, listeners }
    }

    /// Puts events into the spool.
    pub(crate) async fn push_events(&self, events: Vec<Event>) {
        self.outbox
            .push(DeviceTopic::Event, move |spool, seq, stamp| {
                Events { v: 1, spool, seq, at: stamp.wall, events: events.clone() }.encode()
            })
            .await;
    }

    /// Every gateway with the folder it belongs to, as of now.
    pub(crate) async fn gateways_now(&self) -> Vec<(PathBuf, Gateway)> {
        let mut gateways = Gateways::new(self.config.home.clone(), false, Remembered::default());
        gateways.look(self.outbox.stamp().wall).await;
        sleep(Duration::from_millis(700)).await;
        let look = gateways.look(self.outbox.stamp().wall).await;
        let folders = gateways.sites().into_iter().map(|site| site.home.state_dir);
        folders.zip(look.openclaw.gateways).collect()
    }

    /// Everything that would be sent now, and remembers nothing of it.
    pub(crate) async fn preview(&self) -> Found {
        let now = self.outbox.stamp().wall;
        let mut gateways = Gateways::new(self.config.home.clone(), self.config.rpc, Remembered::default());
        let mut look = gateways.look(now).await;
        // The slow parts come with the next look.
        for _ in 0..3 {
            sleep(Duration::from_millis(700)).await;
            let next = gateways.look(self.outbox.stamp().wall).await;
            look.events.extend(next.events);
            look.openclaw = next.openclaw;
        }
        let sites = gateways.sites();
        let homes: Vec<Home> = sites.iter().map(|site| site.home.clone()).collect();
        let with_text = self.config.log_text;
        let places = sites.clone();
        let (rows, ledger, records) = unblocked(move || {
            let mut ledger = Ledger::open(None, now);
            while !ledger.scan(&homes, Budget { events: PIECE_EVENTS }).done {}
            let places: Vec<Place> = places
                .iter()
                .map(|site| log::place(&site.home, site.log_file.as_deref(), site.version.clone()))
                .collect();
            (ledger.changed(usize::MAX), ledger.id(), log::read(&places, None, with_text).0)
        })
        .await;
        let audit = self.audit(&sites, now).await;
        let events = look.events.into_iter().map(clean).collect();
        Found { openclaw: private(look.openclaw), sites, ledger, rows, records, events, audit }
    }
}

/// What a preview found.
pub(crate) struct Found {
    pub(crate) openclaw: OpenClaw,
    pub(crate) sites: Vec<Site>,
    pub(crate) ledger: SpoolId,
    pub(crate) rows: Vec<protocol::UsageRow>,
    pub(crate) records: Vec<LogRecord>,
    pub(crate) events: Vec<Event>,
    pub(crate) audit: Audit,
}

/// An event of the agent or the host.
pub(crate) fn event(kind: EventKind, at: Timestamp, count: Option<u64>) -> Event {
    Event {
        at,
        kind,
        gateway: None,
        from: None,
        to: None,
        reason: None,
        duration_ms: None,
        count,
        activity: None,
    }
}

/// OpenClaw without what is private: it may stand where OpenClaw says why it ended.
fn private(mut openclaw: OpenClaw) -> OpenClaw {
    for exit in openclaw.gateways.iter_mut().filter_map(|gateway| gateway.last_exit.as_mut()) {
        exit.reason = exit.reason.as_deref().map(|reason| redact(reason, 500));
    }
    openclaw
}

/// An event without what is private.
fn clean(event: Event) -> Event {
    Event { reason: event.reason.as_deref().map(|reason| redact(reason, 500)), ..event }
}

/// How a home's OpenClaw is started.
fn program(site: &Site) -> Option<Program> {
    let package = site.package.clone()?;
    let running = site.pid.and_then(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
    let node = running.or_else(|| {
        let name = if cfg!(windows) { "node.exe" } else { "node" };
        std::env::split_paths(&std::env::var_os("PATH")?)
            .map(|dir| dir.join(name))
            .find(|node| node.is_file())
    })?;
    Some(Program { node, package })
}

/// What a process wrote into the journal at last, where there is one that we may read.
async fn journal(pid: u32) -> Option<String> {
    if !cfg!(target_os = "linux") || !Path::new("/run/systemd/journal").exists() {
        return None;
    }
    let mut command = tokio::process::Command::new("journalctl");
    command
        // Not what an earlier process of the same number wrote.
        .args([
            "--no-pager",
            "--quiet",
            "--output=cat",
            "--lines=80",
            "--since=-5min",
            &format!("_PID={pid}"),
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(JOURNAL_PATIENCE, command.output()).await.ok()?.ok()?;
    log::last_words(&String::from_utf8_lossy(&output.stdout))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
