//! What the simulated devices say.

use protocol::{
    BootId, Cpu, Disk, Host, Interface, Memory, Network, Payload as _, Presence, Process, Report, SpoolId,
    Temperature, Timestamp, Volume,
};

/// Reports, made once and filled in for each device: making each with care would cost more than the server does.
pub(crate) struct Reports(Vec<String>);

impl Reports {
    pub(crate) fn new() -> Self {
        // The numbers differ a little, as they do in life.
        Self((0..16).map(|n| rest(&sample(n))).collect())
    }

    /// One report.
    pub(crate) fn get(&self, spool: SpoolId, seq: u64, at: Timestamp, historical: bool) -> String {
        let which = usize::try_from(seq).unwrap_or(0) % self.0.len();
        let rest = self.0.get(which).map_or("", String::as_str);
        let historical = if historical { r#""historical":true,"# } else { "" };
        format!(r#"{{"v":1,"spool":"{spool}","seq":{seq},"at":{},{historical}{rest}"#, at.as_millis())
    }
}

/// What follows the numbers of the report.
fn rest(report: &Report) -> String {
    let text = String::from_utf8(report.encode()).unwrap_or_default();
    text.split_once(r#""interval_s""#).map(|(_, rest)| format!(r#""interval_s"{rest}"#)).unwrap_or_default()
}

fn process(pid: u32, name: &str, share: f64) -> Process {
    Process {
        pid,
        name: name.to_owned(),
        cpu_pct: Some(share),
        memory_bytes: Some(100_000_000 + u64::from(pid) * 4096),
    }
}

fn sample(n: u32) -> Report {
    let x = f64::from(n);
    let names = ["openclaw-gateway", "node", "postgres", "chromium", "systemd"];
    let processes = |from: u32| (from..).zip(names).map(|(pid, name)| process(pid, name, x + 0.25)).collect();
    let volume = |mount: &str, size: u64| Volume {
        mount: mount.to_owned(),
        fs: Some("ext4".to_owned()),
        used_bytes: size / 3 + u64::from(n) * 4096,
        total_bytes: size,
    };
    let interface = |name: &str| Interface {
        name: name.to_owned(),
        up_bytes_per_s: Some(1234.5 + x),
        down_bytes_per_s: Some(98_765.25 + x),
    };
    Report {
        v: 1,
        spool: SpoolId::generate(),
        seq: 0,
        at: Timestamp(0),
        historical: false,
        interval_s: Some(30),
        uptime_s: Some(864_000 + u64::from(n)),
        boot_id: Some(BootId("5f0c2b8e-94b1-4f35-9a52-5a3f2f6f1c1d".to_owned())),
        cpu: Cpu {
            pct: Some(12.5 + x),
            cores: (0..8).map(|core| f64::from(core) * 3.5 + x).collect(),
            load1: Some(0.42 + x / 10.0),
            load5: Some(0.51),
            load15: Some(0.47),
        },
        memory: Memory {
            used_bytes: Some(6_442_450_944 + u64::from(n)),
            total_bytes: Some(16_777_216_000),
            available_bytes: Some(9_876_543_210),
            swap_used_bytes: Some(0),
            swap_total_bytes: Some(2_147_483_648),
        },
        disk: Disk {
            used_bytes: Some(200_000_000_000),
            total_bytes: Some(512_000_000_000),
            volumes: vec![volume("/", 256_000_000_000), volume("/home", 256_000_000_000)],
        },
        network: Network {
            up_bytes_per_s: Some(2345.5 + x),
            down_bytes_per_s: Some(123_456.75 + x),
            interfaces: vec![interface("eth0"), interface("wlan0")],
        },
        temperatures: vec![
            Temperature { label: "coretemp Package id 0".to_owned(), celsius: 48.0 + x },
            Temperature { label: "nvme Composite".to_owned(), celsius: 39.5 },
        ],
        battery: None,
        top_cpu: processes(1000),
        top_memory: processes(2000),
        openclaw: None,
        agent: protocol::AgentHealth { spooled: Some(0), dropped: Some(0), ..Default::default() },
    }
}

pub(crate) fn birth(epoch: u64, at: Timestamp) -> Vec<u8> {
    let text = |text: &str| Some(text.to_owned());
    let host = Host {
        hostname: text("simulated"),
        os: text("Debian GNU/Linux"),
        os_version: text("12"),
        kernel: text("6.1.0-18-amd64"),
        arch: text("x86_64"),
        cores: Some(8),
    };
    let boot = BootId("5f0c2b8e-94b1-4f35-9a52-5a3f2f6f1c1d".to_owned());
    Presence::birth(epoch, at, env!("CARGO_PKG_VERSION"), Some(boot), host).encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_report_is_a_report_of_the_usual_size() {
        let reports = Reports::new();
        for seq in 0..20 {
            for historical in [false, true] {
                let text = reports.get(SpoolId::generate(), seq, Timestamp(1_800_000_000_000), historical);
                let report = Report::decode(text.as_bytes()).unwrap();
                assert_eq!((report.seq, report.historical, report.top_cpu.len()), (seq, historical, 5));
                assert!((1_300..2_000).contains(&text.len()), "{}", text.len());
            }
        }
    }
}
