//! The machines that are simulated, and how each of them is at the end of its past.

use protocol::Host;

use crate::dice::{Dice, hash, word};

/// How a machine is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    /// Its gateway ran out of memory, again and again.
    Crashed,
    /// Its gateway was ended from outside.
    Stopped,
    Hung,
    /// Only its network is gone.
    Unreachable,
    Rebooting,
    /// Telegram is disconnected.
    Degraded,
    /// Hot and slow.
    Hot,
    /// A newer version is installed than runs.
    RestartDue,
    Asleep,
    Never,
}

/// How its models are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pay {
    /// OpenClaw records what they cost.
    Recorded,
    /// The price table knows.
    Estimated,
    /// A plan covers them.
    Flat,
    /// Nobody knows.
    Unpriced,
}

/// A machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) os: &'static str,
    pub(crate) os_version: &'static str,
    pub(crate) end: End,
    /// OpenClaw's version in the end.
    pub(crate) version: String,
    /// Typical percent.
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    pub(crate) disk: f64,
    /// Typical bytes per second.
    pub(crate) down: f64,
    pub(crate) up: f64,
    /// Tokens of an ordinary day.
    pub(crate) tokens: f64,
    pub(crate) pay: Pay,
    pub(crate) channels: usize,
    /// Hours its clock is ahead of UTC.
    pub(crate) zone_h: i64,
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) cores: u32,
    /// Share of the days on which its network fails.
    pub(crate) flaky: f64,
    /// It is closed at night.
    pub(crate) laptop: bool,
    pub(crate) seed: u64,
    /// What it says is meant to break a page.
    pub(crate) hostile: bool,
}

pub(crate) const NEWEST: &str = "2026.9.6";
/// Versions, and how many days ago they came.
pub(crate) const RELEASES: [(&str, i64); 4] =
    [("2026.8.12", 400), ("2026.9.3", 24), ("2026.9.5", 11), (NEWEST, 3)];

type Line = (&'static str, &'static str, &'static str, End, &'static str, [f64; 5], f64, Pay, usize);

/// Name, system, tags, end, version, [cpu, memory, disk, down, up (KB/s)], million tokens a day, pay, channels.
const CAST: [Line; 40] = {
    use End::{
        Asleep, Crashed, Degraded, Hot, Hung, Never, Rebooting, RestartDue, Stopped, Unreachable, Well,
    };
    use Pay::{Estimated, Flat, Recorded, Unpriced};
    [
        ("hk-edge-02", "Debian 12", "hk prod", Crashed, NEWEST, [34., 93., 61., 18., 9.], 2.84, Recorded, 3),
        (
            "sgp-prod-1",
            "Ubuntu 24.04",
            "sgp prod",
            Stopped,
            "2026.9.5",
            [9., 42., 48., 26., 13.],
            1.12,
            Recorded,
            2,
        ),
        (
            "tokyo-vps-2",
            "Ubuntu 22.04",
            "tokyo prod",
            Hung,
            NEWEST,
            [48., 71., 55., 41., 12.],
            6.31,
            Recorded,
            4,
        ),
        (
            "saopaulo-1",
            "Debian 12",
            "br prod",
            Unreachable,
            NEWEST,
            [12., 41., 37., 22., 8.],
            0.62,
            Recorded,
            3,
        ),
        (
            "fra-hetzner-3",
            "Debian 12",
            "fra prod",
            Rebooting,
            NEWEST,
            [8., 35., 72., 52., 20.],
            0.88,
            Recorded,
            2,
        ),
        (
            "mac-mini-sz",
            "macOS 15.6",
            "office",
            Degraded,
            NEWEST,
            [21., 58., 44., 96., 22.],
            3.05,
            Recorded,
            4,
        ),
        (
            "pi-greenhouse",
            "Raspberry Pi OS 12",
            "edge home",
            Hot,
            "2026.9.3",
            [78., 83., 91., 2.1, 1.4],
            0.21,
            Flat,
            1,
        ),
        (
            "win-office-03",
            "Windows 11",
            "office",
            RestartDue,
            "2026.9.5",
            [17., 62., 58., 33., 8.],
            1.44,
            Recorded,
            2,
        ),
        (
            "nyc-do-1",
            "Ubuntu 24.04",
            "nyc prod",
            RestartDue,
            "2026.9.5",
            [11., 44., 33., 27., 19.],
            2.2,
            Recorded,
            3,
        ),
        ("hk-edge-01", "Debian 12", "hk prod", Well, NEWEST, [23., 52., 58., 310., 144.], 4.12, Recorded, 3),
        ("hk-edge-03", "Debian 12", "hk prod", Well, NEWEST, [18., 49., 57., 122., 60.], 1.98, Recorded, 3),
        (
            "tokyo-vps-1",
            "Ubuntu 22.04",
            "tokyo prod",
            Well,
            NEWEST,
            [31., 66., 52., 204., 88.],
            3.77,
            Recorded,
            4,
        ),
        (
            "tokyo-vps-3",
            "Ubuntu 24.04",
            "tokyo prod",
            Well,
            NEWEST,
            [9., 38., 29., 44., 15.],
            0.94,
            Estimated,
            2,
        ),
        (
            "sgp-prod-2",
            "Ubuntu 24.04",
            "sgp prod",
            Well,
            NEWEST,
            [14., 47., 49., 61., 30.],
            1.35,
            Estimated,
            2,
        ),
        (
            "fra-hetzner-1",
            "Debian 12",
            "fra prod",
            Well,
            NEWEST,
            [27., 59., 68., 512., 233.],
            2.61,
            Recorded,
            3,
        ),
        (
            "fra-hetzner-2",
            "Debian 12",
            "fra prod",
            Well,
            NEWEST,
            [16., 43., 81., 88., 41.],
            1.17,
            Recorded,
            3,
        ),
        (
            "lon-vultr-1",
            "AlmaLinux 9",
            "lon prod",
            Well,
            NEWEST,
            [12., 40., 35., 52., 21.],
            0.83,
            Recorded,
            2,
        ),
        (
            "ams-ovh-1",
            "Debian 12",
            "ams prod",
            Well,
            "2026.9.5",
            [19., 55., 46., 73., 34.],
            1.52,
            Recorded,
            2,
        ),
        ("nyc-do-2", "Ubuntu 24.04", "nyc prod", Well, NEWEST, [13., 46., 34., 38., 17.], 1.06, Recorded, 3),
        ("sfo-fly-1", "Alpine 3.22", "sfo prod", Well, NEWEST, [7., 31., 22., 19., 11.], 0.47, Estimated, 1),
        ("syd-linode-1", "Debian 12", "syd prod", Well, NEWEST, [10., 36., 41., 23., 10.], 0.58, Recorded, 2),
        ("bom-vps-1", "Ubuntu 22.04", "bom prod", Well, NEWEST, [15., 50., 63., 30., 12.], 0.71, Unpriced, 2),
        ("jhb-vps-1", "Debian 12", "jhb prod", Well, NEWEST, [8., 33., 38., 14., 6.], 0.33, Recorded, 1),
        ("mac-studio-bj", "macOS 15.6", "office bj", Well, NEWEST, [42., 74., 51., 420., 96.], 5.9, Flat, 5),
        ("mac-mini-sh", "macOS 14.7", "office", Well, NEWEST, [12., 48., 39., 55., 14.], 1.61, Recorded, 3),
        ("win-office-01", "Windows 11", "office", Well, NEWEST, [24., 69., 66., 47., 13.], 0.9, Recorded, 2),
        (
            "win-office-02",
            "Windows 10",
            "office",
            Well,
            "2026.8.12",
            [19., 71., 77., 29., 9.],
            0.66,
            Recorded,
            2,
        ),
        (
            "dev-wsl-chen",
            "Windows 11 · WSL",
            "office dev",
            Well,
            NEWEST,
            [37., 64., 59., 81., 24.],
            2.02,
            Recorded,
            1,
        ),
        (
            "ci-runner-claw",
            "Ubuntu 24.04",
            "office dev",
            Well,
            NEWEST,
            [63., 57., 70., 188., 142.],
            4.4,
            Recorded,
            1,
        ),
        ("书房 NAS", "Debian 12", "home", Well, NEWEST, [9., 61., 84., 210., 35.], 0.74, Recorded, 2),
        ("客厅 Mac mini", "macOS 15.6", "home", Well, NEWEST, [6., 39., 28., 12., 4.], 0.4, Flat, 2),
        (
            "老家树莓派",
            "Raspberry Pi OS 12",
            "home edge",
            Well,
            "2026.9.5",
            [22., 54., 47., 3.4, 2.2],
            0.12,
            Recorded,
            1,
        ),
        (
            "pi-garage",
            "Raspberry Pi OS 12",
            "home edge",
            Well,
            NEWEST,
            [18., 51., 36., 4.6, 2.9],
            0.09,
            Recorded,
            1,
        ),
        (
            "pi-balcony",
            "Raspberry Pi OS 12",
            "home edge",
            Well,
            NEWEST,
            [14., 46., 33., 2.8, 1.9],
            0.07,
            Recorded,
            1,
        ),
        ("edge-shop-hz", "Armbian 25.8", "edge", Well, NEWEST, [29., 67., 54., 9.2, 5.1], 0.31, Recorded, 1),
        ("edge-shop-cd", "Armbian 25.8", "edge", Well, NEWEST, [26., 63., 52., 8.8, 4.7], 0.28, Estimated, 1),
        ("edge-boat-7", "Debian 12", "edge", Well, "2026.9.3", [12., 44., 40., 1.2, 0.8], 0.05, Recorded, 1),
        ("mbp-lin", "macOS 15.6", "office dev", Asleep, NEWEST, [15., 66., 71., 60., 20.], 0.95, Recorded, 2),
        (
            "lab-pi-4",
            "Raspberry Pi OS 12",
            "edge dev",
            Well,
            NEWEST,
            [4., 29., 31., 1.1, 0.6],
            0.02,
            Unpriced,
            1,
        ),
        ("nas-attic", "Debian 12", "home", Never, "", [0.; 5], 0., Recorded, 0),
    ]
};

const HOSTILE: [(&str, &str); 8] = [
    ("<img src=x onerror=alert(1)>", "<script>"),
    ("=HYPERLINK(\"http://example.com\",\"click\")", "=1+1"),
    ("\"; DROP TABLE device; --", "\u{202e}txet\u{202c}"),
    ("שלום עולם مرحبا 123 abc", "מבחן"),
    ("🦞👍🏽🇨🇳 é̷̛̞̤ 𝕳𝖔𝖘𝖙", "🦞"),
    ("${7*7} {{7*7}} %s%n &lt;b&gt; &amp;", "@SUM(A1)"),
    ("-2+3+cmd|' /C calc'!A0", "+1"),
    (
        "名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长名字很长",
        "标签标签标签标签标签标签标签标签标签标签标签标签标签标签标签标签",
    ),
];

fn split_os(os: &'static str) -> (&'static str, &'static str) {
    os.rsplit_once(' ')
        .filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or((os, ""))
}

fn zone(name: &str) -> i64 {
    let by_place = [
        ("tokyo", 9),
        ("saopaulo", -3),
        ("fra", 1),
        ("lon", 0),
        ("ams", 1),
        ("jhb", 2),
        ("nyc", -5),
        ("sfo", -8),
        ("syd", 11),
        ("bom", 5),
    ];
    by_place.iter().find(|(place, _)| name.starts_with(place)).map_or(8, |(_, hours)| *hours)
}

/// The first so many machines, the troubled ones first; further ones are like the well ones.
pub(crate) fn machines(count: usize, seed: u64, hostile: bool) -> Vec<Machine> {
    let (troubled, rest) = CAST.split_at(9);
    let well = rest.get(..28).unwrap_or(rest);
    let lines = troubled.iter().chain(rest).map(|line| (*line, String::from(line.0)));
    let more = (0..).flat_map(|round| {
        well.iter().map(move |line| {
            (
                *line,
                format!(
                    "{}-{}",
                    line.0.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-'),
                    round + 11
                ),
            )
        })
    });
    let plain = lines.chain(more).take(count).map(|(line, name)| machine(line, name, seed));
    let odd = HOSTILE.iter().zip(well).map(|((name, tag), line)| {
        let machine = machine(*line, name.chars().take(protocol::limits::MAX_NAME_CHARS).collect(), seed);
        Machine { tags: vec!["hostile".to_owned(), (*tag).to_owned()], hostile: true, ..machine }
    });
    let mut machines: Vec<Machine> = plain.collect();
    if hostile {
        machines.extend(odd);
    }
    let mut taken = std::collections::HashSet::new();
    machines.retain(|machine| taken.insert(machine.name.clone()));
    machines
}

fn machine(line: Line, name: String, seed: u64) -> Machine {
    let (_, os, tags, end, version, [cpu, memory, disk, down, up], tokens, pay, channels) = line;
    let seed = hash(seed, word(&name));
    let mut dice = Dice::new(seed, 1);
    let (os, os_version) = split_os(os);
    let small = os.starts_with("Rasp") || os.starts_with("Arm");
    let gib = 1u64 << 30;
    Machine {
        tags: tags.split(' ').map(str::to_owned).collect(),
        os,
        os_version,
        end,
        version: version.to_owned(),
        cpu,
        memory,
        disk,
        down: down * 1000.0,
        up: up * 1000.0,
        tokens: tokens * 1e6,
        pay,
        channels,
        zone_h: zone(&name),
        memory_bytes: gib * if small { 4 } else { *dice.pick(&[4, 8, 16, 32]).unwrap_or(&8) },
        disk_bytes: gib * if small { 64 } else { *dice.pick(&[80, 160, 256, 512]).unwrap_or(&160) },
        cores: if small { 4 } else { *dice.pick(&[2, 4, 8]).unwrap_or(&4) },
        flaky: match name.as_str() {
            "edge-boat-7" => 2.5,
            "老家树莓派" | "bom-vps-1" => 0.7,
            _ if tags.contains("edge") => 0.15,
            _ => 0.04,
        },
        laptop: end == End::Asleep,
        seed,
        hostile: false,
        name,
    }
}

impl Machine {
    pub(crate) fn host(&self) -> Host {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mac = self.os == "macOS";
        let windows = self.os.starts_with("Windows");
        Host {
            hostname: text(&self.name),
            os: text(self.os),
            os_version: text(self.os_version),
            kernel: text(if mac {
                "24.6.0"
            } else if windows {
                "10.0.26100"
            } else {
                "6.1.0-28"
            }),
            arch: text(if mac || self.cores == 4 && self.memory_bytes == 4 << 30 {
                "aarch64"
            } else {
                "x86_64"
            }),
            cores: Some(self.cores),
        }
    }

    pub(crate) fn channel_names(&self) -> impl Iterator<Item = &'static str> {
        ["telegram", "whatsapp", "slack", "discord", "feishu"].into_iter().take(self.channels)
    }
}
