//! Following files that others append to, rename and delete, over restarts of ours.
//!
//! A file is known by how it begins, not by its name: so a file that was renamed when the log was rotated is read to its
//! end, and a new one of the same name from its beginning.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::line::MAX_LINE_BYTES;
use crate::openclaw::hex;

/// As much of a file's beginning tells it from others.
const HEAD_BYTES: u64 = 512;
/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How far a file has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Bytes.
    pub(crate) offset: u64,
    /// How the file begins: of so many bytes ...
    head_bytes: u64,
    /// ... the first half of the hash.
    head: String,
}

/// How far files have been read, by path.
pub(crate) type Positions = BTreeMap<PathBuf, Position>;

/// Where to begin in a file that was never seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// At its beginning.
    Beginning,
    /// So many bytes before its end, at the next line.
    BeforeEnd(u64),
}

/// Brings `positions` up to the files that there are: those that are gone are forgotten, those that were renamed keep their
/// place, new ones begin at `start`.
pub(crate) fn recognise(positions: &Positions, files: &[PathBuf], start: Start) -> Positions {
    let mut next = Positions::new();
    for path in files {
        let Ok(mut file) = File::open(path) else { continue };
        let Ok(len) = file.metadata().map(|m| m.len()) else { continue };
        let own = positions.get(path).into_iter();
        let mut known = own.chain(positions.values());
        let same = known.find(|known| {
            known.head_bytes > 0
                && known.offset <= len
                && head(&mut file, known.head_bytes).is_ok_and(|head| head == known.head)
        });
        let offset = match (same, start) {
            (Some(known), _) => known.offset,
            (None, Start::Beginning) => 0,
            (None, Start::BeforeEnd(bytes)) => {
                after_next_line(&mut file, len.saturating_sub(bytes)).unwrap_or(len)
            }
        };
        let head_bytes = len.min(HEAD_BYTES);
        if let Ok(head) = head(&mut file, head_bytes) {
            next.insert(path.clone(), Position { offset, head_bytes, head });
        }
    }
    next
}

/// Reads whole lines from `position` on and moves it, until `take` says no (the line it says no to counts as read), `budget`
/// bytes are read, or the file ends. A line that is not ended yet is left for later. Returns whether there is more.
pub(crate) fn read_lines(
    path: &Path,
    position: &mut Position,
    budget: u64,
    mut take: impl FnMut(&str) -> bool,
) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(position.offset))?;
    let end = position.offset.saturating_add(budget);
    let mut pending: Vec<u8> = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    // Of a line that is too long only its end is looked for.
    let mut skipping = false;
    loop {
        if position.offset >= end {
            return Ok(true);
        }
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(false);
        }
        let mut rest = chunk.get(..read).unwrap_or_default();
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, more) = rest.split_at(at);
            rest = more.get(1..).unwrap_or_default();
            pending.extend(line);
            position.offset += pending.len() as u64 + 1;
            let go_on = skipping || std::str::from_utf8(&pending).map_or(true, &mut take);
            skipping = false;
            pending.clear();
            if !go_on {
                return Ok(true);
            }
        }
        pending.extend(rest);
        if pending.len() > MAX_LINE_BYTES {
            position.offset += pending.len() as u64;
            pending.clear();
            skipping = true;
        }
    }
}

/// The end of a file, from the first line that begins within the last `bytes`.
pub(crate) fn read_end(path: &Path, bytes: u64) -> io::Result<String> {
    read_end_after(path, 0, bytes)
}

/// The end of what stands after `from` in a file; of one that was emptied meanwhile, its end.
pub(crate) fn read_end_after(path: &Path, from: u64, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let from = if from > len { 0 } else { from };
    let begin = len.saturating_sub(bytes);
    let start = if begin > from { after_next_line(&mut file, begin)? } else { from };
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(bytes).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Where the first line begins that does not begin before `offset`.
fn after_next_line(file: &mut File, offset: u64) -> io::Result<u64> {
    if offset == 0 {
        return Ok(0);
    }
    file.seek(SeekFrom::Start(offset - 1))?;
    let mut at = offset - 1;
    let mut chunk = vec![0; 4096];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(at);
        }
        let read = chunk.get(..read).unwrap_or_default();
        if let Some(found) = read.iter().position(|byte| *byte == b'\n') {
            return Ok(at + found as u64 + 1);
        }
        at += read.len() as u64;
    }
}

fn head(file: &mut File, bytes: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.take(bytes).read_to_end(&mut head)?;
    let digest = Sha256::digest(&head);
    Ok(hex(digest.get(..16).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    struct Folder {
        dir: tempfile::TempDir,
        positions: Positions,
    }

    impl Folder {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap(), positions: Positions::new() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn append(&self, name: &str, text: &str) {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// Reads everything new, as a run of the agent would, and after a restart too.
        fn read(&mut self, start: Start) -> Vec<String> {
            let mut files: Vec<_> =
                fs::read_dir(self.dir.path()).unwrap().map(|f| f.unwrap().path()).collect();
            files.sort();
            let stored = serde_json::to_string(&self.positions).unwrap();
            self.positions = recognise(&serde_json::from_str(&stored).unwrap(), &files, start);
            let mut lines = Vec::new();
            for (path, position) in &mut self.positions {
                read_lines(path, position, u64::MAX, |line| {
                    lines.push(line.to_owned());
                    true
                })
                .unwrap();
            }
            lines
        }
    }

    #[test]
    fn lines_are_read_once_when_they_are_whole() {
        let mut folder = Folder::new();
        folder.append("a.log", "one\ntw");
        assert_eq!(folder.read(Start::Beginning), ["one"]);
        assert_eq!(folder.read(Start::Beginning), [""; 0]);
        folder.append("a.log", "o\n\nthree\n");
        assert_eq!(folder.read(Start::Beginning), ["two", "", "three"]);
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_beginning() {
        let mut folder = Folder::new();
        folder.append("a.log", &format!("{}\n", "first ".repeat(200)));
        assert_eq!(folder.read(Start::Beginning).len(), 1);
        folder.append("a.log", "last of the old\n");
        fs::rename(folder.path("a.log"), folder.path("a.log.1")).unwrap();
        folder.append("a.log", "first of the new\n");
        assert_eq!(folder.read(Start::Beginning), ["first of the new", "last of the old"]);
        fs::remove_file(folder.path("a.log.1")).unwrap();
        folder.append("a.log", "second\n");
        assert_eq!(folder.read(Start::Beginning), ["second"]);
        assert_eq!(folder.positions.len(), 1, "what is gone is forgotten");
    }

    #[test]
    fn a_file_that_was_emptied_or_replaced_is_read_anew() {
        let mut folder = Folder::new();
        folder.append("a.log", "one\ntwo\n");
        assert_eq!(folder.read(Start::Beginning).len(), 2);
        fs::write(folder.path("a.log"), "").unwrap();
        assert_eq!(folder.read(Start::Beginning).len(), 0);
        folder.append("a.log", "three\n");
        assert_eq!(folder.read(Start::Beginning), ["three"]);
        fs::write(folder.path("a.log"), "another one, and longer\n").unwrap();
        assert_eq!(folder.read(Start::Beginning), ["another one, and longer"]);
    }

    #[test]
    fn of_an_old_file_only_the_end_is_read() {
        let mut folder = Folder::new();
        folder.append("a.log", "one\ntwo\nthree\n");
        assert_eq!(folder.read(Start::BeforeEnd(8)), ["three"]);
        assert_eq!(read_end(&folder.path("a.log"), 6).unwrap(), "three\n");
        assert_eq!(read_end(&folder.path("a.log"), 100).unwrap(), "one\ntwo\nthree\n");
        folder.append("b.log", "no end");
        assert_eq!(folder.read(Start::BeforeEnd(2)), [""; 0]);
    }

    #[test]
    fn bad_bytes_and_endless_lines_cost_themselves() {
        let mut folder = Folder::new();
        let mut bytes = vec![b'x'; MAX_LINE_BYTES + 200_000];
        bytes.extend(b"\n\xff\xfe\ngood\n");
        fs::write(folder.path("a.log"), bytes).unwrap();
        assert_eq!(folder.read(Start::Beginning), ["good"]);
        let path = folder.path("a.log");
        let mut position = recognise(&Positions::new(), std::slice::from_ref(&path), Start::Beginning)
            .remove(&path)
            .unwrap();
        assert!(read_lines(&path, &mut position, 10, |_| true).unwrap(), "there is more than the budget");
    }
}
