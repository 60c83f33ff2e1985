//! What the agent costs the machine it watches: memory, processor, bytes on the wire, and the time until a long history of
//! OpenClaw is counted.
//!
//! Starts the real server and the real agent, both from the folder of this program, with a wire between them that counts.
//! Ends with one line of JSON. Linux only.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Measures what the agent costs.
#[derive(Debug, Parser)]
struct Options {
    /// OpenClaw's state folder to be read; without it there is no OpenClaw.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Input tokens that are in it: the time until the server shows them is measured.
    #[arg(long, value_name = "N", requires = "home")]
    tokens: Option<u64>,
    /// How long to look, after the history is counted.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// The agent's program, if not the one beside this.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// Time between two reports.
    #[arg(long, default_value = "30s")]
    interval: String,
}

/// Ends with this program.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What Linux says of a process.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    rss: u64,
    peak: u64,
    anonymous: u64,
    cpu_ms: u64,
}

impl Load {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the agent has ended")?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()? * 1024)
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the agent has ended")?;
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Ok(Self {
            rss: bytes("VmRSS:").unwrap_or(0),
            peak: bytes("VmHWM:").unwrap_or(0),
            anonymous: bytes("RssAnon:").unwrap_or(0),
            cpu_ms: ticks * 1000 / rustix::param::clock_ticks_per_second(),
        })
    }
}

impl Load {
    /// Percent of a core since `before`, at `since`.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn cpu_pct(&self, before: &Self, since: Instant) -> f64 {
        self.cpu_ms.saturating_sub(before.cpu_ms) as f64 / 10.0 / since.elapsed().as_secs_f64()
    }
}

/// A wire to `server` that counts what it carries, in both directions.
fn wire(server: SocketAddr) -> anyhow::Result<(SocketAddr, Arc<AtomicU64>)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port for the wire")?;
    let address = listener.local_addr()?;
    let carried = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&carried);
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(server) else { continue };
            for (from, to) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))] {
                let (Ok(mut from), Ok(mut to)) = (from, to) else { continue };
                let total = Arc::clone(&total);
                std::thread::spawn(move || {
                    let mut bytes = [0; 16 * 1024];
                    while let Ok(read @ 1..) = from.read(&mut bytes) {
                        total.fetch_add(read as u64, Ordering::Relaxed);
                        if to.write_all(bytes.get(..read).unwrap_or_default()).is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    Ok((address, carried))
}

fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let file = std::env::current_exe()?.with_file_name(name);
    ensure!(file.exists(), "{} is missing: build it with the same profile", file.display());
    Ok(file)
}

fn command(server: &Path, data: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = Command::new(server).arg("--data-dir").arg(data).arg("--json").args(arguments).output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Waits for a moment without a fixed sleep being a promise of anything: this is what is measured between.
fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let server = beside("openclaw-watch")?;
    let agent = options.agent.clone().map_or_else(|| beside("openclaw-watch-agent"), Ok)?;
    let folder = TempDir::with_prefix("footprint-")?;
    let data = folder.path().join("data");
    let log = |name: &str| std::fs::File::create(folder.path().join(name));
    let _server = Process(
        Command::new(&server)
            .arg("--data-dir")
            .arg(&data)
            .envs([
                ("OPENCLAW_WATCH__DASHBOARD__LISTEN", "127.0.0.1:0"),
                ("OPENCLAW_WATCH__BROKER__LISTEN", "127.0.0.1:0"),
                ("OPENCLAW_WATCH__LOCAL_AGENT__ENABLED", "false"),
            ])
            .stdout(Stdio::null())
            .stderr(log("server.log")?)
            .spawn()?,
    );
    let addresses = loop {
        let file = std::fs::read(data.join("addresses.json")).ok();
        if let Some(found) = file.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) {
            break found;
        }
        pause(Duration::from_millis(50));
    };
    let device = command(&server, &data, &["device", "add", "measured"])?;
    let token = text(&command(&server, &data, &["token", "create"])?, "token");
    let (address, carried) = wire(text(&addresses, "broker").parse()?)?;

    let home = options.home.clone().unwrap_or_else(|| folder.path().join("no-openclaw"));
    let start = Instant::now();
    let agent_process = Process(
        Command::new(&agent)
            .args(["run", "--server", &address.to_string(), "--key", &text(&device, "key")])
            .args(["--pin", &text(&device, "pin"), "--interval", &options.interval, "--state-dir"])
            .arg(folder.path().join("state"))
            .arg("--openclaw-home")
            .arg(home)
            .stdout(Stdio::null())
            .stderr(log("agent.log")?)
            .spawn()?,
    );
    let pid = agent_process.0.id();
    let url = format!("http://{}/api/v1/devices/{}", text(&addresses, "dashboard"), text(&device, "id"));
    let counted = || -> anyhow::Result<Option<u64>> {
        let request = ureq::get(&url).header("authorization", format!("Bearer {token}"));
        let mut answer = match request.call() {
            // The server has not seen the new device yet.
            Err(ureq::Error::StatusCode(404)) => return Ok(None),
            answer => answer.context("asking the server")?,
        };
        let shown: Value = answer.body_mut().read_json()?;
        Ok(shown.pointer("/device/usage/total/input").and_then(Value::as_u64))
    };
    let mut first_scan = None;
    if let Some(tokens) = options.tokens {
        eprintln!("waiting until {tokens} tokens are counted");
        while counted()? != Some(tokens) {
            ensure!(start.elapsed() < Duration::from_mins(5), "they were not: {:?}", counted());
            Load::of(pid)?;
            pause(Duration::from_millis(100));
        }
        eprintln!("counted after {:.1} s", start.elapsed().as_secs_f64());
        first_scan = Some(start.elapsed());
    }
    let scanned = Load::of(pid)?;
    // Until it has come to rest: the totals of a long history are a message of their own.
    pause(Duration::from_mins(1));

    let (before, bytes, since) = (Load::of(pid)?, carried.load(Ordering::Relaxed), Instant::now());
    let mut samples = Vec::new();
    for minute in 1..=options.minutes {
        pause(since + Duration::from_mins(minute) - Instant::now());
        let now = Load::of(pid)?;
        samples.push(now.rss);
        eprintln!(
            "{minute} min: {} KiB resident, {:.3} % of a core",
            now.rss / 1024,
            now.cpu_pct(&before, since)
        );
    }
    let after = Load::of(pid)?;
    let seconds = since.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let per_day = (carried.load(Ordering::Relaxed) - bytes) as f64 / seconds * 86_400.0;
    println!(
        "{}",
        json!({
            "binary_bytes": std::fs::metadata(&agent)?.len(),
            "first_scan_s": first_scan.map(|time| time.as_secs_f64()),
            "first_scan_peak_bytes": scanned.peak,
            "minutes": options.minutes,
            "rss_first_bytes": samples.first(),
            "rss_last_bytes": samples.last(),
            "rss_largest_bytes": samples.iter().max(),
            "anonymous_bytes": after.anonymous,
            "cpu_pct": after.cpu_pct(&before, since),
            "wire_bytes_per_day": per_day.round(),
        })
    );
    Ok(())
}
