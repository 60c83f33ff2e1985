//! What was measured and is not yet stored by the server.
//!
//! A sample is pushed once, gets the next `seq`, is on the disk before anybody sees it, and stays until the server's
//! PUBACK says that it is stored; nothing else frees it. After a lost connection [`Spool::rewind`] makes everything unsent
//! again, so a sample may be sent twice and is never lost; the server tells doubles by (device, spool, seq).
//!
//! The spool is bounded by bytes and days. When it is full the oldest samples are dropped and counted, and the count
//! travels in every report.
//!
//! **A number is never given twice in one spool**, or the server would take the second sample for the first. So whenever
//! it is not certain which numbers were given (a damaged file, a power cut, a disk that cannot be written and then can) the
//! spool goes on under a new id.
//!
//! A disk that is full or read-only costs only durability: samples then wait in memory, fewer of them, and the reports
//! say so. The disk is tried again with every sample.

mod segments;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use protocol::{DeviceTopic, SpoolId, limits, pack};
use tracing::{info, warn};

use crate::clock::Stamp;
use segments::{Found, Head, Place, Record, Sample, Segments};

/// Acknowledgements that wait to be written before they are written without a sample.
const ACKNOWLEDGED_PENDING: usize = 256;

/// How much a spool keeps before it drops the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// At most so many bytes of files.
    pub bytes: u64,
    /// Nothing older than so many days.
    pub days: u32,
    /// At most so many bytes of payload in memory, while the disk cannot be used.
    pub memory_bytes: usize,
    /// A file is closed when it has become so long. The oldest are dropped a file at a time.
    pub segment_bytes: u64,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self { bytes: 32 * 1024 * 1024, days: 7, memory_bytes: 2 * 1024 * 1024, segment_bytes: 256 * 1024 }
    }
}

/// One sample in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number.
    pub seq: u64,
    /// On which topic it goes.
    pub what: DeviceTopic,
    /// When it was pushed.
    pub stamp: Stamp,
    /// Its payload, packed, which holds the spool's id and `seq`.
    pub payload: Vec<u8>,
}

/// The queue between collectors and link.
#[derive(Debug)]
pub struct Spool {
    /// The spool that the next sample belongs to.
    id: SpoolId,
    limits: SpoolLimits,
    next_seq: u64,
    /// Growing by `seq`, with holes where a newer sample was acknowledged before an older one.
    entries: VecDeque<Entry>,
    memory_bytes: usize,
    dropped: u64,
    /// As many of them are noted on the disk.
    dropped_noted: u64,
    disk: Disk,
    /// Acknowledged, and not yet noted on the disk.
    acknowledged: Vec<u64>,
    /// Spools of earlier runs, each with the number after its last.
    earlier: BTreeMap<SpoolId, u64>,
}

#[derive(Debug)]
struct Entry {
    seq: u64,
    sent: bool,
    at: At,
}

#[derive(Debug)]
enum At {
    Disk(Place),
    Memory(Box<Item>),
}

#[derive(Debug)]
enum Disk {
    /// There is no folder.
    None,
    Good(Segments),
    /// It could not be read or written when last tried.
    Bad {
        dir: PathBuf,
        segments: Option<Segments>,
        problem: String,
    },
}

impl Spool {
    /// A spool in memory only.
    pub fn in_memory(limits: SpoolLimits) -> Self {
        Self::with(limits, Disk::None, SpoolId::generate())
    }

    /// The spool of a folder, with what waits there. Whatever is wrong with the folder costs what is damaged, and is said.
    /// `boot` tells boots of the host apart: after another one the newest may be lost without a trace, because some disks
    /// promise more than they keep when the power is cut.
    pub fn open(dir: &Path, limits: SpoolLimits, boot: u64) -> Self {
        let (segments, found) = match Segments::open(dir, limits.segment_bytes) {
            Ok(opened) => opened,
            Err(error) => {
                let problem = describe(dir, &error);
                warn!("{problem}; going on in memory");
                let disk = Disk::Bad { dir: dir.to_owned(), segments: None, problem };
                let mut spool = Self::with(limits, disk, SpoolId::generate());
                // Far above those that wait in the folder, for the day it can be read again.
                spool.next_seq = (1 << 48) | (u64::from(random()) << 16);
                return spool;
            }
        };
        let whole = found.damaged == 0;
        let certain = whole && found.newest.is_some_and(|newest| newest.boot == boot && boot != 0);
        let id = found.id.filter(|_| certain).unwrap_or_else(SpoolId::generate);
        let mut spool = Self::with(limits, Disk::Good(segments), id);
        if !whole {
            warn!(
                dir = %dir.display(), places = found.damaged,
                "the spool is damaged; what can be read of it is kept",
            );
        }
        spool.take_over(found);
        if !spool.entries.is_empty() {
            info!(waiting = spool.entries.len(), "the spool holds reports of an earlier run");
        }
        spool.sweep();
        spool
    }

    /// Adds what was found in the folder.
    fn take_over(&mut self, found: Found) {
        self.dropped = self.dropped.max(found.dropped);
        self.dropped_noted = found.dropped;
        self.next_seq = self.next_seq.max(found.next_seq);
        self.earlier = found.given;
        let mut acknowledged = Vec::new();
        for record in found.records {
            let last = match record {
                Record::Sample { seq, place } => {
                    self.entries.push_back(Entry { seq, sent: false, at: At::Disk(place) });
                    seq
                }
                Record::Acknowledged(from, to) => {
                    acknowledged.push((from, to));
                    to
                }
            };
            self.next_seq = self.next_seq.max(last.saturating_add(1));
        }
        self.entries.make_contiguous().sort_by_key(|entry| entry.seq);
        acknowledged.sort_unstable();
        let mut ranges = acknowledged.into_iter().peekable();
        let mut reached = 0u64;
        self.entries.retain(|entry| {
            while let Some((_, to)) = ranges.next_if(|(from, _)| *from <= entry.seq) {
                reached = reached.max(to.saturating_add(1));
            }
            entry.seq >= reached
        });
    }

    fn with(limits: SpoolLimits, disk: Disk, id: SpoolId) -> Self {
        Self {
            id,
            limits,
            next_seq: 1,
            entries: VecDeque::new(),
            memory_bytes: 0,
            dropped: 0,
            dropped_noted: 0,
            disk,
            acknowledged: Vec::new(),
            earlier: BTreeMap::new(),
        }
    }

    /// Adds a sample taken at `stamp`, whose payload `encode` makes from the spool's id and the sample's number. Returns the
    /// number. When it returns, the sample is on the disk, if that can be written.
    ///
    /// A payload above the protocol's limit is counted as dropped at once: no server would take it.
    pub fn push(&mut self, what: DeviceTopic, stamp: Stamp, encode: impl Fn(SpoolId, u64) -> Vec<u8>) -> u64 {
        self.write_acknowledged();
        let seq = self.next_seq;
        self.next_seq += 1;
        let payload = encode(self.id, seq);
        if payload.len() > limits::MAX_PAYLOAD_BYTES {
            self.dropped += 1;
            return seq;
        }
        let sample = Sample { seq, what, stamp, payload: pack(payload) };
        let at = match self.write(sample, &encode) {
            Ok(place) => At::Disk(place),
            Err(sample) => {
                self.memory_bytes += sample.payload.len();
                At::Memory(Box::new(Item { seq, what, stamp, payload: sample.payload }))
            }
        };
        self.entries.push_back(Entry { seq, sent: false, at });
        self.keep_within_limits();
        self.note_dropped();
        seq
    }

    /// Writes a sample to the disk, or hands it back encoded for a spool that is only in memory.
    fn write(
        &mut self,
        mut sample: Sample,
        encode: &impl Fn(SpoolId, u64) -> Vec<u8>,
    ) -> Result<Place, Sample> {
        let disk = std::mem::replace(&mut self.disk, Disk::None);
        let was_bad = matches!(disk, Disk::Bad { .. });
        let (dir, opened) = match disk {
            Disk::None => return Err(sample),
            Disk::Good(segments) => (segments.dir().to_owned(), Ok(segments)),
            Disk::Bad { dir, segments: Some(segments), .. } => (dir, Ok(segments)),
            Disk::Bad { dir, segments: None, .. } => {
                let opened = Segments::open(&dir, self.limits.segment_bytes).map(|(segments, found)| {
                    self.take_over(found);
                    segments
                });
                (dir, opened)
            }
        };
        // What is on the disk and what is in memory are two spools: a crash must not make the one give the other's numbers
        // again. The one in memory keeps its name however often the disk is tried.
        let id = if was_bad { SpoolId::generate() } else { self.id };
        let in_memory = std::mem::take(&mut sample.payload);
        sample.payload = if was_bad { pack(encode(id, sample.seq)) } else { in_memory.clone() };
        let written = match opened {
            Ok(mut segments) => {
                match segments.append(Head { id, first: sample.seq, dropped: self.dropped }, &sample) {
                    Ok(place) => Ok((segments, place)),
                    Err(error) => Err((Some(segments), error)),
                }
            }
            Err(error) => Err((None, error)),
        };
        match written {
            Ok((segments, place)) => {
                if was_bad {
                    info!(dir = %dir.display(), "the spool can be written again");
                }
                self.id = id;
                self.disk = Disk::Good(segments);
                Ok(place)
            }
            Err((segments, error)) => {
                let problem = describe(&dir, &error);
                sample.payload = in_memory;
                if !was_bad {
                    warn!("{problem}; going on in memory");
                    // The number may be on the disk after all.
                    self.id = SpoolId::generate();
                    sample.payload = pack(encode(self.id, sample.seq));
                }
                self.disk = Disk::Bad { dir, segments, problem };
                Err(sample)
            }
        }
    }

    /// Takes the oldest unsent sample whose number is in `range`; it counts as sent from now on. One that cannot be read any
    /// more is counted as dropped.
    pub fn next_unsent(&mut self, range: Range<u64>) -> Option<Item> {
        loop {
            let index = self.first_unsent(range.clone())?;
            let entry = self.entries.get_mut(index)?;
            entry.sent = true;
            let place = match &entry.at {
                At::Memory(item) => return Some(Item::clone(item)),
                At::Disk(place) => *place,
            };
            let seq = entry.seq;
            let read = match &mut self.disk {
                Disk::Good(segments) | Disk::Bad { segments: Some(segments), .. } => segments.read(place),
                _ => Err(io::ErrorKind::NotFound.into()),
            };
            match read {
                Ok(Sample { seq, what, stamp, payload }) => return Some(Item { seq, what, stamp, payload }),
                Err(error) => {
                    warn!(report.seq = seq, %error, "a report cannot be read from the spool; dropping it");
                    self.give_up(seq);
                }
            }
        }
    }

    /// Whether there is an unsent sample whose number is in `range`.
    pub fn has_unsent(&self, range: Range<u64>) -> bool {
        self.first_unsent(range).is_some()
    }

    /// Frees a sample that the server has stored. Doing so twice does no harm.
    pub fn acknowledge(&mut self, seq: u64) {
        if self.free(seq) && self.acknowledged.len() >= ACKNOWLEDGED_PENDING {
            self.write_acknowledged();
        }
    }

    /// Gives up a sample that can never be sent, and counts it.
    pub fn give_up(&mut self, seq: u64) {
        if self.free(seq) {
            self.dropped += 1;
        }
    }

    /// Makes every sample unsent again: the connection on which it was sent is gone.
    pub fn rewind(&mut self) {
        for entry in &mut self.entries {
            entry.sent = false;
        }
    }

    /// Drops what is older than the limit at `now`. Not for a clock that has just been set: what is old by a wrong clock is
    /// not old.
    pub fn expire(&mut self, now: &Stamp) {
        let limit = i64::from(self.limits.days) * 24 * 60 * 60 * 1000;
        while let Disk::Good(segments) = &self.disk
            && let Some((number, Some(newest))) = segments.oldest()
            && newest.age_ms(now) > limit
        {
            self.drop_segment(number);
        }
    }

    /// Writes down what was acknowledged, so that it is not sent again after a restart.
    pub fn close(&mut self) {
        self.write_acknowledged();
        self.note_dropped();
    }

    /// The spool that the next sample will belong to.
    pub fn id(&self) -> SpoolId {
        self.id
    }

    /// Whether a number of a spool has been given to a sample.
    pub fn has_given(&self, id: SpoolId, seq: u64) -> bool {
        let next = if self.id == id { Some(&self.next_seq) } else { self.earlier.get(&id) };
        next.is_some_and(|next| seq < *next)
    }

    /// The number that the next sample will get.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// How many samples wait for the server's word.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many samples were dropped since the spool was made.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Why samples wait in memory only, if they do although there is a folder.
    pub fn problem(&self) -> Option<&str> {
        match &self.disk {
            Disk::Bad { problem, .. } => Some(problem),
            _ => None,
        }
    }

    fn first_unsent(&self, range: Range<u64>) -> Option<usize> {
        let first = self.entries.partition_point(|entry| entry.seq < range.start);
        let mut rest = self.entries.iter().enumerate().skip(first).take_while(|(_, e)| e.seq < range.end);
        rest.find(|(_, entry)| !entry.sent).map(|(index, _)| index)
    }

    fn free(&mut self, seq: u64) -> bool {
        let Ok(index) = self.entries.binary_search_by_key(&seq, |entry| entry.seq) else {
            return false;
        };
        match self.entries.remove(index).map(|entry| entry.at) {
            Some(At::Memory(item)) => self.memory_bytes -= item.payload.len(),
            Some(At::Disk(_)) => self.acknowledged.push(seq),
            None => {}
        }
        true
    }

    fn note_dropped(&mut self) {
        let head = self.head();
        if let Disk::Good(segments) = &mut self.disk
            && self.dropped != self.dropped_noted
            && segments.note_dropped(head).is_ok()
        {
            self.dropped_noted = self.dropped;
        }
    }

    fn head(&self) -> Head {
        Head { id: self.id, first: self.next_seq, dropped: self.dropped }
    }

    fn write_acknowledged(&mut self) {
        let head = self.head();
        if let Disk::Good(segments) = &mut self.disk {
            let mut numbers = std::mem::take(&mut self.acknowledged);
            numbers.sort_unstable();
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for number in numbers {
                match ranges.last_mut() {
                    Some((_, to)) if *to + 1 == number => *to = number,
                    _ => ranges.push((number, number)),
                }
            }
            // A disk that does not take it will be met by the next sample. Without the note it is sent again.
            segments.note_acknowledged(head, &ranges).ok();
        }
        self.sweep();
    }

    /// Removes the oldest files in which nothing waits.
    fn sweep(&mut self) {
        let first = self.entries.iter().find_map(|entry| match &entry.at {
            At::Disk(place) => Some(place.segment),
            At::Memory(_) => None,
        });
        if let Disk::Good(segments) = &mut self.disk {
            while let Some((number, _)) = segments.oldest()
                && first.is_none_or(|first| number < first)
            {
                segments.remove(number);
            }
        }
    }

    fn keep_within_limits(&mut self) {
        while let Disk::Good(segments) = &self.disk
            && segments.bytes() > self.limits.bytes
            && let Some((number, _)) = segments.oldest()
        {
            self.drop_segment(number);
        }
        while self.memory_bytes > self.limits.memory_bytes {
            let oldest = self.entries.iter().position(|entry| matches!(entry.at, At::Memory(_)));
            let Some(Entry { at: At::Memory(item), .. }) = oldest.and_then(|i| self.entries.remove(i)) else {
                break;
            };
            self.memory_bytes -= item.payload.len();
            self.dropped += 1;
        }
    }

    fn drop_segment(&mut self, number: u64) {
        let before = self.entries.len();
        self.entries.retain(|entry| !matches!(&entry.at, At::Disk(place) if place.segment == number));
        self.dropped += (before - self.entries.len()) as u64;
        if let Disk::Good(segments) = &mut self.disk {
            segments.remove(number);
        }
    }
}

fn random() -> u32 {
    getrandom::u32().expect("the operating system gives random numbers")
}

fn describe(dir: &Path, error: &io::Error) -> String {
    format!("the spool's folder {} cannot be used: {error}", dir.display())
}
