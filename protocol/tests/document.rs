//! `docs/PROTOCOL.md` tells the truth.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and its helpers too")]

use std::collections::BTreeSet;
use std::path::Path;

use protocol::{Audit, DeviceTopic, Events, Log, Payload, Presence, Report, Usage, limits};
use serde_json::Value;

fn document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md")).unwrap()
}

/// The examples: fenced blocks marked `json` and the payload's name.
fn examples(document: &str) -> Vec<(String, String)> {
    let mut blocks = document.split("```");
    blocks.next();
    let inside = blocks.step_by(2);
    inside
        .filter_map(|block| {
            let (mark, body) = block.split_once('\n')?;
            Some((mark.strip_prefix("json")?.trim().to_owned(), body.to_owned()))
        })
        .collect()
}

/// Decodes an example, and holds that it has no field that we do not know.
fn known<P: Payload>(body: &str) -> P {
    let payload = P::decode(body.as_bytes()).unwrap();
    let written: Value = serde_json::from_slice(&payload.encode()).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(body).unwrap());
    payload
}

#[test]
fn the_examples_decode() {
    let document = document();
    let mut seen = BTreeSet::new();
    for (mark, body) in examples(&document) {
        match mark.as_str() {
            "presence" => drop(known::<Presence>(&body)),
            "report" => drop(known::<Report>(&body)),
            "usage" => drop(known::<Usage>(&body)),
            "log" => drop(known::<Log>(&body)),
            "event" => drop(known::<Events>(&body)),
            "audit" => drop(known::<Audit>(&body)),
            other => assert_eq!(other, "", "an example of an unknown payload"),
        }
        seen.insert(mark);
    }
    for topic in DeviceTopic::ALL.into_iter().filter(|topic| topic.from_device()) {
        assert!(seen.contains(topic.as_str()), "{topic:?}: {seen:?}");
    }
}

#[test]
fn every_topic_and_every_field_is_described() {
    let document = document();
    for topic in DeviceTopic::ALL {
        assert!(document.contains(&format!("`openclaw/<device>/{}`", topic.as_str())), "{topic:?}");
    }
    for full in [
        include_str!("golden/report-full.json"),
        include_str!("golden/report-openclaw.json"),
        include_str!("golden/presence-birth.json"),
        include_str!("golden/usage-full.json"),
        include_str!("golden/log-full.json"),
        include_str!("golden/event-full.json"),
        include_str!("golden/audit-full.json"),
    ] {
        let mut names = BTreeSet::new();
        field_names(&serde_json::from_str(full).unwrap(), &mut names);
        for name in names.into_iter().chain(["historical".to_owned(), "reason".to_owned()]) {
            assert!(document.contains(&format!("`{name}`")), "{name}");
        }
    }
}

fn field_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names.insert(name.clone());
                field_names(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| field_names(item, names)),
        _ => {}
    }
}

#[test]
fn the_limits_are_the_real_ones() {
    let document = document();
    let texts = [
        format!("{} bytes of payload", limits::MAX_PAYLOAD_BYTES),
        format!("{} bytes of packet", limits::MAX_PACKET_BYTES),
        format!("{} bytes and {} levels", limits::MAX_TOPIC_BYTES, limits::MAX_TOPIC_LEVELS),
        format!("{} publishes", limits::AGENT_IN_FLIGHT),
        format!("keep-alive of {} s", limits::AGENT_KEEP_ALIVE_SECS),
        format!("{} characters", limits::MAX_TEXT_CHARS),
        format!("{} items", limits::MAX_LIST),
        format!("{} rows", limits::MAX_USAGE_ROWS),
        format!("{} records", limits::MAX_LOG_RECORDS),
        format!("{} events", limits::MAX_EVENTS),
        format!("{} gateways", limits::MAX_GATEWAYS),
        format!("messages of {} bytes", limits::MAX_MESSAGE_BYTES),
    ];
    for text in texts {
        assert!(document.contains(&text), "{text}");
    }
}
