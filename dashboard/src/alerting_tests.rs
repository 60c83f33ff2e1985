//! Rules, channels, pauses and their settings through the whole router: who may, what is refused, what is never told.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::contract::{CHANNEL_SECRET, World};

async fn ask(world: &World, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let body = (!body.is_null()).then_some(body);
    world.ask(method, &format!("/api/v1{path}"), Some(&world.admin), body.as_ref()).await
}

/// The fields that were refused.
async fn refused(world: &World, method: &str, path: &str, body: Value) -> Vec<String> {
    let (status, answer) = ask(world, method, path, body.clone()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}: {answer}");
    let fields = answer["error"]["fields"].as_object().cloned().unwrap_or_default();
    fields.into_iter().map(|(field, _)| field).collect()
}

fn rule(change: &Value) -> Value {
    let mut body = json!({ "values": { "level": 90 }, "severity": "warning" });
    for (key, value) in change.as_object().unwrap() {
        body[key] = value.clone();
    }
    json!({ "kind": "cpu", "body": body })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_checked_field_by_field() {
    let world = World::new().await;
    let cases = [
        (json!({ "scope": { "devices": ["zzzzzzzzzzzz"] } }), "scope"),
        (json!({ "scope": { "tags": ["a\u{202e}b"] } }), "scope"),
        (json!({ "channels": ["nosuchchannel"] }), "channels"),
        (json!({ "values": { "level": 500 } }), "level"),
        (json!({ "values": { "level": [1] } }), "values"),
        (json!({ "for_s": 700_000 }), "for_s"),
        (json!({ "remind_s": 10 }), "remind_s"),
        (json!({ "steps": [{ "severity": "info", "after_s": 60 }] }), "steps"),
        (json!({ "severity": "loud" }), "body.severity"),
        (json!({ "colour": "red" }), "body.colour"),
    ];
    for (change, field) in cases {
        let fields = refused(&world, "post", "/rules", rule(&change)).await;
        assert_eq!(fields, [field], "{change}");
    }
    assert_eq!(
        refused(&world, "post", "/rules", json!({ "kind": "mood", "body": rule(&json!({}))["body"] })).await,
        ["kind"]
    );
    let days = json!({ "kind": "cpu", "days": 31, "body": rule(&json!({}))["body"] });
    assert_eq!(refused(&world, "post", "/rules/dry-run", days).await, ["days"]);
    let (status, answer) = ask(
        &world,
        "post",
        "/rules/dry-run",
        json!({ "kind": "backup", "days": 7, "body": rule(&json!({}))["body"] }),
    )
    .await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("not_stored"))
    );
    let (status, answer) =
        ask(&world, "post", "/rules", rule(&json!({ "scope": { "tags": [" lab ", "lab"] } }))).await;
    assert_eq!((status, &answer["body"]["scope"]["tags"]), (StatusCode::CREATED, &json!(["lab"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looked_before_another_change_is_told() {
    let world = World::new().await;
    for (path, gone) in [
        ("/rules/1".to_owned(), "/rules/99".to_owned()),
        (format!("/channels/{}", world.channel), "/channels/nosuch".to_owned()),
        ("/pauses/1".to_owned(), "/pauses/99".to_owned()),
    ] {
        let change = match path.as_bytes().get(1) {
            Some(b'p') => json!({ "rev": 1, "note": "x" }),
            _ => json!({ "rev": 1, "enabled": false }),
        };
        assert_eq!(ask(&world, "patch", &path, change.clone()).await.0, StatusCode::OK, "{path}");
        let (status, answer) = ask(&world, "patch", &path, change.clone()).await;
        assert_eq!(
            (status, answer["error"]["code"].as_str()),
            (StatusCode::CONFLICT, Some("conflict")),
            "{path}"
        );
        assert_eq!(ask(&world, "patch", &gone, change).await.0, StatusCode::NOT_FOUND, "{gone}");
        assert_eq!(ask(&world, "delete", &gone, Value::Null).await.0, StatusCode::NOT_FOUND, "{gone}");
    }
    let settings = json!({ "zone": "", "url": "", "quiet": null, "digest": null, "rev": 7 });
    assert_eq!(ask(&world, "put", "/alerting", settings).await.0, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channels_secrets_are_told_to_nobody() {
    let world = World::new().await;
    let path = format!("/channels/{}", world.channel);
    let told = |answer: &Value| answer.to_string().contains(CHANNEL_SECRET);
    let (_, list) = ask(&world, "get", "/channels", Value::Null).await;
    assert_eq!(list[0]["secrets"], json!(["token"]));
    assert_eq!(list[0]["settings"]["url"], "https://hooks.example.org/x");
    let (_, seen) = world.ask("get", "/api/v1/channels", Some(&world.viewer), None).await;
    assert_eq!(seen[0]["settings"], json!({}), "a viewer needs no addresses");
    let (status, changed) =
        ask(&world, "patch", &path, json!({ "rev": 1, "settings": { "url": "https://other.example.org" } }))
            .await;
    assert_eq!((status, &changed["secrets"]), (StatusCode::OK, &json!(["token"])), "{changed}");
    let (_, tried) = ask(&world, "post", &format!("{path}/test"), Value::Null).await;
    assert_eq!(tried["ok"], true, "it still has its secret: {tried}");
    let (_, log) = ask(&world, "get", "/audit-log", Value::Null).await;
    assert!(![&list, &seen, &changed, &tried, &log].into_iter().any(told));

    // A secret among the settings would be stored in the clear.
    let settings = json!({ "rev": 2, "settings": { "url": "https://x.example.org", "token": "x" } });
    assert_eq!(refused(&world, "patch", &path, settings).await, ["settings"]);
    assert_eq!(
        refused(&world, "patch", &path, json!({ "rev": 2, "secrets": { "url": "x" } })).await,
        ["secrets"]
    );
    assert_eq!(
        refused(&world, "patch", &path, json!({ "rev": 2, "secrets": { "token": "" } })).await,
        ["token"]
    );
    assert_eq!(refused(&world, "patch", &path, json!({ "rev": 2, "name": " \n " })).await, ["name"]);
    assert_eq!(refused(&world, "patch", &path, json!({ "rev": 2, "name": "x".repeat(61) })).await, ["name"]);
    assert_eq!(refused(&world, "patch", &path, json!({ "rev": 2, "language": "fr" })).await, ["language"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_are_sent_ten_times_a_minute() {
    let world = World::new().await;
    let path = format!("/channels/{}/test", world.channel);
    for _ in 0..10 {
        assert_eq!(ask(&world, "post", &path, Value::Null).await.0, StatusCode::OK);
    }
    assert_eq!(ask(&world, "post", &path, Value::Null).await.0, StatusCode::TOO_MANY_REQUESTS);
    let unsaved = json!({ "id": world.channel, "kind": "webhook", "settings": { "url": "https://x.example.org" }, "language": "en" });
    assert_eq!(ask(&world, "post", "/channels/test", unsaved).await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_stands_on_the_alerts_that_it_hides() {
    let world = World::new().await;
    let alert = async |world: &World| ask(world, "get", "/alerts", Value::Null).await.1["items"][0].clone();
    assert_eq!(alert(&world).await["silenced"], true);
    let (_, pauses) = ask(&world, "get", "/pauses", Value::Null).await;
    assert!(pauses[0]["active_until"].is_string(), "{pauses}");
    assert_eq!(ask(&world, "delete", "/pauses/1", Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(alert(&world).await["silenced"], false);
    let when = json!({ "type": "once", "from": "2026-11-20T00:00:00Z", "to": "2026-11-25T00:00:00Z" });
    let pause = |change: Value| {
        let mut pause = json!({ "kind": "silence", "when": when });
        for (key, value) in change.as_object().unwrap() {
            pause[key] = value.clone();
        }
        pause
    };
    let elsewhere = pause(json!({ "scope": { "tags": ["elsewhere"] } }));
    let other_rule = pause(json!({ "rules": [1] }));
    for silence in [elsewhere, other_rule] {
        assert_eq!(ask(&world, "post", "/pauses", silence).await.0, StatusCode::CREATED);
        assert_eq!(alert(&world).await["silenced"], false);
    }
    let by_tag = pause(json!({ "scope": { "tags": ["lab"] } }));
    assert_eq!(ask(&world, "post", "/pauses", by_tag).await.0, StatusCode::CREATED);
    assert_eq!(alert(&world).await["silenced"], true);
    for (change, field) in [
        (json!({ "rules": [99] }), "rules"),
        (json!({ "note": "a\u{0}b" }), "note"),
        (
            json!({ "when": { "type": "once", "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z" } }),
            "when",
        ),
        (
            json!({ "when": { "type": "weekly", "days": [8], "from": "01:00", "minutes": 5, "zone": "UTC" } }),
            "when",
        ),
    ] {
        assert_eq!(refused(&world, "post", "/pauses", pause(change.clone())).await, [field], "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_tell_what_was_told_and_what_was_answered() {
    let world = World::new().await;
    let (_, all) = ask(&world, "get", "/deliveries", Value::Null).await;
    let one = &all["items"][0];
    assert_eq!((&one["channel_name"], &one["title"]["en"]), (&json!("ours"), &json!("down")));
    assert_eq!((&one["device_name"], &one["state"]), (&json!("one"), &json!("waiting")));
    assert_eq!((&one["attempts"][0]["answer"], &one["attempts"][0]["ok"]), (&json!("503"), &json!(false)));
    for (query, count) in [
        ("state=waiting,held", 1),
        ("state=sent", 0),
        ("occasion=fired", 1),
        ("occasion=digest,test", 0),
        ("alert=99", 0),
        ("channel=nosuch", 0),
    ] {
        let (_, some) = ask(&world, "get", &format!("/deliveries?{query}"), Value::Null).await;
        assert_eq!(some["items"].as_array().unwrap().len(), count, "{query}");
    }
    for (query, field) in [
        ("state=lost", "state"),
        ("occasion=party", "occasion"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
    ] {
        assert_eq!(refused(&world, "get", &format!("/deliveries?{query}"), Value::Null).await, [field]);
    }
}
