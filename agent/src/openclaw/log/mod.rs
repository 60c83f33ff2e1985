//! Errors and crashes, from what OpenClaw writes into its log.
//!
//! The log is a file of JSON lines for each day, in a folder for temporary files; it is rotated when it is long, and
//! deleted after a day. What is new in it is read at every call, and what is news (see [`line::Line::news`]) becomes a
//! record, redacted. Records that are alike become one with a count.

pub(crate) mod fingerprint;
pub(crate) mod line;
mod tail;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use protocol::{LogLevel, LogRecord, Timestamp, limits};

use self::line::Line;
pub(crate) use self::tail::Position;
use self::tail::{Positions, Start};
use crate::openclaw::Home;
use crate::openclaw::redact::{redact, shorten};

/// Bytes that one call reads of one file; the rest is left for the next.
const BUDGET_BYTES: u64 = 8 * 1024 * 1024;
/// Records of one call.
const MAX_RECORDS: usize = 60;
/// On the first start, as much of what was written before is read.
const HISTORY_BYTES: u64 = 1024 * 1024;
/// Lines before a crash that are sent with it.
const CONTEXT_LINES: usize = 200;
/// The end of a log in which they are looked for.
const CONTEXT_BYTES: u64 = 512 * 1024;
/// The end of what a program printed in which its last words are looked for.
const PRINTED_BYTES: u64 = 64 * 1024;
/// How node begins to say that it cannot go on.
const FATAL: &str = "FATAL ERROR: ";
/// A line written this long after a crash is noticed may still be of the crash.
const AFTERMATH_MS: i64 = 1_000;

/// Where the log of a gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The gateway's name.
    pub(crate) gateway: String,
    /// The gateway's version, if it is known.
    pub(crate) version: Option<String>,
    /// Its files, oldest first.
    pub(crate) files: Vec<PathBuf>,
}

/// Finds the log of a home; `configured` is what its configuration says of it.
pub(crate) fn place(home: &Home, configured: Option<&Path>, version: Option<String>) -> Place {
    let mut files = Vec::new();
    if let Some(file) = configured {
        for number in (1..=5).rev() {
            let mut rotated = file.as_os_str().to_owned();
            rotated.push(format!(".{number}"));
            files.push(PathBuf::from(rotated));
        }
        files.push(file.to_owned());
        files.retain(|file| file.is_file());
    } else {
        for dir in folders(home) {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let own = entries.map(|entry| entry.path()).filter(|path| is_log_of(path, profile(home)));
            files.extend(own);
        }
        files.sort_by_key(|path| {
            (path.metadata().and_then(|m| m.modified()).ok(), std::cmp::Reverse(path.as_os_str().len()))
        });
    }
    Place { gateway: home.name.clone(), version, files }
}

fn profile(home: &Home) -> Option<&str> {
    home.state_dir.file_name()?.to_str()?.strip_prefix(".openclaw-")
}

/// Whether a file is a day of the log of a profile: `openclaw[-PROFILE]-YYYY-MM-DD.log[.N]`.
fn is_log_of(path: &Path, profile: Option<&str>) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let Some(rest) = name.strip_prefix("openclaw-") else { return false };
    let rest = match profile {
        Some(profile) => rest.strip_prefix(profile).and_then(|rest| rest.strip_prefix('-')),
        None => Some(rest),
    };
    rest.and_then(|rest| rest.split_once(".log")).is_some_and(|(day, number)| {
        let number = number.strip_prefix('.').unwrap_or(number);
        day.len() == 10
            && day.bytes().all(|b| b.is_ascii_digit() || b == b'-')
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Folders in which a home's log may be: OpenClaw takes the next one when it may not use the first.
fn folders(home: &Home) -> Vec<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let owner = |path: &Path| std::fs::metadata(path).ok().map(|m| m.uid());
        let Some(user) = owner(&home.state_dir) else { return Vec::new() };
        let mut folders = Vec::new();
        for temporary in [PathBuf::from("/tmp"), std::env::temp_dir()] {
            for name in ["openclaw".to_owned(), format!("openclaw-{user}")] {
                let folder = temporary.join(name);
                // Another user's folder holds another user's log.
                if owner(&folder) == Some(user) && !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
        }
        folders
    }
    #[cfg(not(unix))]
    {
        let _ = home;
        let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
        let own = |path: &PathBuf| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("openclaw"))
                && path.is_dir()
        };
        entries.map(|entry| entry.path()).filter(own).take(8).collect()
    }
}

/// What is new in the logs of `places`, with the positions after it. `None` for the positions: nothing has ever been read.
pub(crate) fn read(
    places: &[Place],
    positions: Option<&Positions>,
    with_text: bool,
) -> (Vec<LogRecord>, Positions) {
    if let Some(positions) = positions
        && nothing_is_new(places, positions)
    {
        return (Vec::new(), positions.clone());
    }
    let start = if positions.is_some() { Start::Beginning } else { Start::BeforeEnd(HISTORY_BYTES) };
    let known = positions.cloned().unwrap_or_default();
    let mut records: Vec<LogRecord> = Vec::new();
    let mut next = Positions::new();
    for place in places {
        // Two gateways of one user write into one log; it is read once.
        let files: Vec<PathBuf> =
            place.files.iter().filter(|file| !next.contains_key(*file)).cloned().collect();
        let mut own = tail::recognise(&known, &files, start);
        for file in &files {
            let Some(position) = own.get_mut(file) else { continue };
            // What cannot be read now is read when it can.
            tail::read_lines(file, position, BUDGET_BYTES, |text| {
                if may_be_news(text)
                    && let Some(line) = Line::parse(text)
                    && let Some(level) = line.news()
                {
                    add(&mut records, record(&line, level, place, with_text));
                }
                records.len() < MAX_RECORDS
            })
            .ok();
        }
        next.extend(own);
    }
    (records, next)
}

/// Whether all files are as long as they have been read, without opening one.
fn nothing_is_new(places: &[Place], positions: &Positions) -> bool {
    let files: BTreeSet<&PathBuf> = places.iter().flat_map(|place| &place.files).collect();
    let read = |file: &&PathBuf| {
        let len = file.metadata().ok().map(|m| m.len());
        len.is_some() && len == positions.get(*file).map(|position| position.offset)
    };
    files.len() == positions.len() && files.iter().all(read)
}

/// A quick look, before a line is taken apart: most lines are of other levels.
fn may_be_news(text: &str) -> bool {
    ["\"ERROR\"", "\"WARN\"", "\"FATAL\""].into_iter().any(|level| text.contains(level))
}

fn add(records: &mut Vec<LogRecord>, record: LogRecord) {
    let alike = |known: &&mut LogRecord| {
        known.fingerprint == record.fingerprint
            && known.gateway == record.gateway
            && known.level == record.level
    };
    match records.iter_mut().find(alike) {
        Some(known) => known.count = known.count.saturating_add(record.count),
        None => records.push(record),
    }
}

fn record(line: &Line, level: LogLevel, place: &Place, with_text: bool) -> LogRecord {
    let message = line.message(with_text);
    let (error_name, reason) = (line.error_name(), line.reason());
    let subsystem = line.subsystem.clone();
    let parts = [
        level.as_str(),
        subsystem.as_deref().unwrap_or(""),
        error_name.as_deref().unwrap_or(""),
        reason.as_deref().unwrap_or(""),
    ];
    // Of the redacted text, so that a fingerprint tells nothing that the text does not.
    let fingerprint = fingerprint::fingerprint(&parts, &line.message(true));
    LogRecord {
        at: line.at,
        level,
        gateway: place.gateway.clone(),
        subsystem,
        message,
        fingerprint,
        count: 1,
        error_name,
        reason,
        provider: line.provider(),
        model: line.model(),
        agent: line.agent(),
        version: place.version.clone(),
        stack: line.stack(with_text),
        context: Vec::new(),
    }
}

/// A crash, as the gateway left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CrashSite {
    /// When it was, or was noticed.
    pub(crate) at: Timestamp,
    /// Why, as far as OpenClaw knows.
    pub(crate) reason: Option<String>,
    /// What is known of the error, as it was written: a message, and where in the program.
    pub(crate) error: Option<String>,
}

/// The record of a crash, with the lines before it.
pub(crate) fn crash(site: &CrashSite, place: &Place, with_text: bool) -> LogRecord {
    let raw = site.error.as_deref();
    let first = raw.and_then(|text| text.lines().find(|line| !line.trim().is_empty()));
    let message = match (first, &site.reason) {
        (Some(first), _) if with_text => redact(first.trim(), 2048),
        (_, Some(reason)) => redact(reason, 200),
        _ => "the gateway ended without a word".to_owned(),
    };
    let error_name = raw.and_then(line::error_name);
    let stack = raw.and_then(|text| line::stack(text.lines())).filter(|_| with_text);
    let parts = ["crash", site.reason.as_deref().unwrap_or(""), error_name.as_deref().unwrap_or("")];
    LogRecord {
        at: site.at,
        level: LogLevel::Crash,
        gateway: place.gateway.clone(),
        subsystem: None,
        fingerprint: fingerprint::fingerprint(&parts, &message),
        message,
        count: 1,
        error_name,
        reason: site.reason.as_deref().map(|reason| redact(reason, 200)),
        provider: None,
        model: None,
        agent: None,
        version: place.version.clone(),
        stack,
        context: if with_text { context(place, site.at) } else { Vec::new() },
    }
}

/// The last lines of a log before a moment, redacted, oldest first.
fn context(place: &Place, before: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for file in place.files.iter().rev() {
        let text = tail::read_end(file, CONTEXT_BYTES).unwrap_or_default();
        let parsed = text.lines().rev().filter(|line| line.len() < 256 * 1024).filter_map(Line::parse);
        let earlier = parsed.filter(|line| line.at <= before.plus_millis(AFTERMATH_MS));
        lines.extend(earlier.take(CONTEXT_LINES - lines.len()).map(|line| line.context()));
        if lines.len() >= CONTEXT_LINES {
            break;
        }
    }
    lines.reverse();
    // All of it must fit into one message, with room for the rest.
    let mut room = limits::MAX_PAYLOAD_BYTES / 2;
    let fitting = lines.iter().rev().take_while(|line| {
        room = room.saturating_sub(line.len() + 8);
        room > 0
    });
    let skip = lines.len() - fitting.count();
    lines.drain(..skip);
    lines
}

/// What a program printed into a file at last when it crashed; what stands before `from` is of an earlier one.
pub(crate) fn printed(file: &Path, from: u64) -> Option<String> {
    last_words(&tail::read_end_after(file, from, PRINTED_BYTES).ok()?)
}

/// What node prints when nobody catches an error, or memory ends: the last such text of a program's output.
pub(crate) fn last_words(printed: &str) -> Option<String> {
    let uncaught = printed.rfind("\nNode.js v");
    let fatal =
        printed.match_indices(FATAL).map(|(at, _)| at).filter(|at| is_at_line_start(printed, *at)).last();
    if fatal > uncaught {
        return printed.get(fatal?..)?.lines().next().map(str::to_owned);
    }
    // It ends with the version; the error stands before the lines that say where.
    let text = shorten(printed, uncaught?);
    let lines: Vec<&str> = text.lines().collect();
    let mut first_at = lines.iter().rposition(|line| line.trim_start().starts_with("at "))?;
    while first_at > 0 && lines.get(first_at - 1).is_some_and(|line| line.trim_start().starts_with("at ")) {
        first_at -= 1;
    }
    // A message may have several lines; it begins after an empty one.
    let begin = lines.get(..first_at)?.iter().rposition(|line| line.trim().is_empty()).map_or(0, |at| at + 1);
    Some(lines.get(begin..)?.join("\n"))
}

fn is_at_line_start(text: &str, at: usize) -> bool {
    at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n')
}

/// In a few words, why a program crashed that printed this at last. Nothing of the text itself is in them.
pub(crate) fn reason_of(words: &str) -> String {
    match line::error_name(words) {
        _ if words.starts_with(FATAL) && words.contains("heap out of memory") => {
            "out of memory: its own heap is full".to_owned()
        }
        _ if words.starts_with(FATAL) => "fatal error in node".to_owned(),
        Some(name) => format!("uncaught exception: {name}"),
        None => "uncaught exception".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ERRORS: &str = include_str!("../../../tests/fixtures/openclaw/logs/openclaw-error.jsonl");
    const INFOS: &str = include_str!("../../../tests/fixtures/openclaw/logs/openclaw-info.jsonl");
    const UNCAUGHT: &str =
        include_str!("../../../tests/fixtures/openclaw/logs/console-uncaught-exception.txt");

    fn place_of(files: &[&Path]) -> Place {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        Place { gateway: "default".to_owned(), version: Some("2026.9.6".to_owned()), files }
    }

    #[test]
    fn records_come_once_over_restarts_and_alike_ones_together() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("openclaw-2026-11-20.log");
        fs::write(&file, ERRORS).unwrap();
        let place = place_of(&[&file]);
        let (records, positions) = read(std::slice::from_ref(&place), None, true);
        assert!(records.len() > 5, "{records:#?}");
        assert!(records.iter().any(|r| r.count > 1));
        assert!(records.iter().all(|r| r.version.as_deref() == Some("2026.9.6")));
        let (again, positions) = read(std::slice::from_ref(&place), Some(&positions), true);
        assert_eq!(again, []);
        fs::write(
            dir.path().join("openclaw-2026-11-21.log"),
            ERRORS.lines().find(|line| line.contains("lane task error")).unwrap().to_owned() + "\n",
        )
        .unwrap();
        let next = place_of(&[&file, &dir.path().join("openclaw-2026-11-21.log")]);
        assert_eq!(
            read(&[next], Some(&positions), true).0.len(),
            1,
            "the next day's file is read from its beginning"
        );
        let log =
            protocol::Log { v: 1, spool: protocol::SpoolId::generate(), seq: 1, at: Timestamp(0), records };
        protocol::Payload::check(&log).unwrap();
    }

    #[test]
    fn without_text_only_what_it_is_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        fs::write(&file, ERRORS).unwrap();
        let (records, _) = read(&[place_of(&[&file])], None, false);
        let all = serde_json::to_string(&records).unwrap();
        assert!(
            !all.contains("lane task") && !all.contains("deleteWebhook") && all.contains("channels/telegram"),
            "{all}"
        );
    }

    #[test]
    fn names_of_logs_are_told_by_profile() {
        let check = |name: &str, profile, expected| {
            assert_eq!(is_log_of(&Path::new("/tmp/openclaw").join(name), profile), expected, "{name}");
        };
        check("openclaw-2026-11-20.log", None, true);
        check("openclaw-2026-11-20.log.3", None, true);
        check("openclaw-work-2026-11-20.log", None, false);
        check("openclaw-work-2026-11-20.log", Some("work"), true);
        check("openclaw-2026-11-20.log", Some("work"), false);
        check("openclaw-2026-11-20.txt", None, false);
        check("other.log", None, false);
    }

    #[test]
    fn a_crash_has_its_error_and_the_lines_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let (log, stderr) = (dir.path().join("log"), dir.path().join("stderr"));
        fs::write(&log, INFOS).unwrap();
        // The numbers of lines are not the program's.
        let plain = UNCAUGHT
            .lines()
            .map(|l| l.trim_start_matches(|c: char| c.is_ascii_digit()).get(1..).unwrap_or(""));
        fs::write(&stderr, plain.collect::<Vec<_>>().join("\n")).unwrap();
        let last = Line::parse(INFOS.lines().last().unwrap()).unwrap().at;
        let site = CrashSite { at: last, reason: None, error: printed(&stderr, 0) };
        let crash_of = |site: &CrashSite, with_text| crash(site, &place_of(&[&log]), with_text);
        let record = crash_of(&site, true);
        assert_eq!(record.message, "Error: lab uncaught exception with key [secret]");
        assert!(record.stack.unwrap().contains("Timeout._onTimeout"));
        assert!(record.context.len() > 10 && record.context.len() <= CONTEXT_LINES);
        assert!(record.context.iter().all(|line| !line.contains("Mock reply")));
        let silent =
            crash_of(&CrashSite { error: None, reason: Some("oom".to_owned()), ..site.clone() }, true);
        assert_eq!((silent.message.as_str(), silent.reason.as_deref()), ("oom", Some("oom")));
        let quiet = crash_of(&site, false);
        assert_eq!(
            (quiet.message.as_str(), quiet.context.len(), quiet.stack),
            ("the gateway ended without a word", 0, None)
        );
        let early = crash_of(&CrashSite { at: Timestamp(0), ..site }, true);
        assert_eq!(early.context.len(), 0, "what came after a crash is not before it");
    }

    #[test]
    fn last_words_are_those_of_the_process_that_ended() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stderr");
        let uncaught = "x.js:1\nthrow y\n^\n\nTypeError: one\n    at a (x.js:1:1)\n\nNode.js v24.21.0\n";
        fs::write(&file, uncaught).unwrap();
        let words = printed(&file, 0).unwrap();
        assert_eq!(
            (words.as_str(), reason_of(&words).as_str()),
            ("TypeError: one\n    at a (x.js:1:1)", "uncaught exception: TypeError")
        );
        let from = uncaught.len() as u64;
        assert_eq!(printed(&file, from), None, "they are not those of the next one, which was killed");
        let heap = "<--- Last few GCs --->\n\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n 1: 0x1 node::Abort() [node]\n";
        fs::write(&file, format!("{uncaught}{heap}")).unwrap();
        let words = printed(&file, from).unwrap();
        assert!(words.starts_with("FATAL ERROR: Reached") && !words.contains('\n'), "{words}");
        assert_eq!(reason_of(&words), "out of memory: its own heap is full");
        fs::write(&file, "short").unwrap();
        assert_eq!(printed(&file, from), None, "a file that was emptied is read from its beginning");
        fs::write(&file, uncaught).unwrap();
        assert!(printed(&file, from + 1).is_some());
    }
}
