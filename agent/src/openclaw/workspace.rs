//! An OpenClaw agent's workspace: how much there is and when it changed. Names and contents are never taken.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::{Timestamp, Workspace};

/// The most entries that are looked at.
const MAX_ENTRIES: u32 = 20_000;
/// How deep folders are followed.
const MAX_DEPTH: u32 = 8;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much of the end of a repository's log is read.
const LOG_TAIL: u64 = 8 * 1024;

/// Measures the workspace of an agent; `None` when there is none.
pub(crate) fn measure(agent: &str, folder: &Path) -> Option<Workspace> {
    let root = std::fs::canonicalize(folder).ok().filter(|root| root.is_dir())?;
    let begun = Instant::now();
    let (mut files, mut bytes, mut memory_files, mut memory_bytes) = (0_u32, 0_u64, 0_u32, 0_u64);
    let mut changed_at = None;
    let mut entries_left = MAX_ENTRIES;
    let mut open: Vec<(PathBuf, u32, bool)> = vec![(root.clone(), 0, false)];
    'walk: while let Some((folder, depth, in_memory)) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entries_left == 0 || begun.elapsed() > PATIENCE {
                break 'walk;
            }
            entries_left -= 1;
            let name = entry.file_name();
            // Links are neither followed nor counted: they may lead anywhere.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if depth < MAX_DEPTH && name != ".git" {
                    open.push((entry.path(), depth + 1, in_memory || (depth == 0 && name == "memory")));
                }
            } else if kind.is_file()
                && let Ok(file) = entry.metadata()
            {
                files += 1;
                bytes = bytes.saturating_add(file.len());
                changed_at = changed_at.max(file.modified().ok().and_then(moment));
                if in_memory || (depth == 0 && name.eq_ignore_ascii_case("MEMORY.md")) {
                    memory_files += 1;
                    memory_bytes = memory_bytes.saturating_add(file.len());
                }
            }
        }
    }
    Some(Workspace {
        agent: agent.chars().filter(|c| !c.is_control()).take(64).collect(),
        files: Some(files),
        bytes: Some(bytes),
        changed_at,
        memory_files: Some(memory_files),
        memory_bytes: Some(memory_bytes),
        committed_at: committed_at(&root),
    })
}

fn moment(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

/// When the last commit was made, as the repository's log of its own says.
fn committed_at(root: &Path) -> Option<Timestamp> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let path = root.join(".git/logs/HEAD");
    let mut file = std::fs::File::open(path).ok()?;
    let about = file.metadata().ok()?;
    file.seek(SeekFrom::Start(about.len().saturating_sub(LOG_TAIL))).ok()?;
    let mut tail = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut tail).ok()?;
    last_commit(&String::from_utf8_lossy(&tail)).or_else(|| moment(about.modified().ok()?))
}

/// The time of the last commit in a repository's log.
fn last_commit(log: &str) -> Option<Timestamp> {
    log.lines().rev().find_map(|line| {
        let (head, message) = line.split_once('\t')?;
        if !message.starts_with("commit") {
            return None;
        }
        // OLD NEW NAME <MAIL> SECONDS ZONE
        let (_, time) = head.rsplit_once("> ")?;
        let seconds: i64 = time.split_ascii_whitespace().next()?.parse().ok()?;
        seconds.checked_mul(1000).map(Timestamp)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_memory_are_counted_and_links_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("workspace");
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(measure("main", &root), None);
        put("AGENTS.md", "12345");
        put("MEMORY.md", "123");
        put("memory/2026-11-20.md", "1234");
        put("memory/deep/x.md", "1");
        put("notes/MEMORY.md", "not one");
        put(".git/objects/ab/cd", "not counted");
        let log = "0 1 A <a@b> 1795150000 +0000\tcommit (initial): private\n\
                   1 2 A <a@b> 1795151000 +0100\tcommit: private > words\n\
                   2 1 A <a@b> 1795159000 +0000\tcheckout: moving\n";
        put(".git/logs/HEAD", log);
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        let found = measure("main", &root).unwrap();
        assert_eq!((found.files, found.bytes), (Some(5), Some(20)));
        assert_eq!((found.memory_files, found.memory_bytes), (Some(3), Some(8)));
        assert_eq!(found.committed_at, Some(Timestamp(1_795_151_000_000)));
        assert!(found.changed_at.is_some());
    }

    #[test]
    fn the_walk_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut deep = dir.path().to_owned();
        for _ in 0..20 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("x"), "1").unwrap();
        assert_eq!(measure("a", dir.path()).unwrap().files, Some(0));
        assert_eq!(last_commit("rubbish\n\u{0}\tcommit\n> \tcommit"), None);
    }
}
