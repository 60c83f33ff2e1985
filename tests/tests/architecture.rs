//! The dependency graph is the design: who may know whom.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand};

fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("openclaw-watch-protocol", &[][..]),
        ("openclaw-watch-store", &["openclaw-watch-protocol"]),
        ("openclaw-watch-broker", &["openclaw-watch-protocol"]),
        ("openclaw-watch-recorder", &["openclaw-watch-protocol", "openclaw-watch-store"]),
        ("openclaw-watch-alerting", &["openclaw-watch-protocol", "openclaw-watch-store"]),
        ("openclaw-watch-dashboard", &["openclaw-watch-protocol", "openclaw-watch-store"]),
        ("openclaw-watch-agent", &["openclaw-watch-protocol"]),
        (
            "openclaw-watch",
            &[
                "openclaw-watch-agent",
                "openclaw-watch-alerting",
                "openclaw-watch-broker",
                "openclaw-watch-dashboard",
                "openclaw-watch-protocol",
                "openclaw-watch-recorder",
                "openclaw-watch-store",
            ],
        ),
        ("e2e", &[]),
        ("bench", &["openclaw-watch-alerting", "openclaw-watch-protocol", "openclaw-watch-store"]),
    ])
}

/// Crates that only some of ours may name, and in which files (`""`: anywhere in that crate).
const NAMED_IN: &[(&str, &[&str])] = &[
    ("rumqttd", &["broker/src/engine.rs"]),
    ("rumqttc", &["agent/src/link.rs", "recorder/src/subscriber.rs"]),
    ("sqlx", &["store/"]),
    ("axum", &["dashboard/"]),
    ("reqwest", &["alerting/src/channels/http.rs"]),
    ("lettre", &["alerting/src/channels/email.rs"]),
    ("minijinja", &["alerting/src/channels/webhook.rs"]),
];

#[test]
fn crates_know_only_whom_they_may() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let allowed = allowed();
    let ours: Vec<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    for package in &metadata.packages {
        let may =
            allowed.get(package.name.as_str()).unwrap_or_else(|| panic!("{} has no place yet", package.name));
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let name = dependency.name.as_str();
            assert!(!ours.contains(&name) || may.contains(&name), "{} must not know {name}", package.name);
        }
    }
}

#[test]
fn a_third_party_system_is_named_in_one_file() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Vec::new();
    for folder in ["protocol", "store", "broker", "recorder", "alerting", "dashboard", "server", "agent"] {
        collect(&root.join(folder).join("src"), &mut sources);
    }
    assert!(sources.len() > 30, "the sources are where they were");
    for (name, files) in NAMED_IN {
        for source in &sources {
            let relative = source.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(source).unwrap();
            let used = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or("");
                code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"))
            });
            assert!(!used || files.iter().any(|f| relative.starts_with(f)), "{relative} names {name}");
        }
    }
}

fn collect(folder: &std::path::Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}
