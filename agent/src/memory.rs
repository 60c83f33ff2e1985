//! What a reader of OpenClaw must remember from one run of the agent to the next: how far it has read.
//!
//! Telling what was read and remembering that it was told cannot be one write, and the agent may be killed between
//! them. So the file first says under which number of the spool the news will be told, and what is to be remembered
//! then; after a kill the spool knows whether it was.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use protocol::{DeviceTopic, SpoolId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::clock::Stamp;
use crate::spool::Spool;

/// A remembered value, and its file.
#[derive(Debug)]
pub(crate) struct Memory<T> {
    /// `None` when there is no folder for it.
    path: Option<PathBuf>,
    value: T,
}

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    v: u32,
    value: T,
    #[serde(default = "none")]
    next: Option<Next<T>>,
}

fn none<T>() -> Option<Next<T>> {
    None
}

/// What holds if the spool has given this number.
#[derive(Serialize, Deserialize)]
struct Next<T> {
    spool: SpoolId,
    seq: u64,
    value: T,
}

impl<T: Serialize + DeserializeOwned + Default + Clone + PartialEq> Memory<T> {
    /// Reads the file. One that cannot be read is as good as none: the reader begins anew.
    pub(crate) fn open(path: Option<PathBuf>, spool: &Spool) -> Self {
        let stored = path.as_ref().and_then(|path| match fs::read(path) {
            Ok(bytes) => match serde_json::from_slice::<Stored<T>>(&bytes) {
                Ok(stored) => Some(stored),
                Err(error) => {
                    warn!(file = %path.display(), %error, "what was remembered cannot be read; beginning anew");
                    None
                }
            },
            Err(_) => None,
        });
        let undecided = matches!(&stored, Some(Stored { next: Some(_), .. }));
        let value = match stored {
            Some(Stored { next: Some(next), .. }) if spool.has_given(next.spool, next.seq) => next.value,
            Some(stored) => stored.value,
            None => T::default(),
        };
        let memory = Self { path, value };
        if undecided {
            // Before something else gets the number.
            memory.write(None);
        }
        memory
    }

    /// What is remembered.
    pub(crate) fn get(&self) -> &T {
        &self.value
    }

    /// Remembers something that is not told.
    pub(crate) fn set(&mut self, value: T) {
        if value != self.value {
            self.value = value;
            self.write(None);
        }
    }

    /// Puts a message into the spool and remembers `value`: both, or neither.
    pub(crate) fn push(
        &mut self,
        spool: &mut Spool,
        what: DeviceTopic,
        stamp: Stamp,
        value: T,
        encode: impl Fn(SpoolId, u64) -> Vec<u8>,
    ) -> u64 {
        self.write(Some(&Next { spool: spool.id(), seq: spool.next_seq(), value: value.clone() }));
        let seq = spool.push(what, stamp, encode);
        self.value = value;
        seq
    }

    fn write(&self, next: Option<&Next<T>>) {
        let Some(path) = &self.path else { return };
        let stored = Stored {
            v: 1,
            value: &self.value,
            next: next.map(|next| Next { spool: next.spool, seq: next.seq, value: &next.value }),
        };
        // Without it some is told twice after a restart. The spool meets the same disk, and reports what is wrong with it.
        replace(path, &serde_json::to_vec(&stored).unwrap_or_default()).ok();
    }
}

/// Writes beside and renames, so that a crash leaves the old file or the new one.
pub(crate) fn replace(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::SpoolLimits;
    use protocol::Timestamp;

    const STAMP: Stamp = Stamp { wall: Timestamp(0), uptime_ms: 0, boot: 1 };

    #[test]
    fn what_was_told_is_remembered_and_what_was_not_is_told_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, folder) = (dir.path().join("log.json"), dir.path().join("spool"));
        let open = || {
            let spool = Spool::open(&folder, SpoolLimits::default(), 1);
            (Memory::<u32>::open(Some(path.clone()), &spool), spool)
        };
        let (mut memory, mut spool) = open();
        assert_eq!(*memory.get(), 0);
        memory.set(1);
        assert_eq!(*open().0.get(), 1);
        memory.push(&mut spool, DeviceTopic::Log, STAMP, 2, |_, _| b"news".to_vec());
        drop(spool);
        // After a reboot the spool goes on under another name, and knows the old one.
        let spool = Spool::open(&folder, SpoolLimits::default(), 2);
        assert_eq!(*Memory::<u32>::open(Some(path.clone()), &spool).get(), 2);
        drop(spool);
        let (memory, spool) = open();
        assert_eq!((*memory.get(), spool.len()), (2, 1));
        // Killed between the note and the message.
        memory.write(Some(&Next { spool: spool.id(), seq: spool.next_seq(), value: 3 }));
        drop(spool);
        let (_, spool) = open();
        assert_eq!((*open().0.get(), spool.len()), (2, 1));
        drop(spool);
        // Something else gets the number meanwhile.
        let (mut memory, mut spool) = open();
        spool.push(DeviceTopic::Report, STAMP, |_, _| b"other".to_vec());
        drop(spool);
        assert_eq!(*open().0.get(), 2);
        spool = open().1;
        spool.push(DeviceTopic::Report, STAMP, |_, _| b"other".to_vec());
        memory.push(&mut spool, DeviceTopic::Log, STAMP, 4, |_, _| b"news".to_vec());
        drop(spool);
        assert_eq!(*open().0.get(), 4);
        fs::write(&path, "{").unwrap();
        assert_eq!(*open().0.get(), 0);
    }

    #[test]
    fn without_a_folder_it_remembers_while_it_runs() {
        let mut spool = Spool::in_memory(SpoolLimits::default());
        let mut memory = Memory::<u32>::open(None, &spool);
        memory.push(&mut spool, DeviceTopic::Log, STAMP, 4, |_, _| b"news".to_vec());
        assert_eq!((*memory.get(), spool.len()), (4, 1));
    }
}
