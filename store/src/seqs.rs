//! Which numbers of a spool have been recorded, as ranges.

use std::fmt;

/// Ranges are merged as gaps fill, so a device that loses nothing has one. When a spool drops messages on the device
/// its gaps stay for ever; above this many ranges the oldest gap is closed (a message that late counts as recorded).
const MAX_RANGES: usize = 256;

/// A set of numbers. Inclusive, sorted, disjoint, not touching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seqs(Vec<(u64, u64)>);

impl Seqs {
    /// Adds a number. False when it was there.
    pub(crate) fn insert(&mut self, seq: u64) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < seq);
        if self.0.get(at).is_some_and(|(start, _)| *start <= seq) {
            return false;
        }
        let joins_before =
            at.checked_sub(1).filter(|i| self.0.get(*i).is_some_and(|(_, end)| end + 1 == seq));
        let joins_after = self.0.get(at).is_some_and(|(start, _)| seq.checked_add(1) == Some(*start));
        match (joins_before, joins_after) {
            (Some(before), true) => {
                let (_, end) = self.0.remove(at);
                if let Some(range) = self.0.get_mut(before) {
                    range.1 = end;
                }
            }
            (Some(before), false) => {
                if let Some(range) = self.0.get_mut(before) {
                    range.1 = seq;
                }
            }
            (None, true) => {
                if let Some(range) = self.0.get_mut(at) {
                    range.0 = seq;
                }
            }
            (None, false) => self.0.insert(at, (seq, seq)),
        }
        if self.0.len() > MAX_RANGES {
            let (_, end) = self.0.remove(1);
            if let Some(first) = self.0.first_mut() {
                first.1 = end;
            }
        }
        true
    }

    /// Reads what `Display` wrote. Anything else is an empty set: a duplicate row is the lesser evil.
    pub(crate) fn parse(text: &str) -> Self {
        let range = |part: &str| {
            let (start, end) = part.split_once('-').unwrap_or((part, part));
            Some((start.parse().ok()?, end.parse().ok()?))
        };
        Self(text.split(',').map(range).collect::<Option<_>>().unwrap_or_default())
    }
}

impl fmt::Display for Seqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (start, end)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if start == end { write!(f, "{start}")? } else { write!(f, "{start}-{end}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(seqs in prop::collection::vec(0u64..60, 0..120)) {
            let (mut set, mut model) = (Seqs::default(), BTreeSet::new());
            for seq in seqs {
                prop_assert_eq!(set.insert(seq), model.insert(seq));
                prop_assert_eq!(&Seqs::parse(&set.to_string()), &set);
            }
            let flat: Vec<u64> = set.0.iter().flat_map(|(start, end)| *start..=*end).collect();
            prop_assert_eq!(flat, model.into_iter().collect::<Vec<_>>());
            prop_assert!(set.0.windows(2).all(|w| w[0].1 + 1 < w[1].0));
        }
    }

    #[test]
    fn it_stays_small() {
        let mut set = Seqs::default();
        for seq in (0..10_000).step_by(2) {
            assert!(set.insert(seq));
        }
        assert_eq!(set.0.len(), MAX_RANGES);
        assert!(!set.insert(9_998));
        assert_eq!(Seqs::parse(""), Seqs::default());
    }
}
