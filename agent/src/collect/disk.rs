//! File systems that hold data: each once, and their sum.
//!
//! Left out: what lives in memory (`tmpfs`), what shows another file system again (`overlay`, bind mounts, `loop`
//! images, snaps) and what is another machine's (NFS, SMB): asking after a server that is gone can block for ever, and
//! its disk would be counted by every device that mounts it.

use std::collections::BTreeMap;

use protocol::{Disk, Volume, limits};

use super::clip;

/// A file system with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Measured {
    volume: Volume,
    available_bytes: u64,
    /// The pool whose free space it shares with others.
    pool: Option<String>,
}

/// The list and its sum.
fn summarise(mut measured: Vec<Measured>) -> Disk {
    measured.retain(|m| m.volume.total_bytes > 0);
    measured.sort_by(|a, b| a.volume.mount.cmp(&b.volume.mount));
    let mut pools: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let (mut used, mut total) = (0u64, 0u64);
    for m in &measured {
        let Volume { used_bytes, total_bytes, .. } = m.volume;
        if let Some(pool) = &m.pool {
            // Each member's size is its own use and all of the pool's free space, which must be added only once.
            let (pool_used, pool_available) = pools.entry(pool).or_default();
            *pool_used = pool_used.saturating_add(used_bytes);
            *pool_available = m.available_bytes.max(*pool_available);
        } else {
            used = used.saturating_add(used_bytes);
            total = total.saturating_add(total_bytes);
        }
    }
    for (pool_used, pool_available) in pools.into_values() {
        used = used.saturating_add(pool_used);
        total = total.saturating_add(pool_used).saturating_add(pool_available);
    }
    let known = !measured.is_empty();
    measured.truncate(limits::MAX_LIST);
    Disk {
        used_bytes: known.then_some(used),
        total_bytes: known.then_some(total),
        volumes: measured.into_iter().map(|m| m.volume).collect(),
    }
}

#[cfg(target_os = "linux")]
pub(super) fn read() -> Disk {
    let mountinfo = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mounts = linux::choose(linux::parse_mountinfo(&String::from_utf8_lossy(&mountinfo)));
    summarise(mounts.iter().filter_map(linux::measure).collect())
}

#[cfg(any(target_os = "linux", test))]
mod linux {
    use std::collections::BTreeMap;

    use super::{Measured, Volume, clip};

    /// One line of `/proc/self/mountinfo`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(super) struct Mount {
        /// The kernel's number of the file system, the same for all mounts of it.
        device: String,
        /// Which folder of the file system is mounted.
        root: String,
        point: String,
        fs: String,
        source: String,
    }

    pub(super) fn parse_mountinfo(text: &str) -> Vec<Mount> {
        text.lines().filter_map(parse_line).collect()
    }

    /// `36 35 98:0 /root /point options [tags] - fstype source options`.
    fn parse_line(line: &str) -> Option<Mount> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        let mut right = right.split(' ');
        Some(Mount {
            device: left.next()?.to_owned(),
            root: unescape(left.next()?),
            point: unescape(left.next()?),
            fs: right.next()?.to_owned(),
            source: unescape(right.next()?),
        })
    }

    /// The kernel writes space, tab, line end and backslash as `\` and three octal digits.
    fn unescape(text: &str) -> String {
        ["\\040", "\\011", "\\012", "\\134"]
            .into_iter()
            .zip([" ", "\t", "\n", "\\"])
            .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
    }

    /// Whether a file system holds data of this machine.
    pub(super) fn is_real_filesystem(fs: &str, source: &str) -> bool {
        // A list of the real ones: kernels keep inventing virtual ones.
        const REAL: &[&str] = &[
            "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "bcachefs", "f2fs", "jfs", "reiserfs", "nilfs2",
            "ubifs", "jffs2", "vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk", "hfs", "hfsplus", "apfs",
            "ufs",
        ];
        REAL.contains(&fs) && !source.starts_with("/dev/loop")
    }

    /// One mount for each real file system. Where there is none (a container), the root is taken as it is.
    pub(super) fn choose(mounts: Vec<Mount>) -> Vec<Mount> {
        // Files that a container runtime mounts from the host's disk over the container's own.
        const CONTAINER_FILES: &[&str] = &["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
        // A later mount on the same point hides the earlier.
        let visible: BTreeMap<String, Mount> = mounts.into_iter().map(|m| (m.point.clone(), m)).collect();
        let root = visible.get("/").cloned();
        let mut chosen: BTreeMap<String, Mount> = BTreeMap::new();
        for mount in visible.into_values() {
            if !is_real_filesystem(&mount.fs, &mount.source)
                || CONTAINER_FILES.contains(&mount.point.as_str())
            {
                continue;
            }
            // The whole file system before a part of it (a bind mount), then the mount nearest to the root.
            let rank = |m: &Mount| (m.root != "/", m.point.len());
            let kept = chosen.entry(mount.device.clone()).or_insert_with(|| mount.clone());
            if rank(&mount) < rank(kept) {
                *kept = mount;
            }
        }
        if chosen.is_empty() { root.into_iter().collect() } else { chosen.into_values().collect() }
    }

    /// The data sets of a ZFS pool are file systems of their own that share the pool's free space.
    fn pool(mount: &Mount) -> Option<String> {
        let name = mount.source.split('/').next().unwrap_or_default();
        (mount.fs == "zfs").then(|| format!("zfs:{name}"))
    }

    #[cfg(target_os = "linux")]
    pub(super) fn measure(mount: &Mount) -> Option<Measured> {
        let stat = rustix::fs::statvfs(mount.point.as_str()).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Some(measured(mount, bytes(stat.f_blocks), bytes(stat.f_bfree), bytes(stat.f_bavail)))
    }

    /// Used as `df` counts it: blocks kept for root are neither used nor available.
    fn measured(mount: &Mount, total: u64, free: u64, available: u64) -> Measured {
        Measured {
            pool: pool(mount),
            volume: Volume {
                mount: clip(&mount.point),
                fs: Some(clip(&mount.fs)),
                used_bytes: total.saturating_sub(free),
                total_bytes: total,
            },
            available_bytes: available,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// The mount points that are chosen from lines of (device, root, point, fs, source).
        fn points(mounts: &[(&str, &str, &str, &str, &str)]) -> Vec<String> {
            let lines: Vec<_> = mounts
                .iter()
                .map(|(device, root, point, fs, source)| {
                    format!("1 2 {device} {root} {point} rw - {fs} {source} rw")
                })
                .collect();
            let text = lines.join("\n");
            let mut points: Vec<_> = choose(parse_mountinfo(&text)).into_iter().map(|m| m.point).collect();
            points.sort();
            points
        }

        #[test]
        fn each_real_file_system_counts_once() {
            let check = |mounts: &[_], expected: &[&str]| assert_eq!(points(mounts), expected, "{mounts:?}");
            check(
                &[
                    ("0:21", "/", "/proc", "proc", "proc"),
                    ("0:6", "/", "/dev", "devtmpfs", "devtmpfs"),
                    ("0:23", "/", "/tmp", "tmpfs", "tmpfs"),
                    ("8:1", "/", "/", "ext4", "/dev/sda1"),
                    ("8:2", "/", "/home", "xfs", "/dev/sda2"),
                    ("8:3", "/", "/boot/efi", "vfat", "/dev/sda3"),
                    ("7:1", "/", "/snap/core/1", "squashfs", "/dev/loop1"),
                    ("7:2", "/", "/mnt/image", "ext4", "/dev/loop2"),
                    ("0:50", "/", "/var/lib/docker/overlay2/x/merged", "overlay", "overlay"),
                    ("0:51", "/", "/mnt/nas", "nfs4", "nas:/export"),
                    ("0:52", "/", "/mnt/smb", "cifs", "//nas/share"),
                ],
                &["/", "/boot/efi", "/home"],
            );
            check(
                &[
                    ("8:1", "/srv", "/a", "ext4", "/dev/sda1"),
                    ("8:1", "/", "/longer/path", "ext4", "/dev/sda1"),
                ],
                &["/longer/path"],
            );
            check(
                &[
                    ("0:30", "/@", "/", "btrfs", "/dev/sda2"),
                    ("0:30", "/@home", "/home", "btrfs", "/dev/sda2"),
                ],
                &["/"],
            );
            check(
                &[("0:40", "/", "/", "zfs", "rpool/ROOT"), ("0:41", "/", "/home", "zfs", "rpool/home")],
                &["/", "/home"],
            );
            check(
                &[("8:1", "/", "/mnt", "ext4", "/dev/sda1"), ("8:2", "/", "/mnt", "ext4", "/dev/sda2")],
                &["/mnt"],
            );
            check(&[("8:1", "/", "/with\\040space", "ext4", "/dev/sda1")], &["/with space"]);
        }

        #[test]
        fn in_a_container_the_root_counts() {
            let container = [
                ("0:60", "/", "/", "overlay", "overlay"),
                ("8:1", "/var/lib/docker/containers/x/hosts", "/etc/hosts", "ext4", "/dev/sda1"),
            ];
            assert_eq!(points(&container), ["/"]);
            assert_eq!(points(&[container[0], ("8:1", "/v/data", "/data", "ext4", "/dev/sda1")]), ["/data"]);
            assert_eq!(points(&[]), [""; 0]);
        }

        #[test]
        fn torn_lines_are_skipped() {
            assert_eq!(parse_mountinfo("\n1 2 8:1\n1 2 8:1 / / rw - \n1 2 8:1 / /x rw - ext4"), []);
        }

        #[test]
        fn used_is_what_df_says() {
            let mount = parse_line("1 2 0:40 / /tank rw - zfs tank/data rw").unwrap();
            let measured = measured(&mount, 1000, 300, 250);
            assert_eq!((measured.volume.used_bytes, measured.volume.total_bytes), (700, 1000));
            assert_eq!((measured.available_bytes, measured.pool.as_deref()), (250, Some("zfs:tank")));
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read() -> Disk {
    let Ok(disks) = sysinfo::Disks::new_with_refreshed_list() else {
        return Disk::default();
    };
    let measured = disks.iter().map(|disk| {
        let (total, available) = (disk.total_space(), disk.available_space());
        Measured {
            volume: Volume {
                mount: clip(&disk.mount_point().to_string_lossy()),
                fs: Some(clip(&disk.file_system().to_string_lossy())).filter(|fs| !fs.is_empty()),
                used_bytes: total.saturating_sub(available),
                total_bytes: total,
            },
            available_bytes: available,
            pool: None,
        }
    });
    summarise(elsewhere::choose(measured.collect()))
}

#[cfg(any(not(target_os = "linux"), test))]
mod elsewhere {
    use super::Measured;

    /// Without network drives, and with one volume for each APFS container: all volumes of a container report its
    /// size and its free space.
    pub(super) fn choose(mut measured: Vec<Measured>) -> Vec<Measured> {
        const NOT_OURS: &[&str] =
            &["nfs", "smbfs", "afpfs", "webdav", "autofs", "devfs", "tmpfs", "cifs", "nullfs", "fdescfs"];
        let fs = |m: &Measured| m.volume.fs.clone().unwrap_or_default().to_lowercase();
        measured.retain(|m| !NOT_OURS.contains(&fs(m).as_str()));
        measured.sort_by_key(|m| m.volume.mount.len());
        let mut chosen: Vec<Measured> = Vec::new();
        for m in measured {
            let same = |other: &Measured| {
                other.volume.mount == m.volume.mount
                    || (fs(&m) == "apfs"
                        && fs(other) == "apfs"
                        && other.volume.total_bytes == m.volume.total_bytes
                        && other.available_bytes == m.available_bytes)
            };
            if !chosen.iter().any(same) {
                chosen.push(m);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(mount: &str, fs: &str, used: u64, available: u64, pool: Option<&str>) -> Measured {
        Measured {
            volume: Volume {
                mount: mount.to_owned(),
                fs: Some(fs.to_owned()),
                used_bytes: used,
                total_bytes: used + available,
            },
            available_bytes: available,
            pool: pool.map(str::to_owned),
        }
    }

    #[test]
    fn a_shared_pools_free_space_is_counted_once() {
        let disk = summarise(vec![
            measured("/tank/b", "zfs", 30, 100, Some("zfs:tank")),
            measured("/tank", "zfs", 20, 100, Some("zfs:tank")),
            measured("/", "ext4", 5, 5, None),
            measured("/empty", "ext4", 0, 0, None),
        ]);
        assert_eq!((disk.used_bytes, disk.total_bytes), (Some(55), Some(160)));
        assert_eq!(
            disk.volumes.iter().map(|v| v.mount.as_str()).collect::<Vec<_>>(),
            ["/", "/tank", "/tank/b"]
        );
        assert_eq!(summarise(vec![]), Disk::default(), "no disk read is absent, not zero");
    }

    #[test]
    fn elsewhere_a_container_counts_once() {
        let chosen = elsewhere::choose(vec![
            measured("/System/Volumes/Data", "apfs", 70, 30, None),
            measured("/", "apfs", 70, 30, None),
            measured("/Volumes/USB", "exfat", 70, 30, None),
            measured("/Volumes/nas", "smbfs", 1, 1, None),
            measured("C:\\", "NTFS", 1, 1, None),
            measured("D:\\", "NTFS", 1, 1, None),
        ]);
        let mounts: Vec<_> = chosen.iter().map(|m| m.volume.mount.as_str()).collect();
        assert_eq!(mounts, ["/", "C:\\", "D:\\", "/Volumes/USB"]);
    }
}
