//! How long a first scan takes, and in how much memory; and that a kill at any moment costs nothing.
//!
//! ```sh
//! export MEASURED_HOME=/some/folder
//! cargo test --release -p openclaw-watch-agent --lib measure::make -- --ignored
//! cargo test --release -p openclaw-watch-agent --lib measure::scan -- --ignored --nocapture
//! ```
//!
//! With `MEASURED_FILES=1` for the first it is a home of 2026.7. Two processes, so that the memory of the second is that of a scan alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::tests::{SCHEMA, answer, database, home_in, user};
use super::{Budget, Ledger};
use protocol::Timestamp;

const SESSIONS: u64 = 2000;
const EVENTS: u64 = 100;

fn folder() -> PathBuf {
    std::env::var_os("MEASURED_HOME").expect("MEASURED_HOME names a folder").into()
}

/// Makes a home of two agents, with so many sessions of so many events, of which a fifth are compressed. Returns the tokens.
fn make_home(state_dir: &Path, sessions: u64, events: u64) -> u64 {
    let words = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor ";
    let text = |bytes: usize, n: u64| format!("{n} {}", words.repeat(bytes / words.len() + 1));
    let mut tokens = 0;
    for agent in 0..2u64 {
        let db = database(&state_dir.join(format!("agents/a{agent}/agent/openclaw-agent.sqlite")));
        db.execute_batch(SCHEMA).unwrap();
        for session in 0..sessions / 2 {
            let id = format!(
                "{:08x}-0000-4000-8000-{agent:012x}",
                session.wrapping_mul(2_654_435_761) & 0xffff_ffff
            );
            let began = 1_790_000_000_000 + i64::try_from(session).unwrap() * 2_000_000;
            db.execute_batch("BEGIN").unwrap();
            db.execute(
                "INSERT INTO session_windows (session_id, session_key, created_at) VALUES (?1, ?2, ?3)",
                (&id, format!("agent:a{agent}:s{session}"), began),
            )
            .unwrap();
            db.execute("INSERT INTO transcript_rewrite_watermarks VALUES (?1, 'g')", [&id]).unwrap();
            for seq in 0..events {
                let event = format!("{:08x}-{agent:04x}-4000-8000-{:012x}", session, seq + session * events);
                let at = began + i64::try_from(seq).unwrap() * 15_000;
                let json = match seq % 5 {
                    0 => user(&event, at, &text(if seq % 20 == 0 { 3000 } else { 300 }, seq)),
                    1 | 3 => {
                        tokens += seq;
                        answer(&event, at, seq, &text(if seq % 20 == 3 { 9000 } else { 500 }, seq))
                    }
                    2 => answer(&event, at, seq, &text(2000, seq)).replace("\"assistant\"", "\"toolResult\""),
                    _ => format!(r#"{{"type":"custom","id":"{event}","data":{{"runId":"{event}"}}}}"#),
                };
                let role =
                    ["user", "assistant", "toolResult", "assistant", ""][usize::try_from(seq % 5).unwrap()];
                insert(&db, &id, seq, at, &json, role);
            }
            db.execute_batch("COMMIT").unwrap();
        }
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
    tokens
}

fn insert(db: &Connection, session: &str, seq: u64, at: i64, json: &str, role: &str) {
    let seq = i64::try_from(seq).unwrap();
    let mut insert =
        db.prepare_cached("INSERT INTO transcript_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)").unwrap();
    if json.len() > 1024 {
        let packed = zstd::bulk::compress(json.as_bytes(), 3).unwrap();
        let navigation = format!(r#"{{"version":1,"model":{{"message":{{"role":"{role}","content":[]}}}}}}"#);
        let length = i64::try_from(json.len()).unwrap();
        insert.execute((session, seq, None::<String>, at, packed, length, navigation)).unwrap();
    } else {
        insert.execute((session, seq, json, at, None::<Vec<u8>>, None::<i64>, None::<String>)).unwrap();
    }
}

/// Puts the same sessions into files, as before 2026.8; every fourth is a compressed archive.
fn into_files(state_dir: &Path) {
    for agent in 0..2 {
        let folder = state_dir.join(format!("agents/a{agent}"));
        let db = Connection::open(folder.join("agent/openclaw-agent.sqlite")).unwrap();
        std::fs::create_dir_all(folder.join("sessions")).unwrap();
        let mut sessions = db.prepare("SELECT session_id FROM session_windows").unwrap();
        let sessions: Vec<String> =
            sessions.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for (n, session) in sessions.iter().enumerate() {
            let lines = super::tests::lines(&db, session);
            let path = folder.join(format!("sessions/{session}.jsonl"));
            if n % 4 == 0 {
                let path = path.with_extension("jsonl.deleted.2026-11-20T05-06-04.310Z.zst");
                std::fs::write(path, zstd::bulk::compress(lines.as_bytes(), 3).unwrap()).unwrap();
            } else {
                std::fs::write(path, lines).unwrap();
            }
        }
        std::fs::remove_dir_all(folder.join("agent")).unwrap();
    }
}

#[test]
#[ignore = "makes a large home to measure"]
fn make() {
    let tokens = make_home(&folder(), SESSIONS, EVENTS);
    if std::env::var_os("MEASURED_FILES").is_some() {
        into_files(&folder());
    }
    std::fs::write(folder().join("TOKENS"), tokens.to_string()).unwrap();
}

fn memory(what: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with(what)).unwrap_or_default().to_owned()
}

fn add_one(database: &Path) {
    let db = Connection::open(database).unwrap();
    let more = answer("00000000-0000-4000-8000-ffffffffffff", 1_790_000_000_000, 0, "x");
    let row = "SELECT min(session_id), max(seq) + 1, ?1, 0, NULL, NULL, NULL FROM transcript_events
               WHERE session_id = (SELECT min(session_id) FROM transcript_events)";
    db.execute(&format!("INSERT INTO transcript_events {row}"), [more]).unwrap();
}

#[test]
#[ignore = "measures a home that `make` made"]
fn scan() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    let homes = [home_in(&folder())];
    println!("before: {} {}", memory("VmRSS"), memory("VmHWM"));
    let began = Instant::now();
    let mut ledger = Ledger::open(Some(&path), Timestamp(0));
    let mut longest = Duration::ZERO;
    let (mut scans, mut events) = (0, 0);
    loop {
        let one = Instant::now();
        let progress = ledger.scan(&homes, Budget { events: 5000 });
        longest = longest.max(one.elapsed());
        scans += 1;
        events += progress.events;
        if progress.done {
            break;
        }
    }
    println!("{events} events in {:?}, {scans} scans, the longest {longest:?}", began.elapsed());
    println!("after: {} {}", memory("VmRSS"), memory("VmHWM"));
    let mut quiet = Duration::ZERO;
    for _ in 0..10 {
        let one = Instant::now();
        assert_eq!(ledger.scan(&homes, Budget { events: 5000 }).events, 0);
        quiet = one.elapsed();
    }
    println!("nothing new: {quiet:?}; {}", memory("VmRSS"));
    let database = folder().join("agents/a0/agent/openclaw-agent.sqlite");
    if database.exists() {
        add_one(&database);
        let one = Instant::now();
        assert_eq!(ledger.scan(&homes, Budget { events: 5000 }).events, 1);
        println!("one event more: {:?}; {}", one.elapsed(), memory("VmRSS"));
    }
    let tokens: u64 = ledger.rows().iter().map(|row| row.input).sum();
    assert_eq!(tokens.to_string(), std::fs::read_to_string(folder().join("TOKENS")).unwrap());
    drop(ledger);
    println!(
        "the ledger has {} bytes for {} turns",
        std::fs::metadata(&path).unwrap().len(),
        SESSIONS * EVENTS * 2 / 5
    );
}

/// Not a test by itself: what [`a_kill_at_any_moment_costs_nothing`] starts and kills.
#[test]
#[ignore = "is killed by another test"]
fn victim() {
    let Some(path) = std::env::var_os("VICTIM_LEDGER") else { return };
    let mut ledger = Ledger::open(Some(Path::new(&path)), Timestamp(0));
    while !ledger.scan(&[home_in(&folder())], Budget { events: 20 }).done {}
    println!("done");
}

#[test]
fn a_kill_at_any_moment_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let tokens = make_home(&home, 20, 200);
    let path = dir.path().join("ledger.sqlite");
    let mut kills = 0;
    for after in 0.. {
        let mut victim = Command::new(std::env::current_exe().unwrap());
        victim.args(["--ignored", "--exact", "--nocapture", "openclaw::usage::measure::victim"]);
        victim.env("VICTIM_LEDGER", &path).env("MEASURED_HOME", &home);
        let mut victim = victim.stdout(std::process::Stdio::null()).spawn().unwrap();
        let until = Instant::now() + Duration::from_millis(5 + after * 7 % 45);
        while Instant::now() < until && victim.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        if victim.try_wait().unwrap().is_some() {
            break;
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        kills += 1;
        assert!(kills < 1000, "it gets nowhere");
    }
    let mut ledger = Ledger::open(Some(&path), Timestamp(0));
    while !ledger.scan(&[home_in(&home)], Budget { events: 1000 }).done {}
    let counted: u64 = ledger.rows().iter().map(|row| row.input).sum();
    assert_eq!(counted, tokens, "after {kills} kills");
    assert!(kills > 0, "nothing was killed, which proves nothing");
}

#[test]
#[ignore = "counts a home that is in use"]
fn count() {
    let mut ledger = Ledger::open(None, Timestamp(0));
    let progress = ledger.scan(&[home_in(&folder())], Budget { events: usize::MAX });
    println!("{progress:?}");
    for ((provider, model), counts) in ledger.totals() {
        println!("{provider}/{model} {counts:?}");
    }
    for row in ledger.rows() {
        println!(
            "{} {}/{} {} {:?} {}",
            row.quarter.0, row.provider, row.model, row.agent, row.trigger, row.turns
        );
    }
}
