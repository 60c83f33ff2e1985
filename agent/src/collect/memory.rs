//! Memory and swap.

use protocol::Memory;
use sysinfo::System;

pub(super) fn read(system: &mut System) -> Memory {
    system.refresh_memory();
    from_counts(
        [system.total_memory(), system.used_memory(), system.available_memory()],
        [system.total_swap(), system.used_swap()],
    )
}

/// A machine without memory does not exist: a total of 0 means that nothing could be read. Without swap it may be.
fn from_counts([total, used, available]: [u64; 3], [swap_total, swap_used]: [u64; 2]) -> Memory {
    let known = total > 0;
    let only_if_known = |value: u64| known.then_some(value);
    Memory {
        total_bytes: only_if_known(total),
        used_bytes: only_if_known(used.min(total)),
        available_bytes: only_if_known(available.min(total)),
        swap_total_bytes: only_if_known(swap_total),
        swap_used_bytes: only_if_known(swap_used.min(swap_total)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_is_absent() {
        assert_eq!(from_counts([0, 0, 0], [0, 0]), Memory::default());
        let read = from_counts([100, 60, 30], [0, 0]);
        assert_eq!(
            (read.used_bytes, read.available_bytes, read.swap_total_bytes),
            (Some(60), Some(30), Some(0))
        );
    }
}
