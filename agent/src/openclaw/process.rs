//! The gateway's process: is it there, what does it use, which program is it.
//!
//! On Linux `/proc` is read directly, and little of it: one line each look for a process that is known, all names only now
//! and then. A process is known by its number and the tick it started at, so that a number used anew is not mistaken. Which
//! home it belongs to is told by the lock file, or by the database it holds open (as a file, not as a path: in a container
//! the same path is another file). Elsewhere the lock file and the `sysinfo` crate have to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use super::config;

/// The most descendants of a gateway that are measured.
const MAX_TREE: usize = 256;
/// Ticks of processor time in a second, as the kernel tells them to programs: the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId {
    /// Its number on this host.
    pub(crate) pid: u32,
    /// When it started, in ticks since the host did (Linux) or in seconds since 1970.
    pub(crate) started: u64,
}

/// A gateway's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    /// The process.
    pub(crate) id: ProcessId,
    /// Its number where OpenClaw lives, which in a container is another.
    pub(crate) inner_pid: u32,
    /// Whose it is.
    pub(crate) uid: Option<u32>,
}

/// Whether a gateway's process is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It runs.
    There(Running),
    /// There is none.
    Gone,
    /// It cannot be seen from here: another container, another system.
    Unknown,
}

impl Presence {
    /// The process, where there is one.
    pub(crate) fn running(&self) -> Option<&Running> {
        match self {
            Self::There(running) => Some(running),
            Self::Gone | Self::Unknown => None,
        }
    }
}

/// What stands in the file that a gateway holds while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lock {
    /// The process that holds it.
    pub(crate) pid: u32,
    /// When that started, in ticks since the host did.
    #[serde(default)]
    pub(crate) start_time: Option<u64>,
    /// When it was taken.
    #[serde(default)]
    pub(crate) created_at: Option<jiff::Timestamp>,
    /// The gateway's configuration.
    #[serde(default)]
    pub(crate) config_path: Option<PathBuf>,
    /// The gateway's state folder; before 2026.9 not told.
    #[serde(default)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Where the gateway listens.
    #[serde(default)]
    pub(crate) port: Option<u16>,
}

/// Reads a lock file's text, which is JSON and a lot of white space.
pub(crate) fn parse_lock(text: &str) -> Option<Lock> {
    serde_json::from_str(text.trim()).ok()
}

/// The locks of a home: in its own folder, or, before 2026.9, among those of the system's folder for such things.
pub(crate) fn locks(state_dir: &Path, config_path: &Path) -> Vec<Lock> {
    let own = lock_files(&state_dir.join("tmp"));
    let mut found: Vec<Lock> = own.iter().filter_map(|path| read_lock(path)).collect();
    if found.is_empty() {
        let ours = |lock: &Lock| match &lock.state_dir {
            Some(dir) => dir == state_dir,
            None => lock.config_path.as_deref() == Some(config_path),
        };
        found = system_locks().into_iter().filter(ours).collect();
    }
    found.dedup();
    found
}

/// The locks in the system's folder, which tell of homes nobody knows of.
pub(crate) fn system_locks() -> Vec<Lock> {
    // A service may have a folder of its own for such things, and the agent another than the gateway.
    let mut folders = vec![std::env::temp_dir()];
    if cfg!(unix) && folders.iter().all(|folder| *folder != Path::new("/tmp")) {
        folders.push(PathBuf::from("/tmp"));
    }
    folders.iter().flat_map(|folder| lock_files(folder)).filter_map(|path| read_lock(&path)).collect()
}

fn read_lock(path: &Path) -> Option<Lock> {
    parse_lock(&config::read(path, 64 * 1024).ok()?)
}

/// Whether a folder has the name of one for locks: with the user's number where users have numbers, as on Windows they
/// do not.
fn is_lock_folder(name: &str) -> bool {
    name == "openclaw" || name.starts_with("openclaw-")
}

fn lock_files(tmp: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let folders = std::fs::read_dir(tmp).into_iter().flatten().flatten().take(4096);
    for folder in folders.filter(|entry| is_lock_folder(&entry.file_name().to_string_lossy())) {
        let entries = std::fs::read_dir(folder.path()).into_iter().flatten().flatten().take(256);
        files.extend(entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("gateway.") && name.ends_with(".lock")
        }));
    }
    files
}

/// Memory and processor use of a gateway with its descendants.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Load {
    /// Resident memory.
    pub(crate) rss_bytes: Option<u64>,
    /// Percent of one core since the reading before.
    pub(crate) cpu_pct: Option<f64>,
}

/// Measures one gateway again and again.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    root: Option<ProcessId>,
    tree: Vec<u32>,
    ticks: BTreeMap<u32, u64>,
    at: Option<Instant>,
}

/// A program's version from its package file.
pub(crate) fn parse_package(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let package: Package = serde_json::from_str(text).ok()?;
    let known = ["openclaw", "clawdbot", "moltbot"].contains(&package.name.as_str());
    known.then_some(package.version).filter(|version| is_version(version))
}

/// Whether a text may be sent as a version.
pub(crate) fn is_version(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_'))
}

/// The folder of the program from the path of one of its files: `…/openclaw` from `…/openclaw/dist/worker.js`.
fn package_of(argument: &str) -> Option<PathBuf> {
    let path = Path::new(argument);
    let extension = path.extension()?.to_str()?;
    if !path.is_absolute() || !["js", "mjs", "cjs"].contains(&extension) {
        return None;
    }
    path.ancestors()
        .skip(1)
        .find(|folder| folder.file_name().is_some_and(|name| name == "openclaw" || name == "clawdbot"))
        .map(Path::to_owned)
}

/// Where the program of a home's gateway may lie when no process tells it, most likely first.
pub(crate) fn package_folders(user_home: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = [
        ".npm-global/lib/node_modules",
        ".local/lib/node_modules",
        ".local/share/pnpm/global/5/node_modules",
        "Library/pnpm/global/5/node_modules",
        ".bun/install/global/node_modules",
        "AppData/Roaming/npm/node_modules",
    ]
    .iter()
    .map(|folder| user_home.join(folder))
    .collect();
    for versions in [".nvm/versions/node", ".local/share/fnm/node-versions", ".volta/tools/image/node"] {
        let entries = std::fs::read_dir(user_home.join(versions)).into_iter().flatten().flatten().take(64);
        let mut nodes: Vec<_> = entries.map(|entry| entry.path()).collect();
        nodes.sort();
        for node in nodes.into_iter().rev() {
            folders.push(node.join("lib/node_modules"));
            folders.push(node.join("installation/lib/node_modules"));
        }
    }
    folders.extend(
        ["/usr/local/lib/node_modules", "/usr/lib/node_modules", "/opt/homebrew/lib/node_modules"]
            .map(PathBuf::from),
    );
    folders.iter().map(|folder| folder.join("openclaw")).collect()
}

/// Where a program lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// As its process names it.
    pub(crate) folder: PathBuf,
    /// As it can be read from here while the process runs, also when that lives in a container.
    pub(crate) inside: PathBuf,
}

/// The version of the program in a folder.
pub(crate) fn version_in(package: &Path) -> Option<String> {
    parse_package(&config::read(&package.join("package.json"), 1024 * 1024).ok()?)
}

pub(crate) use system::{file_id, hostname, out_of_memory_kills, owner_of, package, scan};

/// The process that holds one of these locks, if it is still the same.
pub(crate) fn holder(locks: &[Lock]) -> Option<Running> {
    locks.iter().find_map(system::holder)
}

/// Whether the process is still there: not ended, and no other with its number.
pub(crate) fn alive(running: &Running) -> bool {
    system::alive(&running.id)
}

impl Meter {
    /// Measures. `deep` looks for new descendants, which costs more.
    pub(crate) fn read(&mut self, id: ProcessId, deep: bool) -> Load {
        if self.root != Some(id) {
            *self = Self { root: Some(id), ..Self::default() };
        }
        if deep || self.tree.is_empty() {
            self.tree = system::tree(id.pid);
        }
        let readings: Vec<_> = self.tree.iter().filter_map(|pid| Some((*pid, system::used(*pid)?))).collect();
        let now = Instant::now();
        let elapsed = self.at.map(|at| now.duration_since(at).as_secs_f64());
        let rss: u64 = readings.iter().map(|(_, used)| used.rss_bytes).sum();
        let known = &self.ticks;
        // What a descendant used before it was first seen is not known to be of this span.
        let spent: u64 =
            readings.iter().filter_map(|(pid, used)| Some(used.ticks.saturating_sub(*known.get(pid)?))).sum();
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 52 bits")]
        let cpu = elapsed.filter(|elapsed| *elapsed >= 0.2).map(|elapsed| {
            let seconds = spent as f64 / TICKS_PER_SECOND;
            (seconds / elapsed * 1000.0).round() / 10.0
        });
        self.ticks = readings.iter().map(|(pid, used)| (*pid, used.ticks)).collect();
        self.at = Some(now);
        Load { rss_bytes: (rss > 0).then_some(rss), cpu_pct: cpu.filter(|cpu| cpu.is_finite()) }
    }
}

/// What one process has used.
struct Used {
    rss_bytes: u64,
    ticks: u64,
}

/// A gateway's process, found by looking through all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The process.
    pub(crate) running: Running,
    /// The databases it has open, as files.
    pub(crate) databases: BTreeSet<FileId>,
    /// Where the first of them lies, as the process sees it.
    pub(crate) state_dir: Option<PathBuf>,
}

/// A file, whatever its path.
pub(crate) type FileId = (u64, u64);

#[cfg(target_os = "linux")]
mod system {
    use std::os::unix::fs::MetadataExt as _;

    use super::{
        BTreeSet, FileId, Lock, MAX_TREE, Package, Path, PathBuf, ProcessId, Running, Seen, Used, package_of,
    };

    /// One line of the kernel about a process.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Stat {
        pub(super) name: String,
        pub(super) state: char,
        pub(super) parent: u32,
        pub(super) ticks: u64,
        pub(super) started: u64,
    }

    pub(super) fn parse_stat(text: &str) -> Option<Stat> {
        // A name may hold anything, also brackets: the last one ends it.
        let (head, tail) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<_> = tail.split_ascii_whitespace().collect();
        // The first field here is the third of the line.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Stat {
            name: name.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(4)?).ok()?,
            ticks: number(14)?.saturating_add(number(15)?),
            started: number(22)?,
        })
    }

    fn stat(pid: u32) -> Option<Stat> {
        // Names are bytes, and not always text.
        let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        parse_stat(&String::from_utf8_lossy(&bytes))
    }

    fn lives(stat: &Stat) -> bool {
        !matches!(stat.state, 'Z' | 'X' | 'x')
    }

    pub(super) fn alive(id: &ProcessId) -> bool {
        stat(id.pid).is_some_and(|stat| lives(&stat) && stat.started == id.started)
    }

    pub(super) fn holder(lock: &Lock) -> Option<Running> {
        let stat = stat(lock.pid).filter(lives)?;
        let proven = match lock.start_time {
            Some(started) => started == stat.started,
            None => stat.name.starts_with("openclaw") || stat.name == "node" || stat.name == "MainThread",
        };
        proven.then(|| running(lock.pid, &stat))
    }

    fn running(pid: u32, stat: &Stat) -> Running {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        Running {
            id: ProcessId { pid, started: stat.started },
            inner_pid: field("NSpid:")
                .and_then(|pids| pids.split_ascii_whitespace().last()?.parse().ok())
                .unwrap_or(pid),
            uid: field("Uid:").and_then(|uids| uids.split_ascii_whitespace().nth(1)?.parse().ok()),
        }
    }

    /// All gateways of this host. Only their title tells them: other processes of OpenClaw have other ones.
    pub(crate) fn scan() -> Vec<Seen> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter_map(|pid| {
                let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
                // The kernel keeps 15 letters of `openclaw-gateway`.
                if name.trim_ascii_end() != b"openclaw-gatewa" {
                    return None;
                }
                let stat = stat(pid).filter(lives)?;
                let (databases, state_dir) = databases(pid);
                Some(Seen { running: running(pid, &stat), databases, state_dir })
            })
            .take(64)
            .collect()
    }

    fn databases(pid: u32) -> (BTreeSet<FileId>, Option<PathBuf>) {
        let mut ids = BTreeSet::new();
        let mut state_dir = None;
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        for entry in entries.take(4096) {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            if !target.ends_with("state/openclaw.sqlite") {
                continue;
            }
            let Ok(file) = std::fs::metadata(entry.path()) else { continue };
            let id = (file.dev(), file.ino());
            ids.insert(id);
            let folder = target.parent().and_then(Path::parent).map(Path::to_owned);
            // In a container the same path is another file, or none.
            state_dir = state_dir.or(folder.filter(|_| file_id(&target) == Some(id)));
        }
        (ids, state_dir)
    }

    /// What tells a file from every other.
    pub(crate) fn file_id(path: &Path) -> Option<FileId> {
        std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
    }

    /// Whose a file is.
    pub(crate) fn owner_of(path: &Path) -> Option<u32> {
        std::fs::metadata(path).ok().map(|file| file.uid())
    }

    pub(crate) fn hostname() -> Option<String> {
        std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned())
    }

    /// How often this host's kernel has ended a process for want of memory.
    pub(crate) fn out_of_memory_kills() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/vmstat").ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
    }

    fn children(pid: u32) -> Vec<u32> {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        threads
            .take(256)
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .flat_map(|text| {
                text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// A process and its descendants.
    pub(super) fn tree(root: u32) -> Vec<u32> {
        let mut tree = vec![root];
        let mut next = 0;
        while let Some(pid) = tree.get(next).copied() {
            next += 1;
            for child in children(pid) {
                if tree.len() < MAX_TREE && !tree.contains(&child) {
                    tree.push(child);
                }
            }
        }
        tree
    }

    pub(super) fn used(pid: u32) -> Option<Used> {
        let stat = stat(pid)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: u64 =
            rss.and_then(|rss| rss.split_ascii_whitespace().next()?.parse().ok()).unwrap_or_default();
        Some(Used { rss_bytes: kilobytes.saturating_mul(1024), ticks: stat.ticks })
    }

    /// The folder of the program that a gateway runs, as its helpers' arguments or its own name it.
    pub(crate) fn package(running: &Running) -> Option<Package> {
        let pids = tree(running.id.pid);
        let of_arguments = pids.iter().take(16).find_map(|pid| {
            let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let text = String::from_utf8_lossy(&bytes);
            // Arguments may hold secrets: nothing but a path of a script is looked at, and only the first few.
            text.split('\0').take(3).find_map(package_of)
        });
        let folder = of_arguments.or_else(|| {
            let node = std::fs::read_link(format!("/proc/{}/exe", running.id.pid)).ok()?;
            Some(node.parent()?.parent()?.join("lib/node_modules/openclaw"))
        })?;
        let inside = PathBuf::from(format!("/proc/{}/root", running.id.pid))
            .join(folder.strip_prefix("/").unwrap_or(&folder));
        let inside = if inside.join("package.json").exists() { inside } else { folder.clone() };
        Some(Package { folder, inside })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{FileId, Lock, MAX_TREE, Package, Path, ProcessId, Running, Seen, Used, package_of};
    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

    fn with<T>(pid: u32, question: impl FnOnce(&sysinfo::Process) -> T) -> Option<T> {
        let mut system = System::new().ok()?;
        // Without processor use its time is always nought.
        let kind = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
        let pid = Pid::from_u32(pid);
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
        system.process(pid).filter(|process| process.status() != sysinfo::ProcessStatus::Zombie).map(question)
    }

    pub(super) fn alive(id: &ProcessId) -> bool {
        with(id.pid, sysinfo::Process::start_time) == Some(id.started)
    }

    pub(super) fn holder(lock: &Lock) -> Option<Running> {
        let started = with(lock.pid, sysinfo::Process::start_time)?;
        // One that began after the lock was made is another with the same number.
        let made = lock.created_at.and_then(|at| u64::try_from(at.as_second()).ok());
        made.is_none_or(|made| started <= made.saturating_add(2)).then_some(Running {
            id: ProcessId { pid: lock.pid, started },
            inner_pid: lock.pid,
            uid: None,
        })
    }

    pub(crate) fn scan() -> Vec<Seen> {
        Vec::new()
    }

    pub(crate) fn file_id(_: &Path) -> Option<FileId> {
        None
    }

    pub(crate) fn owner_of(_: &Path) -> Option<u32> {
        None
    }

    pub(crate) fn hostname() -> Option<String> {
        System::host_name().ok()
    }

    pub(crate) fn out_of_memory_kills() -> Option<u64> {
        None
    }

    /// A process and its descendants.
    pub(super) fn tree(root: u32) -> Vec<u32> {
        let mut tree = vec![root];
        let Ok(mut system) = System::new() else { return tree };
        let kind = ProcessRefreshKind::nothing().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let mut next = 0;
        while let Some(pid) = tree.get(next).copied() {
            next += 1;
            let children = system
                .processes()
                .values()
                .filter(|process| process.parent().is_some_and(|parent| parent.as_u32() == pid));
            for child in children.map(|process| process.pid().as_u32()) {
                if tree.len() < MAX_TREE && !tree.contains(&child) {
                    tree.push(child);
                }
            }
        }
        tree
    }

    pub(super) fn used(pid: u32) -> Option<Used> {
        with(pid, |process| Used {
            rss_bytes: process.memory(),
            // In the hundredths of a second in which Linux counts.
            ticks: process.accumulated_cpu_time() / 10,
        })
    }

    /// The folder of the program that a gateway runs: by its arguments, or beside the node that runs it.
    pub(crate) fn package(running: &Running) -> Option<Package> {
        let mut system = System::new().ok()?;
        let once = sysinfo::UpdateKind::OnlyIfNotSet;
        let kind = ProcessRefreshKind::nothing().with_exe(once).with_cmd(once).without_tasks();
        let pid = Pid::from_u32(running.id.pid);
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
        let process = system.process(pid)?;
        let mut arguments = process.cmd().iter().take(3);
        let folder = arguments.find_map(|argument| package_of(argument.to_str()?)).or_else(|| {
            let bin = process.exe()?.parent()?;
            let beside = [bin.join("node_modules/openclaw"), bin.join("../lib/node_modules/openclaw")];
            beside.into_iter().find(|folder| folder.join("package.json").exists())
        })?;
        Some(Package { inside: folder.clone(), folder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str =
        include_str!("../../tests/fixtures/openclaw/2026.9.6/tmp/openclaw-0/gateway.state.lock");

    #[test]
    fn locks_are_read() {
        let lock = parse_lock(LOCK).unwrap();
        assert_eq!((lock.pid, lock.port, lock.start_time), (18659, Some(18789), Some(248_015)));
        assert_eq!(lock.state_dir.as_deref(), Some(Path::new("/home/claw1/home/.openclaw")));
        assert!(parse_lock(r#"{"pid":7}"#).is_some());
        for bad in ["", "{", "{}", "[]", r#"{"pid":-1}"#, r#"{"pid":"7"}"#] {
            assert_eq!(parse_lock(bad), None);
        }
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("tmp/openclaw-0");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("gateway.state.lock"), LOCK).unwrap();
        std::fs::write(folder.join("gateway.9f3e4d38.lock"), LOCK).unwrap();
        std::fs::write(folder.join("gateway.broken.lock"), "{").unwrap();
        assert_eq!(locks(dir.path(), Path::new("/none")), std::slice::from_ref(&lock));
        assert_eq!(locks(&dir.path().join("none"), Path::new("/none")), []);
        // As it is called on Windows.
        std::fs::rename(folder, dir.path().join("tmp/openclaw")).unwrap();
        assert_eq!(locks(dir.path(), Path::new("/none")), [lock]);
    }

    #[test]
    fn the_program_is_known_by_its_files() {
        let check = |argument: &str, expected: Option<&str>| {
            assert_eq!(package_of(argument).as_deref(), expected.map(Path::new), "{argument}");
        };
        check(
            "/x/node_modules/openclaw/dist/process/spawn-broker/worker.js",
            Some("/x/node_modules/openclaw"),
        );
        check("/usr/lib/node_modules/openclaw/openclaw.mjs", Some("/usr/lib/node_modules/openclaw"));
        check("openclaw/x.js", None);
        check("/bin/node", None);
        check("--token=/openclaw/x", None);
        assert_eq!(parse_package(r#"{"name":"openclaw","version":"2026.9.6"}"#).as_deref(), Some("2026.9.6"));
        assert_eq!(parse_package(r#"{"name":"other","version":"1"}"#), None);
        assert_eq!(parse_package(r#"{"name":"openclaw","version":"a b"}"#), None);
        assert_eq!(parse_package("{"), None);
    }

    #[cfg(not(target_os = "linux"))]
    #[test]
    fn a_process_that_works_uses_time() {
        let own = std::process::id();
        // To ask is work enough.
        assert!(
            (0..5_000).any(|_| system::used(own).is_some_and(|used| used.ticks > 0 && used.rss_bytes > 0))
        );
    }

    #[cfg(target_os = "linux")]
    mod linux {
        use super::super::system::{Stat, parse_stat};
        use super::*;

        #[test]
        fn the_kernels_line_is_read() {
            let line = "42 (a) b (c)) S 7 42 42 0 -1 4194304 1 2 3 4 100 50 9 9 20 0 11 0 248015 1 2 3";
            let expected =
                Stat { name: "a) b (c)".to_owned(), state: 'S', parent: 7, ticks: 150, started: 248_015 };
            assert_eq!(parse_stat(line), Some(expected));
            for bad in ["", "1", "1 (x", "1 (x) S 2", "1 ()"] {
                assert_eq!(parse_stat(bad), None);
            }
        }

        #[test]
        fn a_number_used_anew_is_not_the_same_process() {
            let own = std::process::id();
            let lock = |start_time| Lock {
                pid: own,
                start_time,
                created_at: None,
                config_path: None,
                state_dir: None,
                port: None,
            };
            let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
            let started = parse_stat(&stat).unwrap().started;
            let running = holder(&[lock(Some(started))]).unwrap();
            assert!(alive(&running) && running.inner_pid == own);
            assert!(holder(&[lock(Some(started + 1))]).is_none());
            assert!(holder(&[Lock { pid: 4_000_000, ..lock(Some(1)) }]).is_none());
            let mut meter = Meter::default();
            assert!(meter.read(running.id, true).rss_bytes > Some(100_000));
        }

        #[test]
        fn a_process_that_ended_and_was_not_collected_is_gone() {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let pid = child.id();
            let state =
                || parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap()).unwrap();
            while state().state != 'Z' {
                std::thread::yield_now();
            }
            let id = ProcessId { pid, started: state().started };
            assert!(!alive(&Running { id, inner_pid: pid, uid: None }));
            child.wait().unwrap();
        }
    }
}
