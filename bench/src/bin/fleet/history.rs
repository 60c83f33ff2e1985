//! A past for the devices, written into the stopped server's database, and what asking for it takes.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::say;
use crate::stats::Histogram;

const STEP_MS: i64 = 30_000;
const DAY_MS: i64 = 86_400_000;
/// Devices that have a ladder of 30 days.
const WITH_LADDER: i64 = 20;
const ASKED: usize = 200;

/// Gives all devices the same number of samples, together `rows`, up to now, and some of them their 30 days in steps of
/// 5 minutes. They lie as they would after half an hour: by device.
pub(crate) fn fill(database: &Path, rows: u64, now_ms: i64) -> anyhow::Result<()> {
    let mut database = rusqlite::Connection::open(database).context("opening the database")?;
    database.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144")?;
    let devices: Vec<i64> = database
        .prepare("SELECT no FROM device ORDER BY no")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let each = i64::try_from(rows)? / i64::try_from(devices.len().max(1))?;
    let newest = now_ms - now_ms % STEP_MS - STEP_MS;
    for (done, part) in devices.chunks(100).enumerate() {
        let tx = database.transaction()?;
        for no in part {
            tx.execute(
                "INSERT INTO sample
                 WITH RECURSIVE step (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM step WHERE n < ?2 - 1)
                 SELECT ?1, ?3 - (?2 - 1 - n) * ?4, 0, n, 0, 1, NULL, 1250 + n % 6000, 42 + n % 100, 6291456 + n % 4096,
                    16384000, 0, 195312500 + n, 500000000, 2345 + n % 977, 123456 + n % 9973, 480 + n % 50,
                    400000 + n % 4096, 300 + n % 500, 20 + n % 30 FROM step",
                (no, each, newest, STEP_MS),
            )?;
        }
        tx.commit()?;
        if done % 20 == 19 {
            say(&format!("{} of {rows} rows of history", (done as u64 + 1) * 100 * u64::try_from(each)?));
        }
    }
    // They were there all the time.
    let began = newest - each * STEP_MS;
    database.execute("UPDATE device SET created_at = ?1", [began])?;
    database.execute(
        "INSERT INTO presence (device_no, received_at, online, epoch) SELECT no, ?1, 1, 0 FROM device",
        [began],
    )?;
    let five_minutes: i64 = 30 * DAY_MS / 300_000;
    let columns = database
        .prepare(
            "SELECT name FROM pragma_table_info('sample_5m') WHERE name NOT IN ('device_no', 'at', 'n')",
        )?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let tx = database.transaction()?;
    for no in devices.iter().take(usize::try_from(WITH_LADDER)?) {
        let values: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(i, c)| if c == "late" { "0".to_owned() } else { format!("1000 + n % {}", 100 + i) })
            .collect();
        tx.execute(
            &format!(
                "INSERT OR IGNORE INTO sample_5m (device_no, at, n, {})
                 WITH RECURSIVE step (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM step WHERE n < ?2 - 1)
                 SELECT ?1, ?3 - n * 300000, 10, {} FROM step",
                columns.join(", "),
                values.join(", ")
            ),
            (no, five_minutes, newest - newest % 300_000),
        )?;
    }
    tx.commit()?;
    Ok(())
}

/// Asks the running server, one question after the other.
pub(crate) fn ask(dashboard: &str, token: &str, devices: &[String], now_ms: i64) -> anyhow::Result<Value> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_mins(1))).build().into();
    // How long the server itself worked on it, in milliseconds, and the bytes of its answer.
    let get = |path: &str| -> anyhow::Result<(f64, usize)> {
        let mut answer = agent
            .get(format!("http://{dashboard}/api/v1{path}"))
            .header("authorization", format!("Bearer {token}"))
            .call()
            .with_context(|| format!("GET {path}"))?;
        let took = answer
            .headers()
            .get("server-timing")
            .and_then(|value| value.to_str().ok()?.strip_prefix("app;dur="));
        let took = took.context("no Server-Timing")?.parse()?;
        let body = answer.body_mut().with_config().limit(256 << 20).read_to_vec()?;
        Ok((took, body.len()))
    };
    let time = |name: &str, count: usize, path: &dyn Fn(usize) -> String| -> anyhow::Result<Value> {
        let (whole, inside) = (Histogram::new(), Histogram::new());
        let mut bytes = 0;
        for i in 0..count {
            let start = std::time::Instant::now();
            let (took, len) = get(&path(i))?;
            whole.add(start.elapsed());
            inside.add(Duration::from_secs_f64(took / 1000.0));
            bytes = len;
        }
        let value = json!({ "in_the_server": inside.json(), "with_transfer": whole.json(), "bytes": bytes });
        say(&format!("{name}: {value}"));
        Ok(value)
    };
    let device = |i: usize| {
        devices
            .get(i % devices.len().clamp(1, usize::try_from(WITH_LADDER).unwrap_or(1)))
            .cloned()
            .unwrap_or_default()
    };
    let four = "cpu_pct,memory_used_bytes,network_up_bytes_per_s,network_down_bytes_per_s";
    let range = |days: i64| {
        move |i: usize| {
            let from = rfc3339(now_ms - days * DAY_MS);
            format!(
                "/devices/{}/samples?from={from}&to={}&points=500&metrics={four}",
                device(i),
                rfc3339(now_ms)
            )
        }
    };
    Ok(json!({
        "samples_30d_4_metrics_500_points_ms": time("30 days of a device", ASKED, &range(30))?,
        "samples_1d_4_metrics_500_points_ms": time("a day of a device", ASKED, &range(1))?,
        "overview_ms": time("overview", 30, &|_| "/devices".to_owned())?,
        "fleet_at_ms": time("the fleet 3 hours ago", 20, &|i| {
            format!("/fleet/at?time={}", rfc3339(now_ms - 3 * 3_600_000 - i64::try_from(i).unwrap_or(0) * 60_000))
        })?,
    }))
}

fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
}
