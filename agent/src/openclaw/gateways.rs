//! All gateways of this host, looked at again and again.
//!
//! [`Gateways::look`] finds the homes of OpenClaw (`find`, with the processes that run, once a minute), and lets one
//! `Observer` look at each. An observer asks the port, then the files: in this order a process that ended in between is
//! noticed at the next look rather than told as a crash of a gateway that answers. Whatever may block is on threads for that,
//! and nobody waits for what hangs. What must outlive the agent is in [`Remembered`], which the runtime keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Gateway, GatewayState, OpenClaw, Timestamp, limits};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::Home;
use super::boots::Mark;
use super::find::{Env, Found, Owner, find};
use super::observer::{Crash, Observer, Site, Surroundings};
use super::process::{self, Seen};
use super::work::Work;

/// How often the whole host is searched while every gateway's process is known, and while one is not, in milliseconds.
const SWEEP_QUIET: i64 = 60_000;
const SWEEP_SEARCHING: i64 = 10_000;
/// Searches in vain after which one is searched for no more often than others.
const SWEEPS_IN_VAIN: u32 = 6;
/// How long a look waits for a search.
const SWEEP_PATIENCE: Duration = Duration::from_secs(1);
/// The most homes that are remembered.
const MAX_REMEMBERED: usize = 128;

/// What the runtime keeps from one run of the agent to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Remembered {
    /// What hashes of session keys are made with. Stays on the device.
    salt: String,
    /// What is known of each home, by its state folder.
    homes: BTreeMap<PathBuf, Known>,
}

/// What is remembered of one home.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// The state that was last told.
    pub(crate) state: Option<GatewayState>,
    /// Since when it is hung or degraded.
    pub(crate) trouble_since: Option<Timestamp>,
    /// The version that last ran.
    pub(crate) version: Option<String>,
    /// Where the program lies.
    pub(crate) package: Option<PathBuf>,
    /// Up to where its book of starts was told.
    pub(crate) mark: Option<Mark>,
    /// The last crash that was explained.
    pub(crate) crash: Option<Explained>,
    /// How it last ended.
    pub(crate) ended: Option<protocol::GatewayExit>,
    /// The process that was last seen, of a version without such a book.
    pub(crate) ran: Option<Ran>,
    /// Up to where its list of activities was told.
    pub(crate) sequence: Option<i64>,
    /// Where its process prints its errors.
    pub(crate) output: Option<Output>,
}

/// A file that a process prints its errors into; it cannot be asked for once the process is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Output {
    pub(crate) pid: u32,
    pub(crate) started: u64,
    pub(crate) file: PathBuf,
    /// What stood there before is of others.
    pub(crate) from: u64,
}

/// Why a gateway crashed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Explained {
    pub(crate) boot: String,
    pub(crate) at: Option<Timestamp>,
    pub(crate) reason: Option<String>,
}

/// A process that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ran {
    pub(crate) pid: u32,
    pub(crate) started: u64,
    pub(crate) since: Option<Timestamp>,
    pub(crate) draining: bool,
}

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) openclaw: OpenClaw,
    /// What happened, oldest first. Reasons are as OpenClaw writes them: the caller redacts.
    pub(crate) events: Vec<protocol::Event>,
    /// The crashes among them, with all that is known. The caller redacts.
    pub(crate) crashes: Vec<Crash>,
    /// Something changed that should be told at once.
    pub(crate) changed: bool,
}

/// Looks after all gateways of this host.
pub(crate) struct Gateways {
    openclaw_home: Option<PathBuf>,
    rpc: bool,
    remembered: Remembered,
    homes: Vec<Home>,
    observers: Vec<Observer>,
    sweep: Work<(), Sweep>,
    swept_at: Option<Timestamp>,
    in_vain: u32,
    seen: Arc<Vec<Seen>>,
    told: Vec<Essence>,
}

/// What makes a look worth telling at once.
#[derive(Debug, PartialEq)]
struct Essence {
    name: String,
    state: GatewayState,
    version: Option<String>,
    installed: Option<String>,
    failing: Vec<String>,
    problem: Option<String>,
}

/// What a search of the host found.
struct Sweep {
    found: Vec<Found>,
    seen: Vec<Seen>,
}

impl Gateways {
    /// Without `openclaw_home` all of the host is searched; with `rpc` a gateway is asked about its channels, for which its
    /// token is read.
    pub(crate) fn new(openclaw_home: Option<PathBuf>, rpc: bool, mut remembered: Remembered) -> Self {
        if remembered.salt.len() < 32 {
            let mut bytes = [0; 16];
            // Without randomness the hashes would name sessions: then none are made.
            remembered.salt =
                if getrandom::fill(&mut bytes).is_ok() { super::hex(&bytes) } else { String::new() };
        }
        Self {
            openclaw_home,
            rpc,
            remembered,
            homes: Vec::new(),
            observers: Vec::new(),
            sweep: Work::new(),
            swept_at: None,
            in_vain: 0,
            seen: Arc::default(),
            told: Vec::new(),
        }
    }

    /// The homes found at the last look.
    #[cfg(test)]
    pub(crate) fn homes(&self) -> &[Home] {
        &self.homes
    }

    /// What other readers need to know of each home, as of the last look.
    pub(crate) fn sites(&self) -> Vec<Site> {
        self.observers.iter().map(|observer| observer.site(&self.known(&observer.home))).collect()
    }

    /// What the next run of the agent should begin with.
    pub(crate) fn remembered(&self) -> Remembered {
        self.remembered.clone()
    }

    /// Looks once: every three seconds while there is a gateway. It takes milliseconds, and about three seconds when one hangs.
    pub(crate) async fn look(&mut self, now: Timestamp) -> Look {
        self.search(now).await;
        let mut look = Look::default();
        // Whoever drops a look before its end drops its observers too: then the next one searches at once.
        let swept_at = self.swept_at.take();
        let mut observers = std::mem::take(&mut self.observers);
        let mut around = Surroundings {
            now,
            seen: Arc::clone(&self.seen),
            claimed: BTreeSet::new(),
            alone: observers.len() == 1,
            salt: self.remembered.salt.clone(),
            rpc: self.rpc,
        };
        for observer in &mut observers {
            observer.prepare(&around, &self.known(&observer.home)).await;
        }
        let claimed: Vec<_> = observers.iter().map(Observer::claim).collect();
        let mut looking = JoinSet::new();
        for (index, mut observer) in observers.into_iter().enumerate() {
            let others = claimed.iter().enumerate().filter(|(other, _)| *other != index);
            around.claimed = others.filter_map(|(_, port)| *port).collect();
            let around = around.clone();
            let known = self.known(&observer.home);
            looking.spawn(async move {
                let told = observer.look(around, known).await;
                (index, observer, told)
            });
        }
        let mut done = Vec::new();
        let mut all_well = true;
        while let Some(result) = looking.join_next().await {
            // One that fails is made anew at the next search.
            if let Ok(result) = result {
                done.push(result);
            } else {
                all_well = false;
            }
        }
        self.swept_at = swept_at.filter(|_| all_well);
        done.sort_by_key(|(index, ..)| *index);
        for (_, observer, told) in done {
            let mut known = told.known;
            known.name.clone_from(&observer.home.name);
            self.remembered.homes.insert(observer.home.state_dir.clone(), known);
            look.openclaw.gateways.push(told.gateway);
            look.events.extend(told.events);
            look.crashes.extend(told.crashes);
            self.observers.push(observer);
        }
        look.events.sort_by_key(|event| event.at);
        look.openclaw.state = worst(&look.openclaw.gateways);
        look.openclaw.version = version(&look.openclaw.gateways);
        let told: Vec<_> = look.openclaw.gateways.iter().map(Essence::of).collect();
        look.changed = told != self.told || !look.crashes.is_empty();
        self.told = told;
        look
    }

    fn known(&self, home: &Home) -> Known {
        self.remembered.homes.get(&home.state_dir).cloned().unwrap_or_default()
    }

    /// Searches the host when it is time to.
    async fn search(&mut self, now: Timestamp) {
        let searching = self.observers.iter().any(Observer::is_searching) || self.observers.is_empty();
        // A search looks into every process of the host: one that was in vain for a minute is not worth that so often. A gateway
        // with a lock or a port is seen without.
        let pause = if searching && self.in_vain < SWEEPS_IN_VAIN { SWEEP_SEARCHING } else { SWEEP_QUIET };
        let due = self.swept_at.is_none_or(|at| !(0..pause).contains(&now.millis_since(at)));
        if !due && !self.sweep.is_busy() {
            return;
        }
        if due {
            self.swept_at = Some(now);
            self.in_vain = if searching { self.in_vain.saturating_add(1) } else { 0 };
        }
        let given = self.openclaw_home.clone();
        let names = self.remembered.homes.iter().map(|(dir, known)| (dir.clone(), known.name.clone()));
        let names: BTreeMap<_, _> = names.filter(|(_, name)| !name.is_empty()).collect();
        let work = move |(): &mut ()| sweep(given.as_deref(), &names);
        if let Some(Sweep { found, seen }) = self.sweep.run(SWEEP_PATIENCE, work).await {
            self.seen = Arc::new(seen);
            self.adopt(found);
        }
    }

    /// Has an observer for every home, and keeps those that are at it.
    fn adopt(&mut self, found: Vec<Found>) {
        let mut before = std::mem::take(&mut self.observers);
        for Found { home, problem } in found {
            let observer = match before.iter().position(|observer| observer.home == home) {
                Some(index) => {
                    let mut observer = before.swap_remove(index);
                    observer.problem = problem;
                    observer
                }
                None => Observer::new(home, problem),
            };
            self.observers.push(observer);
        }
        self.homes = self.observers.iter().map(|observer| observer.home.clone()).collect();
        if self.remembered.homes.len() > MAX_REMEMBERED {
            let present: BTreeSet<_> = self.homes.iter().map(|home| &home.state_dir).collect();
            self.remembered.homes.retain(|dir, _| present.contains(dir));
        }
    }
}

fn sweep(given: Option<&std::path::Path>, names: &BTreeMap<PathBuf, String>) -> Sweep {
    let env = Env::current();
    let seen = process::scan();
    let mut owners: Vec<Owner> = Vec::new();
    if given.is_none() {
        let own_uid = env.users.first().and_then(|user| user.uid);
        for seen in &seen {
            let uid = seen.running.uid;
            match &seen.state_dir {
                Some(dir) => {
                    owners.push(Owner { state_dir: dir.clone(), config_path: None, uid });
                }
                // Its files cannot be seen: its owner is all there is to say.
                None if seen.databases.is_empty() && uid != own_uid && !env.root => {
                    owners.push(Owner { uid, ..Owner::default() });
                }
                None => {}
            }
        }
        for lock in process::system_locks() {
            // Before 2026.9 a lock names the configuration only, which lies in the state folder.
            let beside = || lock.config_path.as_ref()?.parent().map(std::path::Path::to_owned);
            let Some(dir) = lock.state_dir.clone().or_else(beside).filter(|dir| dir.is_absolute()) else {
                continue;
            };
            let Some(running) = process::holder(std::slice::from_ref(&lock)) else { continue };
            // Anybody may write there: a lock speaks for the folders of its process's own user.
            let whose = process::owner_of(&dir);
            if whose.is_none() || running.uid.is_none() || whose == running.uid {
                owners.push(Owner { state_dir: dir, config_path: lock.config_path, uid: running.uid });
            }
        }
        for owner in &mut owners {
            // An own configuration path stands in the lock.
            if owner.config_path.is_none() && !owner.state_dir.as_os_str().is_empty() {
                let locks = process::locks(&owner.state_dir, &owner.state_dir.join("openclaw.json"));
                owner.config_path = locks.into_iter().find_map(|lock| lock.config_path);
            }
        }
    }
    let mut found = find(&env, given, &owners, names);
    for found in &mut found {
        let ours = owners.iter().find(|owner| owner.state_dir == found.home.state_dir);
        if let Some(path) = ours.and_then(|owner| owner.config_path.clone()).filter(|path| path.is_absolute())
        {
            found.home.config_path = path;
        }
    }
    Sweep { found, seen }
}

impl Essence {
    fn of(gateway: &Gateway) -> Self {
        Self {
            name: gateway.name.clone(),
            state: gateway.state,
            version: gateway.version.clone(),
            installed: gateway.installed_version.clone(),
            failing: gateway.failing.clone(),
            problem: gateway.problem.clone(),
        }
    }
}

/// The state of the one that is worst off.
fn worst(gateways: &[Gateway]) -> GatewayState {
    let rank = |state: GatewayState| match state {
        GatewayState::NotInstalled => 0,
        GatewayState::Running => 1,
        GatewayState::Starting => 2,
        GatewayState::Draining => 3,
        GatewayState::Unknown => 4,
        GatewayState::Degraded => 5,
        GatewayState::Stopped => 6,
        GatewayState::Hung => 7,
    };
    gateways.iter().map(|gateway| gateway.state).max_by_key(|state| rank(*state)).unwrap_or_default()
}

fn version(gateways: &[Gateway]) -> Option<String> {
    let running = gateways.iter().find_map(|gateway| gateway.version.clone());
    let version = running.or_else(|| gateways.iter().find_map(|gateway| gateway.installed_version.clone()));
    version.filter(|version| version.chars().count() <= limits::MAX_TEXT_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    use protocol::{EventKind, GatewayOutcome, Payload as _};

    use super::super::http::tests::{Fake, READY, Say};
    use super::super::tests::real_home;

    /// Later than everything in the samples.
    const NOW: i64 = 1_795_152_000_000;

    /// A home of the samples whose gateway listens where the fake does.
    fn home_with(dir: &std::path::Path, port: u16) -> PathBuf {
        let home = real_home(dir);
        let text = std::fs::read_to_string(&home.config_path).unwrap();
        std::fs::write(&home.config_path, text.replace("18789", &port.to_string())).unwrap();
        home.state_dir
    }

    fn kinds(look: &Look) -> Vec<EventKind> {
        let events = look.events.iter().filter(|event| event.kind != EventKind::Activity);
        events.map(|event| event.kind).collect()
    }

    fn write(dir: &std::path::Path, sql: &str) {
        let db = rusqlite::Connection::open(dir.join("state/openclaw.sqlite")).unwrap();
        db.execute_batch(sql).unwrap();
    }

    /// A process that is there, and the lock it would hold.
    #[cfg(target_os = "linux")]
    fn lock(dir: &std::path::Path, port: u16) {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let started = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap();
        let folder = dir.join("tmp/openclaw-0");
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            r#"{{"pid":{},"stateDir":"{}","port":{port},"startTime":{started}}}"#,
            std::process::id(),
            dir.display()
        );
        std::fs::write(folder.join("gateway.state.lock"), text).unwrap();
    }

    fn only(look: &Look) -> &Gateway {
        assert_eq!(look.openclaw.gateways.len(), 1);
        &look.openclaw.gateways[0]
    }

    #[tokio::test]
    async fn nothing_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut gateways = Gateways::new(Some(dir.path().join("none")), false, Remembered::default());
        let look = gateways.look(Timestamp(NOW)).await;
        assert_eq!((look.openclaw.gateways.len(), look.openclaw.state), (0, GatewayState::NotInstalled));
    }

    #[tokio::test]
    async fn one_that_is_stopped_tells_its_past_and_no_news() {
        let dir = tempfile::tempdir().unwrap();
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let state_dir = home_with(dir.path(), unused);
        let mut gateways = Gateways::new(Some(dir.path().to_owned()), false, Remembered::default());
        let look = gateways.look(Timestamp(NOW)).await;
        let gateway = only(&look);
        assert_eq!((gateway.state, gateway.version.as_deref()), (GatewayState::Stopped, None));
        assert_eq!((gateway.boots, gateway.crashes), (Some(8), Some(4)));
        let exit = gateway.last_exit.as_ref().unwrap();
        assert_eq!(exit.outcome, GatewayOutcome::StartupFailed);
        assert!(look.changed && look.crashes.is_empty());
        assert_eq!(kinds(&look), [], "what happened before the agent came is no news");
        assert!(look.events.len() > 20, "but what OpenClaw did is told");
        assert_eq!(gateways.homes()[0].state_dir, state_dir);
        let report = serde_json::to_string(&look.openclaw).unwrap();
        for private in ["FAKE", "private-text", "lab-every"] {
            assert!(!report.contains(private), "{report}");
        }
        let look = gateways.look(Timestamp(NOW + 2_000)).await;
        assert!(!look.changed && look.events.is_empty());
        // Another run of the agent begins where this one ended.
        let text = serde_json::to_string(&gateways.remembered()).unwrap();
        let mut again =
            Gateways::new(Some(dir.path().to_owned()), false, serde_json::from_str(&text).unwrap());
        assert!(again.look(Timestamp(NOW + 9_000)).await.events.is_empty());
        // What happened while no agent ran is told by the next.
        write(
            &state_dir,
            "INSERT INTO gateway_boot_lifecycle VALUES ('x', 19247, 1795150679600, NULL, NULL, NULL, NULL)",
        );
        write(
            &state_dir,
            "UPDATE gateway_boot_lifecycle SET started_at_ms = 1795151900000 WHERE boot_id = 'x'",
        );
        let mut later =
            Gateways::new(Some(dir.path().to_owned()), false, serde_json::from_str(&text).unwrap());
        let look = later.look(Timestamp(NOW + 10_000)).await;
        assert_eq!(kinds(&look), [EventKind::GatewayStarted, EventKind::GatewayCrashed]);
        assert_eq!((look.crashes.len(), only(&look).crashes), (1, Some(5)));
        assert_eq!(only(&look).last_exit.as_ref().unwrap().outcome, GatewayOutcome::Crashed);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn one_that_runs_is_seen_in_every_state() {
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake::start(READY).await;
        let state_dir = home_with(dir.path(), fake.port);
        lock(&state_dir, fake.port);
        let row = format!(
            "INSERT INTO gateway_boot_lifecycle VALUES ('live', {}, 1795151990000, NULL, NULL, NULL, NULL);",
            std::process::id()
        );
        write(&state_dir, &row);
        let mut gateways = Gateways::new(Some(dir.path().to_owned()), false, Remembered::default());
        let mut now = Timestamp(NOW);
        let mut look = async |say: Option<Say>| {
            if let Some(say) = say {
                fake.say(say);
            }
            now = now.plus_millis(4_000);
            let look = gateways.look(now).await;
            let events = protocol::Events {
                v: 1,
                spool: protocol::SpoolId::generate(),
                seq: 1,
                at: now,
                events: look.events.clone(),
            };
            events.check().unwrap();
            look
        };
        let ready = look(None).await;
        let gateway = only(&ready);
        assert_eq!(gateway.state, GatewayState::Running);
        assert_eq!(gateway.version.as_deref(), Some("2026.9.6"));
        assert_eq!(gateway.started_at, Some(Timestamp(1_795_151_990_000)));
        assert_eq!(gateway.pid, Some(std::process::id()));
        assert!(gateway.rss_bytes > Some(0) && gateway.event_loop_p99_ms == Some(20.7));
        assert_eq!((gateway.agents, gateway.crashes), (Some(2), Some(4)), "its own row is no crash");
        assert_eq!(kinds(&ready), []);
        let starting = Say::Json(
            503,
            r#"{"ready":false,"failing":["startup-sidecars"]}"#,
            r#"{"ok":false,"status":"starting","version":"2026.9.6","uptimeMs":1,"pendingReason":"startup-sidecars"}"#,
        );
        assert_eq!(only(&look(Some(starting)).await).state, GatewayState::Starting);
        let failing =
            Say::Json(503, r#"{"ready":false,"failing":["agent-database:ops"]}"#, r#"{"status":"started"}"#);
        let degraded = look(Some(failing)).await;
        assert_eq!(only(&degraded).failing, ["agent-database:ops"]);
        assert_eq!(kinds(&degraded), [EventKind::GatewayDegraded]);
        let well = look(Some(READY)).await;
        assert_eq!(kinds(&well), [EventKind::GatewayRecovered]);
        assert_eq!(well.events[0].duration_ms, Some(4_000));
        let newer = Say::Json(200, r#"{"ready":true}"#, r#"{"status":"started","version":"2026.9.7"}"#);
        let newer = look(Some(newer)).await;
        assert_eq!(kinds(&newer), [EventKind::GatewayUpgraded]);
        assert_eq!(newer.events[0].to.as_deref(), Some("2026.9.7"));
        let silent = look(Some(Say::Nothing)).await;
        assert_eq!(only(&silent).state, GatewayState::Running, "one slow answer is nothing");
        assert_eq!(only(&silent).version.as_deref(), Some("2026.9.7"));
        assert_eq!(only(&look(None).await).state, GatewayState::Running);
        look(None).await;
        let hung = look(None).await;
        assert_eq!((only(&hung).state, kinds(&hung)), (GatewayState::Hung, vec![EventKind::GatewayHung]));
        let draining = Say::Json(
            503,
            r#"{"ready":false,"failing":["gateway-draining"]}"#,
            r#"{"ok":false,"status":"draining","version":"2026.9.7"}"#,
        );
        assert_eq!(only(&look(Some(draining)).await).state, GatewayState::Draining);
        // It is killed: the port is shut, the lock stays with a number that is no more.
        drop(fake);
        let file = state_dir.join("tmp/openclaw-0/gateway.state.lock");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("\"startTime\":", "\"startTime\":1")).unwrap();
        write(&state_dir, "UPDATE gateway_boot_lifecycle SET pid = 4000000 WHERE boot_id = 'live'");
        let mut again = Gateways::new(Some(dir.path().to_owned()), false, gateways.remembered());
        let look = again.look(Timestamp(NOW + 60_000)).await;
        assert_eq!(
            (only(&look).state, kinds(&look)),
            (GatewayState::Stopped, vec![EventKind::GatewayCrashed])
        );
        assert!(look.changed && look.crashes.len() == 1);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_gateway_without_a_book_is_seen_by_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let fake =
            Fake::start(Say::Json(200, r#"{"ready":true,"failing":[],"uptimeMs":868}"#, "<html>")).await;
        let state_dir = home_with(dir.path(), fake.port);
        write(&state_dir, "DROP TABLE gateway_boot_lifecycle; DROP TABLE cron_jobs; DROP TABLE audit_events");
        let mut gateways = Gateways::new(Some(dir.path().to_owned()), false, Remembered::default());
        fake.say(Say::Html);
        assert_eq!(only(&gateways.look(Timestamp(NOW)).await).state, GatewayState::Stopped);
        fake.say(Say::Json(200, r#"{"ready":true,"failing":[],"uptimeMs":868}"#, "<html>"));
        lock(&state_dir, fake.port);
        let look = gateways.look(Timestamp(NOW + 2_000)).await;
        assert_eq!(
            (only(&look).state, kinds(&look)),
            (GatewayState::Running, vec![EventKind::GatewayStarted])
        );
        assert_eq!((only(&look).boots, only(&look).version.as_deref()), (None, Some("2026.9.6")));
        drop(fake);
        let file = state_dir.join("tmp/openclaw-0/gateway.state.lock");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("\"startTime\":", "\"startTime\":1")).unwrap();
        // The next run of the agent finds another process, or none.
        let mut remembered = gateways.remembered();
        for known in remembered.homes.values_mut() {
            known.ran.as_mut().unwrap().started += 1;
        }
        let mut again = Gateways::new(Some(dir.path().to_owned()), false, remembered);
        let look = again.look(Timestamp(NOW + 4_000)).await;
        assert_eq!(
            (only(&look).state, kinds(&look)),
            (GatewayState::Stopped, vec![EventKind::GatewayCrashed])
        );
        assert_eq!(look.crashes[0].reason, "killed");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_port_answers_for_one_gateway_only() {
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake::start(READY).await;
        let found = ["a", "b"].map(|name| {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            home_with(&dir.path().join(name), fake.port);
            let state_dir = dir.path().join(name).join(".openclaw");
            let config_path = state_dir.join("openclaw.json");
            let user_home = dir.path().join(name);
            Found { home: Home { name: name.to_owned(), state_dir, config_path, user_home }, problem: None }
        });
        lock(&found[1].home.state_dir, fake.port);
        let mut gateways = Gateways::new(None, false, Remembered::default());
        gateways.swept_at = Some(Timestamp(NOW));
        gateways.adopt(found.to_vec());
        let look = gateways.look(Timestamp(NOW)).await;
        let states: Vec<_> = look.openclaw.gateways.iter().map(|gateway| gateway.state).collect();
        assert_eq!(states, [GatewayState::Stopped, GatewayState::Running], "a copied folder is no gateway");
        assert_eq!(look.openclaw.state, GatewayState::Stopped);
    }

    #[tokio::test]
    async fn a_look_that_is_dropped_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake::start(Say::Nothing).await;
        home_with(dir.path(), fake.port);
        let mut gateways = Gateways::new(Some(dir.path().to_owned()), false, Remembered::default());
        let dropped = tokio::time::timeout(Duration::from_millis(100), gateways.look(Timestamp(NOW))).await;
        assert!(dropped.is_err());
        fake.say(READY);
        let look = gateways.look(Timestamp(NOW + 100)).await;
        assert_eq!(only(&look).state, GatewayState::Running);
    }

    #[tokio::test]
    async fn damaged_files_are_said_and_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = home_with(dir.path(), 1);
        std::fs::write(state_dir.join("openclaw.json"), "{ gateway: ").unwrap();
        let look = Gateways::new(Some(dir.path().to_owned()), false, Remembered::default())
            .look(Timestamp(NOW))
            .await;
        assert!(only(&look).problem.as_ref().unwrap().contains("openclaw.json"));
        let database = state_dir.join("state/openclaw.sqlite");
        let mut bytes = std::fs::read(&database).unwrap();
        for byte in bytes.iter_mut().step_by(7) {
            *byte = byte.wrapping_add(13);
        }
        std::fs::write(&database, bytes).unwrap();
        std::fs::write(state_dir.join("openclaw.json"), "{gateway: {port: 1}}").unwrap();
        let look = Gateways::new(Some(dir.path().to_owned()), false, Remembered::default())
            .look(Timestamp(NOW))
            .await;
        assert!(only(&look).problem.as_ref().unwrap().contains("database"));
        assert_eq!(only(&look).state, GatewayState::Stopped);
    }

    /// Tells what it sees of a real OpenClaw: `OCW_HOME=DIR OCW_SECONDS=60 cargo test … -- --ignored --nocapture`.
    #[tokio::test]
    #[ignore = "needs a real OpenClaw"]
    async fn watch_a_real_one() {
        let home = std::env::var("OCW_HOME").ok().map(PathBuf::from);
        let seconds: i64 = std::env::var("OCW_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
        let keep = std::env::var("OCW_KEEP").ok();
        let text = keep.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let remembered = text.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default();
        let clock = protocol::Clock::system();
        let begun = clock.now();
        let mut gateways = Gateways::new(home, std::env::var("OCW_RPC").is_ok(), remembered);
        let mut n = 0;
        while clock.now().millis_since(begun) < seconds * 1000 {
            let now = clock.now();
            let look = gateways.look(now).await;
            let took = clock.now().millis_since(now);
            let time = jiff::Timestamp::from_millisecond(now.0).unwrap();
            if look.changed || !look.events.is_empty() || n % 30 == 0 {
                println!("{time:.1} took {took} ms changed {}", look.changed);
                for gateway in &look.openclaw.gateways {
                    println!("  {}", serde_json::to_string(gateway).unwrap());
                }
                for event in &look.events {
                    println!("  EVENT {}", serde_json::to_string(event).unwrap());
                }
                for crash in &look.crashes {
                    println!("  CRASH {crash:?}");
                }
            }
            n += 1;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        if let Some(path) = keep {
            std::fs::write(path, serde_json::to_string_pretty(&gateways.remembered()).unwrap()).unwrap();
        }
    }
}
