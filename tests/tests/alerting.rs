//! Alerting with the real server: from what a device says, or that it says nothing, to a message at a webhook.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
#![expect(clippy::disallowed_methods, reason = "what is spawned ends with its test")]

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::mqtt::{Client, Options, add_devices};
use e2e::{Device, Server, until};
use protocol::Clock;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What a webhook was sent.
#[derive(Debug, Clone)]
struct Arrival {
    at: Instant,
    key: String,
    body: Value,
}

/// Somebody's web server, which takes its time.
struct Hook {
    url: String,
    arrived: Arc<Mutex<Vec<Arrival>>>,
    delay_ms: Arc<AtomicU64>,
}

impl Hook {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (arrived, delay_ms) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let hook = Self { url, arrived: Arc::clone(&arrived), delay_ms: Arc::clone(&delay_ms) };
        tokio::task::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (arrived, delay) = (Arc::clone(&arrived), Arc::clone(&delay_ms));
                tokio::task::spawn(async move {
                    let mut bytes = Vec::new();
                    let whole = loop {
                        let mut part = [0; 4096];
                        match stream.read(&mut part).await {
                            Ok(0) | Err(_) => break None,
                            Ok(n) => bytes.extend_from_slice(&part[..n]),
                        }
                        let text = String::from_utf8_lossy(&bytes);
                        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                        let header = |name: &str| {
                            let line = head.lines().find(|l| l.to_lowercase().starts_with(name))?;
                            Some(line.split_once(':')?.1.trim().to_owned())
                        };
                        let length: usize = header("content-length").unwrap().parse().unwrap();
                        if body.len() >= length {
                            break Some((
                                header("idempotency-key").unwrap(),
                                serde_json::from_str(body).unwrap(),
                            ));
                        }
                    };
                    let Some((key, body)) = whole else { return };
                    arrived.lock().unwrap().push(Arrival { at: Instant::now(), key, body });
                    tokio::time::sleep(Duration::from_millis(delay.load(Ordering::Relaxed))).await;
                    drop(
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                            .await,
                    );
                });
            }
        });
        hook
    }

    fn arrived(&self) -> Vec<Arrival> {
        self.arrived.lock().unwrap().clone()
    }

    /// What was told of a kind of rule.
    fn of(&self, rule: &str) -> Vec<Arrival> {
        self.arrived().into_iter().filter(|arrival| arrival.body["rule"] == rule).collect()
    }
}

/// A server whose alerts go to a webhook on this machine.
async fn server() -> (Server, Hook) {
    let hook = Hook::start().await;
    let server = Server::start_with(&[("ALERTING__ALLOW_PRIVATE_ADDRESSES", "true")]).await;
    let channel = json!({
        "kind": "webhook", "name": "hook", "enabled": true, "settings": {}, "secrets": { "url": hook.url },
        "language": "en", "least": "info", "takes_all": true, "always": true,
    });
    let (status, made) = server.request("POST", "/channels", Some(&channel));
    assert_eq!(status, 201, "{made}");
    (server, hook)
}

/// Changes the one rule of a kind.
fn change_rule(server: &Server, kind: &str, change: impl Fn(&mut Value)) {
    let rules = server.get("/rules");
    let rule = rules.as_array().unwrap().iter().find(|rule| rule["kind"] == kind).unwrap();
    let mut body = rule["body"].clone();
    change(&mut body);
    let patch = json!({ "rev": rule["rev"], "enabled": true, "body": body });
    let (status, changed) = server.request("PATCH", &format!("/rules/{}", rule["no"]), Some(&patch));
    assert_eq!(status, 200, "{changed}");
}

/// Connects as a device with its birth and its will.
async fn birth(server: &Server, device: &Device, epoch: u64) -> Client {
    let topic = format!("openclaw/{}/presence", device.id);
    let will = format!(r#"{{"v":1,"state":"offline","epoch":{epoch},"reason":"connection_lost"}}"#);
    let options =
        Options { will: Some((&topic, will.as_bytes(), 1, true)), ..Options::new(&device.id, &device.key) };
    let mut client = Client::plain(&server.broker, &options).await;
    let at = Clock::system().now().as_millis();
    let birth = format!(r#"{{"v":1,"state":"online","epoch":{epoch},"at":{at}}}"#);
    client.publish(&topic, birth.as_bytes(), true).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_is_told_within_its_grace_and_a_second() {
    let (server, hook) = server().await;
    change_rule(&server, "offline", |body| body["for_s"] = json!(2));
    let device = server.add_device("box").await;
    let mut agent = server.start_agent(&device);
    server.wait_online(&device.id, true).await;
    let killed = Instant::now();
    agent.kill();
    let told =
        until("it is told", Duration::from_secs(20), async || hook.of("offline").first().cloned()).await;
    // By the server's own times: how busy this machine is with other tests does not matter.
    let told_at =
        |field: &str| told.body[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let decided_ms = told_at("at") - told_at("fired_at");
    assert!((2_000..3_000).contains(&decided_ms), "{decided_ms} ms");
    assert!(told.at - killed < Duration::from_secs(15));
    assert_eq!((&told.body["severity"], &told.body["device"]["name"]), (&json!("error"), &json!("box")));
    // Back again: it is told that it is over, and once.
    let _agent = server.start_agent(&device);
    let over = async || hook.of("offline").get(1).cloned();
    let over = until("it is told that it is over", Duration::from_secs(20), over).await;
    assert_eq!((&over.body["occasion"], &over.body["alert"]), (&json!("resolved"), &told.body["alert"]));
    let history = server.get("/alerts?state=resolved");
    assert_eq!(history["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_crashes_is_told_at_once() {
    let (server, hook) = server().await;
    let device = server.add_device("box").await;
    let mut client = birth(&server, &device, 1).await;
    let at = Clock::system().now().as_millis();
    let told = format!(
        r#"{{"v":1,"spool":"aaaaaaaaaaaa","seq":1,"at":{at},"events":[
            {{"at":{at},"kind":"gateway_crashed","gateway":"default","reason":"signal 9"}}]}}"#
    );
    let said = Instant::now();
    client.publish(&format!("openclaw/{}/event", device.id), told.as_bytes(), false).await.unwrap();
    let told =
        until("it is told", Duration::from_secs(10), async || hook.of("gateway_crash").first().cloned())
            .await;
    assert!(told.at - said < Duration::from_secs(10), "{:?}", told.at - said);
    assert_eq!(told.body["detail"]["en"], "signal 9");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_devices_that_are_cut_at_once_are_one_message() {
    const DEVICES: usize = 500;
    let (server, hook) = server().await;
    change_rule(&server, "offline", |body| body["for_s"] = json!(3));
    let devices = add_devices(&server, DEVICES);
    let mut clients = Vec::new();
    for device in &devices {
        clients.push(birth(&server, device, 1).await);
    }
    let online = async || {
        let all = server.get("/devices");
        let there = all.as_array().unwrap().iter().filter(|device| device["online"] == true).count();
        (there == DEVICES).then_some(())
    };
    until("all are there", Duration::from_secs(30), online).await;
    // All connections end, without a word.
    drop(clients);
    let told =
        until("it is told", Duration::from_secs(30), async || hook.of("offline").first().cloned()).await;
    assert_eq!(told.body["devices"], DEVICES, "{}", told.body);
    // One comes back: what was told changes in place, and nobody is told anew.
    let _back = birth(&server, &devices[7], 2).await;
    let less = async || {
        let firing = server.get("/alerts?state=firing");
        let titles: Vec<&str> =
            firing["items"].as_array().unwrap().iter().filter_map(|a| a["title"]["en"].as_str()).collect();
        (titles == ["499 of 500 devices are still offline"]).then_some(())
    };
    until("the alert says who is still away", Duration::from_secs(10), less).await;
    assert_eq!(hook.of("offline").len(), 1, "one message");
}

/// What every alert that was written must have told, by its number.
fn expected(server: &Server) -> BTreeMap<i64, usize> {
    let alerts = server.get("/alerts?limit=1000");
    let one =
        |alert: &Value| (alert["no"].as_i64().unwrap(), if alert["resolved_at"].is_null() { 1 } else { 2 });
    alerts["items"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_moment_tells_everything_and_by_its_key_once() {
    let (mut server, hook) = server().await;
    change_rule(&server, "gateway_crash", |body| body["values"]["calm"] = json!(1));
    // The other side is slow: a kill falls into a delivery more often than not.
    hook.delay_ms.store(60, Ordering::Relaxed);
    let devices = add_devices(&server, 12);
    let mut seqs: HashMap<String, u64> = HashMap::new();
    for round in 0..6_u64 {
        for (index, device) in devices.iter().enumerate() {
            let Ok((mut client, _)) =
                Client::try_plain(&server.broker, &Options::new(&device.id, &device.key)).await
            else {
                continue;
            };
            let seq = seqs.entry(device.id.clone()).or_default();
            *seq += 1;
            let at = Clock::system().now().as_millis();
            // An error that nobody has written before.
            let record = format!(
                r#"{{"v":1,"spool":"aaaaaaaaaaaa","seq":{seq},"at":{at},"records":[{{"at":{at},"level":"error",
                    "gateway":"default","message":"boom","fingerprint":"{round:08x}{index:08x}","count":1}}]}}"#,
            );
            client.publish(&format!("openclaw/{}/log", device.id), record.as_bytes(), false).await.unwrap();
        }
        // Not after the same time each round.
        tokio::time::sleep(Duration::from_millis(37 * (round + 1))).await;
        server.kill();
        server.restart().await;
    }
    hook.delay_ms.store(0, Ordering::Relaxed);
    let all_told = async || {
        let deliveries = server.get("/deliveries?state=waiting&limit=200");
        let alerts = expected(&server);
        (deliveries["items"].as_array().unwrap().is_empty() && alerts.len() == devices.len())
            .then_some(alerts)
    };
    let alerts = until("all is told", Duration::from_mins(2), all_told).await;
    let mut keys: BTreeMap<(i64, String), std::collections::BTreeSet<String>> = BTreeMap::new();
    for arrival in hook.of("error_new") {
        let told =
            (arrival.body["alert"].as_i64().unwrap(), arrival.body["occasion"].as_str().unwrap().to_owned());
        keys.entry(told).or_default().insert(arrival.key);
    }
    for no in alerts.keys() {
        let fired = keys.get(&(*no, "fired".to_owned())).map_or(0, std::collections::BTreeSet::len);
        assert_eq!(fired, 1, "alert {no} was told {fired} times by its key");
    }
    let (arrivals, told) =
        (hook.of("error_new").len(), keys.values().map(std::collections::BTreeSet::len).sum());
    assert!(arrivals >= told, "{arrivals} arrived, {told} were to be told");
}
