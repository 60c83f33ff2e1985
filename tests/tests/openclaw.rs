//! What OpenClaw left on a disk, counted and told by the real agent to the real server.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::mqtt::{Client, Options};
use e2e::{Device, Process, Server, agent_program, until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fixtures/openclaw")
}

/// Copies a folder; what is packed is unpacked.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if let Some(name) = name.strip_suffix(".gz") {
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap())
                .read_to_end(&mut bytes)
                .unwrap();
            std::fs::write(to.join(name), bytes).unwrap();
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// A home of one of the two eras.
fn home(server: &Server, sample: &str) -> PathBuf {
    let home = server.folder().join(sample);
    let state = home.join(".openclaw");
    match sample {
        // Of the older one only what it keeps of sessions was sampled.
        "2026.6.11" => {
            copy(&fixtures().join(sample).join("sessions"), &state.join("agents/main/sessions"));
            std::fs::copy(fixtures().join(sample).join("openclaw.json"), state.join("openclaw.json"))
                .unwrap();
        }
        _ => copy(&fixtures().join(sample), &state),
    }
    // A port at which nobody listens: whoever runs the tests may have an OpenClaw at the usual one.
    let config = state.join("openclaw.json");
    if let Ok(text) = std::fs::read_to_string(&config) {
        std::fs::write(&config, text.replace("18789", "1")).unwrap();
    }
    home
}

fn start(server: &Server, device: &Device, home: &Path, state: &str) -> Process {
    let mut command = Command::new(agent_program());
    command
        .args(["run", "--server", &server.broker, "--key", &device.key, "--pin", &device.pin])
        .args(["--interval", "1s", "--log-level", "debug", "--openclaw-home"])
        .arg(home)
        .arg("--state-dir")
        .arg(server.folder().join(state));
    Process::start(&mut command, &server.folder().join(format!("{state}.log")))
}

/// Input, output, tokens read from and written into the cache, and turns, by the API.
fn numbers(usage: &Value) -> [u64; 5] {
    ["input", "output", "cache_read", "cache_write", "turns"].map(|name| usage[name].as_u64().unwrap())
}

fn expected(counts: &Value) -> [u64; 5] {
    let of =
        |short: &str, long: &str| counts.get(short).or(counts.get(long)).and_then(Value::as_u64).unwrap_or(0);
    [of("i", "input"), of("o", "output"), of("cr", "cacheRead"), of("cw", "cacheWrite"), of("n", "n")]
}

async fn counted(server: &Server, device: &Device, expected: [u64; 5]) {
    let mut last = Value::Null;
    let what = format!("{expected:?} are counted");
    until(&what, PATIENCE, async || {
        last = server.device(&device.id)["usage"]["total"].clone();
        (last.is_object() && numbers(&last) == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_are_counted_to_the_token_and_once_however_often_they_are_read() {
    let server = Server::start().await;
    let sums = |sample: &str| -> Value {
        serde_json::from_slice(&std::fs::read(fixtures().join(sample).join("EXPECTED.json")).unwrap())
            .unwrap()
    };
    let (new, old) = (sums("2026.9.6"), sums("2026.6.11"));
    let cases = [
        ("2026.9.6", expected(&new["unique"])),
        ("2026.6.11", expected(&old)),
        // The same history after OpenClaw had brought it over.
        ("migrated", expected(&old)),
    ];
    for (sample, total) in cases {
        let device = server.add_device(sample).await;
        let home = home(&server, sample);
        let mut agent = start(&server, &device, &home, &format!("{sample}-state"));
        server.wait_online(&device.id, true).await;
        agent.kill();
        let mut agent = start(&server, &device, &home, &format!("{sample}-state"));
        counted(&server, &device, total).await;
        // Another ledger, for the one that was lost: what it counts anew is known already.
        agent.kill();
        let again = start(&server, &device, &home, &format!("{sample}-again"));
        let told = async || again.log().contains("usage told").then_some(());
        until("the new ledger is told", PATIENCE, told).await;
        counted(&server, &device, total).await;
        // The others' configuration was not sampled, and at the usual port somebody may have a real one.
        let state = if sample == "2026.9.6" { "stopped" } else { "" };
        let stopped = async || {
            (state.is_empty() || server.device(&device.id)["openclaw"]["state"] == state).then_some(())
        };
        until("the gateway is seen to be stopped", PATIENCE, stopped).await;
    }

    let by = |by: &str, device: &str| {
        server.get(&format!("/usage?by={by}&device={device}&from=2026-01-01T00:00:00Z"))
    };
    let devices = server.get("/devices");
    let id = |name: &str| {
        let of = |d: &&Value| d["name"] == name;
        devices.as_array().unwrap().iter().find(of).unwrap()["id"].as_str().unwrap().to_owned()
    };
    for group in by("model", &id("2026.9.6")).as_array().unwrap() {
        let day_and_model = format!("2026-11-20 {}", group["key"].as_str().unwrap());
        assert_eq!(numbers(&group["usage"]), expected(&new["perDayModel"][&day_and_model]), "{group}");
    }
    for sample in ["2026.6.11", "migrated"] {
        for group in by("model", &id(sample)).as_array().unwrap() {
            assert_eq!(
                numbers(&group["usage"]),
                expected(&old["perModel"][group["key"].as_str().unwrap()]),
                "{group}"
            );
        }
    }
    let agents = by("agent", &id("2026.9.6"));
    let agents: Vec<&str> = agents.as_array().unwrap().iter().map(|g| g["key"].as_str().unwrap()).collect();
    assert_eq!(agents, ["main", "ops"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_is_told_though_the_spool_is_lost() {
    let mut server = Server::start().await;
    let device = server.add_device("no-spool").await;
    let home = home(&server, "2026.9.6");
    server.kill();
    let mut agent = start(&server, &device, &home, "state");
    let told = async || agent.log().contains("usage told").then_some(());
    until("the tokens are counted", PATIENCE, told).await;
    agent.kill();
    std::fs::remove_dir_all(server.folder().join("state/spool")).unwrap();
    server.restart().await;
    let _agent = start(&server, &device, &home, "state");
    let sums = std::fs::read(fixtures().join("2026.9.6/EXPECTED.json")).unwrap();
    let sums: Value = serde_json::from_slice(&sums).unwrap();
    counted(&server, &device, expected(&sums["unique"])).await;
}

/// What must not leave, wherever it stands: a provider's key, a bot's token, a telephone number, an address, what was said, what
/// was answered, the gateway's token. Made anew for each run.
fn planted() -> [String; 7] {
    let secret = protocol::new_secret();
    let (key, bot, token) = (&secret[..30], &secret[5..40], &secret[10..]);
    [
        format!("sk-live-{key}"),
        format!("123456789:{bot}"),
        "+4915112345678".to_owned(),
        "planted.person@example.org".to_owned(),
        "please call my doctor about the planted results".to_owned(),
        "planted reply: of course, dear Anna".to_owned(),
        // With a digit whatever the chance: only what is mixed looks like a secret without a name.
        format!("planted-0{token}"),
    ]
}

fn line(planted: &[String; 7], level: &str, name: &str, message: &str) -> String {
    json!({
        "0": name, "1": { "error": planted[4], "rawErrorPreview": planted[0], "event": "embedded_run_agent_end" }, "2": message,
        "_meta": { "logLevelName": level, "name": name, "date": "2026-11-20T07:00:00.000Z" },
        "time": "2026-11-20T07:00:00.000+00:00", "message": message,
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_secret_and_no_message_leaves_the_device() {
    let server = Server::start().await;
    let device = server.add_device("discreet").await;
    let home = home(&server, "2026.9.6");
    let log = home.join("openclaw.log");
    let all = planted();
    let [key, bot, phone, mail, said, reply, token] = &all;
    let line = |level: &str, name: &str, message: &str| line(&all, level, name, message);
    let config = json!({
        "gateway": { "port": 1, "auth": { "token": token } },
        "channels": { "telegram": { "enabled": true, "botToken": bot } },
        "logging": { "file": log },
    });
    std::fs::write(home.join(".openclaw/openclaw.json"), config.to_string()).unwrap();
    let gateway = r#"{"subsystem":"gateway"}"#;
    let lines = [
        line("ERROR", gateway, &format!("provider said 401 for key {key} and {token}")),
        line(
            "ERROR",
            r#"{"subsystem":"channels/telegram"}"#,
            &format!("getUpdates failed: https://api.telegram.org/bot{bot}/getUpdates"),
        ),
        line(
            "ERROR",
            gateway,
            &format!(
                "message to {phone} from {mail} failed: text=\"{said}\" sessionKey=agent:main:whatsapp:{phone}"
            ),
        ),
        line("WARN", r#"{"subsystem":"agent/embedded"}"#, &format!("run failed: prompt: {said}")),
        line(
            "ERROR",
            "openclaw",
            &format!(
                "[openclaw] Unhandled promise rejection: Error: bad key {key}\n    at f (/home/planted-user/x.js:1:2)"
            ),
        ),
        line("INFO", "openclaw", reply),
    ];
    std::fs::write(&log, lines.join("\n") + "\n").unwrap();

    // Everything that the server hands on, as a subscriber reads it.
    let mut observer = Client::connect(&server.broker, &Options::new("observer", &server.reader())).await;
    observer.subscribe("openclaw/#", 0).await.unwrap();
    let _agent = start(&server, &device, &home, "state");
    let mut seen = String::new();
    let mut kinds = std::collections::BTreeSet::new();
    let wanted = ["presence", "report", "usage", "log", "event"];
    until("every kind of message has come", PATIENCE, async || {
        let message = observer.message().await.unwrap();
        kinds.insert(message.topic.rsplit('/').next().unwrap().to_owned());
        seen.push_str(&String::from_utf8(message.payload).unwrap());
        wanted.iter().all(|kind| kinds.contains(*kind)).then_some(())
    })
    .await;
    seen.push_str(&server.get("/errors?limit=1000").to_string());
    seen.push_str(&server.get(&format!("/devices/{}/events?limit=1000", device.id)).to_string());
    seen.push_str(&server.get(&format!("/devices/{}", device.id)).to_string());
    for planted in all.iter().map(String::as_str).chain(["planted-user"]) {
        assert!(!seen.contains(planted), "{planted} left the device");
    }
    // The samples' own prompts, replies and names of jobs.
    for private in ["Mock reply", "USE_TOOL", "LONG_REPLY", "sk-mock", "lab-token"] {
        assert!(!seen.contains(private), "{private} left the device");
    }
    assert!(seen.contains("[secret]") && seen.contains("[number]"), "it was told that something was cut");
    let errors = server.get("/errors");
    assert_eq!(errors["items"].as_array().unwrap().len(), 5, "{errors}");

    let shown = Command::new(agent_program()).args(["show", "--openclaw-home"]).arg(&home).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(serde_json::from_str::<Value>(&shown).is_ok_and(|shown| shown.is_array()), "{shown}");
    assert!(all.iter().all(|planted| !shown.contains(planted.as_str())), "shown: {shown}");
}
