//! What every kind of channel does when the other side is busy, broken, somebody else or silent; and what it may reach.

use crate::elsewhere::*;
use alerting::Occasion;
use alerting::channels::{self, Channel, Failed, Fault, Reach, Web};
use alerting::try_channel;
use std::time::Duration;

const TELEGRAM: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const SECRETS: [&str; 4] =
    ["AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "s3cret-of-mine", "hunter2", "9f86d081884c7d65"];

/// Every kind that speaks HTTP, with secrets, at this address.
fn all(at: &str) -> Vec<(&'static str, Box<dyn Channel>)> {
    let below = |path: &str| format!("{at}{path}");
    let secret = below("/some/where/s3cret-of-mine?key=9f86d081884c7d65");
    let each: Vec<(&'static str, Vec<(&str, String)>)> = vec![
        ("telegram", vec![("token", TELEGRAM.to_owned()), ("chat", "1".to_owned()), ("api", at.to_owned())]),
        (
            "webhook",
            vec![
                ("url", secret.clone()),
                ("secret", "hunter2".to_owned()),
                ("authorization", "Authorization: Bearer s3cret-of-mine".to_owned()),
            ],
        ),
        ("discord", vec![("url", secret.clone())]),
        ("slack", vec![("url", secret.clone())]),
        (
            "slack",
            vec![
                ("token", "s3cret-of-mine".to_owned()),
                ("channel", "C1".to_owned()),
                ("api", at.to_owned()),
            ],
        ),
        (
            "ntfy",
            vec![
                ("topic", "s3cret-of-mine".to_owned()),
                ("server", at.to_owned()),
                ("token", "9f86d081884c7d65".to_owned()),
            ],
        ),
        ("gotify", vec![("server", at.to_owned()), ("token", "s3cret-of-mine".to_owned())]),
        ("bark", vec![("server", at.to_owned()), ("key", "9f86d081884c7d65".to_owned())]),
        ("wecom", vec![("url", secret.clone())]),
        ("dingtalk", vec![("url", secret.clone()), ("secret", "hunter2".to_owned())]),
        ("feishu", vec![("url", secret), ("secret", "hunter2".to_owned())]),
        ("pagerduty", vec![("key", "s3cret-of-mine".to_owned()), ("url", below("/v2/enqueue"))]),
    ];
    let kinds: std::collections::BTreeSet<_> = each.iter().map(|(kind, _)| *kind).collect();
    let others = ["email", "mqtt", "file"];
    assert_eq!(kinds.len() + others.len(), channels::kinds().len(), "a kind is missing");
    let open_one = |(kind, pairs): (&'static str, Vec<(&str, String)>)| {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(word, value)| (*word, value.as_str())).collect();
        (kind, open(kind, &pairs))
    };
    each.into_iter().map(open_one).collect()
}

async fn failures(answer: Answer) -> Vec<(&'static str, Failed)> {
    let server = Server::new(move |_| answer.clone()).await;
    let mut failures = Vec::new();
    for (kind, opened) in all(&server.url("")) {
        match tell(&opened, &down(Occasion::Fired), None).await {
            Ok(arrived) => panic!("{kind}: {arrived:?}"),
            Err(failed) => failures.push((kind, failed)),
        }
    }
    failures
}

#[tokio::test]
async fn busy_is_believed() {
    for (kind, failed) in failures(say(429, "slow down").with("Retry-After", 7)).await {
        assert_eq!(
            (failed.fault, failed.retry_after),
            (Fault::Channel, Some(Duration::from_secs(7))),
            "{kind}"
        );
    }
    let by_date = say(429, "{}")
        .with("Date", "Fri, 15 Jan 2027 08:00:00 GMT")
        .with("Retry-After", "Fri, 15 Jan 2027 08:01:30 GMT");
    for (kind, failed) in failures(by_date).await {
        assert_eq!(failed.retry_after, Some(Duration::from_secs(90)), "{kind}");
    }
}

#[tokio::test]
async fn what_is_broken_is_tried_again() {
    for (kind, failed) in failures(say(500, "<html>Internal Server Error</html>")).await {
        assert_eq!((failed.fault, failed.retry_after), (Fault::Channel, None), "{kind}");
        assert_eq!(failed.why, "HTTP 500: <html>Internal Server Error</html>", "{kind}");
    }
    for (kind, failed) in failures(say(502, "")).await {
        assert_eq!((failed.fault, failed.why.as_str()), (Fault::Channel, "HTTP 502"), "{kind}");
    }
    // A webhook is anybody's: it may answer what it likes.
    let server = Server::new(|_| say(200, "<html>Welcome to this hotel's network</html>")).await;
    for (kind, opened) in all(&server.url("")) {
        let outcome = tell(&opened, &down(Occasion::Fired), None).await;
        assert_eq!(
            outcome.map_err(|failed| failed.fault).err(),
            (kind != "webhook").then_some(Fault::Channel),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn nobody_is_followed_elsewhere() {
    let other = Server::new(|_| say(200, "ok")).await;
    for (kind, failed) in failures(say(302, "").with("Location", other.url("/inside"))).await {
        assert_eq!(failed.fault, Fault::Settings, "{kind}: {failed:?}");
    }
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn secrets_are_not_repeated() {
    let server = Server::new(|asked| say(503, format!("you said: {asked:?}"))).await;
    for (kind, opened) in all(&server.url("")) {
        let failed = tell(&opened, &down(Occasion::Fired), None).await.unwrap_err();
        assert!(failed.why.starts_with("HTTP 503: you said"), "{kind}: {}", failed.why);
        for secret in SECRETS {
            assert!(!failed.why.contains(secret), "{kind}: {}", failed.why);
        }
    }
    // Nor where nobody answers.
    for (kind, opened) in all("http://127.0.0.1:1") {
        let failed = tell(&opened, &down(Occasion::Fired), None).await.unwrap_err();
        assert_eq!(failed.fault, Fault::Channel, "{kind}");
        assert!(failed.why.starts_with("cannot connect to 127.0.0.1: "), "{kind}: {}", failed.why);
        for secret in SECRETS {
            assert!(!failed.why.contains(secret), "{kind}: {}", failed.why);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_for_ever() {
    for (kind, failed) in failures(Answer::Never).await {
        assert_eq!(failed.fault, Fault::Channel, "{kind}");
        assert_eq!(failed.why, "127.0.0.1 did not answer in time", "{kind}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::new(|_| say(200, "x".repeat(64 << 20))).await;
    let opened = open("webhook", &[("url", &server.url("/"))]);
    let arrived = tell(&opened, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(arrived.answer.chars().count(), "HTTP 200: ".len() + 300);
}

#[tokio::test]
async fn private_addresses_are_reached_only_when_allowed() {
    let server = Server::new(|_| say(200, "ok")).await;
    let port = server.at.port();
    let closed = outside_with(Web::new(Reach { private: false }, vec![]));
    let check = async |url: String| {
        let tried = try_channel("webhook", &settings(&[("url", &url)]), &english(), &closed).await;
        let failed = tried.outcome.unwrap_err();
        assert_eq!(failed.fault, Fault::Settings, "{url}: {failed:?}");
        assert!(failed.why.contains("allow_private_addresses = true in [alerting]"), "{url}: {}", failed.why);
    };
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0.0.0.0",
        "169.254.169.254",
        "10.1.2.3",
    ] {
        check(format!("http://{host}:{port}/")).await;
    }
    for proxy in ["http", "socks5", "socks5h"] {
        let proxy = format!("{proxy}://127.0.0.1:{port}");
        let pairs = settings(&[("url", "http://example.org/"), ("proxy", &proxy)]);
        let failed = try_channel("webhook", &pairs, &english(), &closed).await.outcome.unwrap_err();
        assert!(failed.why.contains("allow_private_addresses"), "{proxy}: {}", failed.why);
    }
    let mail = settings(&[("host", "localhost"), ("from", "a@example.org"), ("to", "b@example.org")]);
    let failed = try_channel("email", &mail, &english(), &closed).await.outcome.unwrap_err();
    assert!(failed.why.contains("allow_private_addresses"), "{}", failed.why);
    assert_eq!(server.asked().len(), 0);
    // By a name, where it is allowed.
    let url = format!("http://localhost:{port}/");
    let tried = try_channel("webhook", &settings(&[("url", &url)]), &english(), &outside()).await;
    tried.outcome.unwrap();
    assert_eq!(server.one().headers["host"], format!("localhost:{port}"));
}

#[tokio::test]
async fn certificates_are_checked() {
    let tls = Tls::new();
    let server = Server::with_tls(&tls, |_| say(200, "ok")).await;
    let url = format!("https://localhost:{}/", server.at.port());
    let pairs = settings(&[("url", &url)]);
    let trusting = outside_with(Web::new(Reach { private: true }, vec![tls.authority.clone()]));
    try_channel("webhook", &pairs, &english(), &trusting).await.outcome.unwrap();
    assert_eq!(server.one().headers["host"], format!("localhost:{}", server.at.port()));
    let failed = try_channel("webhook", &pairs, &english(), &outside()).await.outcome.unwrap_err();
    assert!(failed.why.contains("certificate"), "{}", failed.why);
    assert_eq!(failed.fault, Fault::Channel);
}
