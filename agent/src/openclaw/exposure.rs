//! How much of this machine can be reached and read by others, seen with our own eyes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use protocol::{Finding, FindingSeverity, Listener};

use crate::openclaw::Home;

/// Listeners that are told.
const MAX_LISTENERS: usize = 200;

/// A socket that waits for others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Socket {
    protocol: &'static str,
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// What programs of this host listen on; empty where it cannot be known.
pub(crate) fn sockets() -> Vec<Socket> {
    let files = [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")];
    let mut sockets: Vec<Socket> = files
        .into_iter()
        .filter_map(|(file, protocol)| {
            Some((std::fs::read_to_string(format!("/proc/net/{file}")).ok()?, protocol))
        })
        .flat_map(|(text, protocol)| parse(&text, protocol))
        .collect();
    sockets.sort();
    sockets.dedup();
    sockets
}

/// Reads a table of sockets as Linux keeps it: those that listen, and of UDP those that are bound and not connected.
fn parse(text: &str, protocol: &'static str) -> Vec<Socket> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        let remote = fields.next()?;
        let state = fields.next()?;
        let inode = fields.nth(5)?.parse().ok()?;
        let waits = match protocol {
            "tcp" => state == "0A",
            _ => state == "07" && remote.ends_with(":0000"),
        };
        let (address, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        // A port that the system chose belongs to a client.
        let ephemeral = protocol == "udp" && port >= 32_768;
        (waits && !ephemeral).then_some(Socket { protocol, address: self::address(address)?, port, inode })
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// Reads an address: words of four bytes in the order of this machine, in hexadecimal.
fn address(hex: &str) -> Option<IpAddr> {
    let words: Vec<u32> = (0..hex.len() / 8)
        .map(|at| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [word] => Some(Ipv4Addr::from(word.to_ne_bytes()).into()),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (into, from) in
                bytes.iter_mut().zip([a, b, c, d].into_iter().flat_map(|word| word.to_ne_bytes()))
            {
                *into = from;
            }
            let address = Ipv6Addr::from(bytes);
            Some(address.to_ipv4_mapped().map_or(address.into(), IpAddr::from))
        }
        _ => None,
    }
}

/// The names of the programs that hold sockets, as far as we may know them.
fn holders(sockets: &[Socket]) -> BTreeMap<u64, String> {
    let wanted: BTreeSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let mut holders = BTreeMap::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in
        processes.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
    {
        let Ok(handles) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let inodes = handles.flatten().filter_map(|handle| {
            let target = std::fs::read_link(handle.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
        });
        for inode in inodes.filter(|inode| wanted.contains(inode)) {
            if let Ok(name) = std::fs::read_to_string(process.path().join("comm")) {
                holders.insert(inode, name.trim().to_owned());
            }
        }
    }
    holders
}

/// The sockets as they are told, each once.
pub(crate) fn listeners(sockets: &[Socket]) -> Vec<Listener> {
    let holders = holders(sockets);
    let mut listeners: Vec<Listener> = sockets
        .iter()
        .map(|socket| Listener {
            protocol: socket.protocol.to_owned(),
            address: socket.address.to_string(),
            port: socket.port,
            process: holders.get(&socket.inode).cloned(),
        })
        .collect();
    listeners.dedup();
    listeners.truncate(MAX_LISTENERS);
    listeners
}

/// What is not safe about a gateway that listens on `port`, and its folder.
pub(crate) fn findings(home: &Home, port: Option<u16>, sockets: &[Socket]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = &home.name;
    let open: Vec<String> = sockets
        .iter()
        .filter(|socket| {
            socket.protocol == "tcp" && Some(socket.port) == port && !socket.address.is_loopback()
        })
        .map(|socket| socket.address.to_string())
        .collect();
    if !open.is_empty() {
        findings.push(Finding {
            check: "exposure.gateway_not_on_loopback".to_owned(),
            severity: FindingSeverity::Warning,
            title: format!("The gateway {name} can be reached from other machines"),
            detail: Some(format!("It listens on {}, port {}.", open.join(", "), port.unwrap_or(0))),
            remediation: Some(
                "Set gateway.bind to loopback in openclaw.json and reach it through a tunnel, or let a firewall decide who may."
                    .to_owned(),
            ),
        });
    }
    let looks = [
        ("exposure.state_dir_open", home.state_dir.as_path(), "folder", 0o700),
        ("exposure.config_open", home.config_path.as_path(), "configuration, which holds its keys,", 0o600),
    ];
    findings.extend(
        looks
            .into_iter()
            .filter_map(|(check, path, what, right)| open_to_others(check, path, name, what, right)),
    );
    findings
}

#[cfg(unix)]
fn open_to_others(check: &str, path: &Path, gateway: &str, what: &str, right: u32) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let (severity, verb) = match mode {
        mode if mode & 0o022 != 0 => (FindingSeverity::Critical, "changed"),
        mode if mode & 0o044 != 0 => (FindingSeverity::Critical, "read"),
        mode if mode & 0o011 != 0 => (FindingSeverity::Info, "entered"),
        _ => return None,
    };
    Some(Finding {
        check: check.to_owned(),
        severity,
        title: format!("The {what} of {gateway} can be {verb} by other users of this machine"),
        detail: Some(format!("Its permissions are {mode:03o}.")),
        remediation: Some(format!("chmod {right:o} {}", path.file_name()?.to_string_lossy())),
    })
}

#[cfg(not(unix))]
fn open_to_others(_: &str, _: &Path, _: &str, _: &str, _: u32) -> Option<Finding> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21 1 0 100 0 0 10 0\n   \
        1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22 1 0 100 0 0 10 0\n   \
        2: 0100007F:4965 0100007F:B0C2 01 00000000:00000000 00:00000000 00000000     0        0 23 1 0 20 4 30 10 -1\n   \
        3: nonsense\n";
    const TCP6: &str = "  sl  local_address                         remote_address                        st tx\n   \
        0: 00000000000000000000000001000000:4965 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 24 1 0 100 0 0 10 0\n   \
        1: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 25 1 0 100 0 0 10 0\n";

    #[cfg(target_endian = "little")]
    #[test]
    fn tables_of_sockets_are_read() {
        let told = |text, protocol| -> Vec<String> {
            parse(text, protocol).iter().map(|s| format!("{} {} {}", s.address, s.port, s.inode)).collect()
        };
        assert_eq!(told(TCP, "tcp"), ["127.0.0.1 18789 21", "0.0.0.0 22 22"]);
        assert_eq!(told(TCP6, "tcp"), ["::1 18789 24", "127.0.0.1 80 25"]);
        assert_eq!(told("", "tcp"), [""; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_listener_is_seen_with_its_program() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = listeners(&sockets()).into_iter().find(|l| l.port == port).unwrap();
        assert_eq!((found.protocol.as_str(), found.address.as_str()), ("tcp", "127.0.0.1"));
        assert!(found.process.is_some());
    }

    #[cfg(unix)]
    #[test]
    fn open_doors_are_found() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let home = Home {
            name: "default".to_owned(),
            state_dir: dir.path().to_owned(),
            config_path: dir.path().join("openclaw.json"),
            user_home: dir.path().to_owned(),
        };
        std::fs::write(&home.config_path, "{}").unwrap();
        let set =
            |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        let socket = |address: &str| Socket {
            protocol: "tcp",
            address: address.parse().unwrap(),
            port: 18789,
            inode: 1,
        };
        let check = |dir_mode, file_mode, sockets: &[Socket], expected: &[&str]| {
            set(&home.state_dir, dir_mode);
            set(&home.config_path, file_mode);
            let found: Vec<String> =
                findings(&home, Some(18789), sockets).into_iter().map(|f| f.check).collect();
            assert_eq!(found, expected);
        };
        check(0o700, 0o600, &[socket("127.0.0.1"), socket("::1")], &[]);
        check(0o755, 0o644, &[], &["exposure.state_dir_open", "exposure.config_open"]);
        check(0o700, 0o600, &[socket("0.0.0.0")], &["exposure.gateway_not_on_loopback"]);
    }
}
