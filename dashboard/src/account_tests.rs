//! People, their second factor and the status page, asked as a page asks.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::contract::{LOGIN, World};

const PASSWORD: &str = "correct horse battery";

impl World {
    async fn admin(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let body = Some(body).filter(|body| !body.is_null());
        self.ask(method, &format!("/api/v1{path}"), Some(&self.admin), body.as_ref()).await
    }

    async fn me(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let body = Some(body).filter(|body| !body.is_null());
        self.ask(method, &format!("/api/v1{path}"), Some(LOGIN), body.as_ref()).await
    }

    async fn log_in(&self, code: Option<&str>) -> (StatusCode, Value) {
        let form = json!({ "name": "ann", "password": PASSWORD, "code": code });
        self.ask("post", "/api/v1/login", None, Some(&form)).await
    }
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_a_second_factor_needs_a_code_that_is_good_once() {
    let world = World::new().await;
    let new = json!({ "name": "ann", "role": "viewer", "password": PASSWORD });
    assert_eq!(world.admin("post", "/users", new.clone()).await.0, StatusCode::CREATED);
    assert_eq!(code(&world.admin("post", "/users", new).await.1), "name_taken");
    world.sign_in("ann").await;
    // A token is nobody, and a viewer may see to their own account.
    let (status, answer) = world.ask("get", "/api/v1/me", Some(&world.admin), None).await;
    assert_eq!((status, code(&answer)), (StatusCode::FORBIDDEN, "not_a_person"));
    let (status, begun) = world.me("post", "/me/two-factor", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert!(begun["otpauth_url"].as_str().unwrap().contains(begun["secret"].as_str().unwrap()), "{begun}");
    // Not yet on.
    assert_eq!(world.log_in(None).await.0, StatusCode::OK);
    let wrong = json!({ "code": "000000" });
    assert_eq!(world.me("put", "/me/two-factor", wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let first = world.code("ann", -1).await;
    let (status, answer) = world.me("put", "/me/two-factor", json!({ "code": first })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let codes = answer["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10);

    let (status, answer) = world.log_in(None).await;
    assert_eq!((status, code(&answer)), (StatusCode::UNAUTHORIZED, "two_factor_needed"));
    // The code that turned it on is used up.
    let (status, answer) = world.log_in(Some(&first)).await;
    assert_eq!((status, code(&answer)), (StatusCode::UNAUTHORIZED, "two_factor_wrong"));
    let now = world.code("ann", 0).await;
    let (status, answer) = world.log_in(Some(&format!("{} {}", &now[..3], &now[3..]))).await;
    assert_eq!((status, &answer["user"]["two_factor"]), (StatusCode::OK, &json!(true)));
    assert_eq!(code(&world.log_in(Some(&now)).await.1), "two_factor_wrong");
    let recovery = codes[0].as_str().unwrap().to_uppercase();
    assert_eq!(world.log_in(Some(&recovery)).await.0, StatusCode::OK);
    assert_eq!(code(&world.log_in(Some(&recovery)).await.1), "two_factor_wrong");
    // A wrong password is told first, whatever the code.
    let form = json!({ "name": "ann", "password": "wrong horse battery", "code": codes[1] });
    assert_eq!(code(&world.ask("post", "/api/v1/login", None, Some(&form)).await.1), "bad_credentials");
    let account = world.me("get", "/me", Value::Null).await.1;
    assert_eq!(account, json!({ "name": "ann", "two_factor": true, "recovery_codes": 9 }));

    // Without the file of the key the server says what to do, and a recovery code still opens.
    std::fs::remove_file(world.file().with_file_name("secrets.key")).unwrap();
    let (status, answer) = world.log_in(Some(&world_code())).await;
    assert_eq!((status, code(&answer)), (StatusCode::SERVICE_UNAVAILABLE, "secrets_unreadable"));
    assert_eq!(world.log_in(codes[1].as_str()).await.0, StatusCode::OK);
    let (status, answer) = world.me("delete", "/me/two-factor", json!({ "code": codes[2] })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    assert_eq!(world.log_in(None).await.0, StatusCode::OK);
    assert_eq!(code(&world.me("delete", "/me/two-factor", json!({ "code": "1" })).await.1), "two_factor_off");
}

/// Six digits that are nobody's.
fn world_code() -> String {
    "123456".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_cannot_be_guessed() {
    let world = World::new().await;
    let new = json!({ "name": "ann", "role": "viewer", "password": PASSWORD });
    world.admin("post", "/users", new).await;
    world.sign_in("ann").await;
    world.me("post", "/me/two-factor", Value::Null).await;
    let first = world.code("ann", -1).await;
    world.me("put", "/me/two-factor", json!({ "code": first })).await;
    // A right password forgives no code, neither at the login nor at an open page.
    for _ in 0..9 {
        assert_eq!(code(&world.log_in(Some("000000")).await.1), "two_factor_wrong");
    }
    let change = json!({ "old": PASSWORD, "new": PASSWORD });
    assert_eq!(world.me("put", "/me/password", change).await.0, StatusCode::NO_CONTENT);
    assert_eq!(code(&world.log_in(Some("000000")).await.1), "two_factor_wrong");
    let right = world.code("ann", 0).await;
    let (status, _) = world.me("delete", "/me/two-factor", json!({ "code": right })).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.log_in(Some(&right)).await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_somebody_ends_their_logins_and_not_ones_own() {
    let world = World::new().await;
    for (name, role) in [("ann", "admin"), ("bob", "viewer")] {
        let new = json!({ "name": name, "role": role, "password": PASSWORD });
        assert_eq!(world.admin("post", "/users", new).await.0, StatusCode::CREATED);
    }
    world.sign_in("ann").await;
    // The only admin.
    for (method, body) in [("patch", json!({ "role": "viewer" })), ("delete", Value::Null)] {
        let (status, answer) = world.me(method, "/users/ann", body).await;
        assert_eq!((status, code(&answer)), (StatusCode::CONFLICT, "last_admin"));
    }
    let change = json!({ "old": "wrong horse battery", "new": "another horse battery" });
    let (status, answer) = world.me("put", "/me/password", change).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["error"]["fields"]["old"].is_string(), "{answer}");
    let change = json!({ "old": PASSWORD, "new": "short" });
    assert!(world.me("put", "/me/password", change).await.1["error"]["fields"]["new"].is_string());
    let change = json!({ "old": PASSWORD, "new": "another horse battery" });
    assert_eq!(world.me("put", "/me/password", change).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.log_in(None).await.0, StatusCode::UNAUTHORIZED);
    // The login that asked goes on; a change by somebody else ends it.
    assert_eq!(world.me("get", "/me", Value::Null).await.0, StatusCode::OK);
    let (status, _) = world.me("patch", "/users/ann", json!({ "password": PASSWORD })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.me("get", "/me", Value::Null).await.0, StatusCode::OK);
    world.admin("patch", "/users/ann", json!({ "password": PASSWORD })).await;
    assert_eq!(world.me("get", "/me", Value::Null).await.0, StatusCode::UNAUTHORIZED);
    for (path, body, field) in [
        ("/users/bob", json!({ "role": "king" }), "role"),
        ("/users/bob", json!({ "password": "short" }), "password"),
    ] {
        let (status, answer) = world.admin("patch", path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer["error"]["fields"][field].is_string(), "{answer}");
    }
    assert_eq!(world.admin("delete", "/users/bob", Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.admin("delete", "/users/bob", Value::Null).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_keys_are_made_listed_and_revoked() {
    let world = World::new().await;
    let past = json!({ "name": "x", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z" });
    let (_, answer) = world.admin("post", "/tokens", past).await;
    assert!(answer["error"]["fields"]["expires_at"].is_string(), "{answer}");
    let (_, token) = world.admin("post", "/tokens", json!({ "name": "script", "role": "viewer" })).await;
    let secret = token["token"].as_str().unwrap();
    assert_eq!(world.ask("get", "/api/v1/devices", Some(secret), None).await.0, StatusCode::OK);
    let (_, tokens) = world.admin("get", "/tokens", Value::Null).await;
    let listed = tokens.as_array().unwrap().iter().find(|one| one["id"] == token["id"]).unwrap();
    assert!(listed["last_used_at"].is_string() && !tokens.to_string().contains(secret), "{tokens}");
    let path = format!("/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(world.admin("delete", &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.ask("get", "/api/v1/devices", Some(secret), None).await.0, StatusCode::UNAUTHORIZED);

    let device = world.device.to_string();
    for (form, field) in [
        (json!({ "kind": "device", "name": "x" }), "kind"),
        (json!({ "kind": "reader", "name": "x", "publish": ["a"] }), "kind"),
        (json!({ "kind": "reader", "name": "x", "devices": ["nosuchdevice"] }), "devices"),
        (json!({ "kind": "service", "name": "x" }), "subscribe"),
        (json!({ "kind": "service", "name": "x", "subscribe": ["a/#/b"] }), "subscribe"),
        (json!({ "kind": "service", "name": "x", "subscribe": ["a"], "devices": [device] }), "devices"),
        (json!({ "kind": "reader", "name": "" }), "name"),
    ] {
        let (status, answer) = world.admin("post", "/keys", form).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert!(answer["error"]["fields"][field].is_string(), "{answer}");
    }
    let form = json!({ "kind": "reader", "name": "home", "devices": [device] });
    let (status, key) = world.admin("post", "/keys", form).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    let (text, id) = (key["key"].as_str().unwrap(), key["id"].as_str().unwrap());
    let line = key["commands"][0]["line"].as_str().unwrap();
    assert!(line.contains(text) && line.contains(&format!("-t 'openclaw/{device}/#'")), "{line}");
    let (_, keys) = world.admin("get", "/keys", Value::Null).await;
    let listed = keys.as_array().unwrap().iter().find(|one| one["id"] == *id).unwrap();
    assert_eq!((&listed["devices"], &listed["kind"]), (&json!([device]), &json!("reader")));
    assert!(!keys.to_string().contains("ocw_"), "{keys}");
    assert_eq!(world.admin("delete", &format!("/keys/{id}"), Value::Null).await.0, StatusCode::NO_CONTENT);
    assert!(!world.admin("get", "/keys", Value::Null).await.1.to_string().contains(id));

    // The key of a device: both are listed while the old one goes on.
    let path = format!("/devices/{device}/rotate-key");
    assert_eq!(
        world.admin("post", &path, json!({ "overlap_h": 169 })).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(world.admin("post", &path, json!({ "overlap_h": 24 })).await.0, StatusCode::OK);
    let ends = |keys: Value| {
        let keys = keys.as_array().unwrap().clone();
        keys.iter()
            .filter(|key| key["kind"] == "device")
            .map(|key| key["expires_at"].is_string())
            .collect::<Vec<_>>()
    };
    let mut both = ends(world.admin("get", "/keys", Value::Null).await.1);
    both.sort_unstable();
    assert_eq!(both, [false, true]);
    assert_eq!(world.admin("post", &path, Value::Null).await.0, StatusCode::OK);
    assert_eq!(ends(world.admin("get", "/keys", Value::Null).await.1), [false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_what_another_has_changed_is_refused() {
    let world = World::new().await;
    let path = format!("/devices/{}", world.device);
    let rev = async || world.admin("get", &path, Value::Null).await.1["device"]["rev"].as_i64().unwrap();
    let seen = rev().await;
    let patch = |name: &str| json!({ "name": name, "rev": seen });
    assert_eq!(world.admin("patch", &path, patch("first")).await.0, StatusCode::OK);
    let (status, answer) = world.admin("patch", &path, patch("second")).await;
    assert_eq!((status, code(&answer)), (StatusCode::CONFLICT, "conflict"));
    assert_eq!((rev().await, world.store.device(world.device).unwrap().name.as_str()), (seen + 1, "first"));
    assert_eq!(world.admin("patch", &path, json!({ "name": "script" })).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_what_an_admin_chose_and_nothing_else() {
    let world = World::new().await;
    let public = async || world.ask("get", "/api/v1/status", None, None).await;
    assert_eq!(public().await.0, StatusCode::NOT_FOUND);
    let device = world.device.to_string();
    let mut page = json!({
        "enabled": true, "title": " Ours ", "note": "<b>a</b>\nnote", "devices": [device, device],
        "show_uptime": false, "show_reason": false,
    });
    let (status, kept) = world.admin("put", "/status-page", page.clone()).await;
    assert_eq!(
        (status, &kept["title"], &kept["devices"]),
        (StatusCode::OK, &json!("Ours"), &json!([device]))
    );
    let (status, shown) = public().await;
    assert_eq!(status, StatusCode::OK);
    let one = &shown["devices"][0];
    assert_eq!((&one["name"], &one["state"]), (&json!("one"), &json!("degraded")));
    assert!(one["uptime_90d_pct"].is_null() && one["days"].is_null() && one["reason"].is_null(), "{shown}");
    for secret in [device.as_str(), "2026.9", "lab", "telegram"] {
        assert!(!shown.to_string().contains(secret), "{secret}: {shown}");
    }
    // What is told stays for ten seconds, but a choice counts at once.
    page["show_uptime"] = json!(true);
    world.admin("put", "/status-page", page.clone()).await;
    let shown = public().await.1;
    assert_eq!(shown["devices"][0]["days"].as_array().unwrap().len(), 90);
    for (field, value) in [
        ("devices", json!(["nosuchdevice"])),
        ("title", json!("x".repeat(101))),
        ("note", json!("x".repeat(2_001))),
    ] {
        let mut wrong = page.clone();
        wrong[field] = value;
        let (status, answer) = world.admin("put", "/status-page", wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer["error"]["fields"][field].is_string(), "{answer}");
    }
    page["enabled"] = json!(false);
    world.admin("put", "/status-page", page).await;
    assert_eq!(public().await.0, StatusCode::NOT_FOUND);
}
