//! What the host is, and which boot of it this is.

use protocol::{BootId, Host};
use sysinfo::System;

use super::clip;

/// Facts that are told once per connection.
pub(crate) fn facts() -> Host {
    let known = |text: String| Some(clip(&text)).filter(|text| !text.is_empty());
    let cores = std::thread::available_parallelism().ok().and_then(|n| u32::try_from(n.get()).ok());
    Host {
        hostname: System::host_name().ok().and_then(known),
        os: System::name().ok().and_then(known),
        os_version: System::os_version().ok().and_then(known),
        kernel: System::kernel_version().ok().and_then(known),
        arch: known(System::cpu_arch()),
        cores,
    }
}

/// Seconds since the host booted.
pub(super) fn uptime() -> Option<u64> {
    System::uptime().ok().filter(|seconds| *seconds > 0)
}

/// Which boot of the host this is: the kernel's own word, or the time of the boot.
pub(crate) fn boot_id() -> Option<BootId> {
    let kernel = if cfg!(target_os = "linux") {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().as_deref().and_then(from_kernel)
    } else {
        None
    };
    kernel.or_else(|| System::boot_time().ok().and_then(from_boot_time))
}

fn from_kernel(text: &str) -> Option<BootId> {
    let text = text.trim();
    let fine = (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fine.then(|| BootId(text.to_owned()))
}

/// The boot time is worked out from the clock and moves by some seconds with every correction of it, so it is
/// rounded to five minutes. At the edge of two such spans a boot may look like two, which mislabels an outage and
/// loses nothing.
fn from_boot_time(seconds: u64) -> Option<BootId> {
    const SPAN: u64 = 300;
    (seconds > 0).then(|| BootId(format!("boot-{}", seconds.saturating_add(SPAN / 2) / SPAN * SPAN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_boot_keeps_its_id() {
        let check = |seconds, expected: Option<&str>| {
            assert_eq!(from_boot_time(seconds).map(|id| id.0).as_deref(), expected, "{seconds}");
        };
        check(1_700_000_100, Some("boot-1700000100"));
        check(1_700_000_095, Some("boot-1700000100"));
        check(1_700_000_105, Some("boot-1700000100"));
        check(1_700_000_400, Some("boot-1700000400"));
        check(0, None);
        assert_eq!(from_kernel("c0ffee00-1111\n"), Some(BootId("c0ffee00-1111".to_owned())));
        for bad in ["", "short", &"x".repeat(65), "with space in it"] {
            assert_eq!(from_kernel(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_host_has_a_name() {
        let facts = facts();
        assert!(facts.hostname.is_some() && facts.cores > Some(0) && facts.arch.is_some(), "{facts:?}");
    }
}
