//! What was measured and is not yet stored by the server.
//!
//! A sample is pushed once, gets the next `seq`, and stays until the server's PUBACK says that it is stored;
//! nothing else frees it. After a lost connection [`Spool::rewind`] makes everything unsent again, so a sample may
//! be sent twice and is never lost; the server tells doubles by (device, spool, seq).
//!
//! This spool is bounded and lives in memory. When it is full the oldest sample is dropped and counted, and the
//! count travels in every report.

use std::collections::VecDeque;
use std::ops::Range;

use protocol::{DeviceTopic, SpoolId, limits};

/// How much a spool keeps before it drops the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// At most this many samples.
    pub count: usize,
    /// At most this many bytes of payload.
    pub bytes: usize,
}

impl Default for SpoolLimits {
    /// A day of reports every 30 seconds, or what fits in 4 MiB.
    fn default() -> Self {
        Self { count: 2880, bytes: 4 * 1024 * 1024 }
    }
}

/// One sample in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number in this spool.
    pub seq: u64,
    /// On which topic it goes.
    pub what: DeviceTopic,
    /// Its payload, which holds the spool's id and `seq`.
    pub payload: Vec<u8>,
}

/// The queue between collectors and link.
#[derive(Debug)]
pub struct Spool {
    id: SpoolId,
    limits: SpoolLimits,
    next_seq: u64,
    /// Growing by `seq`, with holes where a newer sample was acknowledged before an older one.
    entries: VecDeque<Entry>,
    bytes: usize,
    dropped: u64,
}

#[derive(Debug)]
struct Entry {
    item: Item,
    sent: bool,
}

impl Spool {
    /// An empty spool.
    pub fn new(id: SpoolId, limits: SpoolLimits) -> Self {
        Self { id, limits, next_seq: 1, entries: VecDeque::new(), bytes: 0, dropped: 0 }
    }

    /// Adds a sample, whose payload `encode` makes from the spool's id and the sample's number. Returns the number.
    ///
    /// A payload above the protocol's limit is counted as dropped at once: no server would take it.
    pub fn push(&mut self, what: DeviceTopic, encode: impl FnOnce(SpoolId, u64) -> Vec<u8>) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        let payload = encode(self.id, seq);
        if payload.len() > limits::MAX_PAYLOAD_BYTES {
            self.dropped += 1;
            return seq;
        }
        self.bytes += payload.len();
        self.entries.push_back(Entry { item: Item { seq, what, payload }, sent: false });
        while self.entries.len() > self.limits.count || self.bytes > self.limits.bytes {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.item.payload.len();
            self.dropped += 1;
        }
        seq
    }

    /// Takes the oldest unsent sample whose number is in `range`; it counts as sent from now on.
    pub fn next_unsent(&mut self, range: Range<u64>) -> Option<Item> {
        let index = self.first_unsent(range)?;
        let entry = self.entries.get_mut(index)?;
        entry.sent = true;
        Some(entry.item.clone())
    }

    /// Whether there is an unsent sample whose number is in `range`.
    pub fn has_unsent(&self, range: Range<u64>) -> bool {
        self.first_unsent(range).is_some()
    }

    /// Frees a sample that the server has stored. Doing so twice does no harm.
    pub fn acknowledge(&mut self, seq: u64) {
        if let Some(entry) = self.position(seq).and_then(|index| self.entries.remove(index)) {
            self.bytes -= entry.item.payload.len();
        }
    }

    /// Gives up a sample that can never be sent, and counts it.
    pub fn give_up(&mut self, seq: u64) {
        if self.position(seq).is_some() {
            self.acknowledge(seq);
            self.dropped += 1;
        }
    }

    /// Makes every sample unsent again: the connection on which it was sent is gone.
    pub fn rewind(&mut self) {
        for entry in &mut self.entries {
            entry.sent = false;
        }
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

    fn first_unsent(&self, range: Range<u64>) -> Option<usize> {
        let first = self.entries.partition_point(|entry| entry.item.seq < range.start);
        let mut rest =
            self.entries.iter().enumerate().skip(first).take_while(|(_, e)| e.item.seq < range.end);
        rest.find(|(_, entry)| !entry.sent).map(|(index, _)| index)
    }

    fn position(&self, seq: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&seq, |entry| entry.item.seq).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(count: usize, bytes: usize) -> Spool {
        Spool::new(SpoolId::generate(), SpoolLimits { count, bytes })
    }

    fn push(spool: &mut Spool, len: usize) -> u64 {
        spool.push(DeviceTopic::Report, |_, _| vec![b'x'; len])
    }

    fn unsent(spool: &mut Spool) -> Vec<u64> {
        std::iter::from_fn(|| spool.next_unsent(0..u64::MAX)).map(|item| item.seq).collect()
    }

    #[test]
    fn samples_leave_in_order_and_stay_until_acknowledged() {
        let mut spool = spool(10, 1000);
        assert_eq!([push(&mut spool, 1), push(&mut spool, 1), push(&mut spool, 1)], [1, 2, 3]);
        assert_eq!(unsent(&mut spool), [1, 2, 3]);
        assert_eq!(unsent(&mut spool), [0; 0]);
        assert_eq!(spool.len(), 3, "sent is not stored");
        spool.acknowledge(2);
        spool.acknowledge(2);
        spool.rewind();
        assert_eq!(unsent(&mut spool), [1, 3]);
        spool.acknowledge(1);
        spool.acknowledge(3);
        assert!(spool.is_empty());
        assert_eq!((spool.bytes, spool.dropped(), push(&mut spool, 1)), (0, 0, 4));
    }

    #[test]
    fn the_present_can_go_before_the_backlog() {
        let mut spool = spool(10, 1000);
        for _ in 0..4 {
            push(&mut spool, 1);
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
    fn a_full_spool_drops_the_oldest_and_counts_it() {
        let mut by_count = spool(2, 1000);
        for _ in 0..5 {
            push(&mut by_count, 1);
        }
        assert_eq!((unsent(&mut by_count), by_count.dropped()), (vec![4, 5], 3));

        let mut by_bytes = spool(100, 10);
        for len in [4, 4, 4] {
            push(&mut by_bytes, len);
        }
        assert_eq!((unsent(&mut by_bytes), by_bytes.dropped(), by_bytes.bytes), (vec![2, 3], 1, 8));
        by_bytes.acknowledge(1);
        assert_eq!(by_bytes.len(), 2, "an acknowledgement for what was dropped meanwhile frees nothing");
    }

    #[test]
    fn what_can_never_be_sent_is_counted_and_does_not_stay() {
        let mut spool = spool(10, 10 * limits::MAX_PAYLOAD_BYTES);
        push(&mut spool, limits::MAX_PAYLOAD_BYTES + 1);
        push(&mut spool, limits::MAX_PAYLOAD_BYTES);
        assert_eq!((unsent(&mut spool), spool.dropped()), (vec![2], 1));
        spool.give_up(2);
        spool.give_up(2);
        assert_eq!((spool.len(), spool.dropped()), (0, 2));
    }
}
