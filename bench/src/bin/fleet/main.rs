//! The fleet simulator. `--help` says what it does; DESIGN §8 names what its last line holds.

mod cli;
mod device;
mod history;
mod live;
mod payload;
mod server;
mod stats;
mod yardstick;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Parser as _;
use protocol::{ApiKey, Clock, DeviceId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use cli::Cli;
use device::{Device, Fleet, Phase};
use live::Live;
use payload::Reports;
use server::{Server, Usage};
use stats::Histogram;

/// Handshakes at the same time.
const HANDSHAKES: usize = 64;
/// For what is unacknowledged at the end.
const FAREWELL: Duration = Duration::from_mins(1);
/// Open files besides the devices' connections.
const OTHER_FILES: u64 = 200;

#[expect(clippy::print_stderr, reason = "progress is for the person who waits")]
fn say(text: &str) {
    eprintln!("fleet: {text}");
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(result) => {
            #[expect(clippy::print_stdout, reason = "the result, for scripts")]
            {
                println!("{}", Value::Object(result));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn allow_open_files(devices: usize) -> anyhow::Result<()> {
    let need = u64::try_from(devices)? + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|now| now >= need) {
        return Ok(());
    }
    // The server inherits it.
    let raised = maximum.is_none_or(|most| most >= need)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(need), maximum }).is_ok();
    ensure!(
        raised,
        "{devices} devices need {need} open files and this user may have {}: raise the limit (`ulimit -n {need}` as \
         root, or LimitNOFILE), or simulate fewer",
        maximum.or(current).unwrap_or(0)
    );
    Ok(())
}

async fn keys(cli: &Cli, server: Option<&Server>) -> anyhow::Result<Vec<ApiKey>> {
    let Some(server) = server else {
        let path = cli.keys.as_ref().context("--keys is missing")?;
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty()).take(cli.devices);
        let keys = lines.map(ApiKey::parse).collect::<Result<Vec<_>, _>>()?;
        ensure!(keys.len() == cli.devices, "{} has {} keys, not {}", path.display(), keys.len(), cli.devices);
        return Ok(keys);
    };
    let start = Instant::now();
    let keys = server.add_devices(cli.devices).await?;
    say(&format!("{} devices added in {:.1} s", keys.len(), start.elapsed().as_secs_f64()));
    Ok(keys)
}

/// The last line of the output.
type Line = serde_json::Map<String, Value>;
type Acked = Vec<(DeviceId, Vec<u64>)>;

async fn run(cli: Cli) -> anyhow::Result<Line> {
    ensure!(cli.devices > 0 && cli.window > 0, "at least one device, and a window of at least 1");
    allow_open_files(cli.devices)?;
    let mut server = match &cli.server {
        Some(_) => None,
        None => Some(Server::start(cli.program.as_deref()).await?),
    };
    let start = Instant::now();
    let keys = keys(&cli, server.as_ref()).await?;
    let add_s = start.elapsed().as_secs_f64();
    if let (Some(server), 1..) = (&mut server, cli.rows) {
        server.stop().await?;
        history::fill(&server.database(), cli.rows, Clock::system().now().as_millis())?;
        server.start_again().await?;
    }
    let address = match (&cli.server, &server) {
        (Some(address), _) => address.clone(),
        (None, Some(server)) => server.broker.clone(),
        (None, None) => bail!("no server"),
    };
    let usage = |server: &Option<Server>| server.as_ref().map(Server::usage);
    quiet(server.as_ref()).await;
    let before = usage(&server);

    let ages = Arc::new(Histogram::new());
    let mut watching = JoinSet::new();
    if let (Some(server), false) = (&server, cli.no_live || cli.idle) {
        let live = Live::open(&server.dashboard, &server.token).await?;
        watching.spawn(live.watch(Clock::system(), ages.clone()));
    }

    let kept = keys.clone();
    let (phase, fleet) = fleet(&cli, address)?;
    let start = Instant::now();
    let mut devices: JoinSet<(DeviceId, Vec<u64>)> = JoinSet::new();
    let count = keys.len();
    for (n, key) in keys.into_iter().enumerate() {
        devices.spawn(Device::new(fleet.clone(), key, n, count).run());
    }
    gather(&fleet, count).await?;
    let connect_s = start.elapsed().as_secs_f64();
    say(&format!("{count} devices connected in {connect_s:.1} s"));
    let mut result = Line::new();
    for (name, value) in [
        ("devices", json!(count)),
        ("tls", json!(cli.tls)),
        ("rate", json!(cli.rate)),
        ("window", json!(cli.window)),
        ("backlog_h", json!(cli.backlog)),
        ("add_s", json!(round(add_s))),
        ("connect_s", json!(round(connect_s))),
        ("rss_per_idle_device_bytes", Value::Null),
    ] {
        result.insert(name.into(), value);
    }

    let sent_for = if cli.idle {
        idle(&mut result, server.as_ref(), before, count).await;
        None
    } else {
        Some(load(&cli, &mut result, &phase, &fleet, &ages, server.as_ref()).await)
    };
    phase.send_replace(Phase::Finish);
    let acked = timeout(FAREWELL, devices.join_all()).await;
    let acked: Acked = acked.context("some reports were not acknowledged within 60 s of the end")?;
    let total: u64 = acked.iter().map(|(_, seqs)| u64::try_from(seqs.len()).unwrap_or(0)).sum();
    let after = usage(&server);
    if sent_for.is_none() {
        result.insert("acked_per_s".into(), Value::Null);
        result.insert("live_ms".into(), Value::Null);
        result.insert("puback_ms".into(), fleet.puback.json());
        result.insert("server_cpu_s".into(), json!(after.map(|usage| round(usage.cpu.as_secs_f64()))));
    }
    result.insert("acked".into(), json!(total));
    result.insert("server_rss_peak_bytes".into(), json!(after.map(|usage| usage.rss_peak)));
    result.insert("lost_connections".into(), json!(fleet.lost_connections.load(Ordering::Relaxed)));
    for name in ["lost", "duplicates", "rows"] {
        result.insert(name.into(), Value::Null);
    }
    if let (Some(server), 1..) = (&server, cli.rows) {
        result.insert("history_rows".into(), json!(cli.rows));
        let ids: Vec<String> = kept.iter().map(|key| key.subject().to_string()).collect();
        // Ten thousand farewells are work, too.
        quiet(Some(server)).await;
        let (dashboard, token) = (server.dashboard.clone(), server.token.clone());
        let now = Clock::system().now().as_millis();
        let asked = tokio::task::spawn_blocking(move || history::ask(&dashboard, &token, &ids, now));
        result.insert("queries".into(), asked.await??);
    }
    if let Some(server) = &mut server {
        server.stop().await?;
        say("comparing with the database");
        let compared = server.compare(&acked)?;
        result.insert("rows".into(), json!(compared.rows));
        result.insert("lost".into(), json!(compared.lost));
        result.insert("duplicates".into(), json!(compared.duplicates));
    }
    watching.shutdown().await;
    if cli.yardsticks {
        result.insert("sqlite".into(), tokio::task::spawn_blocking(yardstick::sqlite).await??);
        result.insert("mosquitto".into(), yardstick::mosquitto(&cli, kept).await?);
    }
    Ok(result)
}

fn fleet(cli: &Cli, address: String) -> anyhow::Result<(watch::Sender<Phase>, Arc<Fleet>)> {
    let (phase, phase_now) = watch::channel(Phase::Gather);
    let devices = f64::from(u32::try_from(cli.devices)?);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hours, given by hand")]
    let backlog = (cli.backlog.max(0.0) * 120.0) as u64;
    let fleet = Fleet {
        address,
        tls: cli.tls.then(bench::tls::connector).transpose()?,
        clock: Clock::system(),
        reports: Reports::new(),
        window: cli.window,
        interval: (cli.rate > 0.0).then(|| Duration::from_secs_f64(devices / cli.rate)),
        backlog,
        phase: phase_now,
        handshakes: Semaphore::new(HANDSHAKES),
        puback: Histogram::new(),
        acked: AtomicU64::new(0),
        ready: AtomicUsize::new(0),
        lost_connections: AtomicU64::new(0),
    };
    Ok((phase, Arc::new(fleet)))
}

/// Waits until all devices are connected and their first report is acknowledged.
async fn gather(fleet: &Fleet, count: usize) -> anyhow::Result<()> {
    let (mut ready, mut since) = (0, Instant::now());
    while ready < count {
        sleep(Duration::from_millis(20)).await;
        let now = fleet.ready.load(Ordering::Relaxed);
        if now > ready {
            (ready, since) = (now, Instant::now());
        }
        ensure!(since.elapsed() < Duration::from_secs(30), "only {ready} of {count} devices could connect");
    }
    Ok(())
}

/// Waits until the server has nothing to do.
async fn quiet(server: Option<&Server>) {
    let Some(server) = server else { return };
    let mut last = server.usage();
    for _ in 0..20 {
        sleep(Duration::from_millis(500)).await;
        let now = server.usage();
        if now.rss.abs_diff(last.rss) < 64 * 1024
            && now.cpu.saturating_sub(last.cpu) <= Duration::from_millis(30)
        {
            return;
        }
        last = now;
    }
}

async fn idle(result: &mut Line, server: Option<&Server>, before: Option<Usage>, count: usize) {
    // Long enough for each to have asked whether the server is there.
    sleep(Duration::from_secs(12)).await;
    quiet(server).await;
    let (Some(server), Some(before)) = (server, before) else { return };
    let after = server.usage();
    let count = u64::try_from(count).unwrap_or(1).max(1);
    let each = |after: u64, before: u64| after.saturating_sub(before) / count;
    result.insert("rss_per_idle_device_bytes".into(), json!(each(after.rss, before.rss)));
    result.insert("anonymous_per_idle_device_bytes".into(), json!(each(after.anonymous, before.anonymous)));
    result.insert("server_rss_before_bytes".into(), json!(before.rss));
    result.insert("server_rss_bytes".into(), json!(after.rss));
    say(&format!("{} bytes for each idle device", each(after.rss, before.rss)));
}

/// Lets the fleet send, and measures.
async fn load(
    cli: &Cli,
    result: &mut Line,
    phase: &watch::Sender<Phase>,
    fleet: &Fleet,
    ages: &Histogram,
    server: Option<&Server>,
) -> Duration {
    fleet.puback.reset();
    ages.reset();
    let acked = || fleet.acked.load(Ordering::Relaxed);
    let (start, first, before) = (Instant::now(), acked(), server.map(Server::usage));
    phase.send_replace(Phase::Send);
    let end = start + Duration::from_secs(cli.seconds);
    let mut last = first;
    while Instant::now() < end {
        tokio::time::sleep_until(end.min(Instant::now() + Duration::from_secs(5))).await;
        say(&format!(
            "{:.0} s: {} acknowledged, {} since",
            start.elapsed().as_secs_f64(),
            acked() - first,
            acked() - last
        ));
        last = acked();
    }
    let (spent, count, after) = (start.elapsed(), acked() - first, server.map(Server::usage));
    let per_s = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / spent.as_secs_f64();
    result.insert("seconds".into(), json!(round(spent.as_secs_f64())));
    result.insert("acked_per_s".into(), json!(round(per_s)));
    result.insert("puback_ms".into(), fleet.puback.json());
    result.insert("live_ms".into(), ages.json());
    result.insert("server_rss_bytes".into(), json!(after.map(|usage| usage.rss)));
    let cpu = before.zip(after).map(|(before, after)| after.cpu.saturating_sub(before.cpu).as_secs_f64());
    result.insert("server_cpu_s".into(), json!(cpu.map(round)));
    result.insert(
        "server_cpu_pct_of_one_core".into(),
        json!(cpu.map(|cpu| round(cpu / spent.as_secs_f64() * 100.0))),
    );
    let written = before.zip(after).map(|(before, after)| (after.written - before.written) / count.max(1));
    result.insert("written_bytes_per_report".into(), json!(written));
    spent
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
