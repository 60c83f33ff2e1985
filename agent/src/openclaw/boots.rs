//! A gateway's starts and ends, from its own book of them.
//!
//! Since 2026.8 a row is written when a gateway starts, and completed when it ends in order; one that was left open by a
//! process that is no more tells of a crash. Rows are kept for a day, and old ones are deleted by the next start: also
//! that of a gateway that ran for longer. Before 2026.8 there is no such book, and ends are seen as they happen.

use std::path::Path;

use protocol::{GatewayExit, GatewayOutcome, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::config;
use super::process::Presence;

/// The most rows that are read.
const MAX_ROWS: u32 = 512;
/// The most starts and ends that are told at once.
const MAX_CHANGES: usize = 32;
/// How many starts that ended badly make a loop, and within which time: OpenClaw's own measure.
const LOOP_STARTS: usize = 3;
const LOOP_MILLIS: i64 = 300_000;
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 500;
/// OpenClaw gave up starting channels, because it crashed again and again.
const BREAKER: &str = "gateway.crash_loop_breaker";
/// The row of a gateway that runs on after it had given up: no start of its own.
const RECOVERED: &str = "gateway.crash_loop_recovered";

/// One start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boot {
    pub(crate) id: String,
    pub(crate) pid: u32,
    pub(crate) started_at: Timestamp,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) outcome: Option<String>,
    pub(crate) startup_reason: Option<String>,
    pub(crate) reason: Option<String>,
}

/// The sign of life that a gateway renews every 30 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) pid: Option<u32>,
    pub(crate) host: Option<String>,
    pub(crate) heartbeat_at: Timestamp,
    pub(crate) port: Option<u16>,
}

/// What the state database says of the gateway's life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// Starts, oldest first; absent before there was such a table.
    pub(crate) boots: Option<Vec<Boot>>,
    pub(crate) lease: Option<Lease>,
    /// The version that last opened the database.
    pub(crate) version: Option<String>,
}

/// Reads the book.
pub(crate) fn read(db: &Connection) -> rusqlite::Result<Book> {
    let boots = if has_table(db, "gateway_boot_lifecycle")? { Some(read_boots(db)?) } else { None };
    let lease = if has_table(db, "state_leases")? { read_lease(db)? } else { None };
    let version = if has_table(db, "schema_meta")? {
        let mut rows = db.prepare("SELECT app_version FROM schema_meta WHERE meta_key = 'primary'")?;
        let mut rows = rows.query([])?;
        rows.next()?.and_then(|row| row.get::<_, Option<String>>(0).ok().flatten())
    } else {
        None
    };
    Ok(Book { boots, lease, version: version.filter(|version| super::process::is_version(version)) })
}

/// Whether a database has a table.
pub(crate) fn has_table(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")?.exists([name])
}

fn read_boots(db: &Connection) -> rusqlite::Result<Vec<Boot>> {
    // In the order in which they were written: the host's clock may have been set back in between.
    let mut rows = db.prepare(
        "SELECT boot_id, pid, started_at_ms, completed_at_ms, outcome, startup_reason, reason
         FROM gateway_boot_lifecycle ORDER BY rowid DESC LIMIT ?",
    )?;
    let boots = rows.query_map([MAX_ROWS], |row| {
        let reason: Option<String> = row.get(6)?;
        Ok(Boot {
            id: row.get(0)?,
            pid: u32::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
            started_at: Timestamp(row.get(2)?),
            completed_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
            outcome: row.get(4)?,
            startup_reason: row.get(5)?,
            reason: reason.map(|reason| reason.chars().take(MAX_REASON).collect()),
        })
    })?;
    let mut boots: Vec<Boot> = boots.collect::<Result<_, _>>()?;
    boots.reverse();
    Ok(boots)
}

fn read_lease(db: &Connection) -> rusqlite::Result<Option<Lease>> {
    #[derive(Deserialize)]
    struct Payload {
        owner: Owner,
        #[serde(default)]
        port: Option<u16>,
    }
    #[derive(Deserialize)]
    struct Owner {
        #[serde(default)]
        pid: Option<u32>,
        #[serde(default)]
        host: Option<String>,
    }
    let mut rows = db.prepare(
        "SELECT heartbeat_at, payload_json FROM state_leases
         WHERE scope = 'gateway-owner' AND heartbeat_at IS NOT NULL ORDER BY heartbeat_at DESC LIMIT 1",
    )?;
    let mut rows = rows.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let payload: Option<String> = row.get(1)?;
    let payload: Option<Payload> = payload.and_then(|payload| serde_json::from_str(&payload).ok());
    Ok(Some(Lease {
        heartbeat_at: Timestamp(row.get(0)?),
        pid: payload.as_ref().and_then(|payload| payload.owner.pid),
        port: payload.as_ref().and_then(|payload| payload.port),
        host: payload.and_then(|payload| payload.owner.host),
    }))
}

/// The row of the gateway that lives, if one does.
pub(crate) fn living<'a>(boots: &'a [Boot], process: &Presence) -> Option<&'a Boot> {
    let newest = boots.last().filter(|boot| boot.completed_at.is_none())?;
    match process {
        Presence::There(running) => (newest.pid == running.inner_pid).then_some(newest),
        Presence::Gone => None,
        Presence::Unknown => Some(newest),
    }
}

/// How a start ended, when it has.
fn end(boot: &Boot, next: Option<&Boot>, living: Option<&Boot>) -> Option<GatewayExit> {
    if living.is_some_and(|living| living.id == boot.id) {
        return None;
    }
    let outcome = match (boot.completed_at, boot.outcome.as_deref()) {
        (None, _) => GatewayOutcome::Crashed,
        (Some(_), Some("clean_stop" | "planned_restart" | "forced_stop")) => GatewayOutcome::CleanStop,
        (Some(_), Some("startup_failed" | "startup_failure_repaired")) => GatewayOutcome::StartupFailed,
        // It runs on, in a row of its own.
        (Some(_), Some("safe_mode_stable")) => return None,
        (Some(_), _) => GatewayOutcome::Unknown,
    };
    // An open row has no end. The next start came after it.
    let at = boot.completed_at.or_else(|| next.map(|next| next.started_at));
    let reason = match (outcome, boot.outcome.as_deref()) {
        (GatewayOutcome::CleanStop, Some(word @ ("planned_restart" | "forced_stop"))) => {
            let reason = boot.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            Some(format!("{word}{reason}"))
        }
        _ => boot.reason.clone(),
    };
    Some(GatewayExit { outcome, at, reason })
}

/// How many starts are on record, how many of them crashed, and how the last one ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) boots: u64,
    pub(crate) crashes: u64,
    pub(crate) last_exit: Option<GatewayExit>,
    /// Which one that was.
    pub(crate) last_boot: Option<String>,
    /// It starts and fails, again and again.
    pub(crate) crash_loop: bool,
}

/// Counts.
pub(crate) fn tally(boots: &[Boot], living: Option<&Boot>, now: Timestamp) -> Tally {
    let mut tally = Tally::default();
    let mut bad = 0;
    // OpenClaw decides at a start, and starts no channels then until it has gone well for a while. It marks only the first
    // such start of a series.
    let decided_at = living.map_or(now, |living| living.started_at);
    for (boot, next) in with_next(boots) {
        if boot.startup_reason.as_deref() != Some(RECOVERED) {
            tally.boots += 1;
        }
        if let Some(end) = end(boot, next, living) {
            tally.crashes += u64::from(end.outcome == GatewayOutcome::Crashed);
            let ended_badly = matches!(end.outcome, GatewayOutcome::Crashed | GatewayOutcome::StartupFailed);
            if ended_badly && decided_at.millis_since(boot.started_at) <= LOOP_MILLIS {
                bad += 1;
            }
            tally.last_exit = Some(end);
            tally.last_boot = Some(boot.id.clone());
        }
    }
    let gave_up = living.is_some_and(|living| living.startup_reason.as_deref() == Some(BREAKER));
    let recovered = living.is_some_and(|living| living.startup_reason.as_deref() == Some(RECOVERED));
    tally.crash_loop = gave_up || (bad >= LOOP_STARTS && !recovered);
    tally
}

fn with_next(boots: &[Boot]) -> impl Iterator<Item = (&Boot, Option<&Boot>)> {
    boots.iter().zip(boots.iter().skip(1).map(Some).chain([None]))
}

/// Up to where the book was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) id: String,
    pub(crate) started_at: Timestamp,
    /// Whether its end was told too.
    pub(crate) ended: bool,
}

/// Something of the book that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Started(Boot),
    Ended(Boot, GatewayExit),
    /// A start that was told has left the book before its end was seen.
    Lost(Mark),
}

/// What is new since `mark`, and the mark after it. A book that is seen for the first time has no news: what is in it may
/// be long ago.
pub(crate) fn changes(
    boots: &[Boot],
    living: Option<&Boot>,
    mark: Option<&Mark>,
) -> (Vec<Change>, Option<Mark>) {
    let Some(last) = boots.last() else { return (Vec::new(), mark.cloned()) };
    let is_over = |boot: &Boot| living.is_none_or(|living| living.id != boot.id);
    let next_mark = Some(Mark { id: last.id.clone(), started_at: last.started_at, ended: is_over(last) });
    let Some(mark) = mark else { return (Vec::new(), next_mark) };
    let mut changes = Vec::new();
    let marked = boots.iter().position(|boot| boot.id == mark.id);
    if !mark.ended && marked.is_none() {
        changes.push(Change::Lost(mark.clone()));
    }
    for (index, (boot, next)) in with_next(boots).enumerate() {
        let is_marked = marked == Some(index);
        let is_new = match marked {
            Some(marked) => index > marked,
            None => boot.started_at > mark.started_at,
        };
        if !is_new && (!is_marked || mark.ended) {
            continue;
        }
        let exit = end(boot, next, living);
        let failed = exit.as_ref().is_some_and(|exit| exit.outcome == GatewayOutcome::StartupFailed);
        if is_new && !failed && boot.startup_reason.as_deref() != Some(RECOVERED) {
            changes.push(Change::Started(boot.clone()));
        }
        if let Some(exit) = exit {
            changes.push(Change::Ended(boot.clone(), exit));
        }
    }
    let surplus = changes.len().saturating_sub(MAX_CHANGES);
    (changes.split_off(surplus), next_mark)
}

/// What OpenClaw wrote down when it crashed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bundle {
    pub(crate) pid: u32,
    pub(crate) at: Option<Timestamp>,
    pub(crate) reason: String,
    pub(crate) error_name: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) stack: Option<String>,
}

/// Reads a stability bundle; of its long list of events nothing.
pub(crate) fn parse_bundle(text: &str) -> Option<Bundle> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct File {
        #[serde(default)]
        generated_at: Option<jiff::Timestamp>,
        reason: String,
        process: OfProcess,
        #[serde(default)]
        error: Option<OfError>,
    }
    #[derive(Deserialize)]
    struct OfProcess {
        pid: u32,
    }
    #[derive(Deserialize)]
    struct OfError {
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        stack: Option<String>,
    }
    let file: File = serde_json::from_str(text).ok()?;
    let clip = |text: String, chars| text.chars().take(chars).collect::<String>();
    let (name, message, stack) =
        file.error.map_or((None, None, None), |error| (error.name, error.message, error.stack));
    Some(Bundle {
        pid: file.process.pid,
        at: file.generated_at.map(|at| Timestamp(at.as_millisecond())),
        reason: clip(file.reason, 64),
        error_name: name.map(|name| clip(name, 64)),
        message: message.map(|message| clip(message, MAX_REASON)),
        stack: stack.map(|stack| clip(stack, 2000)),
    })
}

/// The bundle that a gateway left which started at `since` with this number.
pub(crate) fn bundle(state_dir: &Path, pid: u32, since: Timestamp) -> Option<Bundle> {
    let part = format!("-{pid}-");
    let entries = std::fs::read_dir(state_dir.join("logs/stability")).ok()?.flatten().take(10_000);
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.strip_suffix(".json").is_some_and(|name| name.contains(&part)))
        .collect();
    // Their names begin with the time.
    files.sort();
    files.iter().rev().take(4).find_map(|name| {
        let path = state_dir.join("logs/stability").join(name);
        let bundle = parse_bundle(&config::read(&path, 4 * 1024 * 1024).ok()?)?;
        let fits = bundle.pid == pid && bundle.at.is_none_or(|at| at >= since);
        (fits && !bundle.reason.contains("crash_loop")).then_some(bundle)
    })
}

#[cfg(test)]
mod tests {
    use super::super::process::{ProcessId, Running};
    use super::super::tests::unpacked;
    use super::*;

    const BUNDLE: &str = include_str!(
        "../../tests/fixtures/openclaw/2026.9.6/logs/stability/openclaw-stability-2026-11-20T04-58-21-529Z-19247-unhandled_rejection.json"
    );

    fn there(pid: u32) -> Presence {
        Presence::There(Running { id: ProcessId { pid, started: 1 }, inner_pid: pid, uid: None })
    }

    fn boot(id: &str, pid: u32, started: i64, end: Option<(i64, &str)>) -> Boot {
        Boot {
            id: id.to_owned(),
            pid,
            started_at: Timestamp(started),
            completed_at: end.map(|(at, _)| Timestamp(at)),
            outcome: end.map(|(_, outcome)| outcome.to_owned()),
            startup_reason: None,
            reason: None,
        }
    }

    fn told(changes: &[Change]) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Started(boot) => format!("{} started", boot.id),
            Change::Ended(boot, exit) => format!("{} {:?}", boot.id, exit.outcome),
            Change::Lost(mark) => format!("{} lost", mark.id),
        };
        changes.iter().map(word).collect()
    }

    #[test]
    fn the_real_book_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = unpacked(dir.path(), "2026.9.6/state/openclaw.sqlite.gz");
        let book = super::super::sqlite::read(&path, read).unwrap();
        let boots = book.boots.unwrap();
        assert_eq!((boots.len(), book.version.as_deref(), book.lease), (8, Some("2026.9.6"), None));
        let tally = tally(&boots, None, boots[7].started_at);
        assert_eq!((tally.boots, tally.crashes, tally.crash_loop), (8, 4, false));
        let exit = tally.last_exit.unwrap();
        assert_eq!(exit.outcome, GatewayOutcome::StartupFailed);
        assert!(exit.reason.unwrap().contains("Unrecognized key"));
        // Somewhere in the past: the fifth row lived.
        let (early, process) = (&boots[..5], there(667));
        assert_eq!(living(early, &process).unwrap().pid, 667);
        let path = unpacked(dir.path(), "migrated/state/openclaw.sqlite.gz");
        let book = super::super::sqlite::read(&path, read).unwrap();
        assert_eq!(book, Book { boots: Some(Vec::new()), ..Book::default() });
    }

    #[test]
    fn the_lease_is_read_and_missing_tables_do_no_harm() {
        let db = Connection::open_in_memory().unwrap();
        assert_eq!(read(&db).unwrap(), Book::default());
        db.execute_batch(
            r#"CREATE TABLE state_leases (scope, lease_key, heartbeat_at, payload_json);
               INSERT INTO state_leases VALUES ('gateway-owner', 'global', 1795169572985,
               '{"owner":{"pid":6526,"host":"vm","startedAt":1202183},"port":18789,"mode":"foreground"}')"#,
        )
        .unwrap();
        let lease = read(&db).unwrap().lease.unwrap();
        assert_eq!((lease.pid, lease.host.as_deref(), lease.port), (Some(6526), Some("vm"), Some(18789)));
    }

    #[test]
    fn each_start_and_end_is_told_once() {
        let mut boots = vec![boot("a", 1, 10, Some((20, "clean_stop"))), boot("b", 2, 30, None)];
        let mut mark = None;
        let mut check = |boots: &[Boot], process: &Presence, expected: &[&str]| {
            let (changes, next) = changes(boots, living(boots, process), mark.as_ref());
            mark = next;
            assert_eq!(told(&changes), expected);
        };
        check(&boots, &there(2), &[]);
        check(&boots, &there(2), &[]);
        check(&boots, &Presence::Gone, &["b Crashed"]);
        check(&boots, &Presence::Gone, &[]);
        // A restart between two looks.
        boots.push(boot("c", 3, 40, Some((50, "planned_restart"))));
        boots.push(boot("d", 4, 60, None));
        check(&boots, &there(4), &["c started", "c CleanStop", "d started"]);
        // And a crash between two.
        boots.push(boot("e", 5, 70, None));
        check(&boots, &there(5), &["d Crashed", "e started"]);
        boots.push(boot("f", 6, 80, Some((81, "startup_failed"))));
        check(&boots, &Presence::Gone, &["e Crashed", "f StartupFailed"]);
        // It starts again; old rows go.
        check(&[boot("g", 7, 90, None)], &there(7), &["g started"]);
        check(&[boot("h", 8, 100, None)], &there(8), &["g lost", "h started"]);
        check(&[], &there(8), &[]);
        // The clock was set back.
        let set_back = [boot("h", 8, 100, Some((101, "clean_stop"))), boot("i", 9, 50, None)];
        check(&set_back, &there(9), &["h CleanStop", "i started"]);
    }

    #[test]
    fn a_gateway_that_recovers_from_a_loop_runs_on() {
        let first = Boot { startup_reason: Some(BREAKER.to_owned()), ..boot("a", 1, 10, None) };
        assert!(tally(std::slice::from_ref(&first), Some(&first), Timestamp(10)).crash_loop);
        let boots = [
            boot("a", 1, 10, Some((20, "safe_mode_stable"))),
            Boot { startup_reason: Some(RECOVERED.to_owned()), ..boot("b", 1, 20, None) },
        ];
        let mark = Mark { id: "a".to_owned(), started_at: Timestamp(10), ended: false };
        let process = there(1);
        let living = living(&boots, &process);
        assert_eq!(changes(&boots, living, Some(&mark)).0, []);
        let tally = tally(&boots, living, Timestamp(20));
        assert_eq!((tally.boots, tally.crashes, tally.last_exit, tally.crash_loop), (1, 0, None, false));
    }

    #[test]
    fn three_bad_starts_in_five_minutes_are_a_loop() {
        let boots =
            [boot("a", 1, 0, None), boot("b", 2, 1, Some((2, "startup_failed"))), boot("c", 3, 9, None)];
        assert!(tally(&boots, None, Timestamp(300_000)).crash_loop);
        assert!(!tally(&boots, None, Timestamp(300_001)).crash_loop);
        assert!(!tally(&boots, Some(&boots[2]), Timestamp(10)).crash_loop);
        // One that started after them keeps its channels stopped, also when they are long ago, until it says otherwise.
        let after = |reason: Option<&str>| {
            let [a, b, c] = boots.clone();
            let living = Boot { startup_reason: reason.map(str::to_owned), ..boot("d", 4, 20, None) };
            tally(&[a, b, c, living.clone()], Some(&living), Timestamp(900_000)).crash_loop
        };
        assert!(after(None));
        assert!(!after(Some(RECOVERED)));
    }

    #[test]
    fn bundles_tell_why() {
        let bundle = parse_bundle(BUNDLE).unwrap();
        assert_eq!((bundle.pid, bundle.reason.as_str()), (19247, "unhandled_rejection"));
        assert_eq!(bundle.error_name.as_deref(), Some("Error"));
        assert_eq!(bundle.at, Some(Timestamp(1_795_150_701_529)));
        assert!(bundle.stack.unwrap().starts_with("Error: lab unhandled rejection\n"));
        for bad in ["", "{}", "[]", r#"{"reason":1,"process":{"pid":1}}"#, &BUNDLE[..BUNDLE.len() / 2]] {
            assert_eq!(parse_bundle(bad), None);
        }
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openclaw/2026.9.6");
        assert!(self::bundle(&fixtures, 19247, Timestamp(1_795_150_679_495)).is_some());
        assert!(self::bundle(&fixtures, 19247, Timestamp(1_795_150_700_000_000)).is_none());
        assert!(self::bundle(&fixtures, 1924, Timestamp(0)).is_none());
    }
}
