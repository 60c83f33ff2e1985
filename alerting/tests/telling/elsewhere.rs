//! A web server that remembers what it was asked and answers as a test says; and notifications to tell.
#![allow(unreachable_pub, reason = "a module of tests")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use alerting::channels::{self, Channel, Language, Message, Outcome, Outside, Reach, Settings, Voice, Web};
use alerting::{Notification, Occasion, Subject};
use protocol::{Clock, DeviceId, Timestamp};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use store::{Said, Severity, Zone};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// 2027-01-15T08:00:00Z.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// What devices are called by people who try things.
pub const NASTY: &str = "<b>@everyone</b> \"x\" \\ *a* [b](http://evil.example) <!channel> \u{202e}&\u{7}";

#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        assert!(self.headers["content-type"].starts_with("application/json"), "{:?}", self.headers);
        serde_json::from_str(&self.body).unwrap()
    }

    /// A value of the query, without percent signs.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path.split_once('?')?;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        let mut bytes = Vec::new();
        let mut rest = value.as_bytes();
        while let [first, others @ ..] = rest {
            if let (b'%', [a, b, others @ ..]) = (first, others) {
                let hex = [*a, *b];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
                rest = others;
            } else {
                bytes.push(*first);
                rest = others;
            }
        }
        Some(String::from_utf8(bytes).unwrap())
    }
}

#[derive(Debug, Clone)]
pub enum Answer {
    Now { status: u16, headers: Vec<(&'static str, String)>, body: String },
    Never,
}

pub fn say(status: u16, body: impl std::fmt::Display) -> Answer {
    Answer::Now { status, headers: Vec::new(), body: body.to_string() }
}

impl Answer {
    pub fn with(self, name: &'static str, value: impl std::fmt::Display) -> Self {
        match self {
            Self::Now { status, mut headers, body } => {
                headers.push((name, value.to_string()));
                Self::Now { status, headers, body }
            }
            Self::Never => Self::Never,
        }
    }
}

/// A server of somebody else's.
#[derive(Clone)]
pub struct Server {
    pub at: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Answers = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

impl Server {
    pub async fn new(answers: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answers)).await
    }

    pub async fn with_tls(tls: &Tls, answers: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(Some(tls.acceptor()), Arc::new(answers)).await
    }

    async fn start(tls: Option<tokio_rustls::TlsAcceptor>, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (log, tasks) = (Arc::clone(&asked), TaskTracker::new());
        TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answers, log) = (tls.clone(), Arc::clone(&answers), Arc::clone(&log));
                tasks.spawn(async move {
                    match tls {
                        None => serve(stream, &answers, &log).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &answers, &log).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { at, asked }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// What it was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// The one thing that it was asked.
    pub fn one(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked.remove(0)
    }
}

async fn serve<S>(stream: S, answers: &Answers, log: &Mutex<Vec<Asked>>) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let asked = Asked { method, path, headers, body: String::from_utf8(body).unwrap() };
        let answer = answers(&asked);
        log.lock().unwrap().push(asked);
        let Answer::Now { status, headers, body } = answer else { return std::future::pending().await };
        let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head = head + name + ": " + &value + "\r\n";
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
}

/// A certificate for `localhost`, by an authority of its own.
pub struct Tls {
    pub authority: CertificateDer<'static>,
    pub certificate: rcgen::Certificate,
    pub key: rcgen::KeyPair,
}

impl Tls {
    pub fn new() -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(params, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Self { authority: ca.der().clone(), certificate, key }
    }

    fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = config.unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![self.certificate.der().clone()], key).unwrap();
        Arc::new(config).into()
    }
}

pub fn outside() -> Outside {
    outside_with(Web::new(Reach { private: true }, vec![]))
}

pub fn outside_with(web: Web) -> Outside {
    Outside {
        web,
        data_dir: "/nonexistent".into(),
        publish: Arc::new(|_, _| Box::pin(async { Err("there is no broker".to_owned()) })),
        clock: Clock::manual(NOW),
    }
}

/// `[("word", "value")]`; numbers and toggles as they are written.
pub fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|(word, value)| ((*word).to_owned(), json!(value))).collect()
}

pub fn english() -> Voice {
    Voice { language: Language::En, zone: Zone::utc() }
}

pub fn open_in(kind: &str, pairs: &[(&str, &str)], outside: &Outside) -> Box<dyn Channel> {
    channels::open(kind, &settings(pairs), outside).unwrap_or_else(|p| panic!("{p:?}"))
}

pub fn open(kind: &str, pairs: &[(&str, &str)]) -> Box<dyn Channel> {
    open_in(kind, pairs, &outside())
}

pub async fn tell(
    channel: &(impl AsRef<dyn Channel> + ?Sized),
    notification: &Notification,
    handle: Option<&str>,
) -> Outcome {
    channel.as_ref().send(Message { notification, voice: &english(), handle }).await
}

pub async fn tell_zh(channel: &(impl AsRef<dyn Channel> + ?Sized), notification: &Notification) -> Outcome {
    let voice = Voice { language: Language::Zh, zone: Zone::parse("Asia/Shanghai").unwrap() };
    channel.as_ref().send(Message { notification, voice: &voice, handle: None }).await
}

fn said(en: &str, zh: &str) -> Said {
    Said { en: en.to_owned(), zh: zh.to_owned() }
}

/// The gateway of a device is down.
pub fn down(occasion: Occasion) -> Notification {
    Notification {
        id: format!("n-{}", occasion.as_str()),
        occasion,
        at: NOW.plus_millis(if occasion == Occasion::Fired { 0 } else { 720_000 }),
        alert: Some(17),
        rule: Some("gateway_down".to_owned()),
        severity: Severity::Critical,
        title: said("Gateway down", "网关停止"),
        detail: Some(said("Out of memory.\nIt used 2 GB.", "内存不足。\n占用 2 GB。")),
        device: Some(Subject {
            id: DeviceId::parse("abcdefghjkmn").unwrap(),
            name: "hk-edge-02".to_owned(),
            tags: vec!["edge".to_owned()],
        }),
        devices: None,
        fired_at: Some(NOW),
        resolved_at: (occasion == Occasion::Resolved).then(|| NOW.plus_millis(720_000)),
        url: Some("https://watch.example/alerts/17?a=1&b=2".to_owned()),
    }
}

/// The same by somebody who tries things.
pub fn nasty() -> Notification {
    let mut notification = down(Occasion::Fired);
    let long = format!("{NASTY}\n{}", "长 line ".repeat(2_000));
    notification.title = said(&long, &long);
    notification.detail = Some(said(&long, &long));
    let device = notification.device.as_mut().unwrap();
    device.name.clone_from(&long);
    device.tags = vec![long; 40];
    notification
}

/// Nothing in it that cannot be seen, and nothing of the wrong direction.
pub fn is_clean(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}')
}

/// What the `openssl` command makes of it: HMAC-SHA256, as hex or in base64.
pub fn openssl_hmac(key: &[u8], text: &[u8]) -> (String, String) {
    let option = format!("hexkey:{}", hex(key));
    let signed = pipe(&["dgst", "-sha256", "-mac", "HMAC", "-macopt", &option, "-binary"], text);
    (hex(&signed), String::from_utf8(pipe(&["base64", "-A"], &signed)).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn pipe(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("openssl is missing: apt-get install openssl");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}
