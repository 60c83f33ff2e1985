//! E-mail through a real SMTP server: aiosmtpd, which tests/clients/setup.sh installs.

use std::path::Path;
use std::process::Stdio;

use crate::elsewhere::{NASTY, Tls, down, nasty, open, open_in, outside_with, settings, tell, tell_zh};
use alerting::Occasion;
use alerting::channels::{Channel, Fault, Outside, Reach, Web, check};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::task::TaskTracker;

struct Smtp {
    port: String,
    mails: Lines<BufReader<ChildStdout>>,
    outside: Outside,
    /// It ends with this.
    _child: Child,
    _dir: TempDir,
}

impl Smtp {
    async fn new(mode: &str) -> Self {
        let python =
            Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-clients/venv/bin/python");
        assert!(python.exists(), "{} is missing: run tests/clients/setup.sh", python.display());
        let (dir, tls) = (TempDir::new().unwrap(), Tls::new());
        let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
        std::fs::write(&certificate, tls.certificate.pem()).unwrap();
        std::fs::write(&key, tls.key.serialize_pem()).unwrap();
        let mut command = Command::new(python);
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/telling/smtp_server.py"))
            .arg(mode)
            .arg(certificate)
            .arg(key);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let mut mails = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = mails.next_line().await.unwrap().expect("aiosmtpd starts: run tests/clients/setup.sh");
        let outside = outside_with(Web::new(Reach { private: true }, vec![tls.authority]));
        Self { port, mails, outside, _child: child, _dir: dir }
    }

    fn open(&self, pairs: &[(&str, &str)]) -> Box<dyn Channel> {
        let mut all = vec![
            ("host", "localhost"),
            ("port", self.port.as_str()),
            ("from", "Watch <watch@example.org>"),
            ("to", "bob@example.org"),
        ];
        all.retain(|(word, _)| pairs.iter().all(|(other, _)| other != word));
        all.extend(pairs);
        open_in("email", &all, &self.outside)
    }

    async fn mail(&mut self) -> Value {
        serde_json::from_str(&self.mails.next_line().await.unwrap().unwrap()).unwrap()
    }
}

const ANN: [(&str, &str); 2] = [("user", "ann"), ("password", "hunter2")];

#[tokio::test]
async fn a_mail_is_text_and_html_and_answers_to_the_first() {
    let mut server = Smtp::new("starttls").await;
    let channel = server.open(&[ANN[0], ANN[1], ("to", "bob@example.org, Carol <carol@example.org>\n")]);
    let arrived = tell(&channel, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(arrived.answer, "SMTP 250: 2.0.0 Accepted as 4711");
    assert_eq!(arrived.handle.as_deref(), Some("<n-fired@example.org>"));
    let mail = server.mail().await;
    assert_eq!(
        (&mail["tls"], &mail["signed_in"], &mail["from"]),
        (&json!(true), &json!(true), &json!("watch@example.org"))
    );
    assert_eq!(mail["to"], json!(["bob@example.org", "carol@example.org"]));
    assert_eq!((&mail["kind"], &mail["defects"]), (&json!("multipart/alternative"), &json!([])));
    let headers = &mail["headers"];
    assert_eq!(headers["subject"], "[CRITICAL] hk-edge-02: Gateway down");
    assert_eq!(headers["message-id"], "<n-fired@example.org>");
    assert_eq!(headers["date"], "Fri, 15 Jan 2027 08:00:00 +0000");
    assert_eq!(
        (&headers["auto-submitted"], &headers["importance"]),
        (&json!("auto-generated"), &json!("high"))
    );
    assert_eq!(headers.get("in-reply-to"), None);
    let (text, html) =
        (mail["parts"]["text/plain"].as_str().unwrap(), mail["parts"]["text/html"].as_str().unwrap());
    for line in [
        "Out of memory.",
        "It used 2 GB.",
        "Since: 2027-01-15 08:00 UTC",
        "Open: https://watch.example/alerts/17?a=1&b=2",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(html.contains("href=\"https://watch.example/alerts/17?a=1&amp;b=2\""), "{html}");

    let handle = arrived.handle.as_deref();
    let arrived = tell(&channel, &down(Occasion::Resolved), handle).await.unwrap();
    assert_eq!(arrived.handle.as_deref(), handle);
    let headers = server.mail().await["headers"].clone();
    assert_eq!(
        (&headers["message-id"], &headers["in-reply-to"]),
        (&json!("<n-resolved@example.org>"), &json!("<n-fired@example.org>"))
    );
    assert_eq!(
        (&headers["references"], &headers["importance"]),
        (&json!("<n-fired@example.org>"), &json!("normal"))
    );

    tell(&channel, &nasty(), None).await.unwrap();
    let mail = server.mail().await;
    assert_eq!(mail["defects"], json!([]));
    assert!(mail["longest"].as_u64().unwrap() <= 998, "RFC 5322");
    let html = mail["parts"]["text/html"].as_str().unwrap();
    assert!(html.contains("&lt;b&gt;@everyone&lt;/b&gt;") && !html.contains("<b>"), "{html}");
    tell_zh(&channel, &down(Occasion::Fired)).await.unwrap();
    assert_eq!(server.mail().await["headers"]["subject"], "[紧急] hk-edge-02：网关停止");
}

#[tokio::test]
async fn mail_goes_through_tls_or_stays_on_this_machine() {
    let mut server = Smtp::new("tls").await;
    tell(&server.open(&[ANN[0], ANN[1], ("security", "tls")]), &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(server.mail().await["tls"], true);

    let mut server = Smtp::new("none").await;
    tell(&server.open(&[("security", "none")]), &down(Occasion::Fired), None).await.unwrap();
    assert_eq!((&server.mail().await["tls"], 1), (&json!(false), 1));
    // A server without encryption gets no mail that wants it, and no password.
    let failed = tell(&server.open(&[ANN[0], ANN[1]]), &down(Occasion::Fired), None).await.unwrap_err();
    assert!(failed.why.contains("STARTTLS"), "{}", failed.why);
    let away = server.open(&[("security", "none"), ("host", "192.0.2.1")]);
    let failed = tell(&away, &down(Occasion::Fired), None).await.unwrap_err();
    assert_eq!(failed.fault, Fault::Settings);
    assert!(failed.why.contains("choose STARTTLS or TLS"), "{}", failed.why);
}

#[tokio::test]
async fn a_certificate_must_be_of_the_server() {
    let server = Smtp::new("starttls").await;
    let wrong_name = server.open(&[ANN[0], ANN[1], ("host", "127.0.0.1")]);
    let failed = tell(&wrong_name, &down(Occasion::Fired), None).await.unwrap_err();
    assert!(failed.why.contains("certificate"), "{}", failed.why);
    let pairs =
        [("host", "localhost"), ("port", &server.port), ("from", "a@example.org"), ("to", "b@example.org")];
    let unknown = open("email", &pairs);
    let failed = tell(&unknown, &down(Occasion::Fired), None).await.unwrap_err();
    assert!(failed.why.contains("certificate"), "{}", failed.why);
}

#[tokio::test]
async fn what_a_server_refuses_is_told_apart() {
    let mut server = Smtp::new("starttls").await;
    let check = async |pairs: &[(&str, &str)], fault: Fault, says: &str| {
        let failed = tell(&server.open(pairs), &down(Occasion::Fired), None).await.unwrap_err();
        assert_eq!(failed.fault, fault, "{failed:?}");
        assert!(failed.why.contains(says) && !failed.why.contains("hunter"), "{}", failed.why);
    };
    check(&[ANN[0], ("password", "hunter3")], Fault::Settings, "535").await;
    check(&[], Fault::Settings, "530").await;
    check(&[ANN[0], ANN[1], ("to", "nobody@example.org")], Fault::Message, "no such user").await;
    check(&[ANN[0], ANN[1], ("to", "later@example.org")], Fault::Channel, "Greylisted").await;
    check(&[ANN[0], ANN[1], ("port", "1")], Fault::Channel, "onnection").await;
    // One address that is refused keeps nothing from the others.
    let both = server.open(&[ANN[0], ANN[1], ("to", "nobody@example.org\nbob@example.org")]);
    let arrived = tell(&both, &down(Occasion::Fired), None).await.unwrap();
    assert!(arrived.answer.starts_with("refused for nobody@example.org: "), "{}", arrived.answer);
    assert_eq!(server.mail().await["to"], json!(["bob@example.org"]));
}

/// Somebody who says this to whoever connects, and nothing more.
async fn says(greeting: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    TaskTracker::new().spawn(async move {
        let mut clients = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            client.write_all(greeting.as_bytes()).await.unwrap();
            clients.push(client);
        }
    });
    port
}

#[tokio::test(start_paused = true)]
async fn who_is_no_mail_server_is_asked_again_later() {
    for greeting in
        ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "421 4.3.2 Shutting down\r\n", "SSH-2.0-OpenSSH_9.2\r\n"]
    {
        let port = says(greeting).await;
        let pairs = [
            ("host", "127.0.0.1"),
            ("port", port.as_str()),
            ("from", "a@example.org"),
            ("to", "b@example.org"),
            ("security", "none"),
        ];
        let failed = tell(&open("email", &pairs), &down(Occasion::Fired), None).await.unwrap_err();
        assert_eq!(failed.fault, Fault::Channel, "{greeting}: {failed:?}");
        assert!(failed.why.starts_with("127.0.0.1: "), "{}", failed.why);
    }
}

#[test]
fn a_form_is_checked() {
    let refused = |word: &str, value: &str, field: &str| {
        let mut pairs = vec![("host", "localhost"), ("from", "a@example.org"), ("to", "b@example.org")];
        pairs.retain(|(other, _)| *other != word);
        pairs.push((word, value));
        let problems = check("email", &settings(&pairs)).expect_err(value);
        assert!(problems.iter().any(|problem| problem.field == field), "{word} {value}: {problems:?}");
    };
    refused("host", "https://mail.example.org", "host");
    refused("from", "nobody", "from");
    refused("to", "a@example.org, b", "to");
    refused("to", NASTY, "to");
    refused("user", "ann", "password");
    refused("port", "0", "port");
    refused("security", "ssl", "security");
    refused("colour", "red", "colour");
}
