//! The real agent against a real MQTT broker.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its helpers too"
)]

mod common;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Broker, Cable, Device, Door, bare_agent, finished, wait_for};
use protocol::{Payload, Presence, PresenceState, Report};

fn plain(port: u16) -> String {
    format!("mqtt://127.0.0.1:{port}")
}

#[test]
fn birth_and_report_are_retained_and_sigterm_says_goodbye() {
    let broker = Broker::start(&Door::Plain);
    let observer = broker.observe();
    let device = Device::new();
    let mut agent = device.run(&plain(broker.device_port), &["--interval", "1s"]);

    let birth = observer.next();
    assert!(birth.is_presence("online") && birth.topic == device.topic("presence"), "{birth:?}");
    let birth = Presence::decode(birth.payload.to_string().as_bytes()).unwrap();
    assert!(birth.epoch > 1_700_000_000 && birth.boot_id.is_some() && birth.host.unwrap().hostname.is_some());

    let first = observer.next();
    assert_eq!(first.topic, device.topic("report"));
    let first = Report::decode(first.payload.to_string().as_bytes()).unwrap();
    assert_eq!((first.historical, first.interval_s), (false, Some(1)));
    assert!(
        first.cpu.pct.is_some() && first.network.up_bytes_per_s.is_some(),
        "the first report has rates: {first:?}"
    );
    let second = observer.expect("the second report", common::Message::is_report);
    assert_eq!(second.payload["spool"], first.spool.as_str());
    assert!(second.payload["seq"].as_u64() > Some(first.seq));
    let third = observer.expect("the third report", common::Message::is_report);
    assert_eq!(third.payload["agent"]["spooled"], 0, "the earlier ones were confirmed");

    let retained = broker.retained(2);
    assert!(
        retained.iter().all(|m| m.retained) && retained.iter().any(|m| m.is_presence("online")),
        "{retained:?}"
    );

    agent.terminate();
    assert_eq!(agent.wait().code(), Some(0));
    let farewell = observer.expect("the farewell", |m| m.is_presence("offline"));
    assert_eq!(
        (&farewell.payload["reason"], &farewell.payload["epoch"]),
        (&"shutdown".into(), &birth.epoch.into())
    );
    assert!(broker.retained(2).iter().any(|m| m.is_presence("offline")), "the farewell is retained");
}

#[test]
fn a_killed_agent_leaves_its_will_and_comes_back_with_a_greater_epoch() {
    let broker = Broker::start(&Door::Plain);
    let observer = broker.observe();
    let device = Device::new();
    let server = plain(broker.device_port);
    let mut agent = device.run(&server, &[]);
    let birth = observer.expect("the birth", |m| m.is_presence("online"));
    agent.kill();
    let will = observer.expect("the will", |m| m.is_presence("offline"));
    let will = Presence::decode(will.payload.to_string().as_bytes()).unwrap();
    assert_eq!(will, Presence::will(will.epoch));
    assert_eq!((will.state, birth.payload["epoch"].as_u64()), (PresenceState::Offline, Some(will.epoch)));

    let _agent = device.run(&server, &[]);
    let again = observer.expect("the next birth", |m| m.is_presence("online"));
    assert!(again.payload["epoch"].as_u64() > Some(will.epoch));
}

#[test]
fn after_an_outage_the_present_comes_first_and_nothing_is_missing() {
    let broker = Broker::start(&Door::Plain);
    let cable = Cable::to(broker.device_port);
    let observer = broker.observe();
    let device = Device::new();
    let log = device.dir.path().join("log");
    let mut agent = device.agent("run", &plain(cable.port), &["--interval", "1s", "--log-level", "debug"]);
    let _agent =
        common::Kept::start(agent.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()));
    let seq = |message: &common::Message| message.payload["seq"].as_u64().unwrap();
    let mut arrived = BTreeSet::new();
    while arrived.len() < 2 {
        arrived.insert(seq(&observer.expect("two reports", common::Message::is_report)));
    }

    cable.cut();
    observer.expect("the will", |m| {
        if m.is_report() {
            arrived.insert(seq(m));
        }
        m.is_presence("offline")
    });
    let taken = || -> BTreeSet<u64> {
        let log = std::fs::read_to_string(&log).unwrap();
        log.lines()
            .filter_map(|line| line.split_once("report taken report.seq=")?.1.trim().parse().ok())
            .collect()
    };
    wait_for("reports to be taken meanwhile", || (taken().len() >= 6).then_some(()));
    cable.plug();

    observer.expect("the birth", |m| m.is_presence("online"));
    let present = observer.next();
    assert!(present.is_report() && present.payload.get("historical").is_none(), "{present:?}");
    let present = seq(&present);
    assert!(present >= 6);
    let mut backlog = Vec::new();
    while !taken().range(..present).all(|seq| arrived.contains(seq)) {
        let message = observer.expect("the backlog", common::Message::is_report);
        let late = message.payload["historical"] == true;
        assert_eq!(late, seq(&message) < present, "{message:?}");
        arrived.insert(seq(&message));
        backlog.extend(late.then_some(seq(&message)));
    }
    assert!(backlog.len() >= 3 && backlog.is_sorted(), "{backlog:?}");
    let retained = broker.retained(2);
    let report = retained.iter().find(|m| m.is_report()).unwrap();
    assert!(seq(report) >= present, "the backlog is not retained: {report:?}");
}

#[test]
fn what_was_measured_before_the_first_connection_follows_the_present() {
    let broker = Broker::start(&Door::Plain);
    let cable = Cable::to(broker.device_port);
    cable.cut();
    let observer = broker.observe();
    let device = Device::new();
    let start = Instant::now();
    let _agent = device.run(&plain(cable.port), &["--interval", "1h"]);
    // Longer than a sample counts as the present.
    wait_for("the first sample to be old", || (start.elapsed() > Duration::from_secs(4)).then_some(()));
    cable.plug();
    assert!(observer.next().is_presence("online"));
    let present = observer.next();
    assert!(present.is_report() && present.payload.get("historical").is_none(), "{present:?}");
    let past = observer.next();
    assert!(past.payload["seq"].as_u64() < present.payload["seq"].as_u64(), "{past:?}");
    assert_eq!(past.payload["historical"], true, "{past:?}");
}

#[test]
fn once_ends_when_the_report_is_confirmed() {
    let broker = Broker::start(&Door::Plain);
    let device = Device::new();
    let (code, output) = finished(&mut device.agent("once", &plain(broker.device_port), &[]));
    assert_eq!(code, Some(0), "{output}");
    let retained = broker.retained(2);
    assert!(retained.iter().any(|m| m.is_report() && !m.payload["cpu"]["pct"].is_null()));
    assert!(retained.iter().any(|m| m.is_presence("offline") && m.payload["reason"] == "shutdown"));
}

#[test]
fn check_says_what_works_and_disturbs_nobody() {
    let broker = Broker::start(&Door::Plain);
    let observer = broker.observe();
    let device = Device::new();
    let server = plain(broker.device_port);
    let (code, output) = finished(&mut device.agent("check", &server, &[]));
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("ok      the server accepts the key of device") && !output.contains("ocw_"),
        "{output}"
    );

    let _agent = device.run(&server, &["--interval", "1s"]);
    assert!(observer.next().is_presence("online"), "the check left no trace");
    let before = observer.expect("a report", common::Message::is_report);
    let (code, output) = finished(&mut device.agent("check", &server, &[]));
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("an agent is running with this state folder"), "{output}");
    let next = observer.next();
    assert!(next.is_report() && next.payload["seq"].as_u64() > before.payload["seq"].as_u64(), "{next:?}");
}

#[test]
fn a_refused_key_is_said_once_and_tried_again_slowly() {
    let broker = Broker::start(&Door::Closed);
    let device = Device::new();
    let server = plain(broker.device_port);
    let (code, output) = finished(&mut device.agent("once", &server, &[]));
    assert_eq!(code, Some(1));
    assert!(output.contains("does not accept this device's key") && output.lines().count() == 1, "{output}");

    let (code, output) = finished(&mut device.agent("check", &server, &[]));
    assert_eq!(code, Some(1));
    assert!(
        output.contains("ok      the server speaks MQTT")
            && output.contains("FAILED  the server does not accept"),
        "{output}"
    );

    let log = device.dir.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut agent = common::Kept::start(device.agent("run", &server, &[]).stdout(Stdio::null()).stderr(file));
    let read = || std::fs::read_to_string(&log).unwrap();
    wait_for("the sentence", || read().contains("does not accept this device's key").then_some(()));
    agent.terminate();
    assert_eq!(agent.wait().code(), Some(0), "a stop works while waiting, too");
    let text = read();
    assert!(text.contains("ERROR") && !text.contains("ocw_"), "{text}");
}

#[test]
fn a_second_agent_with_the_same_folder_is_refused() {
    let broker = Broker::start(&Door::Plain);
    let observer = broker.observe();
    let device = Device::new();
    let server = plain(broker.device_port);
    let _agent = device.run(&server, &[]);
    observer.expect("the birth", |m| m.is_presence("online"));
    for command in ["run", "once"] {
        let (code, output) = finished(&mut device.agent(command, &server, &[]));
        assert_eq!(code, Some(1));
        assert!(
            output.contains("another openclaw-watch-agent is running") && output.lines().count() == 1,
            "{output}"
        );
    }
}

#[test]
fn bad_configuration_is_a_sentence_and_exit_code_2() {
    let device = Device::new();
    let file = device.dir.path().join("agent.toml");
    std::fs::write(&file, "\nservr = \"nas\"\n").unwrap();
    let file = file.to_str().unwrap();
    let key = device.key.reveal();
    let check = |arguments: &[&str], words: &str| {
        let (code, output) = finished(bare_agent().args(arguments));
        assert_eq!(code, Some(2), "{output}");
        assert!(output.contains(words) && !output.contains("panicked"), "{arguments:?}: {output}");
    };
    check(&["run"], "no server");
    check(&["run", "--server", "nas"], "no key");
    check(
        &["run", "--server", "nas", "--key", &key[..20]],
        "the given key is not complete: a key looks like",
    );
    check(&["run", "--server", "http://nas:38888", "--key", key], "write nas:38889");
    check(&["run", "--server", "mqtt://192.0.2.1:1883", "--key", key], "unencrypted");
    check(&["run", "--server", "nas", "--key", key, "--pin", "abc"], "64 hexadecimal digits");
    check(&["run", "--server", "nas", "--key", key, "--interval", "10ms"], "30s or 5m");
    check(&["run", "--config", file], "agent.toml, line 2: unknown field `servr`");
    check(&["run", "--config", "/no/such/file"], "/no/such/file cannot be read");
    check(&["run", "--no-such-flag"], "--no-such-flag");
}

#[test]
fn show_prints_the_payloads_and_needs_no_server() {
    let (code, output) = finished(bare_agent().args(["show", "--openclaw-home", "/no/openclaw"]));
    assert_eq!(code, Some(0));
    let shown: serde_json::Value = serde_json::from_str(&output).unwrap();
    let payload = |index: usize, topic: &str| {
        assert_eq!(shown[index]["topic"], format!("openclaw/<device>/{topic}"));
        shown[index]["payload"].to_string().into_bytes()
    };
    Presence::decode(&payload(0, "presence")).unwrap();
    let report = Report::decode(&payload(1, "report")).unwrap();
    assert!(report.cpu.pct.is_some() && report.openclaw.is_some());
}
