//! Transcripts in files: those of 2026.7 and before, and the archives of all versions.
//!
//! Lines are read one at a time, never a file as a whole, and none that is too long to be an event. A compressed file is
//! unpacked as it is read; when reading goes on another time, what was read is unpacked again and skipped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::databases::MAX_EVENT_BYTES;
use super::event;
use super::trigger::{self, Class, Session};

/// What is unpacked of one archive at most: far beyond any session, well before an hour of work.
const MAX_UNPACKED: u64 = 4 * 1024 * 1024 * 1024;
/// The most memory that unpacking takes: the window of zstd's level 19.
const WINDOW_LOG: u32 = 23;
/// How many bytes before the offset tell that a file is still the one that was read.
const ANCHOR: u64 = 256;
const BUFFER: usize = 64 * 1024;

/// What a file in a sessions folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A transcript that is being written.
    Live,
    /// One that is closed.
    Closed,
    /// One that is closed and compressed.
    Compressed,
    /// A session that OpenClaw moved out of its database.
    Cold,
}

/// What a file in a sessions folder is, and of which session; none if it holds no usage, or that of others again.
///
/// These are the names that OpenClaw itself counts. Not its trajectories (which hold the usage once more), not checkpoints
/// (copies of a transcript), not backups.
pub(super) fn form(name: &str) -> Option<(Form, &str)> {
    if let Some(session) = name.strip_suffix(".jsonl") {
        return is_session(session).then_some((Form::Live, session));
    }
    let (plain, form) = match name.strip_suffix(".zst") {
        Some(plain) => (plain, Form::Compressed),
        None => (name, Form::Closed),
    };
    let (session, rest) = plain.rsplit_once(".jsonl.")?;
    let stamp = rest.strip_prefix("reset.").or_else(|| rest.strip_prefix("deleted."))?;
    (is_session(session) && is_stamp(stamp)).then_some((form, session))
}

/// Whether it is a cold archive; the session stands in it.
pub(super) fn is_cold(name: &str) -> bool {
    name.strip_suffix(".jsonl.zst").is_some_and(|name| !name.is_empty())
}

fn is_session(session: &str) -> bool {
    !session.is_empty() && !session.ends_with(".trajectory") && !session.contains(".checkpoint.")
}

/// `2026-11-20T05-06-04.310Z`, and perhaps a point and 32 hex digits.
fn is_stamp(stamp: &str) -> bool {
    let Some((time, generation)) = stamp.split_once('Z') else { return false };
    let time_is_fine = (19..=23).contains(&time.len())
        && time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'T' | b'.'));
    let generation_is_fine = generation.is_empty()
        || generation.strip_prefix('.').is_some_and(|g| g.bytes().all(|b| b.is_ascii_hexdigit()));
    time_is_fine && generation_is_fine
}

/// The lines of a transcript.
pub(super) struct Lines<'a> {
    from: Box<dyn BufRead + 'a>,
    line: Vec<u8>,
    /// How far the lines given out reach.
    pub(super) offset: u64,
    most: u64,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line, without its end.
    Whole(&'a [u8]),
    /// The last one, which has no end (yet).
    Last(&'a [u8]),
    /// One that is too long to be an event.
    TooLong,
    /// No more.
    End,
}

impl<'a> Lines<'a> {
    /// Opens a file to read on from `offset`, in bytes of its contents.
    pub(super) fn open(path: &Path, form: Form, offset: u64) -> io::Result<Lines<'static>> {
        let mut file = File::open(path)?;
        let from: Box<dyn BufRead> = match form {
            Form::Live | Form::Closed => {
                file.seek(SeekFrom::Start(offset))?;
                Box::new(BufReader::with_capacity(BUFFER, file))
            }
            Form::Compressed | Form::Cold => unpack(file, offset)?,
        };
        Ok(Lines { from, line: Vec::new(), offset, most: MAX_UNPACKED })
    }

    /// Reads what is in memory.
    pub(super) fn of(bytes: &'a [u8], is_compressed: bool, offset: u64) -> io::Result<Self> {
        let from: Box<dyn BufRead + 'a> = if is_compressed {
            unpack(bytes, offset)?
        } else {
            Box::new(bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default())
        };
        Ok(Lines { from, line: Vec::new(), offset, most: MAX_UNPACKED })
    }

    /// The next line. The offset is behind it afterwards, but for the last one without an end, before which it stays.
    pub(super) fn next(&mut self) -> io::Result<Line<'_>> {
        self.line.clear();
        if self.line.capacity() > 1024 * 1024 {
            self.line = Vec::new();
        }
        let mut is_too_long = false;
        let mut read = 0u64;
        loop {
            let some = match self.from.fill_buf() {
                Ok(some) => some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if some.is_empty() {
                return Ok(match (read, is_too_long) {
                    (0, _) => Line::End,
                    (_, true) => Line::TooLong,
                    (_, false) => Line::Last(&self.line),
                });
            }
            let end = some.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(some.len(), |end| end + 1);
            is_too_long |= self.line.len() + taken > MAX_EVENT_BYTES;
            if !is_too_long {
                self.line.extend_from_slice(some.get(..end.unwrap_or(taken)).unwrap_or_default());
            }
            self.from.consume(taken);
            read += taken as u64;
            if self.offset + read > self.most {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long"));
            }
            if end.is_some() {
                self.offset += read;
                return Ok(if is_too_long { Line::TooLong } else { Line::Whole(&self.line) });
            }
        }
    }
}

fn unpack<'a>(packed: impl Read + 'a, offset: u64) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut decoder = zstd::stream::read::Decoder::new(packed)?;
    decoder.window_log_max(WINDOW_LOG)?;
    let mut from = BufReader::with_capacity(BUFFER, decoder);
    io::copy(&mut from.by_ref().take(offset), &mut io::sink())?;
    Ok(Box::new(from))
}

/// A hash of what stands before `offset`, to tell whether what was read is still there.
pub(super) fn anchor(path: &Path, offset: u64) -> io::Result<i64> {
    let from = offset.saturating_sub(ANCHOR);
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(offset - from).read_to_end(&mut bytes)?;
    Ok(event::hash(&[&bytes]))
}

/// Reads `sessions.json` of 2026.7 and before: which session has which key.
pub(super) fn classes(path: &Path, each: impl FnMut(&str, Class)) -> io::Result<()> {
    let file = BufReader::with_capacity(BUFFER, File::open(path)?);
    let mut json = serde_json::Deserializer::from_reader(file);
    json.deserialize_map(Entries(each)).map_err(io::Error::from)
}

struct Entries<F>(F);

impl<'de, F: FnMut(&str, Class)> Visitor<'de> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of sessions")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let Entry(entry) = map.next_value()?;
            let class =
                trigger::class(Session { key: &key, spawned_by: &entry.spawned_by, ..Session::default() });
            if !entry.session.is_empty() {
                (self.0)(&entry.session, class);
            }
        }
        Ok(())
    }
}

/// What an entry tells, however odd the rest of it is.
struct Entry(Told);

#[derive(Default)]
struct Told {
    session: String,
    spawned_by: String,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Told;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Told, A::Error> {
                let mut told = Told::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "sessionId" => told.session = map.next_value::<Option<String>>()?.unwrap_or_default(),
                        "spawnedBy" => {
                            told.spawned_by = map.next_value::<Option<String>>()?.unwrap_or_default();
                        }
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(told)
            }
        }
        deserializer.deserialize_map(Fields).map(Entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        let check = |name: &str, expected| assert_eq!(form(name), expected, "{name}");
        let id = "4b56fa8f-8def-4305-83aa-f429a5673002";
        let at = "2026-11-20T05-06-04.310Z";
        check(&format!("{id}.jsonl"), Some((Form::Live, id)));
        check(
            &format!("{id}-topic-7.jsonl"),
            Some((Form::Live, "4b56fa8f-8def-4305-83aa-f429a5673002-topic-7")),
        );
        check(&format!("{id}.jsonl.reset.{at}"), Some((Form::Closed, id)));
        check(&format!("{id}.jsonl.deleted.{at}"), Some((Form::Closed, id)));
        check(&format!("{id}.jsonl.deleted.2026-11-20T05-06-04Z"), Some((Form::Closed, id)));
        check(&format!("{id}.jsonl.deleted.{at}.17bd7600b93a4844b9f59d2678809b8c"), Some((Form::Closed, id)));
        check(
            &format!("{id}.jsonl.deleted.{at}.17bd7600b93a4844b9f59d2678809b8c.zst"),
            Some((Form::Compressed, id)),
        );
        check(&format!("{id}.jsonl.reset.{at}.zst"), Some((Form::Compressed, id)));
        for other in [
            "sessions.json",
            ".jsonl",
            "x.jsonl.zst",
            "x.jsonl.bak.2026-11-20T05-06-04.310Z",
            "x.jsonl.deleted.yesterday",
            "x.jsonl.deleted.2026-11-20T05-06-04.310Z.tmp",
            "x.trajectory.jsonl",
            "x.trajectory.jsonl.deleted.2026-11-20T05-06-04.310Z",
            "x.trajectory-path.json",
            "x.checkpoint.4b56fa8f-8def-4305-83aa-f429a5673002.jsonl",
            "agent_main_main.x.jsonl.imported-1795151221595",
            ".usage-cost-cache.json",
            "x.lock",
        ] {
            check(other, None);
        }
        assert!(is_cold("0a1b.jsonl.zst") && !is_cold(".jsonl.zst") && !is_cold("0a1b.jsonl"));
    }

    #[test]
    fn lines_are_read_and_the_last_without_an_end_is_not_passed() {
        let text = format!("one\n\n{}\nthree\nfo", "x".repeat(MAX_EVENT_BYTES + 1));
        let packed = zstd::bulk::compress(text.as_bytes(), 3).unwrap();
        for (bytes, is_compressed) in [(text.as_bytes(), false), (&packed, true)] {
            let mut lines = Lines::of(bytes, is_compressed, 0).unwrap();
            assert_eq!(lines.next().unwrap(), Line::Whole(b"one"));
            assert_eq!(lines.offset, 4);
            assert_eq!(lines.next().unwrap(), Line::Whole(b""));
            assert_eq!(lines.next().unwrap(), Line::TooLong);
            let before = lines.offset;
            assert_eq!(lines.next().unwrap(), Line::Whole(b"three"));
            let after = lines.offset;
            assert_eq!(lines.next().unwrap(), Line::Last(b"fo"));
            assert_eq!(lines.offset, after);
            assert_eq!(lines.next().unwrap(), Line::End);
            let mut again = Lines::of(bytes, is_compressed, before).unwrap();
            assert_eq!(again.next().unwrap(), Line::Whole(b"three"));
        }
    }

    #[test]
    fn damage_and_bombs_end_it() {
        let packed = zstd::bulk::compress(&b"line\n".repeat(100_000), 3).unwrap();
        let mut lines = Lines::of(&packed[..packed.len() / 2], true, 0).unwrap();
        while let Ok(line) = lines.next() {
            assert_ne!(line, Line::End, "half an archive has no end");
        }
        let bomb = zstd::bulk::compress(&vec![b' '; 64 * 1024 * 1024], 3).unwrap();
        let mut lines = Lines::of(&bomb, true, 0).unwrap();
        lines.most = 1024 * 1024;
        assert_eq!(lines.next().unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(lines.line.capacity() < 4 * 1024 * 1024);
    }

    #[test]
    fn a_list_of_sessions_tells_their_kind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sessions.json");
        let read = |json: &str| {
            std::fs::write(&path, json).unwrap();
            let mut found = Vec::new();
            let ended = classes(&path, |id, class| found.push((id.to_owned(), class)));
            (found, ended.is_ok())
        };
        let (found, is_ok) = read(
            r#"{"agent:main:main":{"skills":[{"a":1}],"sessionId":"a"},"agent:main:cron:1":{"sessionId":"b"},
            "agent:main:x":{"sessionId":"c","spawnedBy":"agent:main:main"},"agent:main:y":{"sessionId":null}}"#,
        );
        assert!(is_ok);
        assert_eq!(
            found,
            [
                ("a".to_owned(), Class::Conversation),
                ("b".to_owned(), Class::Cron),
                ("c".to_owned(), Class::SubAgent)
            ]
        );
        for broken in ["", "[]", "{\"a\":", "{\"a\":7}"] {
            assert!(!read(broken).1, "{broken}");
        }
    }
}
