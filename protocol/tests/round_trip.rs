//! Whatever can be said survives the wire.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::{
    AgentHealth, Battery, BootId, Cpu, DeviceId, DeviceTopic, Disk, Host, Interface, Memory, Network,
    OfflineReason, Payload, Presence, PresenceState, Process, Report, SpoolId, Temperature, Timestamp, Topic,
    TopicRoot, Volume,
};

/// Numbers with two decimals, as an agent writes them: exact on the wire.
fn decimal(max: u32) -> impl Strategy<Value = f64> {
    (0..=max).prop_map(|n| f64::from(n) / 100.0)
}

fn pct() -> impl Strategy<Value = f64> {
    decimal(10_000)
}

fn bytes() -> impl Strategy<Value = u64> {
    0..=i64::MAX.unsigned_abs()
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}

prop_compose! {
    fn boot_id()(text in "[!-~]{1,64}") -> BootId { BootId(text) }
}

prop_compose! {
    fn cpu()(
        pct in option::of(pct()), cores in vec(pct(), 0..9),
        load1 in option::of(decimal(9999)), load5 in option::of(decimal(9999)), load15 in option::of(decimal(9999)),
    ) -> Cpu {
        Cpu { pct, cores, load1, load5, load15 }
    }
}

prop_compose! {
    fn memory()(
        used_bytes in option::of(bytes()), total_bytes in option::of(bytes()), available_bytes in option::of(bytes()),
        swap_used_bytes in option::of(bytes()), swap_total_bytes in option::of(bytes()),
    ) -> Memory {
        Memory { used_bytes, total_bytes, available_bytes, swap_used_bytes, swap_total_bytes }
    }
}

prop_compose! {
    fn volume()(mount in text(), fs in option::of(text()), used_bytes in bytes(), total_bytes in bytes()) -> Volume {
        Volume { mount, fs, used_bytes, total_bytes }
    }
}

prop_compose! {
    fn disk()(
        used_bytes in option::of(bytes()), total_bytes in option::of(bytes()), volumes in vec(volume(), 0..4),
    ) -> Disk {
        Disk { used_bytes, total_bytes, volumes }
    }
}

prop_compose! {
    fn interface()(
        name in text(), up_bytes_per_s in option::of(decimal(u32::MAX)), down_bytes_per_s in option::of(decimal(u32::MAX)),
    ) -> Interface {
        Interface { name, up_bytes_per_s, down_bytes_per_s }
    }
}

prop_compose! {
    fn network()(
        up_bytes_per_s in option::of(decimal(u32::MAX)), down_bytes_per_s in option::of(decimal(u32::MAX)),
        interfaces in vec(interface(), 0..4),
    ) -> Network {
        Network { up_bytes_per_s, down_bytes_per_s, interfaces }
    }
}

prop_compose! {
    fn process()(
        pid: u32, name in text(), cpu_pct in option::of(decimal(99_999)), memory_bytes in option::of(bytes()),
    ) -> Process {
        Process { pid, name, cpu_pct, memory_bytes }
    }
}

prop_compose! {
    fn temperature()(label in text(), hundredths in -6000..20_000i32) -> Temperature {
        Temperature { label, celsius: f64::from(hundredths) / 100.0 }
    }
}

prop_compose! {
    fn battery()(pct in pct(), state in "charging|discharging|full|unknown") -> Battery { Battery { pct, state } }
}

prop_compose! {
    fn report()(
        (seq, at, historical) in (bytes(), any::<i64>(), any::<bool>()),
        (interval_s, uptime_s, boot_id) in (option::of(any::<u32>()), option::of(bytes()), option::of(boot_id())),
        (cpu, memory, disk, network) in (cpu(), memory(), disk(), network()),
        (temperatures, battery) in (vec(temperature(), 0..3), option::of(battery())),
        (top_cpu, top_memory) in (vec(process(), 0..6), vec(process(), 0..6)),
        (spooled, dropped) in (option::of(any::<u64>()), option::of(any::<u64>())),
    ) -> Report {
        Report {
            v: 1, spool: SpoolId::generate(), seq, at: Timestamp(at), historical, interval_s, uptime_s, boot_id,
            cpu, memory, disk, network, temperatures, battery, top_cpu, top_memory,
            openclaw: None,
            agent: AgentHealth { spooled, dropped, ..AgentHealth::default() },
        }
    }
}

fn reason() -> impl Strategy<Value = OfflineReason> {
    prop_oneof![
        Just(OfflineReason::Shutdown),
        Just(OfflineReason::ConnectionLost),
        Just(OfflineReason::KeepAliveTimeout),
        Just(OfflineReason::TakenOver),
        Just(OfflineReason::ProtocolError),
        Just(OfflineReason::KeyRevoked),
        Just(OfflineReason::ServerRestart),
        Just(OfflineReason::Unknown),
    ]
}

prop_compose! {
    fn host()(
        (hostname, os, os_version) in (option::of(text()), option::of(text()), option::of(text())),
        (kernel, arch, cores) in (option::of(text()), option::of(text()), option::of(any::<u32>())),
    ) -> Host {
        Host { hostname, os, os_version, kernel, arch, cores }
    }
}

prop_compose! {
    fn presence()(
        state in prop_oneof![Just(PresenceState::Online), Just(PresenceState::Offline)],
        epoch in bytes(), at in option::of(any::<i64>()), reason in option::of(reason()),
        agent_version in option::of(text()), boot_id in option::of(boot_id()), host in option::of(host()),
    ) -> Presence {
        Presence { v: 1, state, epoch, at: at.map(Timestamp), reason, agent_version, boot_id, host }
    }
}

proptest! {
    #[test]
    fn a_report_survives_the_wire(report in report()) {
        let bytes = report.encode();
        prop_assert_eq!(Report::decode(&bytes).map_err(|e| format!("{e:?}")), Ok(report));
    }

    #[test]
    fn a_presence_survives_the_wire(presence in presence()) {
        let bytes = presence.encode();
        prop_assert_eq!(Presence::decode(&bytes).map_err(|e| format!("{e:?}")), Ok(presence));
    }

    #[test]
    fn a_topic_survives_the_wire(device in "[a-z0-9]{12}", root in "[A-Za-z0-9_-]{1,20}(/[A-Za-z0-9_-]{1,20}){0,2}", what in 0..8usize) {
        let root = TopicRoot::parse(&root).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let device = DeviceId::parse(&device).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let what = DeviceTopic::ALL.into_iter().nth(what).unwrap_or(DeviceTopic::Report);
        let topic = Topic { device, what };
        prop_assert_eq!(Topic::parse(&root, topic.name(&root).as_str()), Some(topic));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..200), json in "\\PC{0,100}") {
        for bytes in [bytes.as_slice(), json.as_bytes()] {
            prop_assert!(Report::decode(bytes).is_err());
            prop_assert!(Presence::decode(bytes).is_err());
        }
    }

    #[test]
    fn a_damaged_report_is_refused_or_read(report in report(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = report.encode();
        let at = at.index(bytes.len());
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        if let Ok(read) = Report::decode(&bytes) {
            prop_assert!(read.check().is_ok());
        }
    }
}
