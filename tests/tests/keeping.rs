//! Data that stays: copies beside a running server, put back, looked after, taken out.

use std::process::Command;
use std::time::Duration;

use e2e::{Server, server_program, until};
use serde_json::Value;

/// What the server says of itself to everybody.
fn health(server: &Server) -> Value {
    server.command(&["health"])
}

fn path(server: &Server, name: &str) -> String {
    server.folder().join(name).to_str().expect("a path").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_is_there_again_after_a_restore() {
    let mut server = Server::start().await;
    let device = server.add_device("kept").await;
    let file = path(&server, "copy.sqlite");
    server.command(&["backup", &file]);
    let gone = server.add_device("later").await;
    let refused = server.run(&["restore", &file]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("stop it first"), "{words}");
    server.process.signal("TERM");
    server.process.wait(Duration::from_secs(20)).await;
    let done = server.command(&["restore", &file]);
    let kept = done["kept"].as_str().expect("the one before is kept");
    assert!(std::path::Path::new(kept).exists(), "{kept}");
    server.restart().await;
    assert_eq!(server.device(&device.id)["name"], "kept");
    assert_eq!(server.request("GET", &format!("/devices/{}", gone.id), None).0, 404);
    // The run in which the copy was made did not crash.
    assert_eq!(server.get("/events?kind=server_crashed")["items"], serde_json::json!([]));
    let log = server.get("/audit-log?action=restore");
    assert_eq!(
        (&log["items"][0]["actor_kind"], &log["items"][0]["subject_id"]),
        (&"cli".into(), &file.as_str().into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_database_is_checked_and_nobody_waits_for_it() {
    let mut server = Server::start().await;
    server.add_device("one").await;
    assert_eq!(health(&server)["database"], "ok");
    assert!(!server.process.log().contains("the database is checked"));
    server.kill();
    // It answers as soon as it listens, whatever it still reads.
    server.restart().await;
    until("it says why it reads", Duration::from_secs(5), async || {
        server.process.log().contains("the database is checked").then_some(())
    })
    .await;
    until("the database was read through", Duration::from_secs(20), async || {
        (health(&server)["database"] == "ok").then_some(())
    })
    .await;
    assert!(server.process.log().contains("the database is whole"));
    // A clean end leaves no doubt.
    server.process.signal("TERM");
    server.process.wait(Duration::from_secs(20)).await;
    let checks = server.process.log().matches("the database is checked").count();
    server.restart().await;
    assert_eq!(server.process.log().matches("the database is checked").count(), checks);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_can_be_taken_out() {
    let server = Server::start().await;
    let device = server.add_device("=1+1").await;
    let file = path(&server, "log.csv");
    let done = server.command(&["export", "audit-log", "-o", &file]);
    let text = std::fs::read_to_string(&file).expect("the file is there");
    assert!(
        text.starts_with("no,at,actor_kind,") && text.contains("device.add") && text.contains("'=1+1"),
        "{text}"
    );
    assert!(done["rows"].as_u64().expect("a number") >= 2);
    assert!(!server.run(&["export", "audit-log", "-o", &file]).status.success(), "nothing is overwritten");
    let lines = server.run(&["export", "audit-log", "--format", "jsonl", "--from", "2026-01-01T00:00:00Z"]);
    let lines = String::from_utf8(lines.stdout).expect("text");
    let actors: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // The server by itself begins with two channels.
    assert!(actors.iter().all(|row| row["actor_kind"] == "cli" || row["actor_kind"] == "server"), "{lines}");
    assert!(!lines.contains(&device.key), "no key leaves");
    for what in ["errors", "events", "usage"] {
        let output = server.run(&["export", what, "--device", &device.id]);
        assert!(output.status.success() && output.stdout.ends_with(b"\r\n"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_wrong_and_what_to_do() {
    let server = Server::start().await;
    let well = server.command(&["doctor", "--full"]);
    let all = well.as_array().expect("findings");
    let about =
        |name: &str| all.iter().find(|f| f["about"] == name).unwrap_or_else(|| panic!("{name} in {well}"));
    for name in ["server", "recording", "content", "database", "disk", "clock", "backup", "certificate"] {
        assert_eq!(about(name)["ok"], true, "{name}: {well}");
    }
    assert!(about("certificate")["says"].as_str().expect("words").contains("more days"), "{well}");
    drop(server);
    let empty = tempfile::TempDir::new().expect("a folder");
    let doctor = || {
        let mut command = Command::new(server_program());
        command.args(["doctor", "--data-dir"]).arg(empty.path()).output().expect("the program runs")
    };
    // Nothing is damaged where nothing is.
    let text = String::from_utf8_lossy(&doctor().stdout).into_owned();
    assert!(text.contains("start the server once") && !text.contains("damaged"), "{text}");
    std::fs::write(empty.path().join("openclaw-watch.sqlite"), "not a database").expect("a file");
    let output = doctor();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !output.status.success() && text.contains("What to do:") && text.contains("restore FILE"),
        "{text}"
    );
}
