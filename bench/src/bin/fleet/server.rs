//! The server under test: started, asked, looked at from outside, stopped, and its database compared.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use protocol::{ApiKey, DeviceId};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Requests at the same time while devices are added.
const ADDING: usize = 8;

pub(crate) struct Server {
    process: Child,
    program: PathBuf,
    pub(crate) dashboard: String,
    pub(crate) broker: String,
    pub(crate) token: String,
    folder: TempDir,
}

#[derive(Deserialize)]
struct Addresses {
    dashboard: String,
    broker: String,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
struct Added {
    key: String,
}

/// What the system says of the server's process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) rss: u64,
    pub(crate) rss_peak: u64,
    pub(crate) anonymous: u64,
    pub(crate) cpu: Duration,
    pub(crate) written: u64,
}

/// What the database holds, against what was acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Compared {
    pub(crate) rows: u64,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
}

fn program(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    let beside = this.with_file_name("openclaw-watch");
    if !beside.exists() {
        let mut build = Command::new("cargo");
        build.args(["build", "-p", "openclaw-watch"]);
        if this.parent().is_some_and(|folder| folder.ends_with("release")) {
            build.arg("--release");
        }
        let status = build.status().context("cannot run cargo to build the server")?;
        ensure!(status.success() && beside.exists(), "the server could not be built; give it with --program");
    }
    Ok(beside)
}

impl Server {
    pub(crate) async fn start(given: Option<&Path>) -> anyhow::Result<Self> {
        let program = program(given)?;
        let folder = TempDir::with_prefix("fleet-").context("cannot make a temporary folder")?;
        let process = spawn(&program, folder.path())?;
        let (dashboard, broker, token) = (String::new(), String::new(), String::new());
        let mut server = Self { process, program: program.clone(), dashboard, broker, token, folder };
        server.wait().await?;
        let data = server.folder.path().join("data");
        let made = Command::new(&program)
            .arg("--data-dir")
            .arg(&data)
            .args(["--json", "token", "create", "--role", "admin"])
            .output()
            .context("cannot make a token")?;
        let made: Token = serde_json::from_slice(&made.stdout)
            .with_context(|| format!("no token: {}", String::from_utf8_lossy(&made.stderr)))?;
        server.token = made.token;
        Ok(server)
    }

    /// Starts it again, after [`Server::stop`].
    pub(crate) async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.program, self.folder.path())?;
        self.wait().await
    }

    /// Waits until it listens.
    async fn wait(&mut self) -> anyhow::Result<()> {
        let limit = Instant::now() + Duration::from_mins(1);
        let addresses = self.folder.path().join("data/addresses.json");
        let addresses = loop {
            let file = std::fs::read(&addresses);
            if let Some(found) = file.ok().and_then(|text| serde_json::from_slice::<Addresses>(&text).ok()) {
                break found;
            }
            if self.process.try_wait()?.is_some() || Instant::now() > limit {
                bail!("the server did not start: {}", self.log());
            }
            sleep(Duration::from_millis(20)).await;
        };
        self.dashboard = addresses.dashboard;
        self.broker = addresses.broker;
        Ok(())
    }

    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("data/openclaw-watch.sqlite")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Adds devices through the API.
    pub(crate) async fn add_devices(&self, count: usize) -> anyhow::Result<Vec<ApiKey>> {
        let mut tasks = JoinSet::new();
        for worker in 0..ADDING.min(count) {
            let (url, token) = (format!("http://{}/api/v1/devices", self.dashboard), self.token.clone());
            tasks.spawn_blocking(move || {
                let agent = ureq::Agent::new_with_defaults();
                let numbers = (worker..count).step_by(ADDING);
                numbers.map(|n| add(&agent, &url, &token, n)).collect::<anyhow::Result<Vec<_>>>()
            });
        }
        let mut keys = Vec::with_capacity(count);
        while let Some(added) = tasks.join_next().await {
            keys.extend(added.context("adding devices")??);
        }
        Ok(keys)
    }

    pub(crate) fn usage(&self) -> Usage {
        let folder = PathBuf::from(format!("/proc/{}", self.process.id()));
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let (status, io, stat) = (read("status"), read("io"), read("stat"));
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        // Behind the name, which may hold anything: utime and stime are the 12th and 13th, in hundredths.
        let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            behind.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
        Usage {
            rss: field(&status, "VmRSS:") * 1024,
            rss_peak: field(&status, "VmHWM:") * 1024,
            anonymous: field(&status, "RssAnon:") * 1024,
            cpu: Duration::from_millis(ticks * 10),
            written: field(&io, "write_bytes:"),
        }
    }

    /// Stops the server as an operator does.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        let id = id.context("the server has no process id")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM).context("cannot stop the server")?;
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "the server ended with {status}: {}", self.log());
                return Ok(());
            }
            ensure!(Instant::now() < limit, "the server does not stop");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Compares what was acknowledged with the database of the stopped server.
    pub(crate) fn compare(&self, acked: &[(DeviceId, Vec<u64>)]) -> anyhow::Result<Compared> {
        let path = self.database();
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(&path, flags).context("opening the database")?;
        let mut query = database.prepare(
            "SELECT device.id, s.seq FROM samples_raw s JOIN device ON device.no = s.device_no WHERE s.spool_no > 0",
        )?;
        let mut rows = query.query([])?;
        let mut stored: HashMap<String, Vec<u64>> = HashMap::new();
        let mut compared = Compared::default();
        while let Some(row) = rows.next()? {
            let seq = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(u64::MAX);
            let id = row.get_ref(0)?.as_str()?;
            match stored.get_mut(id) {
                Some(list) => list.push(seq),
                None => drop(stored.insert(id.to_owned(), vec![seq])),
            }
            compared.rows += 1;
        }
        for list in stored.values_mut() {
            list.sort_unstable();
            let before = list.len();
            list.dedup();
            compared.duplicates += u64::try_from(before - list.len()).unwrap_or(0);
        }
        for (id, numbers) in acked {
            let there = stored.get(id.as_str()).map_or(&[][..], Vec::as_slice);
            let lost = numbers.iter().filter(|seq| there.binary_search(seq).is_err()).count();
            compared.lost += u64::try_from(lost).unwrap_or(0);
        }
        Ok(compared)
    }
}

fn spawn(program: &Path, folder: &Path) -> anyhow::Result<Child> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("server.log"));
    let log = log.context("cannot make a log")?;
    Command::new(program)
        .arg("--data-dir")
        .arg(folder.join("data"))
        .envs([
            ("OPENCLAW_WATCH__DASHBOARD__LISTEN", "127.0.0.1:0"),
            ("OPENCLAW_WATCH__BROKER__LISTEN", "127.0.0.1:0"),
            ("OPENCLAW_WATCH__LOCAL_AGENT__ENABLED", "false"),
            // A long past is to stay what it is.
            ("OPENCLAW_WATCH__RETENTION__RAW_DAYS", "30"),
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share a log")?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn add(agent: &ureq::Agent, url: &str, token: &str, n: usize) -> anyhow::Result<ApiKey> {
    let mut answer = agent
        .post(url)
        .header("authorization", format!("Bearer {token}"))
        .send_json(serde_json::json!({ "name": format!("simulated {n}"), "tags": [] }))
        .context("the server does not add a device")?;
    let added: Added = answer.body_mut().read_json().context("the server's answer is not understood")?;
    ApiKey::parse(&added.key).context("the server gave no key")
}
