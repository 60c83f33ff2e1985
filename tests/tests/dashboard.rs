//! The page's server from outside: logins, rights, headers, HTTP and HTTPS on one port, what the live socket says.

use std::time::Duration;

use e2e::live::Live;
use e2e::{Server, tls, until};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer: status, head in lower case, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

async fn over(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = Vec::new();
    // A server that closes TLS without saying so has still answered.
    drop(stream.read_to_end(&mut answer).await);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("an answer has a status");
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn text(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut lines = vec![format!("{method} {path} HTTP/1.1\r\nHost: test:1\r\nConnection: close\r\n")];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    if !body.is_empty() {
        lines.push(format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    lines.concat() + "\r\n" + body
}

async fn http(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let stream = TcpStream::connect(&server.dashboard).await.expect("the dashboard answers");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    over(stream, &text(method, path, headers, &body)).await
}

fn setup_token(server: &Server) -> String {
    let log = server.process.log();
    let link = log.split_whitespace().find(|word| word.contains("/setup#")).expect("a link is printed");
    link.split_once('#').map(|(_, token)| token.to_owned()).expect("the link has a token")
}

/// Sets the first admin up: cookie and CSRF token.
async fn set_up(server: &Server) -> (String, String) {
    let form = json!({ "token": setup_token(server), "name": "admin", "password": "correct horse battery" });
    let stream = TcpStream::connect(&server.dashboard).await.expect("the dashboard answers");
    let mut stream = stream;
    let request = text("POST", "/api/v1/setup", &[], &form.to_string());
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let line = answer.lines().find(|l| l.to_lowercase().starts_with("set-cookie: ")).expect("a cookie");
    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(line.contains(word), "{line}");
    }
    assert!(!line.contains("Secure"), "plain HTTP: {line}");
    let cookie = line[12..].split(';').next().expect("a value").to_owned();
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    (cookie, body.get("csrf").and_then(Value::as_str).expect("a token").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_admin_is_set_up_once_and_only_with_the_token() {
    let server = Server::start().await;
    let view = http(&server, "GET", "/api/v1/session", &[], &Value::Null).await.json();
    assert_eq!((&view["setup_needed"], &view["user"]), (&json!(true), &Value::Null));
    let form = |token: &str, password: &str| json!({ "token": token, "name": "admin", "password": password });
    let token = setup_token(&server);
    let wrong = http(&server, "POST", "/api/v1/setup", &[], &form("guess", "correct horse battery")).await;
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (403, &json!("setup_token_invalid")));
    let weak = http(&server, "POST", "/api/v1/setup", &[], &form(&token, "short")).await;
    assert_eq!(weak.status, 422);
    assert!(weak.json()["error"]["fields"]["password"].is_string(), "{}", weak.body);
    let (cookie, _) = set_up(&server).await;
    let view = http(&server, "GET", "/api/v1/session", &[("Cookie", &cookie)], &Value::Null).await.json();
    assert_eq!((&view["setup_needed"], &view["user"]["role"]), (&json!(false), &json!("admin")));
    let again = http(&server, "POST", "/api/v1/setup", &[], &form(&token, "correct horse battery")).await;
    assert_eq!(again.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_alone_changes_nothing() {
    let server = Server::start().await;
    let (cookie, csrf) = set_up(&server).await;
    let new = json!({ "name": "a" });
    let add =
        async |headers: &[(&str, &str)]| http(&server, "POST", "/api/v1/devices", headers, &new).await.status;
    assert_eq!(add(&[]).await, 401);
    assert_eq!(add(&[("Cookie", &cookie)]).await, 403);
    assert_eq!(add(&[("Cookie", &cookie), ("X-CSRF-Token", "guess")]).await, 403);
    assert_eq!(add(&[("Cookie", &cookie), ("X-CSRF-Token", &csrf)]).await, 201);
    let headers = [("Cookie", &*cookie), ("X-CSRF-Token", &*csrf)];
    assert_eq!(http(&server, "POST", "/api/v1/logout", &headers, &Value::Null).await.status, 204);
    assert_eq!(
        http(&server, "GET", "/api/v1/devices", &[("Cookie", &cookie)], &Value::Null).await.status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_cannot_be_guessed_for_long() {
    let server = Server::start_with(&[("DASHBOARD__LOGIN_ATTEMPTS", "3")]).await;
    set_up(&server).await;
    let log_in = async |name: &str, password: &str| {
        http(&server, "POST", "/api/v1/login", &[], &json!({ "name": name, "password": password })).await
    };
    let fine = log_in("admin", "correct horse battery").await;
    assert_eq!(fine.status, 200);
    assert!(fine.header("set-cookie").is_some());
    for name in ["admin", "nobody", "admin", "admin"] {
        let refused = log_in(name, "wrong password").await;
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (401, &json!("bad_credentials")));
    }
    let limited = log_in("admin", "correct horse battery").await;
    assert_eq!(limited.status, 429);
    let wait: u64 = limited.header("retry-after").and_then(|s| s.parse().ok()).expect("seconds to wait");
    assert!((1..=300).contains(&wait));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_opens_no_door_to_guesses() {
    let server = Server::start_with(&[("DASHBOARD__LOGIN_ATTEMPTS", "2")]).await;
    set_up(&server).await;
    let status = async |name: &str, password: &str| {
        http(&server, "POST", "/api/v1/login", &[], &json!({ "name": name, "password": password }))
            .await
            .status
    };
    for _ in 0..2 {
        assert_eq!(status("root", "wrong password").await, 401);
        assert_eq!(status("admin", "correct horse battery").await, 200);
    }
    assert_eq!(status("root", "wrong password").await, 429);
    // Wrong set-up tokens lock nobody out of the login.
    for _ in 0..5 {
        let form = json!({ "token": "guess", "name": "x", "password": "correct horse battery" });
        assert_eq!(http(&server, "POST", "/api/v1/setup", &[], &form).await.status, 403);
    }
    assert_eq!(status("admin", "correct horse battery").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_own_password_does_not_hide_a_login() {
    let server = Server::start().await;
    let (cookie, _) = set_up(&server).await;
    let headers = [("Cookie", &*cookie), ("Authorization", "Basic eDp5")];
    assert_eq!(http(&server, "GET", "/api/v1/devices", &headers, &Value::Null).await.status, 200);
    let lower = format!("bearer {}", server.token());
    let headers = [("Authorization", &*lower)];
    assert_eq!(http(&server, "GET", "/api/v1/devices", &headers, &Value::Null).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_over_tls_has_a_cookie_of_its_own() {
    let server = Server::start().await;
    set_up(&server).await;
    let form = json!({ "name": "admin", "password": "correct horse battery" }).to_string();
    let stream = tls::connect(&server.dashboard).await.expect("TLS");
    let answer = over(stream, &text("POST", "/api/v1/login", &[], &form)).await;
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("__host-ocw_login=") && cookie.contains("secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_for_a_device_names_a_host_that_can_be_one() {
    let server = Server::start().await;
    let add = async |host: &str, name: &str| {
        let stream = TcpStream::connect(&server.dashboard).await.expect("the dashboard answers");
        let bearer = format!("Bearer {}", server.token());
        let request = text(
            "POST",
            "/api/v1/devices",
            &[("Authorization", &bearer)],
            &json!({ "name": name }).to_string(),
        );
        over(stream, &request.replace("Host: test:1", &format!("Host: {host}"))).await.json()
    };
    let port = server.broker.rsplit(':').next().expect("a port").to_owned();
    assert_eq!(add("watch.example.net:38888", "a").await["server"], format!("watch.example.net:{port}"));
    for (host, name) in [("$(reboot)", "b"), ("localhost:38888", "c"), ("a;b", "d")] {
        assert_eq!(add(host, name).await["server"], server.broker.as_str(), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_cannot_be_cut_off_from_its_own_page() {
    let server = Server::start_with(&[("LOCAL_AGENT__ENABLED", "true")]).await;
    let id = server.get("/devices")[0]["id"].as_str().expect("this machine").to_owned();
    server.wait_online(&id, true).await;
    for (method, path) in
        [("POST", format!("/devices/{id}/rotate-key")), ("DELETE", format!("/devices/{id}"))]
    {
        let (status, body) = server.request(method, &path, None);
        assert_eq!((status, &body["error"]["code"]), (409, &json!("local_device")), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_removed_by_the_command_line_is_forgotten_by_subscribers() {
    use e2e::mqtt::{Client, Options};
    let server = Server::start().await;
    let device = server.add_device("gone").await;
    let agent = server.start_agent(&device);
    server.wait_online(&device.id, true).await;
    let mut reader = Client::connect(&server.broker, &Options::new("r", &server.reader())).await;
    reader.subscribe("openclaw/+/presence", 1).await.expect("a SUBACK");
    assert!(!reader.message().await.expect("retained").payload.is_empty());
    drop(agent);
    server.command(&["device", "remove", &device.id]);
    while !reader.message().await.expect("the end of it").payload.is_empty() {}
    let mut later = Client::connect(&server.broker, &Options::new("l", &server.reader())).await;
    later.subscribe("openclaw/#", 1).await.expect("a SUBACK");
    let left = later.receive_within(Duration::from_millis(500)).await;
    assert!(left.is_err(), "something is still retained: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_fleet_fits_into_the_first_frame() {
    let server = Server::start().await;
    let devices = e2e::mqtt::add_devices(&server, 1_500);
    let (mut live, snapshot) = Live::open(&server).await;
    assert_eq!(snapshot["devices"].as_array().expect("devices").len(), devices.len());
    assert!(snapshot.to_string().len() > 300_000, "large enough to mean something");
    let (status, _) =
        server.request("PATCH", &format!("/devices/{}", devices[0].id), Some(&json!({ "name": "renamed" })));
    assert_eq!(status, 200);
    live.device(&devices[0].id, |d| d["name"] == "renamed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_only_pings_is_closed() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let server = Server::start().await;
    let stream = TcpStream::connect(&server.dashboard).await.expect("the dashboard answers");
    let mut request = format!("ws://{}/live", server.dashboard).into_client_request().expect("an address");
    let bearer = format!("Bearer {}", server.token()).parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("the socket opens");
    for _ in 0..30 {
        // It may be closed by the time the last ones are sent.
        drop(socket.send(Message::Ping(vec![0; 100].into())).await);
    }
    let mut code = None;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            code = frame.map(|f| u16::from(f.code));
        }
    }
    assert_eq!(code, Some(1008));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_the_api_has_the_same_shape() {
    let server = Server::start().await;
    for (method, path, status) in [
        ("PUT", "/api/v1/devices", 405),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/devices", 404),
        ("GET", "/api", 404),
        ("GET", "/api/v1/devices", 401),
    ] {
        let answer = http(&server, method, path, &[], &Value::Null).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["error"]["code"].is_string(), "{method} {path}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_looks_and_an_admin_changes() {
    let server = Server::start().await;
    let made = server.command(&["token", "create", "--role", "viewer"]);
    let bearer = format!("Bearer {}", made["token"].as_str().expect("a token"));
    let viewer: &[(&str, &str)] = &[("Authorization", &bearer)];
    assert_eq!(http(&server, "GET", "/api/v1/devices", viewer, &Value::Null).await.status, 200);
    assert_eq!(http(&server, "GET", "/metrics", viewer, &Value::Null).await.status, 200);
    assert_eq!(http(&server, "GET", "/metrics", &[], &Value::Null).await.status, 401);
    let refused = http(&server, "POST", "/api/v1/devices", viewer, &json!({ "name": "a" })).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (403, &json!("forbidden")));
    let wrong =
        http(&server, "GET", "/api/v1/devices", &[("Authorization", "Bearer guess")], &Value::Null).await;
    assert_eq!(wrong.status, 401);
    let user = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "echo 'a long enough password' | '{}' --data-dir '{}' user add second --role viewer --password-stdin",
            e2e::server_program().display(),
            server.data_dir().display()
        ))
        .status();
    assert!(user.expect("the program runs").success());
    let form = json!({ "name": "second", "password": "a long enough password" });
    let view = http(&server, "POST", "/api/v1/login", &[], &form).await.json();
    assert_eq!(view["user"]["role"], "viewer");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_hardened_and_says_little() {
    let server = Server::start().await;
    for path in ["/", "/devices/abc", "/assets/app.js", "/nothing.js", "/api/v1/nothing", "/healthz", "/live"]
    {
        let answer = http(&server, "GET", path, &[], &Value::Null).await;
        let policy = answer.header("content-security-policy").unwrap_or_default().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("server").is_none(), "{path}");
    }
    let page = http(&server, "GET", "/", &[], &Value::Null).await;
    assert!(page.status == 200 && !page.body.contains("<script>") && !page.body.contains("style="));
    let tag = page.header("etag").expect("an etag").replace("w/", "W/");
    assert_eq!(http(&server, "GET", "/", &[("If-None-Match", &tag)], &Value::Null).await.status, 304);
    let packed = TcpStream::connect(&server.dashboard).await.expect("the dashboard answers");
    let packed = over(packed, &text("GET", "/assets/app.js", &[("Accept-Encoding", "br, gzip")], "")).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(http(&server, "GET", "/nothing.js", &[], &Value::Null).await.status, 404);
    assert_eq!(http(&server, "GET", "/../Cargo.toml", &[], &Value::Null).await.status, 404);
    assert_eq!(http(&server, "POST", "/", &[], &Value::Null).await.status, 405);
    let huge = json!({ "name": "x".repeat(100_000), "password": "x" });
    assert_eq!(http(&server, "POST", "/api/v1/login", &[], &huge).await.status, 413);
    let device = server.add_device("sampled").await;
    for query in [
        "from=yesterday",
        "points=0",
        "metrics=everything",
        "surprise=1",
        "from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z",
    ] {
        let (status, body) = server.request("GET", &format!("/devices/{}/samples?{query}", device.id), None);
        assert!([400, 422].contains(&status), "{query}: {status} {body}");
        assert!(body["error"]["message"].is_string(), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_https_share_the_port_and_a_changed_certificate_is_taken() {
    let server = Server::start_with(&[("DASHBOARD__REQUIRE_HTTPS", "true")]).await;
    let plain = http(&server, "GET", "/devices/x?a=b", &[], &Value::Null).await;
    assert_eq!((plain.status, plain.header("location")), (308, Some("https://test:1/devices/x?a=b")));
    assert_eq!(http(&server, "GET", "/healthz", &[], &Value::Null).await.status, 200);
    let request = text("GET", "/healthz", &[], "");
    let health = over(tls::connect(&server.dashboard).await.expect("TLS"), &request).await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("ok")));
    let fingerprint = async || {
        let stream = tls::connect(&server.dashboard).await.expect("TLS");
        stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
    };
    let before = fingerprint().await;
    // Another server's pair takes the place of this one's.
    let other = Server::start().await;
    for file in ["private-key.pem", "certificate.pem"] {
        std::fs::copy(other.data_dir().join("tls").join(file), server.data_dir().join("tls").join(file))
            .expect("a copy");
    }
    until("the new certificate is shown", Duration::from_secs(15), async || {
        (fingerprint().await != before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_socket_tells_of_names_and_removals() {
    let server = Server::start().await;
    let device = server.add_device("before").await;
    let (mut live, snapshot) = Live::open(&server).await;
    assert_eq!(snapshot["devices"][0]["name"], "before");
    let patch = json!({ "name": "after", "tags": ["b", "a", "a"] });
    let (status, body) = server.request("PATCH", &format!("/devices/{}", device.id), Some(&patch));
    assert_eq!((status, &body["tags"]), (200, &json!(["a", "b"])));
    live.device(&device.id, |d| d["name"] == "after").await;
    let second = server.add_device("second").await;
    live.device(&second.id, |d| d["name"] == "second").await;
    let (status, body) =
        server.request("PATCH", &format!("/devices/{}", second.id), Some(&json!({ "name": "after" })));
    assert_eq!((status, &body["error"]["code"]), (409, &json!("name_taken")));
    assert_eq!(server.request("DELETE", &format!("/devices/{}", device.id), None).0, 204);
    let removed = live.next().await;
    assert_eq!((&removed["type"], &removed["ids"]), (&json!("removed"), &json!([device.id])));
    assert_eq!(server.request("DELETE", &format!("/devices/{}", device.id), None).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_can_be_asked_for() {
    let server = Server::start().await;
    let device = server.add_device("measured").await;
    let _agent = server.start_agent(&device);
    let path = format!("/devices/{}/samples?points=10&metrics=cpu_pct,disk_total_bytes", device.id);
    let samples = until("a sample is there", Duration::from_secs(15), async || {
        let samples = server.get(&path);
        let some = samples["cpu_pct"]["avg"].as_array()?.iter().any(Value::is_number);
        some.then_some(samples)
    })
    .await;
    let steps = samples["at"].as_array().expect("times").len();
    assert!((8..=10).contains(&steps), "{samples}");
    assert!((360..=450).contains(&samples["step_s"].as_i64().expect("seconds")), "{samples}");
    for series in ["min", "avg", "max"] {
        assert_eq!(samples["disk_total_bytes"][series].as_array().expect("values").len(), steps);
    }
    assert!(samples["cpu_pct"]["avg"][0].is_null(), "nothing was measured an hour ago: {samples}");
    let detail = server.get(&format!("/devices/{}", device.id));
    assert!(detail["report"]["uptime_s"].is_number() && detail["host"]["kernel"].is_string(), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_a_whole_server() {
    let server = Server::start().await;
    let device = server.add_device("kept").await;
    let file = server.folder().join("copy.sqlite");
    let made = server.command(&["backup", file.to_str().expect("a path")]);
    assert!(made["bytes"].as_u64().expect("a size") > 10_000);
    assert!(
        !server.run(&["backup", file.to_str().expect("a path")]).status.success(),
        "nothing is overwritten"
    );
    let data = server.folder().join("restored");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::copy(&file, data.join("openclaw-watch.sqlite")).expect("a copy");
    let output = std::process::Command::new(e2e::server_program())
        .args(["device", "list", "--json", "--data-dir"])
        .arg(&data)
        .output()
        .expect("the program runs");
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(list[0]["id"], device.id.as_str());
    let findings = server.command(&["doctor"]);
    assert!(findings.as_array().expect("findings").iter().all(|f| f["ok"] == true), "{findings}");
    assert_eq!(server.command(&["health"])["status"], "ok");
}
