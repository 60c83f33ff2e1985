//! The clients that people use, with the server's own certificate as the authority they trust: mosquitto (3.1.1 and 5),
//! MQTT.js over a WebSocket, paho-mqtt. Each with a key that may read.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use e2e::mqtt::{Client, Options, add_devices, service};
use e2e::{Device, Process, Server, programs, until};

const MOMENT: Duration = Duration::from_secs(20);
const DEVICES: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mosquitto,
    MqttJs,
    Paho,
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

fn installed(path: &Path) -> &Path {
    assert!(path.exists(), "{} is missing: run tests/clients/setup.sh", path.display());
    path
}

impl Kind {
    /// A command that subscribes and prints what comes, or publishes.
    fn command(self, server: &Server, level: u8, key: &str, words: &[&str]) -> Command {
        let port = server.broker.rsplit(':').next().unwrap();
        let certificate = server.data_dir().join("tls/certificate.pem");
        let mut command = match self {
            Self::Mosquitto => {
                let name = if words[0] == "watch" { "mosquitto_sub" } else { "mosquitto_pub" };
                let there = Command::new(name).arg("--help").output().is_ok();
                assert!(there, "{name} is missing: run tests/clients/setup.sh");
                let mut command = Command::new(name);
                command.args(["-h", "localhost", "-p", port, "-u", "anyone", "-P", key, "-q", "1"]);
                command.args(["-V", if level == 5 { "mqttv5" } else { "mqttv311" }]);
                command.arg("--cafile").arg(certificate);
                match words {
                    ["watch", filter, count] => command.args(["-v", "-t", filter, "-C", count, "-W", "30"]),
                    ["publish", topic, payload] => command.args(["-r", "-t", topic, "-m", payload]),
                    other => panic!("{other:?}"),
                };
                return command;
            }
            Self::MqttJs => {
                installed(&clients().join("node_modules/mqtt"));
                let mut command = Command::new("node");
                command.arg(clients().join("watch_mqttjs.mjs"));
                command
            }
            Self::Paho => {
                let target = programs().parent().expect("target/PROFILE");
                let mut command = Command::new(installed(&target.join("test-clients/venv/bin/python")));
                command.arg(clients().join("watch_paho.py"));
                command
            }
        };
        command.arg(port).arg(certificate).args([&level.to_string(), key]).args(words);
        command
    }

    fn run(self, server: &Server, level: u8, key: &str, words: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(server, level, key, words).output().unwrap();
        let printed = [stdout, stderr].concat();
        (status.code(), String::from_utf8_lossy(&printed).into_owned())
    }
}

#[expect(clippy::disallowed_methods, reason = "a report of now, to a server whose clock is the real one")]
fn report(seq: usize) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    format!(r#"{{"v":1,"spool":"cuqzdue4yrtt","seq":{seq},"at":{now},"interval_s":30}}"#).into_bytes()
}

/// A fleet that has told its presence and its first report.
async fn fleet(server: &Server) -> Vec<Device> {
    let devices = add_devices(server, DEVICES);
    for device in &devices {
        let mut client = Client::plain(&server.broker, &Options::new("d", &device.key)).await;
        let topic = |what| format!("openclaw/{}/{what}", device.id);
        let birth = br#"{"v":1,"state":"online","epoch":1}"#;
        assert_eq!(client.publish(&topic("presence"), birth, true).await.unwrap(), 0);
        assert_eq!(client.publish(&topic("report"), &report(1), true).await.unwrap(), 0);
    }
    devices
}

async fn check(kind: Kind) {
    let server = Server::start().await;
    let devices = fleet(&server).await;
    let [first, second] = [&devices[0], &devices[1]];
    let reader = server.reader();
    let made = server.command(&["key", "add", "one", "--kind", "reader", "--device", &first.id]);
    let limited = made["key"].as_str().unwrap();
    let everything = service(&server, &["#"], &["#"]);
    let mut witness = Client::plain(&server.broker, &Options::v5("witness", &everything)).await;
    // Not what is retained already.
    assert_eq!(witness.subscribe("#", 0x20).await.unwrap(), 0);
    for level in [4, 5] {
        // What is retained of all devices, at once, and then what is live.
        let all = DEVICES * 3;
        let log = server.folder().join(format!("watch{level}.log"));
        let count = (all + 1).to_string();
        let mut watch = Process::start(
            &mut kind.command(&server, level, &reader, &["watch", "openclaw/#", &count]),
            &log,
        );
        let retained = async || {
            assert_eq!(watch.ended(), None, "{}", watch.log());
            (watch.log().lines().count() == all).then_some(())
        };
        until("all that is retained has come", MOMENT, retained).await;
        let mut device = Client::plain(&server.broker, &Options::new("d", &first.key)).await;
        let live = report(usize::from(level));
        let topic = format!("openclaw/{}/report", first.id);
        assert_eq!(device.publish(&topic, &live, true).await.unwrap(), 0);
        assert!(watch.wait(MOMENT).await.success(), "{}", watch.log());
        let lines: Vec<String> = watch.log().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), all + 1);
        assert_eq!(lines[all], format!("{topic} {}", String::from_utf8(live).unwrap()));
        let seen: BTreeSet<&str> = lines[..all].iter().filter_map(|l| l.split(' ').next()).collect();
        for device in &devices {
            for what in ["presence", "status", "report"] {
                assert!(
                    seen.contains(format!("openclaw/{}/{what}", device.id).as_str()),
                    "{what} {device:?}"
                );
            }
        }
        // What it may not.
        witness.ping().await.unwrap();
        let presence = format!("openclaw/{}/presence", second.id);
        for key in [&reader, &first.key] {
            let (_, printed) = kind.run(&server, level, key, &["publish", &presence, "forged"]);
            // 3.1.1 has no word for it.
            let told = ["not authori", "denied"].iter().any(|word| printed.to_lowercase().contains(word));
            assert!(told || level == 4, "{printed}");
        }
        assert_eq!(witness.ping().await.unwrap().iter().filter(|m| m.payload == b"forged").count(), 0);
        for filter in ["#", "openclaw/#", presence.as_str()] {
            let (code, printed) = kind.run(&server, level, limited, &["watch", filter, "1"]);
            assert!(code != Some(0) || printed.to_lowercase().contains("denied"), "{filter}: {printed}");
            assert!(!printed.contains("online"), "{printed}");
        }
        let (code, printed) =
            kind.run(&server, level, limited, &["watch", &format!("openclaw/{}/status", first.id), "1"]);
        assert_eq!(code, Some(0), "{printed}");
        assert!(printed.contains("/status o"), "{printed}");
        // A wrong key. mosquitto's exit code is the CONNACK's; paho has one vocabulary for both versions.
        let (code, printed) = kind.run(&server, level, "wrong", &["watch", "#", "1"]);
        match kind {
            Kind::Mosquitto => assert_eq!(code, Some(if level == 5 { 0x87 } else { 5 }), "{printed}"),
            Kind::MqttJs => {
                assert_eq!(printed.trim(), format!("refused {}", if level == 5 { 0x87 } else { 5 }));
            }
            Kind::Paho => assert_eq!(printed.trim(), "refused 135"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_over_tls() {
    check(Kind::Mosquitto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_js_over_a_websocket() {
    check(Kind::MqttJs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_over_tls() {
    check(Kind::Paho).await;
}
