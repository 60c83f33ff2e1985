//! Errors, events and the audit log through the whole router: pages, decisions, exports.

use axum::body::{self, Body};
use axum::http::{Response, StatusCode, header};
use http_body_util::BodyExt as _;
use protocol::{Event, EventKind, Events, Log, LogLevel, LogRecord, SpoolId, Timestamp};
use serde_json::{Value, json};
use store::{Fact, Record, ServerEvent, ServerEventKind};

use crate::contract::World;

const NOW: Timestamp = Timestamp(1_795_160_000_000);

fn log(world: &World, seq: u64, records: impl Iterator<Item = LogRecord>) -> Record {
    let log = Log { v: 1, spool: SpoolId::generate(), seq, at: NOW, records: records.collect() };
    Record { received_at: NOW, fact: Fact::Log(world.device, Box::new(log)), retain: None }
}

fn an_error(n: i64, message: String) -> LogRecord {
    LogRecord {
        at: NOW.plus_millis(-n),
        level: LogLevel::Error,
        gateway: "default".to_owned(),
        subsystem: None,
        message,
        fingerprint: format!("{:016x}", n % 3),
        count: 1,
        error_name: None,
        reason: None,
        provider: None,
        model: None,
        agent: None,
        version: None,
        stack: None,
        context: vec![],
    }
}

async fn many(world: &World, count: i64) {
    let per_message = 100;
    for start in (0..count).step_by(per_message) {
        let end = count.min(start + i64::try_from(per_message).unwrap());
        let records = (start..end).map(|n| an_error(n, format!("={n},\"quoted\"\r\n错误")));
        world.store.record(&[log(world, u64::try_from(start).unwrap(), records)]).await.unwrap();
    }
}

async fn get(world: &World, path: &str) -> Value {
    let (status, answer) = world.ask("get", &format!("/api/v1{path}"), Some(&world.admin), None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

async fn refused(world: &World, path: &str) -> String {
    let (status, answer) = world.ask("get", &format!("/api/v1{path}"), Some(&world.admin), None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {answer}");
    answer["error"]["message"].as_str().unwrap().to_owned()
}

/// All items of a list, page by page.
async fn all(world: &World, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(world, &format!("{path}{cursor}")).await;
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_page_by_page_and_nonsense_is_refused_politely() {
    let world = World::new().await;
    let before = all(&world, "/errors?limit=1").await.len();
    many(&world, 25).await;
    let rows = all(&world, "/errors?limit=4").await;
    assert_eq!(rows.len(), before + 25);
    assert!(rows.is_sorted_by(|a, b| a["at"].as_str() >= b["at"].as_str()));
    assert_eq!(all(&world, "/errors?limit=4&q=%E9%94%99%E8%AF%AF").await.len(), 25);
    assert_eq!(all(&world, "/errors?limit=4&tag=lab&level=error,crash&q=quoted").await.len(), 25);
    let groups = all(&world, "/errors/groups?limit=1&sort=count").await;
    let counts: Vec<i64> = groups.iter().map(|g| g["count"].as_i64().unwrap()).collect();
    assert!(counts.len() >= 4 && counts.is_sorted_by(|a, b| a >= b), "{counts:?}");
    let next = get(&world, "/errors?limit=1").await["next"].as_str().unwrap().to_owned();
    for path in [
        "/errors?cursor=nonsense".to_owned(),
        "/errors?cursor=".to_owned(),
        format!("/events?cursor={next}"),
        format!("/errors/groups?cursor={next}"),
        "/errors?limit=0".to_owned(),
        "/errors?limit=1001".to_owned(),
        "/errors?level=loud".to_owned(),
        "/errors?from=yesterday".to_owned(),
        "/errors?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z".to_owned(),
        format!("/errors?q={}", "x".repeat(201)),
        "/errors/groups?state=gone".to_owned(),
        "/errors/groups?sort=size".to_owned(),
        "/events?kind=party".to_owned(),
        "/errors/export?format=xml".to_owned(),
    ] {
        let message = refused(&world, &path).await;
        assert!(message.ends_with('.') && message.len() > 10, "{path}: {message}");
    }
    for path in
        ["/errors/0", "/errors/x", "/errors/groups/0123", "/errors?device=aaaaaaaaaaaa", "/events?device=x"]
    {
        let (status, _) = world.ask("get", &format!("/api/v1{path}"), Some(&world.viewer), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_admin_decides_is_kept_and_written_down() {
    let world = World::new().await;
    many(&world, 3).await;
    let path = format!("/api/v1/errors/groups/{:016x}", 1);
    let patch = json!({ "state": "ignored" });
    let (status, group) = world.ask("patch", &path, Some(&world.admin), Some(&patch)).await;
    assert_eq!((status, &group["group"]["state"]), (StatusCode::OK, &json!("ignored")));
    assert_eq!(all(&world, "/errors/groups?state=ignored&limit=9").await.len(), 1);
    let (status, _) = world.ask("patch", &path, Some(&world.admin), Some(&json!({ "state": "eaten" }))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let log = all(&world, "/audit-log?action=error_group.ignore&limit=9").await;
    let told = &log[0];
    assert_eq!((&told["actor"], &told["actor_kind"]), (&json!("test"), &json!("token")));
    assert_eq!((&told["address"], &told["subject_id"]), (&json!("127.0.0.1"), &json!(format!("{:016x}", 1))));
    assert_eq!((&told["before"]["state"], &told["after"]["state"]), (&json!("open"), &json!("ignored")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_stands_on_the_same_axis_as_its_devices() {
    let world = World::new().await;
    let event = |seconds: i64, kind| Event {
        at: NOW.plus_millis(-seconds * 1000),
        kind,
        gateway: None,
        from: None,
        to: None,
        reason: None,
        duration_ms: None,
        count: None,
        activity: None,
    };
    let events = vec![
        event(1, EventKind::GatewayStarted),
        event(3, EventKind::GatewayCrashed),
        event(4, EventKind::Activity),
    ];
    let events = Events { v: 1, spool: SpoolId::generate(), seq: 1, at: NOW, events };
    let record =
        Record { received_at: NOW, fact: Fact::Events(world.device, Box::new(events)), retain: None };
    world.store.record(&[record]).await.unwrap();
    let crash = ServerEvent {
        at: NOW.plus_millis(-2000),
        kind: ServerEventKind::Crashed,
        from: Some("0.1.0".to_owned()),
        to: None,
        reason: None,
        duration_ms: Some(61_000),
    };
    world.store.record_server_event(&crash).await.unwrap();
    let from = "2026-11-20T07:33:15Z";
    let kinds = |rows: Vec<Value>| -> Vec<String> {
        rows.iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
    };
    let told = all(&world, &format!("/events?limit=1&from={from}")).await;
    assert_eq!((&told[1]["device"], &told[1]["duration_ms"]), (&Value::Null, &json!(61_000)));
    assert_eq!(told[1]["from"], "0.1.0");
    assert_eq!(kinds(told), ["gateway_started", "server_crashed", "gateway_crashed"]);
    let of_device = all(&world, &format!("/events?limit=9&from={from}&device={}", world.device)).await;
    assert_eq!(kinds(of_device), ["gateway_started", "gateway_crashed"]);
    let activities = all(&world, &format!("/events?limit=9&from={from}&kind=activity,server_crashed")).await;
    assert_eq!(kinds(activities), ["server_crashed", "activity"]);
}

async fn export(world: &World, path: &str) -> Response<Body> {
    let answer = world.send("get", &format!("/api/v1{path}"), Some(&world.admin), None).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer
}

async fn read(answer: Response<Body>) -> String {
    String::from_utf8(body::to_bytes(answer.into_body(), 1 << 24).await.unwrap().to_vec()).unwrap()
}

fn rows(csv: &str) -> Vec<csv::StringRecord> {
    csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_all_of_it_with_a_name() {
    let world = World::new().await;
    many(&world, 1_203).await;
    let answer = export(&world, "/errors/export?q=quoted").await;
    let headers = answer.headers();
    assert_eq!(headers[header::CONTENT_TYPE], "text/csv; charset=utf-8; header=present");
    let name = headers[header::CONTENT_DISPOSITION].to_str().unwrap();
    assert_eq!(name, "attachment; filename=\"openclaw-watch-errors-2026-11-20.csv\"");
    let searched = rows(&read(answer).await);
    let plain = rows(
        &read(export(&world, &format!("/errors/export?device={}&level=error", world.device)).await).await,
    );
    for rows in [&searched, &plain] {
        let mut messages: Vec<&str> =
            rows.iter().map(|row| &row[8]).filter(|m| m.contains("quoted")).collect();
        messages.sort_unstable();
        messages.dedup();
        assert_eq!(messages.len(), 1_203);
        assert!(messages.contains(&"'=1202,\"quoted\"\r\n错误"), "{}", messages[0]);
    }
    let answer = export(&world, "/errors/export?format=jsonl&q=quoted").await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/jsonl; charset=utf-8");
    let lines = read(answer).await;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((lines.lines().count(), &first["device_name"]), (1_203, &json!("one")));
    assert!(first["message"].as_str().unwrap().starts_with('='), "JSON needs no apostrophe");
    // Nothing selected: the names alone.
    let none = read(export(&world, "/errors/export?q=nothing-like-it").await).await;
    assert_eq!((none.lines().count(), rows(&none).len()), (1, 0));
    let usage = rows(&read(export(&world, "/usage/export").await).await);
    let sum: i64 = usage.iter().map(|row| row[7].parse::<i64>().unwrap()).sum();
    let total = get(&world, &format!("/devices/{}", world.device)).await["device"]["usage"]["total"].clone();
    assert_eq!(json!(sum), total["turns"]);
    for (column, name) in
        [(15, "cost_usd"), (16, "unpriced_tokens"), (17, "estimated_usd"), (18, "flat_rate_usd")]
    {
        let sum: f64 = usage.iter().map(|row| row[column].parse::<f64>().unwrap()).sum();
        assert!((sum - total[name].as_f64().unwrap()).abs() < 1e-9, "{name}: {sum} {total}");
    }
    let path = format!("/devices/{}/samples/export", world.device);
    let samples = rows(&read(export(&world, &path).await).await);
    assert_eq!(samples.len(), 2, "the reports that the world has told");
    let lines = read(export(&world, &format!("{path}?format=jsonl")).await).await;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(first["cpu_pct"].is_number() && first["back_filled"].is_boolean(), "{first}");
    let events = read(export(&world, "/events/export?format=jsonl").await).await;
    assert!(
        events.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|v| v["kind"].is_string()))
    );
    let deeds = rows(&read(export(&world, "/audit-log/export?action=token.").await).await);
    assert_eq!(deeds.len(), 2);
    let refused = world.send("get", "/api/v1/audit-log/export", Some(&world.viewer), None).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_fails_half_way_does_not_look_whole() {
    let world = World::new().await;
    many(&world, 1_203).await;
    let mut body = export(&world, "/errors/export").await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    // Somebody takes the table away.
    let broken = rusqlite::Connection::open(world.file()).unwrap();
    broken.execute_batch("ALTER TABLE error_record RENAME TO error_gone").unwrap();
    let mut last = None;
    while let Some(frame) = body.frame().await {
        last = Some(frame.is_err());
    }
    assert_eq!(last, Some(true));
    // And what fails at once is told in words.
    let answer = world.send("get", "/api/v1/errors/export", Some(&world.admin), None).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_that_nobody_reads_are_few_and_read_nothing() {
    let world = World::new().await;
    many(&world, 600).await;
    let mut open = Vec::new();
    for _ in 0..31 {
        open.push(export(&world, "/errors/export").await);
    }
    // Those who do not read keep nobody from theirs.
    let whole = export(&world, "/errors/export").await;
    assert!(whole.into_body().collect().await.unwrap().to_bytes().len() > 10_000);
    open.push(export(&world, "/errors/export").await);
    let answer = world.send("get", "/api/v1/errors/export", Some(&world.admin), None).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    // The readers are free: nothing is held between two pages.
    get(&world, "/errors").await;
    // A client that went away gives its place back.
    open.pop();
    export(&world, "/errors/export").await;
}
