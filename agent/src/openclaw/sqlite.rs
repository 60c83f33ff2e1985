//! Reading OpenClaw's databases without OpenClaw noticing.
//!
//! They are in WAL mode, so a reader blocks no writer; but a long read keeps the log from being reset, so reads are short, and
//! a connection is closed after each. Nothing is ever created in OpenClaw's folders: a database that nobody has open
//! (it has no `-wal` file) is read as it lies there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How long to wait for a lock, which in WAL mode only recovery after a crash takes.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// A database that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("reading {}", path.display())]
pub(crate) struct ReadError {
    path: PathBuf,
    source: rusqlite::Error,
}

/// Asks one of OpenClaw's databases within one read transaction. `question` may be asked twice, and must be quick.
pub(crate) fn read<T>(
    path: &Path,
    mut question: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> Result<T, ReadError> {
    let failed = |source| ReadError { path: path.to_owned(), source };
    let at_rest = !has_log(path);
    let answer = ask(path, at_rest, &mut question);
    // Somebody has opened it meanwhile: what was read may be torn.
    if at_rest && has_log(path) {
        return ask(path, false, &mut question).map_err(failed);
    }
    answer.map_err(failed)
}

fn ask<T>(
    path: &Path,
    at_rest: bool,
    question: &mut impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut connection = Connection::open_with_flags(uri(path, at_rest), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA query_only = 1; PRAGMA cache_size = -512; PRAGMA mmap_size = 0;")?;
    let transaction = connection.transaction()?;
    question(&transaction)
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // One of no bytes holds nothing, and stays behind when a reader was the last to close.
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

fn uri(path: &Path, at_rest: bool) -> String {
    use std::fmt::Write as _;
    let mut uri = String::from("file:");
    let text = path.to_string_lossy();
    #[cfg(windows)]
    let text = format!("/{}", text.trim_start_matches(r"\\?\").replace('\\', "/"));
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b':' => {
                uri.push(char::from(byte));
            }
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri.push_str(if at_rest { "?mode=ro&immutable=1" } else { "?mode=ro" });
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn files(dir: &Path) -> BTreeSet<String> {
        std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn count(path: &Path) -> i64 {
        read(path, |db| db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))).unwrap()
    }

    #[test]
    fn a_database_at_rest_is_read_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b?#%.sqlite");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)")
            .unwrap();
        drop(writer);
        let before = files(dir.path());
        assert_eq!((before.len(), count(&path)), (1, 1));
        assert_eq!(files(dir.path()), before);
    }

    #[test]
    fn what_is_only_in_the_log_is_read_while_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live.sqlite");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a)")
            .unwrap();
        for n in 1..=3 {
            writer.execute("INSERT INTO t VALUES (?)", [n]).unwrap();
            writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (0)").unwrap();
            assert_eq!(count(&path), n, "not what is not committed");
            writer.execute_batch("ROLLBACK").unwrap();
        }
    }

    #[test]
    fn nothing_can_be_written_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none.sqlite");
        assert!(read(&path, |_| Ok(())).is_err());
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(read(&path, |db| db.execute("INSERT INTO t VALUES (1)", [])).is_err());
    }
}
