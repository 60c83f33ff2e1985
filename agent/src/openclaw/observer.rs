//! One gateway, looked at again and again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::{
    ClawChannel, Event, EventKind, Gateway, GatewayExit, GatewayOutcome, GatewayState, Timestamp,
};

use super::boots::{self, Book, Boot, Change, Tally};
use super::config::{self, Config};
use super::gateways::{Explained, Known, Output, Ran};
use super::http::{self, Answers, Reach, Target};
use super::process::{self, Load, Meter, Presence, Running, Seen};
use super::state::{self, Observation};
use super::work::Work;
use super::{Home, activity, channels, log, slow, sqlite};

/// How long a look waits for the files.
const QUICK_PATIENCE: Duration = Duration::from_millis(800);
/// How long a look waits for the slow part, which goes on meanwhile.
const SLOW_PATIENCE: Duration = Duration::from_millis(300);
/// How often the slow part is done, in milliseconds.
const SLOW_PAUSE: i64 = 45_000;
/// How often the gateway is asked about its channels, in milliseconds: it writes a line into its log each time.
const ASK_PAUSE: i64 = 60_000;
/// And how soon again when it did not answer, or a channel is not connected and may be just about to.
const ASK_AGAIN: i64 = 30_000;
/// How often descendants of the process are looked for, in milliseconds.
const TREE_PAUSE: i64 = 30_000;
/// How much of a log's end is read.
const LOG_TAIL: u64 = 64 * 1024;
/// The most starts and ends that are told at once.
const MAX_EVENTS: usize = 64;

/// A crash, with all that is known of it: nothing of it is redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crash {
    /// Which gateway.
    pub(crate) gateway: String,
    /// When, or when it was noticed.
    pub(crate) at: Timestamp,
    /// In a few words; empty when nothing is known.
    pub(crate) reason: String,
    /// What kind of error it was.
    pub(crate) error_name: Option<String>,
    /// What the error said.
    pub(crate) message: Option<String>,
    /// Where it came from.
    pub(crate) stack: Option<String>,
}

/// What an observer is told of the rest of the host.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) now: Timestamp,
    /// Gateways' processes, as of the last search.
    pub(super) seen: Arc<Vec<Seen>>,
    /// Ports at which the gateways of other homes listen.
    pub(super) claimed: BTreeSet<u16>,
    /// Whether this is the only home.
    pub(super) alone: bool,
    pub(super) salt: String,
    pub(super) rpc: bool,
}

/// What other readers of OpenClaw need to know of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) home: Home,
    /// The gateway's process.
    pub(crate) pid: Option<u32>,
    /// Where the gateway listens.
    pub(crate) port: Option<u16>,
    /// Where its configuration has it write its log.
    pub(crate) log_file: Option<PathBuf>,
    /// The version that runs, or last ran.
    pub(crate) version: Option<String>,
    /// Where its program lies.
    pub(crate) package: Option<PathBuf>,
}

/// What an observer found.
pub(super) struct Told {
    pub(super) gateway: Gateway,
    pub(super) events: Vec<Event>,
    pub(super) crashes: Vec<Crash>,
    pub(super) known: Known,
}

/// Looks at one home.
pub(super) struct Observer {
    pub(super) home: Home,
    /// Why it cannot be looked into.
    pub(super) problem: Option<String>,
    quick: Work<Memory, Quick>,
    last: Quick,
    slow: Work<slow::Memory, slow::Slow>,
    slow_at: Option<Timestamp>,
    slow_for: Option<Running>,
    activities: Vec<activity::Entry>,
    last_slow: slow::Slow,
    asked_at: Option<Timestamp>,
    ask_again: bool,
    /// The channels as the gateway tells them, and how often in a row each was not connected.
    channels: Vec<(ClawChannel, u32)>,
    unreached: Option<(Timestamp, u32)>,
    answered_by: Option<Running>,
    process_since: Option<(Running, Timestamp)>,
    started_at: Option<Timestamp>,
    version_of: Option<(Option<Running>, String)>,
    before: GatewayState,
}

/// What the quick part compares with.
#[derive(Default)]
struct Memory {
    config_stamp: Option<Stamp>,
    config: Option<Arc<Config>>,
    process: Option<Running>,
    database_stamp: Option<Stamp>,
    book: Option<Arc<Book>>,
    meter: Meter,
    tree_at: Option<Timestamp>,
    out_of_memory_kills: Option<u64>,
    rss_bytes: Option<u64>,
    old_crash: Option<Explanation>,
}

/// Size and time of change of a file and of its log.
type Stamp = [Option<(u64, std::time::SystemTime)>; 2];

/// What the quick part found.
#[derive(Default, Clone)]
struct Quick {
    /// Whether it was done at all.
    done: bool,
    config: Option<Arc<Config>>,
    config_is_broken: bool,
    process: Option<Presence>,
    lock_port: Option<u16>,
    book: Option<Arc<Book>>,
    database_is_broken: bool,
    tally: Tally,
    living_since: Option<Timestamp>,
    changes: Vec<Change>,
    activities: Vec<activity::Entry>,
    explained: Vec<Explanation>,
    old_crash: Option<Explanation>,
    mark: Option<boots::Mark>,
    ran: Option<Ran>,
    output: Option<Output>,
    load: Load,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Explanation {
    boot: String,
    at: Option<Timestamp>,
    reason: String,
    error_name: Option<String>,
    message: Option<String>,
    stack: Option<String>,
}

/// What the quick part must know.
struct Question {
    home: Home,
    log_file: Option<PathBuf>,
    now: Timestamp,
    seen: Arc<Vec<Seen>>,
    alone: bool,
    answered: bool,
    /// Whether it was stopping at the look before.
    draining: bool,
    known: Known,
    salt: String,
}

impl Observer {
    /// What other readers need to know.
    pub(super) fn site(&self, known: &Known) -> Site {
        let config = self.last.config.as_deref();
        Site {
            home: self.home.clone(),
            pid: self.last.process.as_ref().and_then(Presence::running).map(|running| running.id.pid),
            port: self.last.lock_port.or(config.and_then(|config| config.port)),
            log_file: config.and_then(|config| config.log_file.clone()),
            version: known.version.clone(),
            package: known.package.clone(),
        }
    }

    pub(super) fn new(home: Home, problem: Option<String>) -> Self {
        Self {
            home,
            problem,
            quick: Work::new(),
            last: Quick::default(),
            slow: Work::new(),
            slow_at: None,
            slow_for: None,
            activities: Vec::new(),
            last_slow: slow::Slow::default(),
            asked_at: None,
            ask_again: false,
            channels: Vec::new(),
            unreached: None,
            answered_by: None,
            process_since: None,
            started_at: None,
            version_of: None,
            before: GatewayState::NotInstalled,
        }
    }

    /// The port that is this gateway's for certain.
    pub(super) fn claim(&self) -> Option<u16> {
        self.last.process.as_ref()?.running()?;
        Some(self.target().port)
    }

    /// Whether its process is not known, so that a search of the host may find it.
    pub(super) fn is_searching(&self) -> bool {
        self.last.process.as_ref().is_none_or(|process| process.running().is_none())
    }

    fn target(&self) -> Target {
        let config = self.last.config.as_deref();
        let lease_port = self.last.book.as_ref().and_then(|book| book.lease.as_ref()?.port);
        let configured = config.and_then(|config| config.port);
        let usual = if self.home.name.ends_with("dev") { config::DEV_PORT } else { config::DEFAULT_PORT };
        Target {
            // The lock tells of a port that was given on the command line.
            port: self.last.lock_port.or(configured).or(lease_port).unwrap_or(usual),
            host: config.and_then(|config| config.host),
            tls: config.is_some_and(|config| config.tls),
        }
    }

    /// Reads the files for the first time: where to ask stands in them, and whose the port is.
    pub(super) async fn prepare(&mut self, around: &Surroundings, known: &Known) {
        if !self.last.done
            && self.problem.is_none()
            && let Some(quick) = self.files(around, known, true).await
        {
            // The rest of what is new is found once more; these are read only after a change.
            self.activities = quick.activities;
        }
    }

    pub(super) async fn look(&mut self, around: Surroundings, known: Known) -> Told {
        let target = self.target();
        // Two homes with one port, as after a copy: it answers for the one whose process it is.
        let is_anothers = around.claimed.contains(&target.port) && self.claim().is_none();
        let reach = if is_anothers { Reach::Refused } else { http::probe(&target).await };
        let answered = matches!(reach, Reach::Answered(_));
        let known_before = known.clone();
        let mut quick = None;
        if self.problem.is_none() {
            quick = self.files(&around, &known_before, answered).await;
            self.slow_part(around.now, &known_before).await;
        }
        if around.rpc && answered {
            self.ask(around.now, &target).await;
        }
        self.tell(&around, known, &reach, quick)
    }

    /// Has the slow part done when it is time to, and takes over what it found.
    async fn slow_part(&mut self, now: Timestamp, known: &Known) {
        let running = self.last.process.as_ref().and_then(Presence::running).cloned();
        let up_since = self.last.living_since.or(self.started_at).filter(|_| running.is_some());
        // What a new process runs is worth knowing at once.
        let is_new = running.is_some() && self.slow_for != running;
        let due = is_new || self.slow_at.is_none_or(|at| now.millis_since(at).abs() >= SLOW_PAUSE);
        let found = if self.slow.is_busy() {
            self.slow.wait(SLOW_PATIENCE).await
        } else if due {
            self.slow_at = Some(now);
            self.slow_for.clone_from(&running);
            let question = slow::Question {
                home: self.home.clone(),
                config: self.last.config.clone(),
                up_since,
                running,
                package: known.package.clone(),
                now,
            };
            self.slow.run(SLOW_PATIENCE, move |memory| slow::read(&question, memory)).await
        } else {
            None
        };
        if let Some(found) = found {
            self.last_slow = found;
        }
    }

    /// Asks the gateway about its channels when it is time to: only one whose process and port are known for certain.
    async fn ask(&mut self, now: Timestamp, target: &Target) {
        let is_ours = self.claim().is_some() && self.last.lock_port == Some(target.port);
        let pause = if self.ask_again { ASK_AGAIN } else { ASK_PAUSE };
        if !is_ours || self.asked_at.is_some_and(|at| now.millis_since(at).abs() < pause) {
            return;
        }
        self.asked_at = Some(now);
        self.ask_again = true;
        let path = self.home.config_path.clone();
        let token =
            tokio::task::spawn_blocking(move || config::token(&config::read(&path, config::MAX_BYTES).ok()?));
        let Ok(Ok(Some(token))) = tokio::time::timeout(QUICK_PATIENCE, token).await else { return };
        let Some(channels) = channels::ask(target, &token).await else { return };
        let before = std::mem::take(&mut self.channels);
        for channel in channels {
            let times =
                before.iter().find(|(old, _)| old.name == channel.name).map_or(0, |(_, times)| *times);
            let times = if channel.connected == Some(false) { times.saturating_add(1) } else { 0 };
            self.channels.push((channel, times));
        }
        self.ask_again = self.channels.iter().any(|(_, times)| *times == 1);
    }

    /// The channels, and whether they are connected where that is known.
    fn channels(&self, alive: bool) -> Vec<ClawChannel> {
        if alive && !self.channels.is_empty() {
            return self.channels.iter().map(|(channel, _)| channel.clone()).collect();
        }
        let config = self.last.config.as_ref();
        let names = config.map(|config| config.channels.clone()).unwrap_or_default();
        names.into_iter().map(|name| ClawChannel { name, connected: None }).collect()
    }

    /// Reads the files, and returns what is new in them.
    async fn files(&mut self, around: &Surroundings, known: &Known, answered: bool) -> Option<Quick> {
        let question = Question {
            home: self.home.clone(),
            log_file: self.last.config.as_ref().and_then(|config| config.log_file.clone()),
            now: around.now,
            seen: Arc::clone(&around.seen),
            alone: around.alone,
            answered,
            draining: self.before == GatewayState::Draining,
            known: known.clone(),
            salt: around.salt.clone(),
        };
        let quick = self.quick.run(QUICK_PATIENCE, move |memory| read(&question, memory)).await?;
        self.last = quick.clone();
        self.last.changes.clear();
        self.last.explained.clear();
        self.last.activities.clear();
        Some(quick)
    }

    fn tell(&mut self, around: &Surroundings, mut known: Known, reach: &Reach, quick: Option<Quick>) -> Told {
        let now = around.now;
        let name = self.home.name.clone();
        let mut events = Vec::new();
        let mut crashes = Vec::new();
        if let Some(quick) = quick {
            let earlier = std::mem::take(&mut self.activities);
            let activities = if quick.activities.is_empty() { earlier } else { quick.activities };
            known.sequence = activity::last(&activities).or(known.sequence);
            events.extend(activity::events(&name, activities));
            known.mark = quick.mark;
            known.ran = quick.ran;
            known.output = quick.output;
            for change in quick.changes.into_iter().rev().take(MAX_EVENTS).rev() {
                let explanation = match &change {
                    Change::Ended(boot, _) => quick.explained.iter().find(|found| found.boot == boot.id),
                    Change::Started(_) | Change::Lost(_) => None,
                };
                let told = event_of(&name, &change, explanation, now);
                if let Change::Ended(_, exit) = &change {
                    let reason = told.reason.clone();
                    known.ended = Some(GatewayExit { at: Some(told.at), reason, outcome: exit.outcome });
                }
                events.push(told);
                if let Change::Ended(boot, exit) = &change
                    && exit.outcome == GatewayOutcome::Crashed
                {
                    let explanation = explanation.cloned().unwrap_or_default();
                    let at = explanation.at.or(exit.at).unwrap_or(now);
                    let words = exit.reason.clone().unwrap_or_default();
                    let reason = Some(explanation.reason).filter(|text| !text.is_empty()).unwrap_or(words);
                    known.crash = Some(Explained {
                        boot: boot.id.clone(),
                        at: Some(at),
                        reason: Some(reason.clone()).filter(|reason| !reason.is_empty()),
                    });
                    crashes.push(Crash {
                        gateway: name.clone(),
                        at,
                        reason,
                        error_name: explanation.error_name,
                        message: explanation.message,
                        stack: explanation.stack,
                    });
                }
            }
        }
        let (state, failing) = self.judge(around, reach);
        if let Some(ran) = known.ran.as_mut().filter(|_| state == GatewayState::Draining) {
            ran.draining = true;
        }
        let answers = match reach {
            Reach::Answered(answers) => Some(answers),
            _ => None,
        };
        let version = self.version(state, answers);
        if let Some(package) = &self.last_slow.package {
            known.package = Some(package.clone());
        }
        if let Some(version) = &version {
            if known.version.as_ref().is_some_and(|before| before != version) {
                let (from, to) = (known.version.clone(), Some(version.clone()));
                events.push(Event { from, to, ..event(now, EventKind::GatewayUpgraded, &name) });
            }
            known.version = Some(version.clone());
        }
        events.extend(state_event(&name, &mut known, state, &failing, now));
        let gateway = self.gateway(around, &known, state, failing, version, answers);
        self.before = state;
        Told { gateway, events, crashes, known }
    }

    fn judge(&mut self, around: &Surroundings, reach: &Reach) -> (GatewayState, Vec<String>) {
        let now = around.now;
        let running = self.last.process.as_ref().and_then(Presence::running).cloned();
        if let Some(running) = &running
            && self.process_since.as_ref().is_none_or(|(before, _)| before != running)
        {
            self.process_since = Some((running.clone(), now));
            self.unreached = None;
            self.channels.clear();
            self.asked_at = None;
        }
        if matches!(reach, Reach::Answered(_)) {
            self.unreached = None;
            self.answered_by.clone_from(&running);
        } else {
            let (since, probes) = self.unreached.unwrap_or((now, 0));
            self.unreached = Some((since, probes.saturating_add(1)));
        }
        let (since, unreached_probes) = self.unreached.unwrap_or((now, 0));
        let age = |since: Timestamp| now.millis_since(since);
        let lease = self.last.book.as_ref().and_then(|book| book.lease.as_ref());
        let first_seen = self.process_since.as_ref().map(|(_, at)| *at);
        let mut also_failing = Vec::new();
        if self.last.tally.crash_loop {
            also_failing.push("crash-loop".to_owned());
        }
        // One that is just about to connect does not fail.
        let failing = self.channels.iter().filter(|(_, times)| *times >= 2);
        also_failing.extend(failing.map(|(channel, _)| format!("channel:{}", channel.name)));
        // The port of one in a container may be another outside of it, or none.
        let is_apart = running.as_ref().is_some_and(|running| running.inner_pid != running.id.pid);
        let is_unreached = matches!(reach, Reach::Refused | Reach::Foreign);
        state::judge(&Observation {
            before: self.before,
            process: match (&self.last.process, self.problem.is_some()) {
                (_, true) | (None | Some(Presence::Unknown), _) => state::Seen::Unknown,
                (Some(Presence::There(_)), _) if is_apart && is_unreached => state::Seen::Unknown,
                (Some(Presence::There(_)), _) => state::Seen::There,
                (Some(Presence::Gone), _) => state::Seen::Gone,
            },
            process_age_ms: self.last.living_since.or(first_seen).map(age),
            has_answered: running.is_some() && self.answered_by == running,
            reach,
            unreached_ms: age(since),
            unreached_probes,
            lease_age_ms: lease.map(|lease| age(lease.heartbeat_at)),
            also_failing: &also_failing,
        })
    }

    /// The version that runs. What the files say may already be that of the next start: it counts when a process is new.
    fn version(&mut self, state: GatewayState, answers: Option<&Answers>) -> Option<String> {
        if matches!(state, GatewayState::Stopped | GatewayState::NotInstalled | GatewayState::Unknown) {
            return None;
        }
        let running = self.last.process.as_ref().and_then(Presence::running);
        let said = answers.and_then(|answers| answers.startup.as_ref()?.version.clone());
        let before = self.version_of.as_ref().filter(|(of, _)| running.is_some() && of.as_ref() == running);
        let before = || before.map(|(_, version)| version.clone());
        let written = || {
            answers?;
            let opened = self.last.book.as_ref().and_then(|book| book.version.clone());
            opened.or_else(|| self.last.config.as_ref()?.touched_version.clone())
        };
        let version = said.or_else(before).or_else(written).filter(|version| process::is_version(version))?;
        self.version_of = Some((running.cloned(), version.clone()));
        Some(version)
    }

    fn gateway(
        &mut self,
        around: &Surroundings,
        known: &Known,
        state: GatewayState,
        failing: Vec<String>,
        version: Option<String>,
        answers: Option<&Answers>,
    ) -> Gateway {
        let now = around.now;
        let running = self.last.process.as_ref().and_then(Presence::running);
        let ready = answers.and_then(|answers| answers.ready.as_ref());
        let uptime = ready
            .and_then(|ready| ready.uptime_ms)
            .or_else(|| answers.and_then(|answers| answers.startup.as_ref()?.uptime_ms));
        let since = self.last.living_since.or_else(|| uptime.map(|uptime| now.plus_millis(-uptime)));
        // What is reckoned from its uptime wavers by the time an answer takes.
        self.started_at = match (self.started_at, since) {
            (Some(before), Some(since)) if before.millis_since(since).abs() < 5_000 => Some(before),
            (before, None) if running.is_some() => before,
            (_, since) => since,
        };
        let alive = !matches!(state, GatewayState::Stopped | GatewayState::Unknown);
        let has_book = self.last.book.as_ref().is_some_and(|book| book.boots.is_some());
        let last_exit = self.last.tally.last_exit.clone().map(|exit| {
            let is_it = |boot: &String| Some(boot) == self.last.tally.last_boot.as_ref();
            let crashed = exit.outcome == GatewayOutcome::Crashed;
            let crash = known.crash.as_ref().filter(|crash| crashed && is_it(&crash.boot));
            let old = self.last.old_crash.as_ref().filter(|crash| crashed && is_it(&crash.boot));
            let old_reason = old.map(|crash| crash.reason.clone()).filter(|reason| !reason.is_empty());
            GatewayExit {
                at: crash.and_then(|crash| crash.at).or(old.and_then(|crash| crash.at)).or(exit.at),
                reason: exit.reason.or_else(|| crash?.reason.clone()).or(old_reason),
                outcome: exit.outcome,
            }
        });
        // The book forgets after a day, and some have none.
        let last_exit = last_exit.or_else(|| known.ended.clone());
        let slow = &self.last_slow;
        Gateway {
            name: self.home.name.clone(),
            state,
            failing,
            problem: self.problem(),
            version,
            installed_version: slow.installed_version.clone(),
            pid: running.map(|running| running.inner_pid),
            started_at: self.started_at.filter(|_| alive),
            rss_bytes: self.last.load.rss_bytes,
            cpu_pct: self.last.load.cpu_pct,
            event_loop_p99_ms: ready.and_then(|ready| ready.delay_p99_ms),
            boots: has_book.then_some(self.last.tally.boots),
            crashes: has_book.then_some(self.last.tally.crashes),
            last_exit,
            channels: self.channels(alive),
            agents: slow.agents,
            sessions: slow.sessions,
            sessions_active: slow.sessions_active,
            cron: slow.cron.clone(),
            tasks: slow.tasks.clone(),
            workspaces: slow.workspaces.clone(),
        }
    }

    fn problem(&self) -> Option<String> {
        let problem = self.problem.clone();
        let broken = |is_broken: bool, text: &str| is_broken.then(|| text.to_owned());
        problem
            .or_else(|| {
                broken(
                    self.last.config_is_broken,
                    "openclaw.json cannot be read: it is damaged or too long; `openclaw doctor` says where.",
                )
            })
            .or_else(|| {
                broken(
                    self.last.database_is_broken,
                    "OpenClaw's state database cannot be read: it is damaged, or the agent may not read it; run the \
                     agent as the user who runs OpenClaw, and see `openclaw doctor`.",
                )
            })
    }
}

fn event(at: Timestamp, kind: EventKind, gateway: &str) -> Event {
    Event {
        at,
        kind,
        gateway: Some(gateway.to_owned()),
        from: None,
        to: None,
        reason: None,
        duration_ms: None,
        count: None,
        activity: None,
    }
}

fn event_of(name: &str, change: &Change, explanation: Option<&Explanation>, now: Timestamp) -> Event {
    match change {
        Change::Started(boot) => event(boot.started_at, EventKind::GatewayStarted, name),
        Change::Lost(_) => Event {
            reason: Some("how it ended is not on record any more".to_owned()),
            ..event(now, EventKind::GatewayStopped, name)
        },
        Change::Ended(boot, exit) => {
            let kind = match exit.outcome {
                GatewayOutcome::Crashed => EventKind::GatewayCrashed,
                GatewayOutcome::StartupFailed => EventKind::GatewayStartFailed,
                GatewayOutcome::CleanStop | GatewayOutcome::Unknown => EventKind::GatewayStopped,
            };
            let at = explanation.and_then(|found| found.at).or(exit.at).unwrap_or(now);
            let words = explanation.map(|found| found.reason.clone()).filter(|words| !words.is_empty());
            Event {
                reason: exit.reason.clone().or(words),
                duration_ms: u64::try_from(at.millis_since(boot.started_at)).ok(),
                ..event(at, kind, name)
            }
        }
    }
}

/// What there is to tell of a change of state. Starts and ends are told by the book.
fn state_event(
    name: &str,
    known: &mut Known,
    state: GatewayState,
    failing: &[String],
    now: Timestamp,
) -> Option<Event> {
    let before = known.state.replace(state);
    if before == Some(state) {
        return None;
    }
    let was_in_trouble = matches!(before, Some(GatewayState::Hung | GatewayState::Degraded));
    let is_in_trouble = matches!(state, GatewayState::Hung | GatewayState::Degraded);
    let since = known.trouble_since;
    if !is_in_trouble {
        known.trouble_since = None;
    } else if !was_in_trouble || since.is_none() {
        known.trouble_since = Some(now);
    }
    let kind = match state {
        GatewayState::Hung => EventKind::GatewayHung,
        GatewayState::Degraded => EventKind::GatewayDegraded,
        GatewayState::Running if was_in_trouble => EventKind::GatewayRecovered,
        _ => return None,
    };
    let lasted = since.filter(|_| kind == EventKind::GatewayRecovered);
    Some(Event {
        from: before.map(|before| before.as_str().to_owned()),
        to: Some(state.as_str().to_owned()),
        reason: (!failing.is_empty()).then(|| failing.join(", ")),
        duration_ms: lasted.and_then(|since| u64::try_from(now.millis_since(since)).ok()),
        ..event(now, kind, name)
    })
}

fn stamp(path: &Path) -> Stamp {
    let of = |path: &Path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.len(), file.modified().ok()?))
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [of(path), of(Path::new(&log))]
}

/// The quick part: a few files, and the database when it has changed.
fn read(question: &Question, memory: &mut Memory) -> Quick {
    let home = &question.home;
    let mut quick = Quick { done: true, ..Quick::default() };
    let config_stamp = stamp(&home.config_path);
    if memory.config_stamp != Some(config_stamp) {
        let text = config::read(&home.config_path, config::MAX_BYTES);
        memory.config = text.ok().and_then(|text| config::parse(&text, &home.user_home)).map(Arc::new);
        memory.config_stamp = Some(config_stamp);
    }
    let [config_file, _] = config_stamp;
    quick.config_is_broken = memory.config.is_none() && config_file.is_some();
    quick.config.clone_from(&memory.config);

    let process_before = memory.process.clone();
    let (running, lock_port) = find_process(question, process_before.as_ref());
    quick.lock_port = lock_port;

    let database = home.state_dir.join("state/openclaw.sqlite");
    let database_stamp = stamp(&database);
    let [database_file, _] = database_stamp;
    let changed = memory.database_stamp != Some(database_stamp) || running != process_before;
    if changed && database_file.is_some() {
        let sequence = question.known.sequence;
        let answer = sqlite::read(&database, |db| {
            // What cannot be read of the one must not hide the other.
            let activities = activity::read(db, sequence, &question.salt).unwrap_or_default();
            Ok((boots::read(db)?, activities))
        });
        if let Ok((book, activities)) = answer {
            quick.activities = activities;
            memory.book = Some(Arc::new(book));
            memory.database_stamp = Some(database_stamp);
        } else {
            quick.database_is_broken = true;
        }
    }
    quick.book.clone_from(&memory.book);
    let book = memory.book.clone().unwrap_or_default();
    let presence = match &running {
        Some(running) => Presence::There(running.clone()),
        None => absence(&book, question),
    };
    starts(question, &book, &presence, memory, &mut quick);
    quick.output = output(question, running.as_ref());

    if let Some(running) = &running {
        let deep = memory.tree_at.is_none_or(|at| question.now.millis_since(at).abs() >= TREE_PAUSE)
            || process_before.as_ref() != Some(running);
        if deep {
            memory.tree_at = Some(question.now);
        }
        quick.load = memory.meter.read(running.id, deep);
        memory.rss_bytes = quick.load.rss_bytes.or(memory.rss_bytes);
    } else {
        memory.meter = Meter::default();
    }
    memory.out_of_memory_kills = process::out_of_memory_kills();
    memory.process = running;
    quick.process = Some(presence);
    quick
}

/// Where the process prints its errors, if that is a file; of one that is gone, where it did.
fn output(question: &Question, running: Option<&Running>) -> Option<Output> {
    let before = question.known.output.as_ref();
    let Some(running) = running else { return before.cloned() };
    let same = |known: &&Output| known.pid == running.inner_pid && known.started == running.id.started;
    if let Some(before) = before.filter(same) {
        return Some(before.clone());
    }
    let file = std::fs::read_link(format!("/proc/{}/fd/2", running.id.pid)).ok()?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(Output { pid: running.inner_pid, started: running.id.started, file, from: metadata.len() })
}

/// The gateway's process, and the port its lock names.
fn find_process(question: &Question, before: Option<&Running>) -> (Option<Running>, Option<u16>) {
    let home = &question.home;
    let locks = process::locks(&home.state_dir, &home.config_path);
    let port_of = |running: &Running| {
        locks.iter().find(|lock| lock.pid == running.inner_pid).and_then(|lock| lock.port)
    };
    if let Some(before) = before.filter(|before| process::alive(before)) {
        return (Some(before.clone()), port_of(before));
    }
    if let Some(running) = process::holder(&locks) {
        let port = port_of(&running);
        return (Some(running), port);
    }
    let file = process::file_id(&home.state_dir.join("state/openclaw.sqlite"));
    let with_database = question.seen.iter().find(|seen| file.is_some_and(|id| seen.databases.contains(&id)));
    // Early in its life it has neither lock nor database.
    let young = || {
        let owner = process::owner_of(&home.state_dir);
        let mut ours =
            question.seen.iter().filter(|seen| seen.databases.is_empty() && seen.running.uid == owner);
        ours.next().filter(|_| question.alone && ours.next().is_none())
    };
    let running = with_database.or_else(young).map(|seen| seen.running.clone());
    let running = running.filter(process::alive);
    let port = running.as_ref().and_then(port_of);
    (running, port)
}

/// Whether a process that was not found is gone, or cannot be seen from here.
fn absence(book: &Book, question: &Question) -> Presence {
    let lease = book.lease.as_ref();
    let elsewhere = lease
        .and_then(|lease| lease.host.as_ref())
        .is_some_and(|host| process::hostname().is_some_and(|own| own != *host));
    let silent =
        lease.is_none_or(|lease| question.now.millis_since(lease.heartbeat_at) > state::LEASE_PATIENCE);
    if question.answered || (elsewhere && !silent) { Presence::Unknown } else { Presence::Gone }
}

/// Starts and ends, and why.
fn starts(question: &Question, book: &Book, presence: &Presence, memory: &mut Memory, quick: &mut Quick) {
    let known = &question.known;
    quick.mark.clone_from(&known.mark);
    quick.ran.clone_from(&known.ran);
    let boots = book.boots.as_deref().unwrap_or_default();
    if boots.is_empty() {
        without_book(question, presence, quick);
        return;
    }
    quick.ran = None;
    let living = boots::living(boots, presence);
    quick.living_since = living.map(|boot| boot.started_at);
    quick.tally = boots::tally(boots, living, question.now);
    (quick.changes, quick.mark) = boots::changes(boots, living, known.mark.as_ref());
    let crashed = |change: &Change| match change {
        Change::Ended(boot, exit) if exit.outcome == GatewayOutcome::Crashed => Some(boot.clone()),
        _ => None,
    };
    let crashed: Vec<_> = quick.changes.iter().filter_map(crashed).collect();
    for boot in crashed.into_iter().rev().take(8) {
        let mut found = from_bundle(question, &boot);
        if found.reason.is_empty() {
            let is_now = memory.process.as_ref().is_some_and(|before| before.inner_pid == boot.pid);
            found.reason = how(question, boot.pid, memory, is_now);
            let output = known.output.as_ref().filter(|output| output.pid == boot.pid);
            if let Some(words) = output.and_then(|output| log::printed(&output.file, output.from)) {
                found.reason = log::reason_of(&words);
                found.message = Some(words);
            }
        }
        quick.explained.push(found);
    }
    let last = quick.tally.last_boot.as_ref();
    let last = boots.iter().find(|boot| Some(&boot.id) == last && boot.completed_at.is_none());
    let told = |boot: &Boot| known.crash.as_ref().is_some_and(|crash| crash.boot == boot.id);
    if let Some(boot) = last.filter(|boot| !told(boot)) {
        // It crashed before the agent ever looked.
        if memory.old_crash.as_ref().is_none_or(|found| found.boot != boot.id) {
            memory.old_crash = Some(from_bundle(question, boot));
        }
        quick.old_crash.clone_from(&memory.old_crash);
    }
}

/// What the gateway wrote down itself.
fn from_bundle(question: &Question, boot: &Boot) -> Explanation {
    let found = Explanation { boot: boot.id.clone(), ..Explanation::default() };
    let Some(bundle) = boots::bundle(&question.home.state_dir, boot.pid, boot.started_at) else {
        return found;
    };
    let reason = match &bundle.error_name {
        Some(name) => format!("{}: {name}", bundle.reason),
        None => bundle.reason,
    };
    Explanation {
        at: bundle.at,
        reason,
        error_name: bundle.error_name,
        message: bundle.message,
        stack: bundle.stack,
        ..found
    }
}

/// How a process ended that left no word: by what it left behind.
fn how(question: &Question, pid: u32, memory: &Memory, is_now: bool) -> String {
    let home = &question.home;
    let kept_lock = process::locks(&home.state_dir, &home.config_path).iter().any(|lock| lock.pid == pid);
    let kernel = match (memory.out_of_memory_kills, process::out_of_memory_kills()) {
        (Some(before), Some(after)) => is_now && after > before,
        _ => false,
    };
    let used = memory.rss_bytes.filter(|_| is_now);
    let used = used.map(|bytes| format!("; it used {} MB of memory", bytes / 1_000_000)).unwrap_or_default();
    match (kept_lock, kernel) {
        (true, true) => format!("out of memory: ended by the kernel{used}"),
        // Its own end of the program would have taken the lock away.
        (true, false) if is_now && question.draining => format!("killed while it was stopping{used}"),
        (true, false) => format!("killed{used}"),
        (false, _) => "ended by itself, without a word in its log".to_owned(),
    }
}

/// Before there was a book: ends are seen as they happen.
fn without_book(question: &Question, presence: &Presence, quick: &mut Quick) {
    let before = quick.ran.clone();
    let running = match presence {
        Presence::There(running) => Some(running),
        Presence::Gone => None,
        Presence::Unknown => return,
    };
    let same = |ran: &Ran| {
        running.is_some_and(|running| ran.pid == running.id.pid && ran.started == running.id.started)
    };
    if let Some(ran) = before.as_ref().filter(|ran| !same(ran)) {
        let (outcome, reason) = how_without_book(question, ran);
        quick.changes.push(Change::Ended(
            boot_of(ran, question.now),
            GatewayExit { outcome, at: None, reason: reason.map(str::to_owned) },
        ));
    }
    if let Some(running) = running
        && !before.as_ref().is_some_and(same)
    {
        let ran = Ran {
            pid: running.id.pid,
            started: running.id.started,
            since: Some(question.now),
            draining: false,
        };
        // One that ran before the agent did has not started now.
        if question.known.state.is_some() {
            quick.changes.push(Change::Started(boot_of(&ran, question.now)));
        }
        quick.ran = Some(ran);
    } else if running.is_none() {
        quick.ran = None;
    }
}

fn boot_of(ran: &Ran, now: Timestamp) -> Boot {
    Boot {
        id: format!("{}-{}", ran.pid, ran.started),
        pid: ran.pid,
        started_at: ran.since.unwrap_or(now),
        completed_at: None,
        outcome: None,
        startup_reason: None,
        reason: None,
    }
}

fn how_without_book(question: &Question, ran: &Ran) -> (GatewayOutcome, Option<&'static str>) {
    let home = &question.home;
    let kept_lock = process::locks(&home.state_dir, &home.config_path).iter().any(|lock| lock.pid == ran.pid);
    if ran.draining || (!kept_lock && log_tells_of_a_stop(question)) {
        (GatewayOutcome::CleanStop, None)
    } else if kept_lock {
        (GatewayOutcome::Crashed, Some("killed"))
    } else {
        (GatewayOutcome::Crashed, Some("ended by itself, without a word in its log"))
    }
}

/// Whether the log ends with a stop that was asked for, within the last minute.
fn log_tells_of_a_stop(question: &Question) -> bool {
    let folder = std::env::temp_dir().join("openclaw");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(256);
    let newest = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .filter(|(_, path)| path.extension().is_some_and(|extension| extension == "log"))
        .max();
    let own = question.log_file.clone().or_else(|| newest.map(|(_, path)| path));
    own.and_then(|path| tail(&path)).is_some_and(|tail| tells_of_a_stop(&tail, question.now))
}

fn tail(path: &Path) -> Option<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL))).ok()?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn tells_of_a_stop(tail: &str, now: Timestamp) -> bool {
    #[derive(serde::Deserialize)]
    struct Line {
        time: String,
        message: String,
    }
    let stops = tail.lines().rev().filter(|line| line.contains("; shutting down"));
    stops.filter_map(|line| serde_json::from_str::<Line>(line).ok()).any(|line| {
        let time = line.time.parse::<jiff::Timestamp>().map(|time| Timestamp(time.as_millisecond()));
        line.message.contains("received SIG") && time.is_ok_and(|time| now.millis_since(time) < 60_000)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_state_are_told_once() {
        let mut known = Known::default();
        let mut check = |state: GatewayState, at: i64, expected: Option<(EventKind, Option<u64>)>| {
            let failing = ["x".to_owned()];
            let failing = if state == GatewayState::Degraded { &failing[..] } else { &[] };
            let event = state_event("default", &mut known, state, failing, Timestamp(at));
            assert_eq!(event.map(|event| (event.kind, event.duration_ms)), expected, "{state:?} at {at}");
        };
        check(GatewayState::Running, 0, None);
        check(GatewayState::Degraded, 10, Some((EventKind::GatewayDegraded, None)));
        check(GatewayState::Degraded, 20, None);
        check(GatewayState::Hung, 30, Some((EventKind::GatewayHung, None)));
        check(GatewayState::Running, 50, Some((EventKind::GatewayRecovered, Some(40))));
        check(GatewayState::Hung, 60, Some((EventKind::GatewayHung, None)));
        check(GatewayState::Stopped, 70, None);
        check(GatewayState::Starting, 80, None);
        check(GatewayState::Running, 90, None);
    }

    #[test]
    fn a_stop_is_read_from_the_log() {
        let now = Timestamp(1_795_151_000_000);
        let line = |ago: i64, text: &str| {
            let time = jiff::Timestamp::from_millisecond(now.0 - ago).unwrap();
            format!("{{\"time\":\"{time}\",\"message\":\"{text}\"}}\n")
        };
        let stop = "received SIGTERM; shutting down";
        assert!(tells_of_a_stop(&(line(9_000, stop) + "{half a line"), now));
        assert!(!tells_of_a_stop(&line(90_000, stop), now));
        assert!(!tells_of_a_stop(&line(10, "somebody said: ; shutting down"), now));
        assert!(!tells_of_a_stop("", now));
    }
}
