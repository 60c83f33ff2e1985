//! Keys that are replaced, and what the gate tells of those who knock.

use std::time::Duration;

use e2e::mqtt::{Client, Options};
use e2e::{Server, until};
use protocol::{ApiKey, Clock, DeviceId, TopicRoot};
use serde_json::{Value, json};
use store::{Actor, Store};

const MOMENT: Duration = Duration::from_secs(10);
const HOUR_MS: i64 = 3_600_000;

/// The newest of what the gate saw with this outcome.
async fn seen(server: &Server, outcome: &str) -> Value {
    until(&format!("the gate tells of {outcome}"), MOMENT, async || {
        let all = server.get("/connection-attempts?limit=500");
        all.as_array()?.iter().find(|attempt| attempt["outcome"] == outcome).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_goes_on_until_its_time_is_over() {
    let server = Server::start().await;
    let device = server.add_device("one").await;
    let mut old = Client::connect(&server.broker, &Options::new(&device.id, &device.key)).await;
    // As it was rotated an hour ago, but for some seconds.
    let settings = store::Config {
        data_dir: server.data_dir(),
        create: false,
        topic_root: TopicRoot::default(),
        readers: 2,
    };
    let then = Clock::manual(Clock::system().now().plus_millis(4_000 - HOUR_MS));
    let beside = Store::open(settings, then).await.expect("the store opens beside a server");
    let id = DeviceId::parse(&device.id).expect("an id");
    let key =
        beside.rotate_key(&Actor::cli("test"), id, 1).await.expect("it is stored").expect("it is allowed");
    beside.close().await;
    let mut new = Client::connect(&server.broker, &Options::new(&device.id, key.reveal())).await;
    old.ping().await.expect("the old key goes on");
    assert!(old.closed(MOMENT).await, "its time is over");
    new.ping().await.expect("the new one goes on");
    let (_, refused) =
        Client::try_connect(&server.broker, &Options::new(&device.id, &device.key)).await.expect("an answer");
    assert_eq!(refused.body.get(1), Some(&5));
    let attempt = seen(&server, "expired_key").await;
    assert_eq!((&attempt["device"], &attempt["device_name"]), (&json!(device.id), &json!("one")));
    let keys = server.get("/keys");
    assert_eq!(keys.as_array().map(Vec::len), Some(1), "{keys}");
    assert!(keys[0]["last_used_at"].is_string(), "{keys}");
    // Without an overlap at once.
    let path = format!("/devices/{}/rotate-key", device.id);
    assert_eq!(server.request("POST", &path, Some(&json!({}))).0, 200);
    assert!(new.closed(MOMENT).await);
    drop(Client::try_connect(&server.broker, &Options::new(&device.id, key.reveal())).await);
    seen(&server, "revoked_key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_who_knocked_and_why_they_are_not_in() {
    let server = Server::start().await;
    let device = server.add_device("one").await;
    // An agent that expects another server.
    let stranger = e2e::Device { pin: format!("sha256:{}", "0".repeat(64)), ..device.clone() };
    let mut agent = server.start_agent(&stranger);
    let attempt = seen(&server, "tls_failed").await;
    assert_eq!(attempt["detail"], "certificate_unknown", "{attempt}");
    agent.kill();
    // The secret of another key: the device is known by it all the same, and the secret is shown nowhere.
    let wrong = ApiKey::generate(DeviceId::parse(&device.id).expect("an id"));
    for _ in 0..3 {
        drop(Client::try_connect(&server.broker, &Options::new("x", wrong.reveal())).await);
    }
    let attempt = seen(&server, "unknown_key").await;
    assert_eq!((&attempt["device"], &attempt["client"]), (&json!(device.id), &json!("tcp")));
    assert!(attempt["count"].as_u64() > Some(1), "{attempt}");
    // Half of a key.
    let half = device.key.split_at(30).0;
    drop(Client::try_connect(&server.broker, &Options::new("x", half)).await);
    until("the gate tells of half a key", MOMENT, async || {
        (seen(&server, "unknown_key").await["detail"] == "incomplete").then_some(())
    })
    .await;
    // A browser on the wrong port.
    drop(ureq::get(format!("http://{}/", server.broker)).call());
    assert_eq!(seen(&server, "not_mqtt").await["client"], "http");
    let _agent = server.start_agent(&device);
    server.wait_online(&device.id, true).await;
    assert_eq!(seen(&server, "accepted").await["device"], json!(device.id));
    let all = server.get("/connection-attempts").to_string();
    let secret = device.key.rsplit('_').next().unwrap_or_default();
    assert!(!all.contains(secret) && !all.contains("ocw_"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_tokens_are_seen_to_at_the_command_line() {
    let server = Server::start().await;
    let made = server.command(&["token", "create", "--role", "viewer", "--days", "1", "script"]);
    let id = made["id"].as_str().expect("an id");
    let tokens = server.command(&["token", "list"]);
    let listed = tokens.as_array().and_then(|tokens| tokens.iter().find(|token| token["id"] == id));
    assert!(listed.is_some_and(|token| token["expires_at"].is_i64()), "{tokens}");
    server.command(&["token", "revoke", id]);
    assert!(!server.run(&["token", "revoke", id]).status.success());
    for (name, role) in [("ann", "admin"), ("bob", "viewer")] {
        let new = json!({ "name": name, "role": role, "password": "correct horse battery" });
        assert_eq!(server.request("POST", "/users", Some(&new)).0, 201);
    }
    let refused = server.run(&["user", "role", "ann", "viewer"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("only admin"), "{refused:?}");
    server.command(&["user", "role", "bob", "admin"]);
    server.command(&["user", "remove", "ann"]);
    let people = server.command(&["user", "list"]);
    assert_eq!((people.as_array().map(Vec::len), &people[0]["role"]), (Some(1), &json!("admin")));
    assert!(!server.run(&["user", "reset-two-factor", "bob"]).status.success(), "there is none");
}
