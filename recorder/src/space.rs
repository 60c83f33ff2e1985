//! Room on the disk. The recorder stops before the disk is full: then there is room left for everything else, and SQLite
//! never has to find out in the middle of a transaction.

use std::path::PathBuf;

use store::free_bytes;

/// Recording goes on when a twentieth more than what is wanted is free: no back and forth at the edge.
const MARGIN: u64 = 20;

/// The file system that holds the database, and how much of it must stay free.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    folder: PathBuf,
    min_free_bytes: u64,
    low: bool,
}

impl Space {
    pub(crate) fn new(folder: PathBuf, min_free_bytes: u64) -> Self {
        Self { folder, min_free_bytes, low: false }
    }

    /// How many bytes are free, when that is too few.
    pub(crate) fn too_few(&mut self) -> Option<u64> {
        let free = free_bytes(&self.folder);
        self.low = free.is_some_and(|free| is_low(free, self.min_free_bytes, self.low));
        free.filter(|_| self.low)
    }
}

fn is_low(free: u64, min_free: u64, was_low: bool) -> bool {
    free < if was_low { min_free.saturating_add(min_free / MARGIN) } else { min_free }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_below_and_goes_on_a_little_above() {
        for (free, was_low, low) in [
            (1_000, false, false),
            (999, false, true),
            (1_000, true, true),
            (1_049, true, true),
            (1_050, true, false),
            (0, false, true),
        ] {
            assert_eq!(is_low(free, 1_000, was_low), low, "{free} {was_low}");
        }
        assert!(!is_low(0, 0, false) && !is_low(0, 0, true), "0: no limit");
        let space = Space::new(std::env::temp_dir(), u64::MAX).too_few();
        assert_eq!(space.is_some(), cfg!(unix));
    }
}
