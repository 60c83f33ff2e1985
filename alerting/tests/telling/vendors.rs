//! Each kind of channel against a server that checks what its vendor documents.

use crate::elsewhere::*;
use alerting::Occasion;
use alerting::channels::{Arrived, Fault, check};
use serde_json::{Value, json};
use store::Severity;

fn chars_utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A text of Telegram without its markup.
fn unmarked(html: &str) -> String {
    let (mut text, mut inside) = (String::new(), false);
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

const TELEGRAM: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

fn telegram(asked: &Asked) -> Answer {
    let body = asked.json();
    let bad = |what: &str| {
        say(400, json!({"ok": false, "error_code": 400, "description": format!("Bad Request: {what}")}))
    };
    let Some(method) = asked.path.strip_prefix(&format!("/bot{TELEGRAM}/")) else {
        return say(404, json!({"ok": false, "error_code": 404, "description": "Not Found"}));
    };
    let text = body["text"].as_str().unwrap_or_default();
    let plain = unmarked(text);
    if text.is_empty() || chars_utf16(&plain) > 4_096 || body["parse_mode"] != "HTML" {
        return bad("message is too long");
    }
    let tags = text.matches('<').count();
    if tags
        != text.matches("<b>").count()
            + text.matches("</b>").count()
            + text.matches("<a href=\"").count()
            + text.matches("</a>").count()
    {
        return bad("can't parse entities");
    }
    let sent = |id: i64| {
        say(200, json!({"ok": true, "result": {"message_id": id, "chat": {"id": -100_123}, "text": plain}}))
    };
    match method {
        "sendMessage" if body["chat_id"] == "-100123" || body["chat_id"] == -100_123 => sent(42),
        "sendMessage" if body["chat_id"] == "-55" => say(
            400,
            json!({"ok": false, "error_code": 400, "description": "Bad Request: group chat was upgraded to a supergroup chat",
                "parameters": {"migrate_to_chat_id": -100_123}}),
        ),
        "sendMessage" => bad("chat not found"),
        "editMessageText" if body["message_id"] == 42 && body["chat_id"] == -100_123 => sent(42),
        "editMessageText" if body["chat_id"] == -9 => {
            let why = "Forbidden: bot was kicked from the group chat";
            say(403, json!({"ok": false, "error_code": 403, "description": why}))
        }
        "editMessageText" if body["message_id"] == 43 => {
            bad("message is not modified: specified new message content is the same")
        }
        "editMessageText" => bad("message to edit not found"),
        _ => say(404, json!({"ok": false, "error_code": 404, "description": "Not Found"})),
    }
}

#[tokio::test]
async fn telegram_changes_its_first_message() {
    let server = Server::new(telegram).await;
    let channel = open(
        "telegram",
        &[("token", TELEGRAM), ("chat", "-100123"), ("topic", "7"), ("api", &server.url(""))],
    );
    assert!(channel.edits());
    let Arrived { handle, answer } = tell(&channel, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(handle.as_deref(), Some("-100123/42"));
    assert!(answer.starts_with("HTTP 200"), "{answer}");
    let body = server.one().json();
    assert_eq!(body["message_thread_id"], 7);
    assert_eq!(body["link_preview_options"]["is_disabled"], true);
    assert_eq!(body["disable_notification"], false);
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("<b>[CRITICAL] hk-edge-02: Gateway down</b>\nOut of memory.\nIt used 2 GB.\nSince: 2027-01-15 08:00 UTC"), "{text}");
    assert!(text.contains("<a href=\"https://watch.example/alerts/17?a=1&amp;b=2\">Open</a>"), "{text}");
    let handle = handle.as_deref();

    // A change is silent.
    let arrived = tell(&channel, &down(Occasion::Changed), handle).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), handle);
    assert!(server.one().path.ends_with("/editMessageText"));

    // What is worse is heard, too; and so is the end, as an answer to the first.
    for occasion in [Occasion::Worse, Occasion::Reminder, Occasion::Resolved] {
        let arrived = tell(&channel, &down(occasion), handle).await.unwrap();
        assert_eq!(arrived.handle.as_deref(), handle);
        let asked = server.asked();
        let methods: Vec<&str> = asked.iter().map(|asked| asked.path.rsplit('/').next().unwrap()).collect();
        assert_eq!(methods, ["editMessageText", "sendMessage"]);
        let reply = &asked[1].json()["reply_parameters"];
        assert_eq!(
            *reply,
            json!({"message_id": 42, "chat_id": -100_123, "allow_sending_without_reply": true})
        );
    }
    let quiet =
        [("token", TELEGRAM), ("chat", "-100123"), ("api", &server.url("")), ("tell_resolved", "false")];
    tell(&open("telegram", &quiet), &down(Occasion::Resolved), handle).await.unwrap();
    let edit = server.one();
    assert!(edit.path.ends_with("/editMessageText"));
    assert!(edit.json()["text"].as_str().unwrap().contains("[RESOLVED] hk-edge-02: Gateway down"));

    // Changed already, as after a kill; and gone.
    tell(&channel, &down(Occasion::Changed), Some("-100123/43")).await.unwrap();
    assert_eq!(server.asked().len(), 1);
    let arrived = tell(&channel, &down(Occasion::Changed), Some("-100123/44")).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), Some("-100123/42"));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn telegram_says_what_is_wrong() {
    let server = Server::new(telegram).await;
    let api = server.url("");
    let arrived =
        tell(&open("telegram", &[("token", TELEGRAM), ("chat", "-55"), ("api", &api)]), &nasty(), None).await;
    assert_eq!(arrived.unwrap().handle.as_deref(), Some("-100123/42"), "a group that became a supergroup");
    for (token, chat) in [(TELEGRAM, "-7"), ("1:wrong", "-100123")] {
        let failed = tell(
            &open("telegram", &[("token", token), ("chat", chat), ("api", &api)]),
            &down(Occasion::Fired),
            None,
        )
        .await;
        assert_eq!(failed.unwrap_err().fault, Fault::Settings);
    }
    let busy = Server::new(|_| {
        say(429, json!({"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 13", "parameters": {"retry_after": 13}}))
    })
    .await;
    let channel = open("telegram", &[("token", TELEGRAM), ("chat", "-100123"), ("api", &busy.url(""))]);
    let failed = tell(&channel, &down(Occasion::Fired), None).await.unwrap_err();
    assert_eq!((failed.fault, failed.retry_after.unwrap().as_secs()), (Fault::Channel, 13));
    for (token, chat) in [("no colon", "1"), ("1:a/b", "1"), ("1:a", "name"), ("1:a", "@")] {
        assert!(check("telegram", &settings(&[("token", token), ("chat", chat)])).is_err(), "{token} {chat}");
    }
}

#[tokio::test]
async fn nobody_is_called_and_nothing_is_markup() {
    let server = Server::new(telegram).await;
    let channel = open("telegram", &[("token", TELEGRAM), ("chat", "-100123"), ("api", &server.url(""))]);
    tell(&channel, &nasty(), None).await.unwrap();
    let text = server.one().json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("&lt;b&gt;@\u{2060}everyone&lt;/b&gt;"), "{text}");
    assert!(is_clean(&text));
}

fn discord(asked: &Asked) -> Answer {
    let body = asked.json();
    let embed = &body["embeds"][0];
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let fields = embed["fields"].as_array().cloned().unwrap_or_default();
    let total = length(&embed["title"])
        + length(&embed["description"])
        + length(&embed["footer"]["text"])
        + fields.iter().map(|field| length(&field["name"]) + length(&field["value"])).sum::<usize>();
    let fits = length(&embed["title"]) <= 256
        && length(&embed["description"]) <= 4_096
        && fields.len() <= 25
        && fields
            .iter()
            .all(|f| (1..=256).contains(&length(&f["name"])) && (1..=1_024).contains(&length(&f["value"])))
        && total <= 6_000
        && embed["color"].as_u64().is_some_and(|color| color <= 0xFF_FFFF)
        && body["allowed_mentions"] == json!({"parse": []});
    if !fits {
        return say(400, json!({"code": 50_035, "message": "Invalid Form Body"}));
    }
    let path = asked.path.split('?').next().unwrap();
    match (asked.method.as_str(), path) {
        ("POST", "/api/webhooks/123/a-long-secret-token")
            if asked.query("wait").as_deref() == Some("true") =>
        {
            say(200, json!({"id": "999", "type": 0}))
        }
        ("POST", "/api/webhooks/123/a-long-secret-token") => say(204, ""),
        ("PATCH", "/api/webhooks/123/a-long-secret-token/messages/999") => say(200, json!({"id": "999"})),
        ("PATCH", "/api/webhooks/123/a-long-secret-token/messages/111") => {
            say(404, json!({"message": "Unknown Message", "code": 10_008}))
        }
        _ => say(404, json!({"message": "Unknown Webhook", "code": 10_015})),
    }
}

#[tokio::test]
async fn discord_takes_embeds() {
    let server = Server::new(discord).await;
    let url = server.url("/api/webhooks/123/a-long-secret-token");
    let channel = open("discord", &[("url", &url)]);
    let arrived = tell(&channel, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), Some("999"));
    let body = server.one().json();
    assert_eq!(body["embeds"][0]["title"], "\\[CRITICAL\\] hk-edge-02\\: Gateway down");
    assert_eq!(body["embeds"][0]["url"], "https://watch.example/alerts/17?a=1&b=2");
    tell(&channel, &nasty(), None).await.unwrap();
    let body = server.one().body;
    assert!(!body.contains("<@") && !body.contains(" [b") && !body.contains("b](http"), "{body}");

    tell(&channel, &down(Occasion::Changed), Some("999")).await.unwrap();
    assert_eq!(server.one().method, "PATCH");
    let arrived = tell(&channel, &down(Occasion::Resolved), Some("999")).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), Some("999"));
    assert_eq!(server.asked().len(), 2);
    let arrived = tell(&channel, &down(Occasion::Changed), Some("111")).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), Some("999"), "the old one was deleted");
    let thread = open("discord", &[("url", &url), ("thread", "77")]);
    server.asked();
    tell(&thread, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(server.one().query("thread_id").as_deref(), Some("77"));

    let gone = open("discord", &[("url", &server.url("/api/webhooks/123/another-token"))]);
    assert_eq!(tell(&gone, &down(Occasion::Fired), None).await.unwrap_err().fault, Fault::Settings);
    let busy = Server::new(|_| {
        say(429, json!({"message": "You are being rate limited.", "retry_after": 0.65, "global": false}))
    })
    .await;
    let channel = open("discord", &[("url", &busy.url("/api/webhooks/1/2"))]);
    let failed = tell(&channel, &down(Occasion::Fired), None).await.unwrap_err();
    assert_eq!((failed.fault, failed.retry_after.unwrap().as_millis()), (Fault::Channel, 650));
}

fn slack(asked: &Asked) -> Answer {
    let body = asked.json();
    let text = body["text"].as_str().unwrap_or_default();
    let active = |text: &str| text.contains("<!") || text.contains("<@") || text.contains("<http");
    if text.is_empty() || text.chars().count() > 4_000 || active(&asked.body) {
        return say(400, "invalid_payload");
    }
    if asked.path == "/services/T000/B000/XXXXXXXXXXXX" {
        return say(200, "ok");
    }
    let no = |error: &str| say(200, json!({"ok": false, "error": error}));
    if asked.headers.get("authorization").map(String::as_str) != Some("Bearer xoxb-1234567890") {
        return no("invalid_auth");
    }
    match asked.path.as_str() {
        "/api/chat.postMessage" if body["channel"] == "C0123456789" => {
            say(200, json!({"ok": true, "channel": "C0123456789", "ts": "1503435956.000247"}))
        }
        "/api/chat.postMessage" => no("channel_not_found"),
        "/api/chat.update" if body["ts"] == "1503435956.000247" && body["channel"] == "C0123456789" => {
            say(200, json!({"ok": true, "channel": "C0123456789", "ts": "1503435956.000247"}))
        }
        "/api/chat.update" => no("message_not_found"),
        _ => no("unknown_method"),
    }
}

#[tokio::test]
async fn slack_takes_webhooks_and_bots() {
    let server = Server::new(slack).await;
    let hook = open("slack", &[("url", &server.url("/services/T000/B000/XXXXXXXXXXXX"))]);
    assert!(!hook.edits());
    tell(&hook, &nasty(), None).await.unwrap();
    server.asked();
    let arrived = tell(&hook, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(arrived, Arrived { handle: None, answer: "HTTP 200: ok".to_owned() });
    assert_eq!(server.one().json()["text"], "[CRITICAL] hk-edge-02: Gateway down");

    let api = server.url("/api");
    let bot =
        |token: &str, channel: &str| open("slack", &[("token", token), ("channel", channel), ("api", &api)]);
    let channel = bot("xoxb-1234567890", "C0123456789");
    let arrived = tell(&channel, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), Some("C0123456789/1503435956.000247"));
    server.asked();
    let handle = arrived.handle.as_deref();
    let arrived = tell(&channel, &down(Occasion::Resolved), handle).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), handle);
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    let reply = asked[1].json();
    assert_eq!((&reply["thread_ts"], &reply["reply_broadcast"]), (&json!("1503435956.000247"), &json!(true)));
    assert_eq!(reply.get("ts"), None);
    let arrived = tell(&channel, &down(Occasion::Changed), Some("C0123456789/1.2")).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), handle, "the old one was deleted");

    for wrong in [bot("xoxb-wrong", "C0123456789"), bot("xoxb-1234567890", "C9")] {
        assert_eq!(tell(&wrong, &down(Occasion::Fired), None).await.unwrap_err().fault, Fault::Settings);
    }
    for pairs in [&[][..], &[("token", "x")], &[("token", "x"), ("url", "https://hooks.slack.com/x")]] {
        assert!(check("slack", &settings(pairs)).is_err(), "{pairs:?}");
    }
}

#[tokio::test]
async fn ntfy_takes_json_at_its_root() {
    let server = Server::new(|asked| {
        let body = asked.json();
        let length = |name: &str| body[name].as_str().map_or(0, str::len);
        let known = asked.path == "/" && asked.method == "POST" && body["topic"] == "watch-1";
        match asked.headers.get("authorization").map(String::as_str) {
            _ if !known
                || length("message") > 4_096
                || length("title") == 0
                || !body["priority"].is_u64()
                || !body["tags"].is_array() =>
            {
                say(400, json!({"code": 40_001, "http": 400, "error": "invalid"}))
            }
            Some("Basic YW5uOnNlY3JldA==" | "Bearer tk_1234567") => {
                say(200, json!({"id": "hwQ2YpKdmg", "time": 1, "event": "message", "topic": "watch-1"}))
            }
            _ => say(403, json!({"code": 40_301, "http": 403, "error": "forbidden"})),
        }
    })
    .await;
    let at = server.url("/");
    let with = |more: &[(&'static str, &'static str)]| {
        let mut pairs = vec![("topic", "watch-1"), ("server", at.as_str())];
        pairs.extend(more);
        open("ntfy", &pairs)
    };
    let channel = with(&[("token", "tk_1234567")]);
    for (severity, priority) in
        [(Severity::Critical, 5), (Severity::Error, 4), (Severity::Warning, 3), (Severity::Info, 2)]
    {
        let mut notification = down(Occasion::Fired);
        notification.severity = severity;
        tell(&channel, &notification, None).await.unwrap();
        assert_eq!(server.one().json()["priority"], priority);
    }
    tell(&with(&[("user", "ann"), ("password", "secret")]), &nasty(), None).await.unwrap();
    tell_zh(&channel, &down(Occasion::Resolved)).await.unwrap();
    let body = server.asked().remove(1).json();
    assert_eq!(body["title"], "[已恢复] hk-edge-02：网关停止");
    assert_eq!(
        body["message"],
        "内存不足。\n占用 2 GB。\n开始于：2027-01-15 16:00 (Asia/Shanghai)\n持续：12 分\n标签：edge"
    );
    assert_eq!(body["click"], "https://watch.example/alerts/17?a=1&b=2");
    assert_eq!(tell(&with(&[]), &down(Occasion::Fired), None).await.unwrap_err().fault, Fault::Settings);
    assert!(check("ntfy", &settings(&[("topic", "a/b")])).is_err());
}

#[tokio::test]
async fn gotify_and_bark_take_json() {
    let server = Server::new(|asked| {
        let body = asked.json();
        match asked.path.as_str() {
            "/base/message" => {
                let priority = body["priority"].as_u64().is_some_and(|priority| priority <= 10);
                match asked.headers.get("x-gotify-key").map(String::as_str) {
                    Some("Atoken123") if priority && body["message"].as_str().is_some_and(|m| !m.is_empty()) => {
                        say(200, json!({"id": 25, "appid": 5, "message": body["message"]}))
                    }
                    Some("Atoken123") => say(400, json!({"error": "Bad Request", "errorCode": 400})),
                    _ => say(401, json!({"error": "Unauthorized", "errorCode": 401, "errorDescription": "you need to provide a valid access token"})),
                }
            }
            "/push" => {
                let level = body["level"].as_str().unwrap_or_default();
                if asked.body.len() > 4_096 || !["critical", "active", "timeSensitive", "passive"].contains(&level) {
                    return say(400, json!({"code": 400, "message": "payload too large", "timestamp": 1}));
                }
                if body["device_key"] == "ynJ5Ft4atkMkWeo2PAvFhF" {
                    say(200, json!({"code": 200, "message": "success", "timestamp": 1}))
                } else {
                    let why = "failed to get device token: failed to get [x] device token from database";
                    say(400, json!({"code": 400, "message": why, "timestamp": 1}))
                }
            }
            _ => say(404, "404 page not found"),
        }
    })
    .await;
    let base = server.url("/base/");
    let gotify = |token| open("gotify", &[("server", &base), ("token", token)]);
    tell(&gotify("Atoken123"), &nasty(), None).await.unwrap();
    server.asked();
    tell(&gotify("Atoken123"), &down(Occasion::Fired), None).await.unwrap();
    let body = server.one().json();
    assert_eq!(
        (&body["priority"], &body["title"]),
        (&json!(10), &json!("[CRITICAL] hk-edge-02: Gateway down"))
    );
    assert_eq!(
        body["extras"]["client::notification"]["click"]["url"],
        "https://watch.example/alerts/17?a=1&b=2"
    );
    assert_eq!(
        tell(&gotify("wrong"), &down(Occasion::Fired), None).await.unwrap_err().fault,
        Fault::Settings
    );
    server.asked();

    let at = server.url("");
    let bark = |key, loud| open("bark", &[("server", &at), ("key", key), ("loud", loud)]);
    tell(&bark("ynJ5Ft4atkMkWeo2PAvFhF", "true"), &nasty(), None).await.unwrap();
    assert_eq!(server.one().json()["level"], "critical");
    tell(&bark("ynJ5Ft4atkMkWeo2PAvFhF", ""), &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(server.one().json()["level"], "timeSensitive");
    assert_eq!(
        tell(&bark("other", ""), &down(Occasion::Fired), None).await.unwrap_err().fault,
        Fault::Settings
    );
}

#[tokio::test]
async fn chinese_robots_answer_200_to_everything() {
    let server = Server::new(|asked| {
        let body = asked.json();
        let length = |path: &str| body.pointer(path).and_then(Value::as_str).map_or(0, str::len);
        let path = asked.path.split('?').next().unwrap();
        let key = asked.query("key").or_else(|| asked.query("access_token"));
        match (path, key.as_deref()) {
            ("/cgi-bin/webhook/send", Some("693axxx6-7aoc-4bc4")) => {
                let fits = (1..=4_096).contains(&length("/markdown/content")) && body["msgtype"] == "markdown";
                say(200, if fits { json!({"errcode": 0, "errmsg": "ok"}) } else { json!({"errcode": 40_058, "errmsg": "markdown.content exceed max length"}) })
            }
            ("/cgi-bin/webhook/send", Some("busy")) => say(200, json!({"errcode": 45_009, "errmsg": "api freq out of limit"})),
            ("/cgi-bin/webhook/send", _) => say(200, json!({"errcode": 93_000, "errmsg": "invalid webhook url"})),
            ("/robot/send", Some("dtoken-1234567")) => {
                let at = asked.query("timestamp").unwrap_or_default();
                let (_, wanted) = openssl_hmac(b"SECabc", format!("{at}\nSECabc").as_bytes());
                let fits = length("/markdown/title") > 0 && length("/markdown/text") > 0 && asked.body.len() < 20_000;
                if asked.query("sign").as_deref() != Some(&wanted) {
                    return say(200, json!({"errcode": 310_000, "errmsg": "sign not match"}));
                }
                say(200, if fits { json!({"errcode": 0, "errmsg": "ok"}) } else { json!({"errcode": 460_101, "errmsg": "message too long"}) })
            }
            ("/robot/send", Some("busy")) => say(200, json!({"errcode": 130_101, "errmsg": "send too fast"})),
            ("/robot/send", _) => say(200, json!({"errcode": 300_005, "errmsg": "token is not exist"})),
            ("/open-apis/bot/v2/hook/f-token-123456", _) => {
                let at = body["timestamp"].as_str().unwrap_or_default();
                let (_, wanted) = openssl_hmac(format!("{at}\nfsecret").as_bytes(), b"");
                if body["sign"] != wanted.as_str() {
                    return say(200, json!({"code": 19_021, "msg": "sign match fail or timestamp is not within one hour from current time"}));
                }
                let fits = asked.body.len() < 20_000
                    && body["msg_type"] == "interactive"
                    && body["card"]["header"]["title"]["tag"] == "plain_text"
                    && body["card"]["elements"].is_array();
                say(200, if fits { json!({"code": 0, "msg": "success", "data": {}}) } else { json!({"code": 9_499, "msg": "Bad Request"}) })
            }
            ("/open-apis/bot/v2/hook/old", _) => say(200, json!({"StatusCode": 0, "StatusMessage": "success"})),
            ("/open-apis/bot/v2/hook/busy", _) => say(200, json!({"code": 11_232, "msg": "frequency limited"})),
            _ => say(400, json!({"code": 19_001, "msg": "param invalid: incoming webhook access token invalid"})),
        }
    })
    .await;
    let wecom =
        |key: &str| open("wecom", &[("url", &server.url(&format!("/cgi-bin/webhook/send?key={key}")))]);
    let dingtalk = |token: &str, secret: &str| {
        open(
            "dingtalk",
            &[("url", &server.url(&format!("/robot/send?access_token={token}"))), ("secret", secret)],
        )
    };
    let feishu = |token: &str, secret: &str| {
        open(
            "feishu",
            &[("url", &server.url(&format!("/open-apis/bot/v2/hook/{token}"))), ("secret", secret)],
        )
    };
    for channel in [
        wecom("693axxx6-7aoc-4bc4"),
        dingtalk("dtoken-1234567", "SECabc"),
        feishu("f-token-123456", "fsecret"),
    ] {
        tell(&channel, &down(Occasion::Fired), None).await.unwrap();
        let asked = server.one();
        assert!(asked.body.contains("hk-edge-02: Gateway down"), "{}", asked.body);
        tell(&channel, &nasty(), None).await.unwrap();
        let asked = server.one();
        let mut sent = asked.json();
        // What is plain text is not read.
        sent.as_object_mut().unwrap().remove("card");
        let text = sent.to_string();
        assert!(!text.contains("](http://evil") && !text.contains('\u{202e}'), "{text}");
        tell_zh(&channel, &nasty()).await.unwrap();
        server.asked();
    }
    tell(&feishu("old", ""), &down(Occasion::Fired), None).await.unwrap();
    for channel in [wecom("busy"), dingtalk("busy", ""), feishu("busy", "")] {
        let failed = tell(&channel, &down(Occasion::Fired), None).await.unwrap_err();
        assert_eq!(failed.fault, Fault::Channel);
        assert!(failed.retry_after.is_some_and(|wait| wait.as_secs() >= 30), "{failed:?}");
    }
    for channel in [
        wecom("x"),
        dingtalk("x", ""),
        dingtalk("dtoken-1234567", "wrong"),
        feishu("x", ""),
        feishu("f-token-123456", "wrong"),
    ] {
        let failed = tell(&channel, &down(Occasion::Fired), None).await.unwrap_err();
        assert_eq!(failed.fault, Fault::Settings, "{failed:?}");
    }
}

#[tokio::test]
async fn pagerduty_takes_one_incident_for_each_alert() {
    let server = Server::new(|asked| {
        let body = asked.json();
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        if body["routing_key"] != "0123456789abcdef0123456789abcdef" {
            return say(400, json!({"status": "invalid event", "message": "Event object is invalid", "errors": ["Invalid routing key"]}));
        }
        let trigger = (1..=1_024).contains(&text("/payload/summary").chars().count())
            && !text("/payload/source").is_empty()
            && ["critical", "error", "warning", "info"].contains(&text("/payload/severity").as_str());
        let fits = match text("/event_action").as_str() {
            "trigger" => trigger,
            "resolve" => true,
            _ => false,
        };
        if !fits || !(1..=255).contains(&text("/dedup_key").len()) || asked.body.len() > 512 << 10 {
            return say(400, json!({"status": "invalid event", "message": "Event object is invalid", "errors": []}));
        }
        say(202, json!({"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}))
    })
    .await;
    let url = server.url("/v2/enqueue");
    let channel = open("pagerduty", &[("key", "0123456789abcdef0123456789abcdef"), ("url", &url)]);
    tell(&channel, &down(Occasion::Fired), None).await.unwrap();
    tell(&channel, &down(Occasion::Resolved), None).await.unwrap();
    let asked = server.asked();
    let (trigger, resolve) = (asked[0].json(), asked[1].json());
    assert_eq!((&trigger["event_action"], &resolve["event_action"]), (&json!("trigger"), &json!("resolve")));
    assert_eq!(trigger["dedup_key"], resolve["dedup_key"]);
    assert_eq!(trigger["payload"]["timestamp"], "2027-01-15T08:00:00Z");
    tell(&channel, &nasty(), None).await.unwrap();
    server.asked();
    // A test leaves no incident; a digest is none.
    let mut other = down(Occasion::Test);
    other.alert = None;
    tell(&channel, &other, None).await.unwrap();
    assert_eq!(server.asked().len(), 2);
    other.occasion = Occasion::Digest;
    tell(&channel, &other, None).await.unwrap();
    assert_eq!(server.asked().len(), 0);
    let wrong = open("pagerduty", &[("key", "wrong"), ("url", &url)]);
    assert_eq!(tell(&wrong, &down(Occasion::Fired), None).await.unwrap_err().fault, Fault::Settings);
}

#[tokio::test]
async fn a_webhook_is_signed() {
    let server = Server::new(|_| say(204, "")).await;
    let url = server.url("/hook?token=abc");
    let channel = open(
        "webhook",
        &[
            ("url", &url),
            ("secret", "whsec"),
            ("authorization", "X-Key: 1234567"),
            ("headers", "X-Team: ops\n\nX-Other: é"),
        ],
    );
    tell(&channel, &nasty(), None).await.unwrap();
    server.asked();
    tell(&channel, &down(Occasion::Resolved), None).await.unwrap();
    let asked = server.one();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/hook?token=abc"));
    assert_eq!((asked.headers["x-key"].as_str(), asked.headers["x-team"].as_str()), ("1234567", "ops"));
    assert_eq!(asked.headers["idempotency-key"], "n-resolved");
    let signature = &asked.headers["x-openclaw-watch-signature"];
    let (at, hex) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert_eq!(at, "1800000000");
    assert_eq!(openssl_hmac(b"whsec", format!("{at}.{}", asked.body).as_bytes()).0, hex);
    let body = asked.json();
    assert_eq!(
        body,
        json!({
            "v": 1, "id": "n-resolved", "occasion": "resolved", "severity": "critical", "at": "2027-01-15T08:12:00Z",
            "headline": "[RESOLVED] hk-edge-02: Gateway down",
            "text": "Out of memory.\nIt used 2 GB.\nSince: 2027-01-15 08:00 UTC\nLasted: 12 min\nTags: edge",
            "title": {"en": "Gateway down", "zh": "网关停止"},
            "detail": {"en": "Out of memory.\nIt used 2 GB.", "zh": "内存不足。\n占用 2 GB。"},
            "alert": 17, "rule": "gateway_down",
            "device": {"id": "abcdefghjkmn", "name": "hk-edge-02", "tags": ["edge"]},
            "devices": null, "fired_at": "2027-01-15T08:00:00Z", "resolved_at": "2027-01-15T08:12:00Z",
            "url": "https://watch.example/alerts/17?a=1&b=2",
        })
    );
}

#[tokio::test]
async fn a_webhook_is_written_by_its_template() {
    let server = Server::new(|_| say(200, "thanks")).await;
    let url = server.url("/");
    let template = "{\"text\": {{ headline | tojson }}, \"tags\": {{ tags | tojson }}{% if resolved_at %}, \"over\": true{% endif %}}";
    let channel = open("webhook", &[("url", &url), ("method", "PUT"), ("template", template)]);
    let arrived = tell(&channel, &nasty(), None).await.unwrap();
    assert_eq!(arrived.answer, "HTTP 200: thanks");
    server.asked();
    tell(&channel, &down(Occasion::Fired), None).await.unwrap();
    let asked = server.one();
    assert_eq!(asked.method, "PUT");
    assert_eq!(asked.json(), json!({"text": "[CRITICAL] hk-edge-02: Gateway down", "tags": ["edge"]}));
    let plain = open(
        "webhook",
        &[("url", &url), ("content_type", "text/plain"), ("template", "{{ severity }} {{ device }}")],
    );
    tell(&plain, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(server.one().body, "critical hk-edge-02");

    let refused = |template: &str, says: &str| {
        let problems = check("webhook", &settings(&[("url", &url), ("template", template)])).unwrap_err();
        assert_eq!(problems[0].field, "template");
        assert!(problems[0].message.contains(says), "{template}: {}", problems[0].message);
    };
    refused("{\"text\": {{ headlin | tojson }}}", "There is no headlin");
    refused("{\"text\": \"{{ headline }}\"}", "tojson");
    refused("{% if %}", "Line 1");
    // What grows is refused before it is tried: steps can be counted, memory cannot.
    refused("{% for i in range(100000) %}{% endfor %}", "Leave out \"for\"");
    refused("{%- set a = 'x' %}{{ a }}", "Leave out \"set\"");
    refused("{% with a = 'x' %}{{ a }}{% endwith %}", "Leave out \"with\"");
    refused("{% include '/etc/passwd' %}", "Leave out \"include\"");
    refused("{{ 'x' * 100000000 }}", "Leave out *");
    refused("{{ 'a' | replace('a', 'bb') }}", "replace");
    refused(&format!("{{{{ '\"' {} }}}}", "| tojson ".repeat(60)), "longer than");
    refused(&format!("{{{{ 'ab' {} }}}}", "| join('abcdefgh') ".repeat(60)), "longer than");
    refused(&"x".repeat(9 << 10), "8 KiB");
    for headers in ["no colon", "Bad Name: x", "Host: other"] {
        assert!(check("webhook", &settings(&[("url", &url), ("headers", headers)])).is_err(), "{headers}");
    }
}
