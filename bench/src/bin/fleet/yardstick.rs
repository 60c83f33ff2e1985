//! What others make of the same machine in the same run: SQLite without a server around it, and mosquitto, which relays the
//! same reports to a subscriber and stores nothing.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use protocol::ApiKey;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::Cli;
use crate::device::{Device, Phase};
use crate::{FAREWELL, fleet, gather, round, say};

/// Rows that SQLite gets, and how many of them in a transaction: what a commit of the server holds under full load.
const ROWS: u32 = 300_000;
const IN_ONE: u32 = 300;

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn program(name: &str) -> String {
    // Debian keeps servers out of the usual path.
    let beside = Path::new("/usr/sbin").join(name);
    if beside.exists() { beside.display().to_string() } else { name.to_owned() }
}

/// Reports per second that mosquitto acknowledges and that a subscriber gets, over the same connections.
pub(crate) async fn mosquitto(cli: &Cli, keys: Vec<ApiKey>) -> anyhow::Result<Value> {
    let folder = TempDir::with_prefix("fleet-mosquitto-").context("cannot make a temporary folder")?;
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map(|a| a.port());
    let (port, plain) = (free()?, free()?);
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("certificate.pem"), certificate.cert.pem())?;
    std::fs::write(file("key.pem"), certificate.signing_key.serialize_pem())?;
    let secure = if cli.tls {
        format!("certfile {}\nkeyfile {}\n", file("certificate.pem").display(), file("key.pem").display())
    } else {
        String::new()
    };
    // Nothing is dropped, and nothing kept on disk.
    let settings = format!(
        "per_listener_settings false\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n\
         max_inflight_messages 0\nlog_type error\nlistener {plain} 127.0.0.1\nlistener {port} 127.0.0.1\n{secure}"
    );
    std::fs::write(file("mosquitto.conf"), settings)?;
    if rustix::process::geteuid().is_root() {
        // As root it becomes another user, who must be able to read this.
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        std::fs::set_permissions(file("key.pem"), std::fs::Permissions::from_mode(0o644))?;
    }
    let mut broker = Command::new(program("mosquitto"));
    broker.arg("-c").arg(file("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let _broker = Ended(broker.spawn().context("cannot start mosquitto; install it (Debian: mosquitto)")?);
    let limit = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", plain)).await.is_err() {
        ensure!(Instant::now() < limit, "mosquitto does not listen");
        sleep(Duration::from_millis(20)).await;
    }
    let mut subscriber = Command::new("mosquitto_sub");
    subscriber.args([
        "-h",
        "127.0.0.1",
        "-p",
        &plain.to_string(),
        "-q",
        "1",
        "-t",
        "openclaw/+/report",
        "-F",
        "%l",
    ]);
    subscriber.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut subscriber = Ended(
        subscriber.spawn().context("cannot start mosquitto_sub; install it (Debian: mosquitto-clients)")?,
    );
    let lines = BufReader::with_capacity(1 << 20, subscriber.0.stdout.take().context("no output")?);
    let got = Arc::new(AtomicU64::new(0));
    let counter = got.clone();
    std::thread::spawn(move || {
        for line in lines.split(b'\n') {
            if line.is_err() {
                return;
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (phase, fleet) = fleet(cli, format!("127.0.0.1:{port}"))?;
    let mut devices = JoinSet::new();
    let count = keys.len();
    for (n, key) in keys.into_iter().enumerate() {
        devices.spawn(Device::new(fleet.clone(), key, n, count).run());
    }
    gather(&fleet, count).await?;
    let (start, acked, relayed) =
        (Instant::now(), fleet.acked.load(Ordering::Relaxed), got.load(Ordering::Relaxed));
    phase.send_replace(Phase::Send);
    sleep(Duration::from_secs(cli.seconds)).await;
    let spent = start.elapsed().as_secs_f64();
    let per_s = |n: u64| round(f64::from(u32::try_from(n).unwrap_or(u32::MAX)) / spent);
    let acked = per_s(fleet.acked.load(Ordering::Relaxed) - acked);
    let relayed = per_s(got.load(Ordering::Relaxed) - relayed);
    phase.send_replace(Phase::Finish);
    timeout(FAREWELL, devices.join_all())
        .await
        .context("mosquitto did not acknowledge all within a minute")?;
    say(&format!("mosquitto: {acked} acknowledged/s, {relayed} relayed/s"));
    Ok(json!({ "acked_per_s": acked, "relayed_per_s": relayed }))
}

/// Rows per second that SQLite takes, durably, from one prepared statement.
pub(crate) fn sqlite() -> anyhow::Result<Value> {
    let folder = TempDir::with_prefix("fleet-sqlite-").context("cannot make a temporary folder")?;
    let database = rusqlite::Connection::open(folder.path().join("rows.sqlite"))?;
    let columns = ('a'..='q').map(|c| format!("{c} INTEGER")).collect::<Vec<_>>().join(", ");
    database.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 16000;
         CREATE TABLE row (no INTEGER PRIMARY KEY, {columns}) STRICT"
    ))?;
    let start = std::time::Instant::now();
    let mut insert =
        database.prepare("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for first in (0..ROWS).step_by(usize::try_from(IN_ONE)?) {
        database.execute_batch("BEGIN IMMEDIATE")?;
        for no in first..first + IN_ONE {
            let no = i64::from(no);
            let many = (0..17).map(|i| no * 7919 % 1_000_003 + i);
            insert.execute(rusqlite::params_from_iter(std::iter::once(no).chain(many)))?;
        }
        database.execute_batch("COMMIT")?;
    }
    let per_s = round(f64::from(ROWS) / start.elapsed().as_secs_f64());
    say(&format!("SQLite alone: {per_s} rows/s, {IN_ONE} in a transaction"));
    Ok(json!({ "rows_per_s": per_s, "rows_in_a_transaction": IN_ONE }))
}
