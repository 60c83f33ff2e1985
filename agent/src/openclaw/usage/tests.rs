//! The ledger against real homes of OpenClaw, and against made ones that change under it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use protocol::UsageTrigger;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp(1_795_151_900_000);
const ALL: Budget = Budget { events: usize::MAX };

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openclaw")
}

/// Copies a folder and unpacks what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if target.extension().is_some_and(|ext| ext == "gz") {
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(fs::File::open(entry.path()).unwrap())
                .read_to_end(&mut bytes)
                .unwrap();
            fs::write(target.with_extension(""), bytes).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

pub(super) fn home_in(dir: &Path) -> Home {
    Home {
        name: "default".to_owned(),
        state_dir: dir.to_owned(),
        config_path: dir.join("openclaw.json"),
        user_home: dir.to_owned(),
    }
}

/// A home as OpenClaw left it.
fn real_home(version: &str) -> (TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join(".openclaw");
    let from = fixtures().join(version);
    if version == "2026.6.11" {
        copy(&from.join("sessions"), &state_dir.join("agents/main/sessions"));
        // Cut short for the fixture; it goes by this name.
        let trajectory =
            state_dir.join("agents/main/sessions/4b56fa8f-8def-4305-83aa-f429a5673002.trajectory.jsonl");
        fs::rename(trajectory.with_extension("jsonl.truncated"), trajectory).unwrap();
    } else {
        copy(&from, &state_dir);
    }
    (dir, home_in(&state_dir))
}

/// All files below a folder, with their sizes.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let size = fs::metadata(&path).unwrap().len();
            found.push((path, size));
        }
    }
    found.sort();
    found
}

fn memory() -> Ledger {
    Ledger::open(None, NOW)
}

/// Scans to the end, and says how many events were looked at.
fn finish(ledger: &mut Ledger, homes: &[Home]) -> u64 {
    let progress = ledger.scan(homes, ALL);
    assert!(progress.done, "{progress:?}");
    assert_eq!(progress.pct, 100);
    progress.events
}

fn quietly(ledger: &mut Ledger, homes: &[Home]) -> u64 {
    let progress = ledger.scan(homes, ALL);
    assert!(progress.done && progress.trouble.is_empty(), "{progress:?}");
    progress.events
}

/// Turns, input, output, read from and written into the cache.
type Sum = [u64; 5];

fn sum_of(rows: &[UsageRow]) -> Sum {
    let mut sum = Sum::default();
    for row in rows {
        for (sum, n) in
            sum.iter_mut().zip([row.turns, row.input, row.output, row.cache_read, row.cache_write])
        {
            *sum += n;
        }
    }
    sum
}

fn by_model(ledger: &Ledger) -> BTreeMap<String, Sum> {
    let totals = ledger.totals();
    let sums = totals.iter().map(|((provider, model), c)| {
        (format!("{provider}/{model}"), [c.turns, c.input, c.output, c.cache_read, c.cache_write])
    });
    sums.collect()
}

fn expected(version: &str) -> Value {
    serde_json::from_slice(&fs::read(fixtures().join(version).join("EXPECTED.json")).unwrap()).unwrap()
}

fn numbers(of: &Value, names: [&str; 5]) -> Sum {
    names.map(|name| of[name].as_u64().unwrap_or(0))
}

fn check_legacy(ledger: &Ledger) {
    let expected = expected("2026.6.11");
    let names = ["n", "input", "output", "cacheRead", "cacheWrite"];
    assert_eq!(sum_of(&ledger.rows()), numbers(&expected, names));
    let models = expected["perModel"].as_object().unwrap();
    let models: BTreeMap<String, Sum> =
        models.iter().map(|(m, of)| (m.clone(), numbers(of, names))).collect();
    assert_eq!(by_model(ledger), models);
}

#[test]
fn a_real_home_of_2026_9_is_counted_exactly() {
    let (dir, home) = real_home("2026.9.6");
    let mut ledger = memory();
    let before = files(dir.path());
    quietly(&mut ledger, &[home]);
    assert_eq!(files(dir.path()), before, "nothing is made or changed");
    let expected = expected("2026.9.6");
    let names = ["n", "i", "o", "cr", "cw"];
    assert_eq!(sum_of(&ledger.rows()), numbers(&expected["unique"], names));
    let mut days = BTreeMap::<String, Sum>::new();
    for row in ledger.rows() {
        let day =
            jiff::Timestamp::from_millisecond(row.quarter.as_millis()).unwrap().strftime("%F").to_string();
        let sum = days.entry(format!("{day} {}/{}", row.provider, row.model)).or_default();
        let added = sum_of(&[row]);
        for (sum, n) in sum.iter_mut().zip(added) {
            *sum += n;
        }
    }
    let models = expected["perDayModel"].as_object().unwrap();
    let models: BTreeMap<String, Sum> =
        models.iter().map(|(m, of)| (m.clone(), numbers(of, names))).collect();
    assert_eq!(days, models);

    let mut causes = BTreeMap::<_, u64>::new();
    for row in ledger.rows() {
        *causes.entry((row.agent, row.trigger.as_str())).or_default() += row.turns;
    }
    let seen: Vec<_> = causes.keys().map(|(agent, cause)| (agent.as_str(), *cause)).collect();
    assert_eq!(seen, [("main", "cron"), ("main", "human"), ("ops", "human")]);
    assert_eq!(causes[&("main".to_owned(), "cron")], 2);
    let totals = ledger.totals();
    let failed: u64 = totals.values().map(|c| c.error_turns).sum();
    assert_eq!(failed, 4, "one for the 500, one for the 429, two for the 401");
    assert_eq!(totals.values().map(|c| c.unmetered_turns + c.unpriced).sum::<u64>(), 0);
    assert!(totals[&("mock".to_owned(), "mock-small".to_owned())].cost_nano_usd > 100_000_000);
}

#[test]
fn real_homes_before_and_after_their_migration_count_the_same() {
    for version in ["2026.6.11", "migrated"] {
        let (_dir, home) = real_home(version);
        let mut ledger = memory();
        quietly(&mut ledger, &[home]);
        check_legacy(&ledger);
    }
    // The same home, seen before and after by the same ledger.
    let (dir, home) = real_home("2026.6.11");
    let mut ledger = memory();
    quietly(&mut ledger, std::slice::from_ref(&home));
    let before = ledger.rows();
    fs::remove_dir_all(&home.state_dir).unwrap();
    copy(&fixtures().join("migrated"), &dir.path().join(".openclaw"));
    assert!(quietly(&mut ledger, std::slice::from_ref(&home)) > 0, "it was read again");
    check_legacy(&ledger);
    assert_eq!(ledger.rows(), before, "down to the cause of each turn");
    assert!(before.iter().all(|row| row.trigger == UsageTrigger::Human && row.agent == "main"), "{before:?}");
}

#[test]
fn budgets_of_any_size_end_with_the_same_totals() {
    let (_dir, home) = real_home("2026.9.6");
    let mut whole = memory();
    quietly(&mut whole, std::slice::from_ref(&home));
    for events in [1, 2, 7, 50] {
        let mut ledger = memory();
        let mut last = 0;
        for scan in 0.. {
            let progress = ledger.scan(std::slice::from_ref(&home), Budget { events });
            assert!(progress.events <= events as u64, "{progress:?}");
            assert!(scan < 1000 && progress.trouble.is_empty(), "{progress:?}");
            assert_eq!(progress.done, progress.pct == 100);
            assert!(progress.pct >= last, "{last} {progress:?}");
            last = progress.pct;
            if progress.done {
                break;
            }
        }
        assert_eq!(ledger.rows(), whole.rows());
    }
}

/// A home as we make it, in the layout of 2026.9.
struct Made {
    _dir: TempDir,
    home: Home,
    db: Connection,
    next: u64,
}

pub(super) const SCHEMA: &str = "
CREATE TABLE transcript_events (session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT,
  created_at INTEGER NOT NULL, event_zstd BLOB, event_utf8_bytes INTEGER, navigation_json TEXT,
  PRIMARY KEY (session_id, seq)) STRICT;
CREATE TABLE session_windows (session_id TEXT NOT NULL PRIMARY KEY, session_key TEXT NOT NULL,
  created_at INTEGER NOT NULL, transcript_updated_at INTEGER, spawned_by TEXT, parent_session_key TEXT,
  hook_external_content_source TEXT) STRICT;
CREATE TABLE session_nodes (session_key TEXT NOT NULL PRIMARY KEY, created_via TEXT, parent_session_key TEXT,
  spawned_by TEXT, fork_source_session_key TEXT) STRICT;
CREATE TABLE transcript_rewrite_watermarks (session_id TEXT NOT NULL PRIMARY KEY, generation TEXT NOT NULL) STRICT;
CREATE TABLE session_transcript_archives (session_id TEXT NOT NULL, generation TEXT NOT NULL,
  session_key TEXT NOT NULL, encoding TEXT NOT NULL, archive_blob BLOB NOT NULL, archive_name TEXT NOT NULL,
  PRIMARY KEY (session_id, generation)) STRICT;
";

pub(super) fn database(path: &Path) -> Connection {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").unwrap();
    db
}

pub(super) fn user(id: &str, at: i64, text: &str) -> String {
    json!({"type": "message", "id": id, "timestamp": at,
           "message": {"role": "user", "content": text, "timestamp": at}})
    .to_string()
}

/// An answer that took `n` tokens of each kind.
pub(super) fn answer(id: &str, at: i64, n: u64, text: &str) -> String {
    json!({"type": "message", "id": id, "timestamp": at, "message": {
        "role": "assistant", "content": [{"type": "text", "text": text}], "provider": "p", "model": "m",
        "usage": {"input": n, "output": n, "cacheRead": n, "cacheWrite": n, "cost": {"total": 0.001}},
        "stopReason": "stop", "timestamp": at, "responseId": format!("r-{id}")}})
    .to_string()
}

fn uuid(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

impl Made {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = home_in(&dir.path().join(".openclaw"));
        let db = database(&home.state_dir.join("agents/main/agent/openclaw-agent.sqlite"));
        db.execute_batch(SCHEMA).unwrap();
        Self { _dir: dir, home, db, next: 1 }
    }

    fn homes(&self) -> [Home; 1] {
        [self.home.clone()]
    }

    fn sessions(&self) -> PathBuf {
        let folder = self.home.state_dir.join("agents/main/sessions");
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn at(&self) -> i64 {
        NOW.0 + i64::try_from(self.next).unwrap() * 60_000
    }

    /// A session with a key, in the database.
    fn session(&mut self, key: &str) -> String {
        let session = uuid(self.id());
        let at = self.at();
        self.db
            .execute(
                "INSERT INTO session_windows (session_id, session_key, created_at) VALUES (?1, ?2, ?3)",
                (&session, key, at),
            )
            .unwrap();
        self.db.execute("INSERT OR IGNORE INTO session_nodes (session_key) VALUES (?1)", [key]).unwrap();
        self.db.execute("INSERT INTO transcript_rewrite_watermarks VALUES (?1, 'g')", [&session]).unwrap();
        self.append(&session, &json!({"type": "session", "id": session}).to_string(), false);
        session
    }

    fn append(&self, session: &str, json: &str, packed: bool) {
        let seq = "(SELECT coalesce(max(seq) + 1, 0) FROM transcript_events WHERE session_id = ?1)";
        if packed {
            let role = serde_json::from_str::<Value>(json).unwrap()["message"]["role"].clone();
            let navigation = json!({"version": 1, "model": {"message": {"role": role}}}).to_string();
            let zstd = zstd::bulk::compress(json.as_bytes(), 3).unwrap();
            self.db
                .execute(
                    &format!("INSERT INTO transcript_events VALUES (?1, {seq}, NULL, ?2, ?3, ?4, ?5)"),
                    (session, self.at(), zstd, i64::try_from(json.len()).unwrap(), navigation),
                )
                .unwrap();
        } else {
            self.db
                .execute(
                    &format!("INSERT INTO transcript_events VALUES (?1, {seq}, ?2, ?3, NULL, NULL, NULL)"),
                    (session, json, self.at()),
                )
                .unwrap();
        }
    }

    /// Somebody says something and the model answers with `n` tokens.
    fn turn(&mut self, session: &str, said: &str, n: u64) {
        let (a, b, at) = (uuid(self.id()), uuid(self.id()), self.at());
        self.append(session, &user(&a, at, said), false);
        self.append(session, &answer(&b, at, n, "reply"), n.is_multiple_of(2));
    }
}

fn tokens(ledger: &Ledger) -> u64 {
    let sum = sum_of(&ledger.rows());
    assert_eq!(sum[1..], [sum[1]; 4]);
    sum[1]
}

#[test]
fn only_what_changed_is_read() {
    let mut made = Made::new();
    let sessions: Vec<String> = (0..20).map(|n| made.session(&format!("agent:main:s{n}"))).collect();
    for session in &sessions {
        for _ in 0..10 {
            made.turn(session, "hello", 2);
        }
    }
    let mut ledger = memory();
    assert_eq!(quietly(&mut ledger, &made.homes()), 20 * 21);
    assert_eq!(tokens(&ledger), 20 * 10 * 2);
    for _ in 0..3 {
        assert_eq!(quietly(&mut ledger, &made.homes()), 0);
    }
    made.turn(&sessions[7], "one more", 3);
    assert_eq!(quietly(&mut ledger, &made.homes()), 2, "one session, from where it stopped");
    assert_eq!(tokens(&ledger), 20 * 10 * 2 + 3);
    made.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM").unwrap();
    assert_eq!(quietly(&mut ledger, &made.homes()), 0, "nothing new in it");

    // A rewrite of one session: that one, from its beginning.
    made.db
        .execute(
            "UPDATE transcript_rewrite_watermarks SET generation = 'h' WHERE session_id = ?1",
            [&sessions[3]],
        )
        .unwrap();
    assert_eq!(quietly(&mut ledger, &made.homes()), 21);
    // Rows that went and came back.
    made.db
        .execute("DELETE FROM transcript_events WHERE session_id = ?1 AND seq > 5", [&sessions[4]])
        .unwrap();
    assert_eq!(quietly(&mut ledger, &made.homes()), 6);
    made.turn(&sessions[4], "another", 5);
    assert_eq!(quietly(&mut ledger, &made.homes()), 2);
    // Rows that went and others that came in their place, with nothing but the time to tell.
    let (id, at) = (uuid(made.id()), made.at());
    made.db
        .execute(
            "UPDATE transcript_events SET event_json = ?2, event_zstd = NULL
             WHERE session_id = ?1 AND seq = (SELECT max(seq) FROM transcript_events WHERE session_id = ?1)",
            (&sessions[9], answer(&id, at, 7, "x")),
        )
        .unwrap();
    made.db
        .execute(
            "UPDATE session_windows SET transcript_updated_at = ?2 WHERE session_id = ?1",
            (&sessions[9], at),
        )
        .unwrap();
    assert_eq!(quietly(&mut ledger, &made.homes()), 21);
    assert_eq!(tokens(&ledger), 20 * 10 * 2 + 3 + 5 + 7, "what was deleted stays counted");
}

#[test]
fn what_is_written_while_it_is_read_is_read_next() {
    let mut made = Made::new();
    let session = made.session("agent:main:main");
    let mut ledger = memory();
    let mut truth = 0;
    for n in 1..=200 {
        made.turn(&session, "x", n);
        truth += n;
        // Same time, same size: the log was begun anew.
        if n % 50 == 0 {
            made.db.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
        }
        finish(&mut ledger, &made.homes());
        assert_eq!(tokens(&ledger), truth);
    }
}

#[test]
fn a_line_is_read_when_it_is_whole() {
    let made = Made::new();
    let path = made.sessions().join("a.jsonl");
    let mut ledger = memory();
    let mut check = |write: &dyn Fn(&Path), events: u64, expected: u64| {
        write(&path);
        assert_eq!(quietly(&mut ledger, &made.homes()), events);
        assert_eq!(tokens(&ledger), expected);
        assert_eq!(quietly(&mut ledger, &made.homes()), 0);
    };
    let add = |text: String| {
        move |path: &Path| {
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        }
    };
    let line = |n: u64| answer(&format!("{n:08x}"), 1000 + i64::try_from(n).unwrap(), n, "ä");
    check(&add(format!("{}\n", line(1))), 1, 1);
    let (first, rest) = {
        let whole = line(2);
        (whole[..whole.len() / 2].to_owned(), whole[whole.len() / 2..].to_owned())
    };
    check(&add(first), 1, 1);
    // All of it but its end: it counts, and once when it is read again.
    check(&add(rest), 1, 3);
    check(&add("\n".to_owned()), 1, 3);
    check(&add(format!("{}\r\n\n{}\n", line(4), line(8))), 2, 15);
    // It shrank.
    check(&|path| fs::write(path, format!("{}\n", line(4))).unwrap(), 1, 15);
    // Another one in its place, longer.
    check(&|path| fs::write(path, format!("{}\n{}\n", line(16), line(32))).unwrap(), 2, 63);
    // Another name.
    let reset = made.sessions().join("a.jsonl.reset.2026-11-20T05-06-04.310Z");
    check(&|path| fs::rename(path, &reset).unwrap(), 2, 63);
    // Gone, and still counted.
    check(&|_| fs::remove_file(&reset).unwrap(), 0, 63);
}

#[test]
fn archives_are_read_once() {
    let made = Made::new();
    let lines = |from: u64, to: u64| {
        let lines: Vec<String> = (from..to).map(|n| answer(&uuid(n), 5, 1, "x")).collect();
        // Some have no end of the last line.
        lines.join("\n")
    };
    let sessions = made.sessions();
    let stamp = "2026-11-20T05-06-04.310Z";
    fs::write(sessions.join(format!("a.jsonl.deleted.{stamp}")), lines(0, 10)).unwrap();
    let packed = zstd::bulk::compress(lines(5, 20).as_bytes(), 3).unwrap();
    fs::write(sessions.join(format!("b.jsonl.deleted.{stamp}.0123456789abcdef0123456789abcdef.zst")), packed)
        .unwrap();
    fs::create_dir(sessions.join("cold")).unwrap();
    let mut cold =
        vec![json!({"kind": "header", "version": 1, "sessionId": "c", "generation": "g"}).to_string()];
    for n in 15..30 {
        let row = json!({"seq": n, "event_json": answer(&uuid(n), 5, 1, "x"), "created_at": 5});
        cold.push(json!({"kind": "event", "row": row}).to_string());
        cold.push(json!({"kind": "identity", "row": {"event_id": uuid(n)}}).to_string());
    }
    fs::write(
        sessions.join("cold/0a1b.jsonl.zst"),
        zstd::bulk::compress(cold.join("\n").as_bytes(), 3).unwrap(),
    )
    .unwrap();
    made.db
        .execute_batch(
            "CREATE TABLE session_transcript_cold_archives (session_id TEXT PRIMARY KEY, archive_name TEXT);
             INSERT INTO session_transcript_cold_archives VALUES ('c', '0a1b.jsonl.zst');
             INSERT INTO session_windows (session_id, session_key, created_at) VALUES ('c', 'agent:main:cron:1', 0);",
        )
        .unwrap();
    // None of these.
    for other in
        ["a.trajectory.jsonl", "a.checkpoint.00000000-0000-4000-8000-000000000001.jsonl", "a.jsonl.bak"]
    {
        fs::write(sessions.join(other), lines(100, 200)).unwrap();
    }
    let import = sessions.with_file_name("session-sqlite-import-archive");
    fs::create_dir(&import).unwrap();
    fs::write(import.join("a.jsonl"), lines(100, 200)).unwrap();

    for events in [usize::MAX, 3] {
        let mut ledger = memory();
        let mut looked_at = 0;
        loop {
            let progress = ledger.scan(&made.homes(), Budget { events });
            assert_eq!(progress.trouble, []);
            looked_at += progress.events;
            if progress.done {
                break;
            }
        }
        assert_eq!((tokens(&ledger), looked_at), (30, 10 + 15 + 31));
        let cron = ledger.rows().into_iter().find(|row| row.trigger == UsageTrigger::Cron).unwrap();
        assert!(cron.turns >= 10, "what is only in the cold archive: {cron:?}");
        assert_eq!(quietly(&mut ledger, &made.homes()), 0);
    }
}

#[test]
fn an_archive_that_is_only_in_the_database_is_read() {
    let mut made = Made::new();
    let at = made.at();
    for (n, encoding) in [(1, "identity"), (2, "zstd")] {
        let text = format!("{}\n{}\n", user("u", at, "go"), answer(&uuid(made.id()), at, n, "x"));
        let blob = if n == 2 { zstd::bulk::compress(text.as_bytes(), 3).unwrap() } else { text.into_bytes() };
        made.db
            .execute(
                "INSERT INTO session_transcript_archives VALUES (?1, 'g', 'agent:main:cron:x', ?2, ?3, ?1)",
                (format!("s{n}"), encoding, blob),
            )
            .unwrap();
    }
    let mut ledger = memory();
    quietly(&mut ledger, &made.homes());
    assert_eq!(tokens(&ledger), 3);
    assert!(ledger.rows().iter().all(|row| row.trigger == UsageTrigger::Cron));
    made.turn("unknown", "x", 4);
    assert_eq!(quietly(&mut ledger, &made.homes()), 2);

    // One that is in a file, too, is read there, and not again when that goes.
    let text = answer(&uuid(made.id()), made.at(), 8, "x");
    let name = "f.jsonl.deleted.2026-11-20T05-06-04.310Z";
    let archive = made.sessions().join(name);
    fs::write(&archive, &text).unwrap();
    made.db
        .execute(
            "INSERT INTO session_transcript_archives VALUES ('f', 'g', 'agent:main:x', 'identity', ?1, ?2)",
            (text.into_bytes(), name),
        )
        .unwrap();
    assert_eq!(quietly(&mut ledger, &made.homes()), 1);
    made.turn("unknown", "x", 16);
    assert_eq!(quietly(&mut ledger, &made.homes()), 2);
    fs::remove_file(&archive).unwrap();
    made.turn("unknown", "x", 32);
    assert_eq!(quietly(&mut ledger, &made.homes()), 2);
    assert_eq!(tokens(&ledger), 1 + 2 + 4 + 8 + 16 + 32);
}

#[test]
fn the_cause_of_a_turn_is_found() {
    let mut made = Made::new();
    let check = |made: &Made, expected: &[(&str, &str, u64)]| {
        let mut ledger = memory();
        quietly(&mut ledger, &made.homes());
        let mut found = BTreeMap::<_, u64>::new();
        for row in ledger.rows() {
            *found.entry((row.agent, row.trigger.as_str())).or_default() += row.input;
        }
        let expected: BTreeMap<_, u64> =
            expected.iter().map(|(a, c, n)| (((*a).to_owned(), *c), *n)).collect();
        assert_eq!(found, expected);
    };
    let main = made.session("agent:main:main");
    made.turn(&main, "hello", 1);
    made.turn(&main, "[OpenClaw heartbeat poll]", 2);
    made.turn(&main, "[OpenClaw cron wake]", 4);
    made.turn(&main, "[OpenClaw exec completion]", 8);
    made.turn(&main, "hello again", 16);
    let cron = made.session("agent:main:cron:1:run:2");
    made.turn(&cron, "[cron:1 x] go", 32);
    let child = made.session("agent:main:subagent:5");
    made.turn(&child, "work", 64);
    let spawned = made.session("agent:main:odd");
    made.db
        .execute(
            "UPDATE session_windows SET spawned_by = 'agent:main:main' WHERE session_id = ?1",
            [&spawned],
        )
        .unwrap();
    made.turn(&spawned, "work", 128);
    let expected = [
        ("main", "human", 17),
        ("main", "heartbeat", 2),
        ("main", "cron", 36),
        ("main", "unknown", 8),
        ("main", "sub_agent", 192),
    ];
    check(&made, &expected);

    // A fork of the scheduled session whose id comes first in any order.
    let fork = "00000000-0000-0000-0000-000000000000";
    let later = made.at() + 1;
    made.db
        .execute("INSERT INTO session_windows (session_id, session_key, created_at) VALUES (?1, 'agent:main:dashboard:1', ?2)", (fork, later))
        .unwrap();
    made.db
        .execute("INSERT INTO session_nodes VALUES ('agent:main:dashboard:1', 'operator', NULL, NULL, 'agent:main:cron:1')", [])
        .unwrap();
    made.db
        .execute(
            "INSERT INTO transcript_events SELECT ?1, seq, event_json, created_at, event_zstd, event_utf8_bytes, navigation_json
             FROM transcript_events WHERE session_id = ?2",
            (fork, &cron),
        )
        .unwrap();
    check(&made, &expected);
    made.turn(fork, "and then?", 3);
    check(&made, &[("main", "human", 20), expected[1], expected[2], expected[3], expected[4]]);
}

#[test]
fn the_cause_is_known_across_scans_and_in_archives() {
    let mut made = Made::new();
    let session = made.session("agent:main:main");
    let (a, b, at) = (uuid(made.id()), uuid(made.id()), made.at());
    let mut ledger = memory();
    made.append(&session, &user(&a, at, "[OpenClaw heartbeat poll]"), false);
    quietly(&mut ledger, &made.homes());
    made.append(&session, &answer(&b, at, 1, "x"), false);
    quietly(&mut ledger, &made.homes());
    // Before 2026.8: the key is in another file, and is known though it goes.
    let sessions = made.sessions();
    fs::write(sessions.join("sessions.json"), r#"{"agent:main:cron:1":{"sessionId":"old"}}"#).unwrap();
    fs::write(sessions.join("old.jsonl"), format!("{}\n", user("1", at, "go"))).unwrap();
    quietly(&mut ledger, &made.homes());
    fs::write(sessions.join("sessions.json"), "{}").unwrap();
    let reset = sessions.join("old.jsonl.reset.2026-11-20T05-06-04.310Z");
    fs::rename(sessions.join("old.jsonl"), &reset).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&reset).unwrap();
    writeln!(file, "{}", answer("2", at, 2, "x")).unwrap();
    quietly(&mut ledger, &made.homes());
    let causes: Vec<_> = ledger.rows().iter().map(|row| (row.trigger, row.input)).collect();
    assert_eq!(causes, [(UsageTrigger::Heartbeat, 1), (UsageTrigger::Cron, 2)]);
}

#[test]
fn older_and_stranger_tables_are_read() {
    let at = NOW.0;
    for schema in [
        // 2026.8.1, as far as it is known.
        "CREATE TABLE transcript_events (session_id TEXT, seq INTEGER, event_json TEXT, created_at INTEGER, PRIMARY KEY (session_id, seq));
         CREATE TABLE sessions (session_id TEXT PRIMARY KEY, session_key TEXT);
         CREATE TABLE session_transcript_generations (session_id TEXT PRIMARY KEY, generation INTEGER);
         INSERT INTO session_transcript_generations VALUES ('s', 5);
         INSERT INTO sessions VALUES ('s', 'agent:main:cron:1');",
        "CREATE TABLE transcript_events (session_id TEXT, seq INTEGER, event_json TEXT, more TEXT, PRIMARY KEY (session_id, seq));
         CREATE TABLE session_windows (session_id TEXT PRIMARY KEY);
         CREATE TABLE transcript_rewrite_watermarks (other TEXT);",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let home = home_in(dir.path());
        let db = database(&dir.path().join("agents/x/agent/openclaw-agent.sqlite"));
        db.execute_batch(schema).unwrap();
        db.execute(
            "INSERT INTO transcript_events (session_id, seq, event_json) VALUES ('s', 0, ?1), ('s', 1, ?2)",
            (user("1", at, "hi"), answer("2", at, 7, "x")),
        )
        .unwrap();
        let mut ledger = memory();
        assert_eq!(quietly(&mut ledger, std::slice::from_ref(&home)), 2);
        let rows = ledger.rows();
        assert_eq!((rows.len(), rows[0].input, rows[0].agent.as_str()), (1, 7, "x"));
        assert_eq!(rows[0].trigger == UsageTrigger::Cron, schema.contains("cron"));
    }
    // A database of something else, and one without a table.
    let dir = tempfile::tempdir().unwrap();
    database(&dir.path().join("agents/x/agent/openclaw-agent.sqlite"))
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    database(&dir.path().join("state/openclaw.sqlite")).execute_batch("CREATE TABLE t (a)").unwrap();
    assert_eq!(quietly(&mut memory(), &[home_in(dir.path())]), 0);
}

#[test]
fn databases_are_found_wherever_they_are() {
    let mut made = Made::new();
    let elsewhere = made.home.state_dir.with_file_name("elsewhere");
    let global = database(&made.home.state_dir.join("state/openclaw.sqlite"));
    global
        .execute_batch(
            "CREATE TABLE agent_databases (agent_id TEXT, path TEXT, PRIMARY KEY (agent_id, path));",
        )
        .unwrap();
    let insert = |agent: &str, path: &Path| {
        global
            .execute("INSERT INTO agent_databases VALUES (?1, ?2)", (agent, path.to_str().unwrap()))
            .unwrap();
        made.home.state_dir.join(path)
    };
    // One that the folders show, too, by a path with a detour; one elsewhere; one that is gone.
    insert("main", Path::new("agents/../agents/main/agent/openclaw-agent.sqlite"));
    let away = insert("ops", &elsewhere.join("ops/agent/openclaw-agent.sqlite"));
    insert("gone", Path::new("agents/gone/agent/openclaw-agent.sqlite"));
    let other = database(&away);
    other.execute_batch(SCHEMA).unwrap();
    let other = Made { _dir: tempfile::tempdir().unwrap(), home: made.home.clone(), db: other, next: 5000 };
    let mut other = other;
    let session = other.session("agent:ops:main");
    other.turn(&session, "x", 2);
    fs::create_dir_all(elsewhere.join("ops/sessions")).unwrap();
    fs::write(elsewhere.join("ops/sessions/a.jsonl"), answer("1", NOW.0, 4, "x")).unwrap();
    let session = made.session("agent:main:main");
    made.turn(&session, "x", 1);

    let mut ledger = memory();
    quietly(&mut ledger, &made.homes());
    let agents: BTreeMap<_, _> = ledger.rows().into_iter().fold(BTreeMap::new(), |mut sums, row| {
        *sums.entry(row.agent).or_insert(0) += row.input;
        sums
    });
    assert_eq!(agents, BTreeMap::from([("main".to_owned(), 1), ("ops".to_owned(), 6)]));

    // Another gateway's agents bear its name.
    let mut ledger = memory();
    let home = Home { name: "work".to_owned(), ..made.home.clone() };
    quietly(&mut ledger, &[home]);
    assert!(ledger.rows().iter().all(|row| row.agent.starts_with("work:")));
}

#[test]
fn damage_costs_only_itself_and_is_said_once() {
    let mut made = Made::new();
    let session = made.session("agent:main:main");
    made.turn(&session, "x", 2);
    // Events of a database that cannot be read.
    let bad = made.session("agent:main:bad");
    made.append(&bad, "{\"type\":", false);
    made.db
        .execute("INSERT INTO transcript_events VALUES (?1, 50, NULL, 0, x'28b52ffd00', 10, '{}')", [&bad])
        .unwrap();
    made.append(&bad, &format!("\"{}\"", "x".repeat(databases::MAX_EVENT_BYTES)), false);
    made.turn(&bad, "x", 4);
    // Files.
    let sessions = made.sessions();
    let at = NOW.0;
    let stamp = "2026-11-20T05-06-04.310Z";
    let long = format!("{}\n{}\n{}\n", "{", "x".repeat(20_000_000), answer("1", at, 8, "x"));
    fs::write(sessions.join("long.jsonl"), long).unwrap();
    let packed: Vec<_> = (0..20_000).map(|n| answer(&uuid(900_000 + n), at, 0, &n.to_string())).collect();
    let packed = packed.join(
        "
",
    );
    let packed = zstd::bulk::compress(packed.as_bytes(), 1).unwrap();
    let half = sessions.join(format!("half.jsonl.deleted.{stamp}.zst"));
    fs::write(&half, &packed[..packed.len() / 2]).unwrap();
    fs::write(sessions.join(format!("none.jsonl.deleted.{stamp}.zst")), "nothing of the kind").unwrap();
    fs::write(sessions.join("good.jsonl"), answer("2", at, 16, "x")).unwrap();
    fs::create_dir(sessions.join("folder.jsonl")).unwrap();
    fs::write(sessions.join("sessions.json"), "{").unwrap();
    // Databases and folders.
    let other = made.home.state_dir.join("agents/other");
    fs::create_dir_all(other.join("agent")).unwrap();
    fs::write(other.join("agent/openclaw-agent.sqlite"), "no database".repeat(1000)).unwrap();
    fs::write(other.join("sessions"), "no folder").unwrap();
    let homes = [home_in(&made.home.state_dir.with_file_name("missing")), made.home.clone()];

    let mut ledger = memory();
    let progress = ledger.scan(&homes, ALL);
    assert!(progress.done, "{progress:?}");
    assert_eq!(tokens(&ledger), 2 + 4 + 8 + 16);
    assert!(sum_of(&ledger.rows())[0] > 1000, "the sound half of an archive counts");
    let files: Vec<String> =
        progress.trouble.iter().map(|t| t.file.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for expected in [
        "openclaw-agent.sqlite",
        "long.jsonl",
        &format!("half.jsonl.deleted.{stamp}.zst"),
        &format!("none.jsonl.deleted.{stamp}.zst"),
        "sessions.json",
        "sessions",
    ] {
        assert!(files.iter().any(|file| file == expected), "{expected} in {files:?}");
    }
    assert_eq!(files.iter().filter(|file| *file == "openclaw-agent.sqlite").count(), 2);
    assert!(progress.trouble.iter().all(|t| t.home == "default" && !t.why.is_empty()), "{progress:?}");
    for _ in 0..3 {
        let again = ledger.scan(&homes, ALL);
        assert_eq!((again.trouble, again.events, again.done), (vec![], 0, true));
    }
    // What is mended is read.
    fs::write(&half, packed).unwrap();
    quietly(&mut ledger, &homes);
    assert_eq!(sum_of(&ledger.rows())[0], 20_000 + 4);
}

#[test]
fn a_damaged_page_costs_its_session_alone() {
    let mut made = Made::new();
    let sessions: Vec<String> = (0..30).map(|n| made.session(&format!("agent:main:s{n}"))).collect();
    for session in &sessions {
        for _ in 0..20 {
            made.turn(session, &"long ".repeat(100), 1);
        }
    }
    let path = made.home.state_dir.join("agents/main/agent/openclaw-agent.sqlite");
    made.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let sound = fs::read(&path).unwrap();
    let damage = |mark: &str, from: usize| {
        let is_it = |page: &[u8]| page[0] == 0x0d && page.windows(mark.len()).any(|w| w == mark.as_bytes());
        let page = sound.chunks(4096).skip(from).position(is_it).unwrap() + from;
        let mut bytes = sound.clone();
        bytes[page * 4096..page * 4096 + 64].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        let mut ledger = memory();
        let progress = ledger.scan(&made.homes(), ALL);
        assert!(progress.done, "{progress:?}");
        assert_eq!(progress.trouble.len(), 1, "{progress:?}");
        assert_eq!(ledger.scan(&made.homes(), ALL).trouble, []);
        tokens(&ledger)
    };
    // With some rows of a session, or two.
    for from in [20, 50, 90] {
        let counted = damage("long long", from);
        assert!((28 * 20..30 * 20).contains(&counted), "{counted}");
    }
    // With what the sessions were for.
    assert_eq!(damage("agent:main:s3", 0), 30 * 20);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_not_ours_is_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let made = Made::new();
    let sessions = made.sessions();
    fs::set_permissions(&sessions, fs::Permissions::from_mode(0o000)).unwrap();
    let is_root = fs::read_dir(&sessions).is_ok();
    let mut ledger = memory();
    let progress = ledger.scan(&made.homes(), ALL);
    fs::set_permissions(&sessions, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((progress.done, progress.trouble.len()), (true, usize::from(!is_root)));
    fs::write(sessions.join("a.jsonl"), answer("1", NOW.0, 4, "x")).unwrap();
    quietly(&mut ledger, &made.homes());
    assert_eq!(tokens(&ledger), 4);
}

#[test]
fn rows_are_marked_until_they_are_in_the_spool() {
    let mut made = Made::new();
    let session = made.session("agent:main:main");
    for n in 1..=5 {
        made.next += 20;
        made.turn(&session, "x", n);
    }
    let mut ledger = memory();
    quietly(&mut ledger, &made.homes());
    let first = ledger.changed(2);
    assert_eq!(first.iter().map(|row| row.input).collect::<Vec<_>>(), [5, 4], "the newest first");
    ledger.mark_spooled(&first[..1]);
    assert_eq!(ledger.changed(9).len(), 4);
    // The second grows before it is marked.
    let (id, at) = (uuid(made.id()), first[1].quarter.0);
    made.append(&session, &answer(&id, at, 100, "x"), false);
    quietly(&mut ledger, &made.homes());
    ledger.mark_spooled(&first);
    assert_eq!(ledger.changed(9).iter().map(|row| row.input).collect::<Vec<_>>(), [104, 3, 2, 1]);
    ledger.mark_spooled(&ledger.changed(9));
    assert_eq!(ledger.changed(9), []);
    ledger.mark_all_changed();
    assert_eq!(ledger.changed(9).len(), 5);
}

#[test]
fn rows_pass_the_protocols_check() {
    use protocol::{Payload as _, Usage};
    let made = Made::new();
    let odd = [
        answer("1", -5, u64::MAX, "x"),
        answer("2", 0, u64::MAX, "x"),
        answer("3", 1, 1, "x").replace("\"p\"", &format!("\"{}\"", "ü".repeat(9000))),
        answer("4", i64::MAX, 1, "x").replace("\"m\"", "null"),
        answer("5", 253_402_300_799_999, u64::MAX, "x"),
        answer("6", 253_402_300_799_999, u64::MAX, "x"),
    ];
    fs::write(made.sessions().join("a.jsonl"), odd.join("\n")).unwrap();
    let mut ledger = memory();
    let long = Home { name: "ß".repeat(400), ..made.home.clone() };
    quietly(&mut ledger, &[long]);
    let rows = ledger.changed(limits::MAX_USAGE_ROWS);
    assert_eq!(sum_of(&rows)[0], 6);
    assert!(rows.iter().any(|row| row.model == "unknown"));
    let usage = Usage { v: 1, spool: SpoolId::generate(), seq: 0, at: NOW, ledger: ledger.id(), rows };
    usage.check().unwrap();
}

#[test]
fn a_ledger_lives_on_and_a_bad_one_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    let (_home, home) = real_home("2026.9.6");
    let homes = [home];
    let mut ledger = Ledger::open(Some(&path), NOW);
    quietly(&mut ledger, &homes);
    let (id, rows) = (ledger.id(), ledger.rows());
    drop(ledger);
    let mut ledger = Ledger::open(Some(&path), NOW);
    assert_eq!((ledger.id(), ledger.rows()), (id, rows.clone()));
    assert_eq!(quietly(&mut ledger, &homes), 0);
    assert_eq!(ledger.changed(1000).len(), rows.len(), "what was not marked is still to be sent");
    drop(ledger);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let sound = fs::read(&path).unwrap();
    let mut torn = sound.clone();
    let half = torn.len() / 2;
    torn[4096..half].fill(7);
    let foreign = |sql: &str| {
        let path = dir.path().join("foreign");
        drop(fs::remove_file(&path));
        fs::copy(dir.path().join("sound"), &path).unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        fs::read(&path).unwrap()
    };
    fs::write(dir.path().join("sound"), &sound).unwrap();
    let bad = [
        b"not a database at all, but quite long enough to be looked at as if it were one".repeat(100),
        torn,
        sound[..sound.len() / 2].to_vec(),
        foreign("PRAGMA application_id = 7"),
        foreign("PRAGMA user_version = 2"),
        foreign("DELETE FROM meta"),
        foreign("UPDATE meta SET value = 'x'"),
        foreign("DROP TABLE meta"),
    ];
    for (n, bytes) in bad.into_iter().enumerate() {
        let now = NOW.plus_millis(i64::try_from(n).unwrap());
        fs::write(&path, &bytes).unwrap();
        let mut ledger = Ledger::open(Some(&path), now);
        assert_ne!(ledger.id(), id, "{n}");
        assert_eq!(ledger.rows(), [], "{n}");
        quietly(&mut ledger, &homes);
        assert_eq!(ledger.rows(), rows, "{n}");
        let aside = dir.path().join(format!("ledger.sqlite.damaged-{}", now.0));
        assert!(aside.exists(), "{n}");
        drop(ledger);
        assert_eq!(quietly(&mut Ledger::open(Some(&path), now), &homes), 0, "{n}: the new one lasts");
    }
    // An empty file is a new ledger; where there is no folder, memory is.
    fs::write(&path, "").unwrap();
    quietly(&mut Ledger::open(Some(&path), NOW), &homes);
    let mut ledger = Ledger::open(Some(&dir.path().join("sound/ledger.sqlite")), NOW);
    quietly(&mut ledger, &homes);
    assert_eq!(ledger.rows(), rows);
}

#[test]
fn no_text_is_in_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    for version in ["2026.9.6", "2026.6.11"] {
        let (_home, home) = real_home(version);
        let mut ledger = Ledger::open(Some(&path), NOW);
        quietly(&mut ledger, &[home]);
    }
    for entry in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for word in [
            "private",
            "agent:",
            "Mock reply",
            "ade0bb3b",
            "83689c58",
            "telegram",
            "cron:",
            "hello",
            ".jsonl",
        ] {
            assert!(!bytes.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes())), "{word}");
        }
        assert!(bytes.windows(10).any(|w| w == b"mock-small"));
    }
}

/// Random numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(usize::try_from(self.below(from.len() as u64)).unwrap()) }
    }
}

/// The events of a session as they would stand in a file.
pub(super) fn lines(db: &Connection, session: &str) -> String {
    let mut rows = db
        .prepare("SELECT event_json, event_zstd FROM transcript_events WHERE session_id = ?1 ORDER BY seq")
        .unwrap();
    let lines = rows.query_map([session], |row| {
        let json: Option<String> = row.get(0)?;
        let packed: Option<Vec<u8>> = row.get(1)?;
        let unpacked =
            packed.map(|p| String::from_utf8(zstd::bulk::decompress(&p, 100_000).unwrap()).unwrap());
        Ok(json.or(unpacked).unwrap() + "\n")
    });
    lines.unwrap().map(Result::unwrap).collect()
}

/// A home that changes at random, and what is in it by another count.
struct Chaos {
    made: Made,
    random: Random,
    truth: u64,
    sessions: Vec<String>,
    files: Vec<PathBuf>,
    archives: Vec<PathBuf>,
    half: BTreeMap<PathBuf, String>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let made = Made::new();
        Self {
            made,
            random: Random(seed),
            truth: 0,
            sessions: Vec::new(),
            files: Vec::new(),
            archives: Vec::new(),
            half: BTreeMap::new(),
        }
    }

    fn forget(&mut self, session: &str) {
        for table in ["transcript_events", "session_windows", "transcript_rewrite_watermarks"] {
            self.made.db.execute(&format!("DELETE FROM {table} WHERE session_id = ?1"), [session]).unwrap();
        }
        self.sessions.retain(|s| s != session);
    }

    fn append_to(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// The rest of a line that was begun.
    fn complete(&mut self, path: &Path) {
        if let Some(rest) = self.half.remove(path) {
            Self::append_to(path, &rest);
        }
    }

    fn step(&mut self) {
        let session = self.random.pick(&self.sessions).cloned();
        let file = self.random.pick(&self.files).cloned();
        let n = 1 + self.random.below(1000);
        let stamp = format!("2026-11-20T05-06-04.{:03}Z", self.made.next % 1000);
        match (self.random.below(14), session, file) {
            (0, ..) => {
                let key = format!("agent:main:s{}", self.made.next);
                let session = self.made.session(&key);
                self.sessions.push(session);
            }
            (1..=4, Some(session), _) => {
                for _ in 0..=self.random.below(5) {
                    self.made.turn(&session, "go on", n);
                    self.truth += n;
                    let tool = json!({"type": "message", "id": uuid(self.made.id()),
                                      "message": {"role": "toolResult", "usage": {"input": 9}}});
                    let packed = self.random.below(2) == 0;
                    self.made.append(&session, &tool.to_string(), packed);
                }
            }
            // A fork or rewind: the same events in another session.
            (5, Some(session), _) => {
                let copy = self.made.session(&format!("agent:main:fork{}", self.made.next));
                let upto = i64::try_from(self.random.below(50)).unwrap();
                self.made
                    .db
                    .execute(
                        "INSERT INTO transcript_events SELECT ?1, seq + 1, event_json, created_at, event_zstd, event_utf8_bytes,
                         navigation_json FROM transcript_events WHERE session_id = ?2 AND seq < ?3",
                        (&copy, &session, upto),
                    )
                    .unwrap();
                self.sessions.push(copy);
            }
            // A rewrite: the end is taken off and put back in other rows.
            (6, Some(session), _) => {
                let generation = self.made.next.to_string();
                self.made.next += 1;
                self.made
                    .db
                    .execute_batch(&format!(
                        "BEGIN; UPDATE transcript_events SET seq = seq + 1000 WHERE session_id = '{session}' AND seq > 3;
                         UPDATE transcript_rewrite_watermarks SET generation = '{generation}' WHERE session_id = '{session}';
                         COMMIT"
                    ))
                    .unwrap();
            }
            // Deleted: into an archive.
            (7, Some(session), _) => {
                let path = self.made.sessions().join(format!("{session}.jsonl.deleted.{stamp}"));
                let lines = lines(&self.made.db, &session);
                let path = if self.random.below(2) == 0 {
                    let path =
                        path.with_extension(format!("{}.0123456789abcdef0123456789abcdef.zst", &stamp[20..]));
                    fs::write(&path, zstd::bulk::compress(lines.as_bytes(), 3).unwrap()).unwrap();
                    path
                } else {
                    fs::write(&path, lines).unwrap();
                    path
                };
                self.forget(&session);
                self.archives.push(path);
            }
            (8, ..) => {
                let session = format!("legacy-{}", self.made.id());
                let path = self.made.sessions().join(format!("{session}.jsonl"));
                Self::append_to(&path, &format!("{}\n", json!({"type": "session", "id": session})));
                self.files.push(path);
            }
            (9 | 10, _, Some(path)) => {
                self.complete(&path);
                let at = self.made.at();
                // Ids that are the same in all sessions.
                let id = format!("{:08x}", self.random.below(4));
                self.made.next += 1;
                let line = format!(
                    "{}\n",
                    answer(&id, at, n, "ä").replace("\"r-", &format!("\"{}-", self.made.next))
                );
                self.truth += n;
                if self.random.below(3) == 0 {
                    let cut = line
                        .floor_char_boundary(usize::try_from(self.random.below(line.len() as u64)).unwrap());
                    Self::append_to(&path, &line[..cut]);
                    self.half.insert(path, line[cut..].to_owned());
                } else {
                    Self::append_to(&path, &line);
                }
            }
            // Reset or copied.
            (11, _, Some(path)) => {
                self.complete(&path);
                if self.random.below(2) == 0 {
                    let reset = path.with_extension(format!("jsonl.reset.{stamp}"));
                    if !reset.exists() {
                        fs::rename(&path, &reset).unwrap();
                        self.files.retain(|file| *file != path);
                        self.archives.push(reset);
                    }
                } else {
                    let copy = path.with_file_name(format!("legacy-{}.jsonl", self.made.id()));
                    fs::copy(&path, &copy).unwrap();
                    self.files.push(copy);
                }
            }
            // The migration.
            (12, _, Some(path)) => {
                self.complete(&path);
                let session = self.made.session("agent:main:migrated");
                for line in fs::read_to_string(&path).unwrap().lines() {
                    self.made.append(&session, line, line.len() > 400);
                }
                fs::remove_file(&path).unwrap();
                self.files.retain(|file| *file != path);
                self.sessions.push(session);
            }
            (13, ..) => self.made.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM").unwrap(),
            _ => {}
        }
    }

    fn complete_all(&mut self) {
        for path in self.half.keys().cloned().collect::<Vec<_>>() {
            self.complete(&path);
        }
    }
}

#[test]
fn whatever_happens_each_token_counts_once() {
    // More of them when asked: `SEEDS=1000`.
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    for seed in 0..seeds {
        let mut chaos = Chaos::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite");
        let mut ledger = Ledger::open(Some(&path), NOW);
        let id = ledger.id();
        let mut saved = None;
        for step in 0..400 {
            chaos.step();
            let homes = chaos.made.homes();
            match chaos.random.below(12) {
                0..=3 => {
                    let events = usize::try_from(1 + chaos.random.below(40)).unwrap();
                    let progress = ledger.scan(&homes, Budget { events });
                    assert_eq!(progress.trouble, [], "{seed} {step}");
                }
                4 => {
                    drop(ledger);
                    ledger = Ledger::open(Some(&path), NOW);
                }
                // The power fails, and the last commits are lost.
                5 => {
                    drop(ledger);
                    if let Some(bytes) = saved.take() {
                        fs::write(&path, bytes).unwrap();
                    }
                    ledger = Ledger::open(Some(&path), NOW);
                    assert_eq!(ledger.id(), id);
                }
                6 => {
                    drop(ledger);
                    saved = Some(fs::read(&path).unwrap());
                    ledger = Ledger::open(Some(&path), NOW);
                }
                7 => {
                    chaos.complete_all();
                    quietly(&mut ledger, &homes);
                    assert_eq!(tokens(&ledger), chaos.truth, "{seed} {step}");
                    // What has been counted may be pruned.
                    if let Some(path) = chaos.random.pick(&chaos.archives).cloned() {
                        fs::remove_file(&path).unwrap();
                        chaos.archives.retain(|archive| *archive != path);
                        saved = None;
                    }
                }
                _ => {}
            }
        }
        chaos.complete_all();
        quietly(&mut ledger, &chaos.made.homes());
        assert_eq!(tokens(&ledger), chaos.truth, "{seed}");
        assert!(chaos.truth > 10_000, "{seed}");
    }
}
