//! Traffic of the real interfaces, in bytes per second.
//!
//! Real are the interfaces through which bytes enter and leave the machine. Bridges, container pairs and bonds carry
//! the same bytes a second time, and so do tunnels (`tun`, `wg`, `tailscale`): what goes into one leaves again,
//! encrypted, through a real interface. All of them would be counted twice, so they are left out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::{Interface, Network, limits};
use sysinfo::Networks;

use super::{clip, tidy};

/// What an interface has counted since it came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counters {
    up: u64,
    down: u64,
}

/// Remembers the counters of the reading before.
#[derive(Default)]
pub(super) struct Meter {
    networks: Option<Networks>,
    before: Option<(Instant, HashMap<String, Counters>)>,
}

impl Meter {
    pub(super) fn read(&mut self) -> Network {
        match &mut self.networks {
            Some(networks) => networks.refresh(true),
            none => *none = Networks::new_with_refreshed_list().ok(),
        }
        let Some(networks) = &self.networks else {
            return Network::default();
        };
        // Monotonic, so that a clock that is set does not change a rate.
        let at = Instant::now();
        let now = real(networks.iter().map(|(name, data)| {
            let counters = Counters { up: data.total_transmitted(), down: data.total_received() };
            (name.to_string_lossy().into_owned(), counters)
        }));
        let network = match &self.before {
            Some((then, before)) => compare(before, &now, at.duration_since(*then)),
            None => Network::default(),
        };
        self.before = Some((at, now));
        network
    }
}

/// The real interfaces, or, where there is none (some containers), all that lead out of the machine.
fn real(all: impl Iterator<Item = (String, Counters)>) -> HashMap<String, Counters> {
    let all: HashMap<_, _> = all.filter(|(name, _)| !is_loopback(name)).collect();
    if all.keys().any(|name| is_real_interface(name)) {
        all.into_iter().filter(|(name, _)| is_real_interface(name)).collect()
    } else {
        all
    }
}

fn compare(
    before: &HashMap<String, Counters>,
    now: &HashMap<String, Counters>,
    elapsed: Duration,
) -> Network {
    let mut interfaces: Vec<_> = now
        .iter()
        .map(|(name, now)| {
            let before = before.get(name);
            Interface {
                name: clip(name),
                up_bytes_per_s: before.and_then(|before| rate(before.up, now.up, elapsed)),
                down_bytes_per_s: before.and_then(|before| rate(before.down, now.down, elapsed)),
            }
        })
        .collect();
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces.truncate(limits::MAX_LIST);
    Network {
        up_bytes_per_s: sum(interfaces.iter().map(|i| i.up_bytes_per_s)),
        down_bytes_per_s: sum(interfaces.iter().map(|i| i.down_bytes_per_s)),
        interfaces,
    }
}

/// Bytes per second between two counter values; `None` when the counter went backwards (it was reset, or wrapped).
fn rate(before: u64, now: u64, elapsed: Duration) -> Option<f64> {
    let seconds = elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate of 2^53 bytes per second is not met")]
    let bytes = now.checked_sub(before)? as f64;
    (seconds > 0.0).then(|| bytes / seconds).and_then(tidy)
}

/// The sum of those that are known; `None` when none is.
fn sum(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(|a, b| a + b).and_then(tidy)
}

fn is_loopback(name: &str) -> bool {
    matches!(name, "lo" | "lo0") || name.starts_with("Loopback")
}

/// Whether bytes enter and leave the machine here. See the top of this file.
fn is_real_interface(name: &str) -> bool {
    // Kinds that are followed by a number only.
    const NUMBERED: &[&str] = &[
        "br", "bond", "team", "dummy", "ifb", "vlan", "sit", "gre", "gretap", "erspan", "tunl", "ip6tnl",
        "tun", "tap", "wg", "utun", "ipsec", "gif", "stf", "awdl", "llw", "ap", "anpi", "bridge", "vmnet",
        "vboxnet", "vnet", "macvtap", "macvlan", "nlmon", "vmenet",
    ];
    // Kinds that are followed by anything.
    const PREFIXES: &[&str] = &[
        "veth",
        "docker",
        "br-",
        "virbr",
        "cni",
        "flannel",
        "cali",
        "cilium",
        "lxc",
        "lxdbr",
        "incusbr",
        "podman",
        "kube-",
        "nodelocaldns",
        "weave",
        "vxlan",
        "tailscale",
        "zt",
        "nordlynx",
        "vEthernet",
    ];
    // Windows lists each filter driver of an interface as an interface of its own, with the same counters.
    const WINDOWS_DOUBLES: &[&str] =
        &["-WFP ", "-QoS ", "LightWeight Filter", "Packet Scheduler", "-Native WiFi Filter"];
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_vlan = name.split_once('.').is_some_and(|(_, tag)| tag.bytes().all(|b| b.is_ascii_digit()));
    !(is_loopback(name)
        || is_vlan
        || NUMBERED.contains(&kind)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || WINDOWS_DOUBLES.iter().any(|part| name.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_interfaces_are_told_from_those_that_count_twice() {
        for name in [
            "eth0",
            "eno1",
            "enp3s0f1",
            "ens160",
            "enx00e04c680001",
            "wlan0",
            "wlp2s0",
            "wwan0",
            "usb0",
            "venet0",
            "en0",
            "Ethernet",
            "Ethernet 2",
            "Wi-Fi",
            "apcli0",
            "brlan",
            "end0",
        ] {
            assert!(is_real_interface(name), "{name}");
        }
        for name in [
            "lo",
            "lo0",
            "veth12ab",
            "docker0",
            "br-1234",
            "br0",
            "virbr0",
            "virbr0-nic",
            "cni0",
            "flannel.1",
            "tun0",
            "wg0",
            "tailscale0",
            "utun3",
            "bond0",
            "eth0.100",
            "dummy0",
            "ifb1",
            "awdl0",
            "bridge100",
            "cali1234",
            "lxcbr0",
            "Loopback Pseudo-Interface 1",
            "vEthernet (WSL)",
            "Ethernet-WFP Native MAC Layer LightWeight Filter-0000",
            "Ethernet-QoS Packet Scheduler-0000",
        ] {
            assert!(!is_real_interface(name), "{name}");
        }
    }

    #[test]
    fn where_nothing_is_real_all_but_the_loopback_counts() {
        let names = |list: &[&str]| {
            let all = list.iter().map(|name| ((*name).to_owned(), Counters { up: 0, down: 0 }));
            let mut names: Vec<_> = real(all).into_keys().collect();
            names.sort();
            names
        };
        assert_eq!(names(&["lo", "eth0", "docker0"]), ["eth0"]);
        assert_eq!(names(&["lo", "tun0", "wg0"]), ["tun0", "wg0"]);
        assert_eq!(names(&["lo"]), [""; 0]);
    }

    #[test]
    fn rates() {
        let check = |before, now, millis, expected| {
            assert_eq!(rate(before, now, Duration::from_millis(millis)), expected, "{before} {now} {millis}");
        };
        check(0, 1000, 1000, Some(1000.0));
        check(1000, 2000, 500, Some(2000.0));
        check(5, 5, 30_000, Some(0.0));
        check(1000, 999, 1000, None);
        check(u64::MAX, 10, 1000, None);
        check(0, 1, 0, None);
    }

    #[test]
    fn an_interface_that_is_new_or_was_reset_is_absent_from_the_sum() {
        let counters = |list: &[(&str, u64, u64)]| -> HashMap<_, _> {
            list.iter()
                .map(|(name, up, down)| ((*name).to_owned(), Counters { up: *up, down: *down }))
                .collect()
        };
        let before = counters(&[("eth0", 100, 1000), ("gone", 1, 1)]);
        let now = counters(&[("eth0", 300, 500), ("new", 9, 9)]);
        let network = compare(&before, &now, Duration::from_secs(2));
        assert_eq!((network.up_bytes_per_s, network.down_bytes_per_s), (Some(100.0), None));
        let seen: Vec<_> = network
            .interfaces
            .iter()
            .map(|i| (i.name.as_str(), i.up_bytes_per_s, i.down_bytes_per_s))
            .collect();
        assert_eq!(seen, [("eth0", Some(100.0), None), ("new", None, None)]);
    }
}
