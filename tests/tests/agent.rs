//! The real agent against the real server, by other ways than the usual one, and what both write down.

use std::process::Command;
use std::time::Duration;

use e2e::mqtt::{Client, Options};
use e2e::{Process, Server, agent_program};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reports_over_a_websocket() {
    let server = Server::start().await;
    let device = server.add_device("behind-a-proxy").await;
    let address = format!("wss://{}/mqtt", server.broker);
    let mut command = Command::new(agent_program());
    command.args([
        "run",
        "--server",
        &address,
        "--key",
        &device.key,
        "--pin",
        &device.pin,
        "--interval",
        "1s",
    ]);
    command.arg("--state-dir").arg(server.folder().join("state"));
    let agent = Process::start(&mut command, &server.folder().join("agent.log"));
    let shown = server.wait_online(&device.id, true).await;
    assert_eq!(shown["agent_version"], env!("CARGO_PKG_VERSION"), "{}", agent.log());
    e2e::until("a report arrives", Duration::from_secs(10), async || {
        server.device(&device.id)["latest"]["cpu_pct"].is_number().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_report_and_a_farewell() {
    let server = Server::start().await;
    let device = server.add_device("once").await;
    let output = Command::new(agent_program())
        .args(["once", "--server", &server.broker, "--key", &device.key, "--pin", &device.pin, "--state-dir"])
        .arg(server.folder().join("state"))
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = server.device(&device.id);
    assert_eq!((&shown["online"], &shown["reason"]), (&json!(false), &json!("shutdown")));
    assert!(shown["latest"]["memory_total_bytes"].is_number(), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_clock_is_off_by_a_day_is_shown_now() {
    let server = Server::start().await;
    let device = server.add_device("yesterday").await;
    let mut client = Client::connect(&server.broker, &Options::new("x", &device.key)).await;
    let report = json!({ "v": 1, "spool": "abcdefghijkl", "seq": 1, "at": 1_600_000_000_000_i64, "cpu": { "pct": 7.0 } });
    let topic = format!("openclaw/{}/report", device.id);
    client.publish(&topic, report.to_string().as_bytes(), true).await.expect("a PUBACK");
    let shown = server.device(&device.id);
    assert_eq!(shown["latest"]["cpu_pct"], 7.0);
    let at = shown["latest"]["at"].as_str().expect("a time").get(..10);
    assert_eq!(at, shown["last_seen_at"].as_str().expect("a time").get(..10), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_holds_a_secret() {
    let server =
        Server::start_with(&[("LOG__LEVEL", "trace,rumqttd=trace,sqlx=trace,hyper=trace,rustls=trace")])
            .await;
    let device = server.add_device("talkative").await;
    let agent = server.start_agent(&device);
    server.wait_online(&device.id, true).await;
    let password = "a password nobody guesses";
    let form = json!({ "name": "admin", "password": password });
    assert_eq!(server.request("POST", "/login", Some(&form)).0, 401);
    let wrong = &format!("ocw_abcdefghijkl_{}", "A".repeat(43));
    let refused = Client::try_connect(&server.broker, &Options::new("x", wrong)).await.expect("an answer").1;
    assert_eq!(refused.body, [0, 5]);
    let log = server.process.log();
    assert!(log.contains("TRACE") && log.contains("client connected"), "the log says everything");
    for secret in [device.key.as_str(), server.token(), password, wrong.as_str()] {
        assert!(!log.contains(secret) && !agent.log().contains(secret), "a secret is in a log");
    }
}
