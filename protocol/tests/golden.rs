//! Payloads of every version decode for ever, and what we write stays as it is.
//!
//! A golden file is never edited: some agent in the field still writes it. A new shape is a new file.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and its helpers too")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use protocol::{
    AgentHealth, Audit, Cpu, Disk, Events, Host, Log, OfflineReason, Payload, Presence, PresenceState,
    Report, Timestamp, Usage, UsageTrigger, Volume,
};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Reads a file and holds what is true of all of them.
fn read<P: Payload + PartialEq + Debug>(name: &str) -> (P, Value) {
    let bytes = std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let payload = P::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let written = payload.encode();
    let again = P::decode(&written).unwrap();
    assert_eq!(again, payload, "{name}");
    assert_eq!(again.encode(), written, "{name}");
    (payload, serde_json::from_slice(&bytes).unwrap())
}

/// A file that is exactly what we write today.
fn exact<P: Payload + PartialEq + Debug>(name: &str) -> P {
    let (payload, golden) = read::<P>(name);
    let written: Value = serde_json::from_slice(&payload.encode()).unwrap();
    assert_eq!(written, golden, "{name}");
    payload
}

/// A file that others write: an older agent, or a newer one.
fn foreign<P: Payload + PartialEq + Debug>(name: &str, expected: &P) {
    assert_eq!(&read::<P>(name).0, expected, "{name}");
}

const EXACT: [&str; 10] = [
    "presence-birth.json",
    "presence-will.json",
    "presence-farewell.json",
    "report-full.json",
    "report-historical.json",
    "report-openclaw.json",
    "usage-full.json",
    "log-full.json",
    "event-full.json",
    "audit-full.json",
];
const FOREIGN: [&str; 4] =
    ["presence-minimal.json", "presence-future.json", "report-minimal.json", "report-future.json"];

#[test]
fn every_golden_file_is_tested() {
    let files: BTreeSet<_> =
        std::fs::read_dir(folder()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    let tested: BTreeSet<_> = EXACT.into_iter().chain(FOREIGN).map(str::to_owned).collect();
    assert_eq!(files, tested);
}

#[test]
fn what_we_write_stays_as_it_is() {
    let birth: Presence = exact("presence-birth.json");
    let will: Presence = exact("presence-will.json");
    let farewell: Presence = exact("presence-farewell.json");
    let host = birth.host.clone().unwrap();
    let made =
        Presence::birth(birth.epoch, Timestamp(1_795_159_885_132), "0.1.0", birth.boot_id.clone(), host);
    assert_eq!(made, birth);
    assert_eq!(Presence::will(birth.epoch), will);
    assert_eq!(Presence::farewell(birth.epoch, Timestamp(1_795_163_485_132)), farewell);

    let full: Report = exact("report-full.json");
    assert_eq!((full.seq, full.historical, full.network.interfaces.len()), (4711, false, 2));
    let historical: Report = exact("report-historical.json");
    assert!(historical.historical && historical.disk.total_bytes.is_none(), "absent is not zero");
    let openclaw = exact::<Report>("report-openclaw.json").openclaw.unwrap();
    assert_eq!((openclaw.gateways.len(), openclaw.gateways[1].rss_bytes), (2, None));
    let usage: Usage = exact("usage-full.json");
    assert_eq!((usage.rows[1].trigger, usage.rows[1].input), (UsageTrigger::Cron, 0));
    let log: Log = exact("log-full.json");
    assert_eq!((log.records[0].count, log.records[1].count), (3, 1));
    assert_eq!(exact::<Events>("event-full.json").events.len(), 4);
    assert_eq!(exact::<Audit>("audit-full.json").audits.len(), 2);
}

#[test]
fn what_others_write_is_understood() {
    let minimal = Presence {
        v: 1,
        state: PresenceState::Online,
        epoch: 7,
        at: None,
        reason: None,
        agent_version: None,
        boot_id: None,
        host: None,
    };
    foreign("presence-minimal.json", &minimal);
    foreign(
        "presence-future.json",
        &Presence {
            v: 2,
            state: PresenceState::Offline,
            reason: Some(OfflineReason::Unknown),
            host: Some(Host { hostname: Some("attic".to_owned()), ..Host::default() }),
            ..minimal
        },
    );

    let minimal: Report = read("report-minimal.json").0;
    assert_eq!((minimal.v, minimal.seq, minimal.historical), (1, 1, false));
    assert_eq!(
        (&minimal.cpu, &minimal.disk, &minimal.agent),
        (&Cpu::default(), &Disk::default(), &AgentHealth::default())
    );
    assert_eq!((minimal.uptime_s, &minimal.battery, minimal.top_cpu.len()), (None, &None, 0));
    let volume = Volume { mount: "/".to_owned(), fs: None, used_bytes: 1, total_bytes: 2 };
    foreign(
        "report-future.json",
        &Report {
            v: 2,
            cpu: Cpu { pct: Some(3.5), ..Cpu::default() },
            disk: Disk { volumes: vec![volume], ..Disk::default() },
            ..minimal
        },
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let check = |bytes: &str| {
        assert!(Report::decode(bytes.as_bytes()).is_err(), "{bytes}");
    };
    let report = |more: &str| format!(r#"{{"v":1,"spool":"cuqzdue4yrtt","seq":1,"at":1{more}}}"#);
    assert!(Report::decode(report("").as_bytes()).is_ok());
    check("");
    check("[]");
    check("{}");
    check(&report(r#","seq":2"#));
    check(&report(r#","cpu":{"pct":100.5}"#));
    check(&report(r#","cpu":{"pct":-1}"#));
    check(&report(r#","cpu":{"pct":"3"}"#));
    check(&report(r#","network":{"up_bytes_per_s":-1}"#));
    check(&report(r#","memory":{"used_bytes":9223372036854775808}"#));
    check(&report(r#","uptime_s":-1"#));
    check(&report(&format!(r#","boot_id":"{}""#, "x".repeat(65))));
    check(&report(&format!(r#","cpu":{{"cores":[{}0]}}"#, "0,".repeat(1024))));
    check(&report(&" ".repeat(protocol::limits::MAX_PAYLOAD_BYTES)));
    assert!(Presence::decode(br#"{"v":1,"state":"asleep","epoch":1}"#).is_err());
    assert!(Presence::decode(br#"{"v":1,"state":"online"}"#).is_err());
    assert!(Presence::decode(br#"{"v":1,"state":"online","epoch":18446744073709551615}"#).is_err());
}
