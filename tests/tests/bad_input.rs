//! What goes wrong is told in a sentence that says what to do, with an exit code and without a stack trace; and the
//! agent keeps trying where trying makes sense.

use std::process::{Command, Output};
use std::time::Duration;

use e2e::{Device, Process, Server, agent_program, server_program, until};
use tempfile::TempDir;

fn server(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(server_program())
        .args(arguments)
        .envs(environment.iter().copied())
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("the program runs")
}

#[track_caller]
fn check(output: &Output, code: i32, says: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in says {
        assert!(text.contains(word), "\"{word}\" in: {text}");
    }
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && !text.contains("panicked") && !text.contains("at src/"), "{text}");
}

#[test]
fn a_misspelt_setting_is_named() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("server.toml");
    std::fs::write(&file, "[dashboard]\nlisen = \"0.0.0.0:1\"\n").expect("a file");
    let path = file.to_str().expect("a path");
    check(&server(&["--config", path], &[]), 2, &["server.toml", "lisen"]);
    check(&server(&["--config", "/nowhere/x.toml"], &[]), 2, &["/nowhere/x.toml", "cannot read"]);
    let bad = [("OPENCLAW_WATCH__BROKER__LISTENN", "x")];
    check(&server(&["doctor"], &bad), 2, &["OPENCLAW_WATCH__BROKER__LISTENN"]);
    let level = [("OPENCLAW_WATCH__LOG__LEVEL", "loud=very")];
    let data = folder.path().join("data");
    check(&server(&["--data-dir", data.to_str().expect("a path")], &level), 1, &["[log] level"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_and_a_folder_in_use_are_told() {
    let running = Server::start().await;
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a path");
    for (section, address) in [("DASHBOARD", &running.dashboard), ("BROKER", &running.broker)] {
        let other = if section == "DASHBOARD" { "BROKER" } else { "DASHBOARD" };
        let taken = format!("OPENCLAW_WATCH__{section}__LISTEN");
        let free = format!("OPENCLAW_WATCH__{other}__LISTEN");
        let output = server(&["--data-dir", data], &[(&taken, address), (&free, "127.0.0.1:0")]);
        let section = section.to_lowercase();
        check(&output, 1, &[address, "another program has the port", &format!("[{section}] listen")]);
    }
    let output = server(&["--data-dir", running.data_dir().to_str().expect("a path")], &[]);
    check(&output, 1, &["another openclaw-watch is running", "--data-dir"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    // Root may write everywhere but below a file.
    let file = tempfile::NamedTempFile::new().expect("a file");
    let below = file.path().join("data");
    check(&server(&["--data-dir", below.to_str().expect("a path")], &[]), 1, &["data", "--data-dir"]);
}

#[test]
fn a_command_without_data_says_where_to_look() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("nothing");
    let output = server(&["device", "list", "--data-dir", data.to_str().expect("a path")], &[]);
    check(&output, 1, &["there is no data", "--data-dir"]);
    assert!(!data.exists(), "a command that looks makes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_commands_are_sentences() {
    let server = Server::start().await;
    server.add_device("twice").await;
    let text = |arguments: &[&str]| {
        let output = server.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(text(&["device", "add", "twice"]).contains("a device named \"twice\" already"));
    assert!(text(&["device", "add", "two\nlines"]).contains("no line breaks"));
    assert!(text(&["device", "remove", "aaaaaaaaaaaa"]).contains("there is no device aaaaaaaaaaaa"));
    assert!(text(&["key", "revoke", "aaaaaaaaaaaa"]).contains("there is no key"));
    assert!(text(&["key", "add", "--kind", "service", "x"]).contains("--publish"));
}

/// Starts an agent that is told something wrong, and waits until its log says all of `words`.
async fn agent_says(server: &Server, device: &Device, address: &str, pin: &str, words: &[&str]) -> Process {
    let mut command = Command::new(agent_program());
    let state = server.folder().join(format!("state-{}", words.join("").len()));
    command.args(["run", "--server", address, "--key", &device.key, "--pin", pin, "--state-dir"]).arg(&state);
    let mut agent = Process::start(&mut command, &state.with_extension("log"));
    let what = format!("the agent says {words:?}");
    until(&what, Duration::from_secs(10), async || {
        let log = agent.log();
        words.iter().all(|word| log.contains(word)).then_some(())
    })
    .await;
    assert!(agent.ended().is_none(), "the agent keeps trying: {}", agent.log());
    assert!(!agent.log().contains(&device.key), "a log never holds a key");
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_cannot_connect_says_why_and_keeps_trying() {
    let server = Server::start().await;
    let device = server.add_device("troubled").await;
    let wrong = format!("sha256:{}", "0".repeat(64));
    drop(agent_says(&server, &device, &server.broker, &wrong, &["fingerprint", &device.pin, "--pin"]).await);
    drop(agent_says(&server, &device, "127.0.0.1:9", &device.pin, &["127.0.0.1:9"]).await);
    drop(
        agent_says(&server, &device, "no-such-host.invalid:38889", &device.pin, &["no-such-host.invalid"])
            .await,
    );
    server.command(&["device", "rotate-key", &device.id]);
    drop(agent_says(&server, &device, &server.broker, &device.pin, &["key"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_outlives_a_restart_of_the_server() {
    let mut server = Server::start().await;
    let device = server.add_device("patient").await;
    let _agent = server.start_agent(&device);
    server.wait_online(&device.id, true).await;
    server.process.signal("TERM");
    assert!(server.process.wait(Duration::from_secs(20)).await.success(), "{}", server.process.log());
    server.restart().await;
    let before = server.device(&device.id)["last_seen_at"].clone();
    until("it reports again", Duration::from_secs(20), async || {
        (server.device(&device.id)["last_seen_at"] != before).then_some(())
    })
    .await;
    let shown = server.device(&device.id);
    assert_eq!(shown["online"], true, "a stop of the server is nobody's outage: {shown}");
}
