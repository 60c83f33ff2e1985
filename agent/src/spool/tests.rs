use super::*;
use proptest::prelude::*;
use protocol::{Timestamp, unpack};
use std::collections::BTreeMap;
use std::fs;

const SMALL: SpoolLimits = SpoolLimits { bytes: 1 << 20, days: 7, memory_bytes: 10_000, segment_bytes: 300 };

fn stamp(n: i64) -> Stamp {
    Stamp { wall: Timestamp(n), uptime_ms: u64::try_from(n).unwrap(), boot: 1 }
}

/// What a sample with this number says; longer than one could pack away.
fn text(id: SpoolId, seq: u64) -> Vec<u8> {
    let mut noise = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let tail: String = (0..20)
        .map(|_| {
            noise = noise.rotate_left(7).wrapping_mul(31);
            char::from(b'a' + u8::try_from(noise % 26).unwrap())
        })
        .collect();
    format!("{id} {seq} {tail}").into_bytes()
}

fn push(spool: &mut Spool) -> u64 {
    let at = i64::try_from(spool.next_seq()).unwrap_or(0) * 1000;
    spool.push(DeviceTopic::Report, stamp(at), text)
}

/// Everything that waits, by what it says.
fn waiting(spool: &mut Spool) -> Vec<u64> {
    spool.rewind();
    let mut seqs = Vec::new();
    while let Some(item) = spool.next_unsent(0..u64::MAX) {
        let says = String::from_utf8(unpack(&item.payload).unwrap().into_owned()).unwrap();
        let (id, rest) = says.split_once(' ').unwrap();
        assert_eq!(says.as_bytes(), text(SpoolId::parse(id).unwrap(), item.seq), "{rest}");
        seqs.push(item.seq);
    }
    seqs
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn samples_leave_in_order_and_stay_until_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    for mut spool in [Spool::in_memory(SMALL), Spool::open(dir.path(), SMALL, 1)] {
        assert_eq!([push(&mut spool), push(&mut spool), push(&mut spool)], [1, 2, 3]);
        assert_eq!(spool.next_unsent(0..u64::MAX).map(|i| i.seq), Some(1));
        assert_eq!(waiting(&mut spool), [1, 2, 3]);
        assert!(!spool.has_unsent(0..u64::MAX));
        assert_eq!(spool.len(), 3, "sent is not stored");
        spool.acknowledge(2);
        spool.acknowledge(2);
        assert_eq!(waiting(&mut spool), [1, 3]);
        spool.acknowledge(1);
        spool.acknowledge(3);
        assert!(spool.is_empty());
        assert_eq!((spool.memory_bytes, spool.dropped(), push(&mut spool)), (0, 0, 4));
    }
}

#[test]
fn the_present_can_go_before_the_backlog() {
    let mut spool = Spool::in_memory(SMALL);
    for _ in 0..4 {
        push(&mut spool);
    }
    assert_eq!(spool.next_unsent(4..u64::MAX).map(|i| i.seq), Some(4));
    assert_eq!(spool.next_unsent(4..u64::MAX), None);
    assert_eq!(spool.next_unsent(0..4).map(|i| i.seq), Some(1));
    spool.acknowledge(4);
    spool.acknowledge(1);
    assert_eq!(spool.next_unsent(0..4).map(|i| i.seq), Some(2));
    assert_eq!(spool.len(), 2);
}

#[test]
fn what_waits_is_there_after_a_restart_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), SMALL, 1);
    let id = spool.id;
    for _ in 0..20 {
        push(&mut spool);
    }
    for seq in [1, 2, 3, 7, 20] {
        spool.acknowledge(seq);
    }
    spool.close();
    let mut spool = Spool::open(dir.path(), SMALL, 1);
    assert_eq!((spool.id, spool.next_seq(), spool.len()), (id, 21, 15));
    assert_eq!(push(&mut spool), 21);
    assert_eq!(waiting(&mut spool), [&[4, 5, 6][..], &(8..20).collect::<Vec<_>>(), &[21]].concat());
    // Killed before it could note them: they come again, and the server knows them.
    for seq in 0..=21 {
        spool.acknowledge(seq);
    }
    drop(spool);
    let mut spool = Spool::open(dir.path(), SMALL, 1);
    assert_eq!((spool.next_seq(), spool.len()), (22, 16));
    for seq in 0..=21 {
        spool.acknowledge(seq);
    }
    push(&mut spool);
    spool.acknowledge(22);
    spool.close();
    assert!(files(dir.path()).len() <= 2, "files in which nothing waits are removed");
    let spool = Spool::open(dir.path(), SMALL, 1);
    assert_eq!((spool.id, spool.next_seq(), spool.is_empty()), (id, 23, true));
}

#[test]
fn a_full_spool_drops_the_oldest_and_counts_it() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { bytes: 1000, ..SMALL };
    let mut spool = Spool::open(dir.path(), limits, 1);
    for _ in 0..100 {
        push(&mut spool);
        let on_disk: u64 = files(dir.path()).iter().map(|f| f.metadata().unwrap().len()).sum();
        assert!(on_disk <= limits.bytes + limits.segment_bytes, "{on_disk}");
    }
    let (len, dropped) = (spool.len(), spool.dropped());
    assert!(len > 3 && len as u64 + dropped == 100, "{len} {dropped}");
    assert_eq!(waiting(&mut spool), (dropped + 1..=100).collect::<Vec<_>>());
    drop(spool);
    let spool = Spool::open(dir.path(), limits, 1);
    assert_eq!((spool.len(), spool.dropped()), (len, dropped));

    let mut memory = Spool::in_memory(SpoolLimits { memory_bytes: 200, ..SMALL });
    for _ in 0..10 {
        push(&mut memory);
    }
    assert!(memory.memory_bytes <= 200 && memory.len() as u64 + memory.dropped() == 10);
    assert_eq!(waiting(&mut memory).last(), Some(&10));
}

#[test]
fn what_is_too_old_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), SMALL, 1);
    for _ in 0..30 {
        push(&mut spool);
    }
    let days = |n: i64| stamp(30_000 + n * 24 * 3600 * 1000);
    spool.expire(&days(6));
    assert_eq!((spool.len(), spool.dropped()), (30, 0));
    // By a clock that jumped alone it is not old.
    spool.expire(&Stamp { wall: days(20).wall, ..stamp(30_000) });
    assert_eq!(spool.len(), 30);
    spool.expire(&days(8));
    // All but what is in the file that is being written.
    assert!(spool.len() < 8 && spool.len() as u64 + spool.dropped() == 30, "{}", spool.len());
}

#[test]
fn what_can_never_be_sent_is_counted_and_does_not_stay() {
    let mut spool = Spool::in_memory(SpoolLimits::default());
    let long = |len| move |_, _| vec![b'x'; len];
    spool.push(DeviceTopic::Log, stamp(1), long(limits::MAX_PAYLOAD_BYTES + 1));
    spool.push(DeviceTopic::Log, stamp(1), long(limits::MAX_PAYLOAD_BYTES));
    assert_eq!((spool.len(), spool.dropped()), (1, 1));
    spool.give_up(2);
    spool.give_up(2);
    assert_eq!((spool.len(), spool.dropped()), (0, 2));
}

/// A spool of three samples in one file, and that file.
fn three(dir: &Path) -> (SpoolId, PathBuf, Vec<u8>) {
    let mut spool = Spool::open(dir, SpoolLimits::default(), 1);
    for _ in 0..3 {
        push(&mut spool);
    }
    let id = spool.id;
    drop(spool);
    let file = files(dir).remove(0);
    let bytes = fs::read(&file).unwrap();
    (id, file, bytes)
}

#[test]
fn a_file_cut_at_any_byte_costs_what_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (id, file, bytes) = three(dir.path());
    let mut survivors = 0;
    for cut in (0..=bytes.len()).rev() {
        for file in files(dir.path()) {
            fs::remove_file(file).unwrap();
        }
        fs::write(&file, &bytes[..cut]).unwrap();
        let mut spool = Spool::open(dir.path(), SMALL, 1);
        let seqs = waiting(&mut spool);
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
        survivors += seqs.len();
        // Whoever cannot be sure which numbers were given does not give them again.
        let boundary = spool.id == id;
        push(&mut spool);
        assert!(spool.next_seq() > seqs.len() as u64 + 1);
        assert!(boundary || spool.id != id);
        assert_eq!(waiting(&mut spool).len(), seqs.len() + 1, "cut at {cut}");
    }
    assert!(survivors > bytes.len() / 2, "most cuts leave the first or the second: {survivors}");
}

#[test]
fn a_file_with_any_byte_changed_costs_one_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (id, file, bytes) = three(dir.path());
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            fs::write(&file, &damaged).unwrap();
            let mut spool = Spool::open(dir.path(), SMALL, 1);
            assert!(waiting(&mut spool).len() >= 2, "byte {at}");
            assert_ne!(spool.id, id, "byte {at}");
        }
    }
}

#[test]
fn rubbish_in_the_folder_never_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("0000000000000001.seg"), vec![0xa7; 5000]).unwrap();
    fs::write(dir.path().join("0000000000000002.seg"), b"").unwrap();
    fs::create_dir(dir.path().join("0000000000000003.seg")).unwrap();
    fs::write(dir.path().join("ffffffffffffffff.seg"), b"OCWSPL1\n").unwrap();
    fs::write(dir.path().join("other"), b"x").unwrap();
    let mut spool = Spool::open(dir.path(), SMALL, 1);
    assert!(spool.is_empty());
    push(&mut spool);
    assert_eq!(waiting(&mut spool).len(), 1);
}

#[test]
fn a_disk_that_cannot_be_used_costs_only_durability() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("spool");
    fs::write(&blocked, "not a folder").unwrap();
    let mut spool = Spool::open(&blocked, SMALL, 1);
    assert!(spool.problem().unwrap().contains("spool"));
    push(&mut spool);
    let in_memory = spool.id;
    let first = push(&mut spool);
    assert_eq!(spool.id, in_memory, "however often the disk is tried");
    assert!(spool.problem().is_some());
    fs::remove_file(&blocked).unwrap();
    let second = push(&mut spool);
    assert_eq!((spool.problem(), second), (None, first + 1));
    assert_ne!(spool.id, in_memory, "what is in memory and what is on the disk are two spools");
    assert_eq!(waiting(&mut spool), [first - 1, first, second]);
    drop(spool);
    assert_eq!(waiting(&mut Spool::open(&blocked, SMALL, 1)), [second]);
}

#[test]
fn a_disk_that_fails_and_comes_back_repeats_no_number_in_one_spool() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let mut spool = Spool::open(&path, SpoolLimits { segment_bytes: 1, ..SMALL }, 1);
    let mut given = BTreeMap::new();
    for round in 0..5 {
        if round % 2 == 1 {
            // Each sample begins a new file, which cannot be made now.
            fs::rename(&path, dir.path().join("away")).unwrap();
            fs::write(&path, "").unwrap();
        } else if round > 0 {
            fs::remove_file(&path).unwrap();
            fs::rename(dir.path().join("away"), &path).unwrap();
        }
        let seq = push(&mut spool);
        assert_eq!(spool.problem().is_some(), round % 2 == 1);
        given.insert(seq, spool.id);
    }
    assert_eq!(waiting(&mut spool), given.keys().copied().collect::<Vec<_>>());
    let on_disk: Vec<SpoolId> = [1, 3, 5].map(|seq| given[&seq]).into();
    assert!(!on_disk.contains(&given[&2]) && !on_disk.contains(&given[&4]));
    drop(spool);
    assert_eq!(waiting(&mut Spool::open(&path, SMALL, 1)), [1, 3, 5]);
}

/// What a spool promises, in the simplest form.
#[derive(Default)]
struct Model {
    /// By number: acknowledged or not.
    pushed: BTreeMap<u64, bool>,
    /// Acknowledged, perhaps not noted yet.
    unsure: Vec<u64>,
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    Send(u8),
    Acknowledge(u8),
    Rewind,
    /// Ends without a word and starts again.
    Crash,
    /// The same, with the end of the last file lost or overwritten.
    Tear(u8),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Push),
        6 => any::<u8>().prop_map(Step::Send),
        6 => any::<u8>().prop_map(Step::Acknowledge),
        1 => Just(Step::Rewind),
        2 => Just(Step::Crash),
        1 => any::<u8>().prop_map(Step::Tear),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_spool_keeps_its_promises(steps in proptest::collection::vec(step(), 1..120), bytes in 800u64..20_000) {
        let dir = tempfile::tempdir().unwrap();
        let limits = SpoolLimits { bytes, ..SMALL };
        let mut spool = Spool::open(dir.path(), limits, 1);
        let mut model = Model::default();
        let mut given = std::collections::HashSet::new();
        let (mut torn, mut boot) = (0, 1);
        for step in steps {
            match step {
                Step::Push => {
                    let at = Stamp { boot, ..stamp(i64::try_from(spool.next_seq()).unwrap_or(0)) };
                    let seq = spool.push(DeviceTopic::Report, at, text);
                    prop_assert!(given.insert((spool.id, seq)), "{seq} was given twice");
                    prop_assert!(model.pushed.insert(seq, false).is_none() || torn > 0);
                    model.unsure.clear();
                }
                Step::Send(n) => {
                    for _ in 0..n % 8 {
                        spool.next_unsent(0..u64::MAX);
                    }
                }
                Step::Acknowledge(n) => {
                    let waits: Vec<u64> = model.pushed.iter().filter(|(_, done)| !**done).map(|(s, _)| *s).collect();
                    if let Some(seq) = waits.get(usize::from(n) % waits.len().max(1)) {
                        spool.acknowledge(*seq);
                        model.pushed.insert(*seq, true);
                        model.unsure.push(*seq);
                    }
                }
                Step::Rewind => spool.rewind(),
                Step::Crash | Step::Close | Step::Tear(_) => {
                    if matches!(step, Step::Close) {
                        spool.close();
                        model.unsure.clear();
                    } else {
                        drop(spool);
                    }
                    if let (Step::Tear(n), Some(last)) = (&step, files(dir.path()).pop()) {
                        let mut bytes = fs::read(&last).unwrap();
                        let keep = bytes.len().saturating_sub(usize::from(*n));
                        bytes.truncate(keep);
                        if n % 2 == 1 {
                            bytes.resize(keep + usize::from(*n), 0x55);
                        }
                        fs::write(&last, bytes).unwrap();
                        // As a power cut does it.
                        torn += 1;
                        boot += 1;
                    }
                    spool = Spool::open(dir.path(), limits, boot);
                    for seq in model.unsure.drain(..) {
                        model.pushed.insert(seq, false);
                    }
                }
            }
            let waits = waiting(&mut spool);
            prop_assert_eq!(waits.len(), spool.len());
            let expected: Vec<u64> = model.pushed.iter().filter(|(_, done)| !**done).map(|(s, _)| *s).collect();
            if torn == 0 {
                // Whatever is missing was dropped from the front, or acknowledged before a crash and noted after all.
                let missing: Vec<u64> = expected.iter().filter(|s| !waits.contains(s)).copied().collect();
                prop_assert!(waits.iter().all(|seq| expected.contains(seq)), "{waits:?} {expected:?}");
                let dropped = missing.len() as u64;
                prop_assert!(dropped <= spool.dropped() + 64 && (dropped == 0 || spool.dropped() > 0 ), "{missing:?}");
                for seq in missing {
                    model.pushed.insert(seq, true);
                }
            } else {
                for (seq, done) in &mut model.pushed {
                    *done = !waits.contains(seq);
                }
            }
        }
    }
}
