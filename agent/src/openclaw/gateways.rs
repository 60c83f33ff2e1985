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
use super::observer::{Crash, Observer, Surroundings};
use super::process::{self, Seen};
use super::work::Work;

/// How often the whole host is searched while every gateway's process is known, and while one is not, in milliseconds.
const SWEEP_QUIET: i64 = 60_000;
const SWEEP_SEARCHING: i64 = 10_000;
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
    /// The process that was last seen, of a version without such a book.
    pub(crate) ran: Option<Ran>,
    /// Up to where its list of activities was told.
    pub(crate) sequence: Option<i64>,
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
            seen: Arc::default(),
            told: Vec::new(),
        }
    }

    /// The homes found at the last look.
    pub(crate) fn homes(&self) -> &[Home] {
        &self.homes
    }

    /// What the next run of the agent should begin with.
    pub(crate) fn remembered(&self) -> Remembered {
        self.remembered.clone()
    }

    /// Looks once: every two seconds while there is a gateway.
    pub(crate) async fn look(&mut self, now: Timestamp) -> Look {
        self.search(now).await;
        let mut look = Look::default();
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
        while let Some(result) = looking.join_next().await {
            // One that fails is made anew at the next search.
            if let Ok(result) = result {
                done.push(result);
            } else {
                self.swept_at = None;
            }
        }
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
        let pause = if searching { SWEEP_SEARCHING } else { SWEEP_QUIET };
        let due = self.swept_at.is_none_or(|at| !(0..pause).contains(&now.millis_since(at)));
        if !due && !self.sweep.is_busy() {
            return;
        }
        if due {
            self.swept_at = Some(now);
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
            let Some(dir) = lock.state_dir.clone() else { continue };
            if let Some(running) = process::holder(std::slice::from_ref(&lock)) {
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
