//! The spool's files: append-only segments of checked records.
//!
//! A segment begins with a header (magic, spool id, number of its first sample, how many samples were dropped before it,
//! check sum) and goes on with
//! records: a mark of two bytes, kind, length, CRC-32 and body. A record is a sample, or says which samples were
//! acknowledged. Whatever is damaged costs itself: reading goes on at the next mark that begins a whole record.
//!
//! A log and not a database, because a sample then costs one write of its own size and one sync, where SQLite writes
//! several pages twice; and because a torn file of records can be read around its tear.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use protocol::{DeviceTopic, SpoolId, Timestamp};

use crate::clock::Stamp;

const MAGIC: &[u8; 8] = b"OCWSPL1\n";
const HEADER_BYTES: usize = 8 + 12 + 8 + 8 + 4;
const MARK: [u8; 2] = [0xa7, 0x5c];
/// Mark, kind, length, check sum.
const FRAME_BYTES: usize = 2 + 1 + 4 + 4;
/// Number, topic, time stamp: before a sample's payload.
const SAMPLE_BYTES: usize = 8 + 1 + 8 + 8 + 8;
const SAMPLE: u8 = 1;
const ACKNOWLEDGED: u8 = 2;
const DROPPED: u8 = 3;
/// No record is longer: a payload and what stands before it.
const MAX_BODY_BYTES: usize = SAMPLE_BYTES + protocol::limits::MAX_PAYLOAD_BYTES;
const SUFFIX: &str = "seg";

/// Where a sample lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of the segment.
    pub(super) segment: u64,
    /// Where its record begins.
    offset: u32,
    /// Length of the record's body.
    len: u32,
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// A sample that waits, or waited.
    Sample { seq: u64, place: Place },
    /// Samples from the first to the last number were acknowledged.
    Acknowledged(u64, u64),
}

/// A sample as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) seq: u64,
    pub(super) what: DeviceTopic,
    pub(super) stamp: Stamp,
    pub(super) payload: Vec<u8>,
}

/// What a segment begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// The spool that its samples are of.
    pub(super) id: SpoolId,
    /// No sample in it has a smaller number.
    pub(super) first: u64,
    /// How many samples were dropped before.
    pub(super) dropped: u64,
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Records in the order in which they were written.
    pub(super) records: Vec<Record>,
    /// The id of the newest segment.
    pub(super) id: Option<SpoolId>,
    /// No number below this one is free.
    pub(super) next_seq: u64,
    /// The spools whose samples these are, each with the number after its last.
    pub(super) given: BTreeMap<SpoolId, u64>,
    /// How many samples had been dropped.
    pub(super) dropped: u64,
    /// When the newest sample was taken.
    pub(super) newest: Option<Stamp>,
    /// Places that could not be read.
    pub(super) damaged: usize,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    newest: Option<Stamp>,
}

/// The segments of one folder.
#[derive(Debug)]
pub(super) struct Segments {
    dir: PathBuf,
    segment_bytes: u64,
    files: VecDeque<Segment>,
    /// The last segment, open for writing; none after opening, so that nothing is appended to what may be torn.
    active: Option<File>,
    next_number: u64,
    /// The segment last read from.
    reader: Option<(u64, File)>,
}

impl Segments {
    /// Reads the folder, making it if needed.
    pub(super) fn open(dir: &Path, segment_bytes: u64) -> io::Result<(Self, Found)> {
        make(dir)?;
        let mut numbers: Vec<u64> =
            fs::read_dir(dir)?.filter_map(|entry| number(&entry.ok()?.path())).collect();
        numbers.sort_unstable();
        let mut found = Found::default();
        let mut files = VecDeque::new();
        for number in &numbers {
            let mut bytes = Vec::new();
            match File::open(path(dir, *number)).and_then(|mut file| file.read_to_end(&mut bytes)) {
                Ok(_) => {
                    let newest = read_segment(*number, &bytes, &mut found);
                    found.newest = newest.or(found.newest);
                    files.push_back(Segment { number: *number, bytes: bytes.len() as u64, newest });
                }
                Err(_) => {
                    found.damaged += 1;
                    files.push_back(Segment { number: *number, bytes: 0, newest: None });
                }
            }
        }
        let next_number = numbers.last().map_or(1, |last| last.saturating_add(1));
        let dir = dir.to_owned();
        Ok((Self { dir, segment_bytes, files, active: None, next_number, reader: None }, found))
    }

    /// Their folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends a sample and waits until it is on the disk. A failed write leaves at most a torn record behind, and the
    /// next one goes into a new segment.
    pub(super) fn append(&mut self, head: Head, sample: &Sample) -> io::Result<Place> {
        self.begin_if_needed(head)?;
        let mut body = Vec::with_capacity(SAMPLE_BYTES + sample.payload.len());
        body.extend(sample.seq.to_le_bytes());
        body.push(code(sample.what));
        body.extend(sample.stamp.wall.0.to_le_bytes());
        body.extend(sample.stamp.uptime_ms.to_le_bytes());
        body.extend(sample.stamp.boot.to_le_bytes());
        body.extend(&sample.payload);
        let place = self.write(SAMPLE, &body, true)?;
        if let Some(last) = self.files.back_mut() {
            last.newest = Some(sample.stamp);
        }
        Ok(place)
    }

    /// Notes that samples were acknowledged. Not waited for: if the note is lost they are sent again, which does no harm.
    pub(super) fn note_acknowledged(&mut self, head: Head, ranges: &[(u64, u64)]) -> io::Result<()> {
        if ranges.is_empty() {
            return Ok(());
        }
        self.begin_if_needed(head)?;
        let body: Vec<u8> =
            ranges.iter().flat_map(|(from, to)| [from.to_le_bytes(), to.to_le_bytes()]).flatten().collect();
        self.write(ACKNOWLEDGED, &body, false).map(|_| ())
    }

    /// Notes how many samples have been dropped so far.
    pub(super) fn note_dropped(&mut self, head: Head) -> io::Result<()> {
        self.begin_if_needed(head)?;
        self.write(DROPPED, &head.dropped.to_le_bytes(), false).map(|_| ())
    }

    /// Reads a sample again.
    pub(super) fn read(&mut self, place: Place) -> io::Result<Sample> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the record is damaged");
        let mut file = match self.reader.take() {
            Some((number, file)) if number == place.segment => file,
            _ => File::open(path(&self.dir, place.segment))?,
        };
        file.seek(SeekFrom::Start(u64::from(place.offset)))?;
        let mut bytes = vec![0; FRAME_BYTES + place.len as usize];
        file.read_exact(&mut bytes)?;
        self.reader = Some((place.segment, file));
        let (kind, body, _) = frame(&bytes).ok_or_else(damaged)?;
        if kind != SAMPLE {
            return Err(damaged());
        }
        sample(body).ok_or_else(damaged)
    }

    /// Removes a segment.
    pub(super) fn remove(&mut self, number: u64) {
        self.reader.take_if(|(reading, _)| *reading == number);
        self.files.retain(|segment| segment.number != number);
        // One that stays behind is read again at the next start; the server knows what it holds.
        fs::remove_file(path(&self.dir, number)).ok();
    }

    /// The oldest segment, unless it is the only one: the newest stays, because it knows which numbers were given.
    pub(super) fn oldest(&self) -> Option<(u64, Option<Stamp>)> {
        let oldest = self.files.front().filter(|_| self.files.len() > 1)?;
        Some((oldest.number, oldest.newest))
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|segment| segment.bytes).sum()
    }

    fn begin_if_needed(&mut self, Head { id, first, dropped }: Head) -> io::Result<()> {
        if self.active.is_some() && self.files.back().is_some_and(|last| last.bytes < self.segment_bytes) {
            return Ok(());
        }
        self.active = None;
        let number = self.next_number;
        self.next_number += 1;
        let path = path(&self.dir, number);
        let mut file = create(&path)?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend(MAGIC);
        header.extend(id.as_str().as_bytes());
        header.extend(first.to_le_bytes());
        header.extend(dropped.to_le_bytes());
        header.extend(crc32fast::hash(&header).to_le_bytes());
        if let Err(error) = file.write_all(&header) {
            // A full disk would be left with an empty file for each attempt.
            fs::remove_file(&path).ok();
            return Err(error);
        }
        self.files.push_back(Segment { number, bytes: header.len() as u64, newest: None });
        sync_folder(&self.dir);
        self.active = Some(file);
        Ok(())
    }

    fn write(&mut self, kind: u8, body: &[u8], sync: bool) -> io::Result<Place> {
        let (Some(file), Some(segment)) = (&mut self.active, self.files.back_mut()) else {
            return Err(io::Error::other("no segment is open"));
        };
        let place = Place {
            segment: segment.number,
            offset: u32::try_from(segment.bytes).map_err(io::Error::other)?,
            len: u32::try_from(body.len()).map_err(io::Error::other)?,
        };
        let mut record = Vec::with_capacity(FRAME_BYTES + body.len());
        record.extend(MARK);
        record.push(kind);
        record.extend(place.len.to_le_bytes());
        record.extend(check_sum(kind, body).to_le_bytes());
        record.extend(body);
        let written = file.write_all(&record).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => segment.bytes += record.len() as u64,
            // How much of it arrived is not known.
            Err(error) => {
                self.active = None;
                segment.bytes =
                    fs::metadata(path(&self.dir, place.segment)).map_or(segment.bytes, |m| m.len());
                return Err(error);
            }
        }
        Ok(place)
    }
}

/// Reads a segment into `found` and returns when its newest sample was taken.
fn read_segment(number: u64, bytes: &[u8], found: &mut Found) -> Option<Stamp> {
    let mut newest = None;
    let mut own = None;
    let mut offset = match header(bytes) {
        Some(Head { id, first, dropped }) => {
            own = Some(id);
            found.id = Some(id);
            found.given.entry(id).or_insert(first);
            found.next_seq = found.next_seq.max(first);
            found.dropped = found.dropped.max(dropped);
            HEADER_BYTES
        }
        None => {
            found.damaged += 1;
            // Which spool its samples are of stands in them; only new ones must not continue their numbers.
            0
        }
    };
    let mut lost = offset == 0;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let Some((kind, body, len)) = frame(rest) else {
            found.damaged += usize::from(!lost);
            lost = true;
            // To the next mark, if there is one.
            let next = rest.windows(MARK.len()).skip(1).position(|window| window == MARK);
            offset += next.map_or(rest.len(), |next| next + 1);
            continue;
        };
        lost = false;
        match kind {
            SAMPLE => match (sample(body), u32::try_from(offset), u32::try_from(body.len())) {
                (Some(sample), Ok(offset), Ok(len)) => {
                    newest = Some(sample.stamp);
                    if let Some(id) = own {
                        found.given.insert(id, sample.seq.saturating_add(1));
                    }
                    let place = Place { segment: number, offset, len };
                    found.records.push(Record::Sample { seq: sample.seq, place });
                }
                _ => found.damaged += 1,
            },
            ACKNOWLEDGED => {
                let words: Vec<u64> = body.chunks_exact(8).filter_map(word).collect();
                for range in words.chunks_exact(2) {
                    if let [from, to] = range {
                        found.records.push(Record::Acknowledged(*from, *to));
                    }
                }
            }
            DROPPED => found.dropped = found.dropped.max(word(body).unwrap_or(0)),
            // Of a later version, which knew what it did.
            _ => {}
        }
        offset += len;
    }
    newest
}

fn header(bytes: &[u8]) -> Option<Head> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (id, rest) = rest.split_first_chunk::<12>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (dropped, rest) = rest.split_first_chunk::<8>()?;
    let sum = rest.first_chunk::<4>()?;
    let whole = crc32fast::hash(bytes.get(..HEADER_BYTES - 4)?) == u32::from_le_bytes(*sum);
    let id = SpoolId::parse(std::str::from_utf8(id).ok()?).ok()?;
    let (first, dropped) = (u64::from_le_bytes(*first), u64::from_le_bytes(*dropped));
    (magic == MAGIC && whole).then_some(Head { id, first, dropped })
}

/// The record at the beginning of `bytes`: its kind, its body and its whole length.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (mark, rest) = bytes.split_first_chunk::<2>()?;
    let (kind, rest) = rest.split_first()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    let body = rest.get(..len).filter(|_| *mark == MARK && len <= MAX_BODY_BYTES)?;
    (check_sum(*kind, body) == u32::from_le_bytes(*sum)).then_some((*kind, body, FRAME_BYTES + len))
}

fn check_sum(kind: u8, body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[kind]);
    sum.update(body);
    sum.finalize()
}

fn sample(body: &[u8]) -> Option<Sample> {
    let (seq, rest) = body.split_first_chunk::<8>()?;
    let (what, rest) = rest.split_first()?;
    let (wall, rest) = rest.split_first_chunk::<8>()?;
    let (uptime, rest) = rest.split_first_chunk::<8>()?;
    let (boot, payload) = rest.split_first_chunk::<8>()?;
    Some(Sample {
        seq: u64::from_le_bytes(*seq),
        what: *DeviceTopic::ALL.iter().find(|topic| code(**topic) == *what)?,
        stamp: Stamp {
            wall: Timestamp(i64::from_le_bytes(*wall)),
            uptime_ms: u64::from_le_bytes(*uptime),
            boot: u64::from_le_bytes(*boot),
        },
        payload: payload.to_vec(),
    })
}

fn word(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// How a topic is written in a record. Never changed.
fn code(what: DeviceTopic) -> u8 {
    match what {
        DeviceTopic::Presence => 0,
        DeviceTopic::Status => 1,
        DeviceTopic::Report => 2,
        DeviceTopic::Usage => 3,
        DeviceTopic::Log => 4,
        DeviceTopic::Event => 5,
        DeviceTopic::Audit => 6,
        DeviceTopic::Alert => 7,
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.{SUFFIX}"))
}

fn number(path: &Path) -> Option<u64> {
    let name = path.file_stem()?.to_str()?;
    let number =
        (path.extension()? == SUFFIX && name.len() == 16).then(|| u64::from_str_radix(name, 16).ok())?;
    number.filter(|number| *number < u64::MAX / 2)
}

fn make(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A new file's name must survive a power cut as its content does.
fn sync_folder(dir: &Path) {
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).ok();
    }
}
