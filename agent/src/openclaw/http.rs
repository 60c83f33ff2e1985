//! Asking a gateway how it is, over its own port on this host.
//!
//! `/healthz`, `/startupz` and `/readyz` need no token on loopback and answer within a millisecond. Every other path, and these
//! on a version that does not have them, answers 200 with a page: only JSON counts. No secret is ever sent here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long an answer may take. Tests need not wait so long for one that never comes.
const ANSWER: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 2_000 });
/// The longest answer that is read.
const MAX_BODY: usize = 64 * 1024;
/// The longest list, and the longest word in it, that is taken over.
const MAX_FAILING: usize = 32;

/// Where a gateway listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) port: u16,
    /// An address besides loopback.
    pub(crate) host: Option<IpAddr>,
    pub(crate) tls: bool,
}

/// What a gateway's port says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reach {
    /// Nobody listens.
    Refused,
    /// It is open, and no answer comes.
    Silent,
    /// Something else listens there.
    Foreign,
    /// A gateway answers.
    Answered(Answers),
}

/// A gateway's answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Answers {
    pub(crate) ready: Option<Ready>,
    pub(crate) startup: Option<Startup>,
    pub(crate) live: bool,
}

/// What `/readyz` says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ready {
    pub(crate) all_well: bool,
    pub(crate) failing: Vec<String>,
    pub(crate) uptime_ms: Option<i64>,
    pub(crate) delay_p99_ms: Option<f64>,
}

/// What `/startupz` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Startup {
    pub(crate) status: String,
    pub(crate) version: Option<String>,
    pub(crate) uptime_ms: Option<i64>,
    pub(crate) pending: Option<String>,
}

/// Reads the body of `/readyz`.
pub(crate) fn parse_ready(text: &str) -> Option<Ready> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        ready: bool,
        #[serde(default)]
        failing: Vec<String>,
        #[serde(default)]
        uptime_ms: Option<f64>,
        #[serde(default)]
        event_loop: Option<EventLoop>,
    }
    #[derive(Deserialize)]
    struct EventLoop {
        #[serde(default, rename = "delayP99Ms")]
        delay: Option<f64>,
    }
    let body: Body = serde_json::from_str(text).ok()?;
    let delay = body.event_loop.and_then(|event_loop| event_loop.delay);
    Some(Ready {
        all_well: body.ready,
        failing: body.failing.iter().take(MAX_FAILING).map(|text| word(text)).collect(),
        uptime_ms: body.uptime_ms.and_then(millis),
        delay_p99_ms: delay.filter(|delay| delay.is_finite() && (0.0..1e9).contains(delay)),
    })
}

/// Reads the body of `/startupz`.
pub(crate) fn parse_startup(text: &str) -> Option<Startup> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        status: String,
        #[serde(default)]
        version: Option<String>,
        #[serde(default)]
        uptime_ms: Option<f64>,
        #[serde(default)]
        pending_reason: Option<String>,
    }
    let body: Body = serde_json::from_str(text).ok()?;
    Some(Startup {
        status: word(&body.status),
        version: body.version.filter(|version| super::process::is_version(version)),
        uptime_ms: body.uptime_ms.and_then(millis),
        pending: body.pending_reason.map(|text| word(&text)).filter(|text| !text.is_empty()),
    })
}

/// Reads the body of `/healthz`.
pub(crate) fn parse_live(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Body {
        ok: bool,
        status: String,
    }
    serde_json::from_str::<Body>(text).is_ok_and(|body| body.ok && body.status == "live")
}

fn word(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

fn millis(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "within what is checked")]
    (0.0..1e14).contains(&number).then_some(number as i64)
}

/// Asks once.
pub(crate) async fn probe(target: &Target) -> Reach {
    // A machine's own addresses answer or refuse at once; a full queue of one that hangs does neither.
    let Ok(stream) = timeout(CONNECT, connect(target)).await else { return Reach::Silent };
    let Some(stream) = stream else { return Reach::Refused };
    timeout(ANSWER, ask(stream, target.tls)).await.unwrap_or(Reach::Silent)
}

/// Connects to the first address where somebody listens.
pub(super) async fn connect(target: &Target) -> Option<TcpStream> {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for address in target.host.into_iter().chain(loopback) {
        if let Ok(stream) = TcpStream::connect(SocketAddr::new(address, target.port)).await {
            return Some(stream);
        }
    }
    None
}

/// Speaks TLS with a gateway of this host.
pub(super) async fn encrypt(stream: TcpStream) -> Option<tokio_rustls::client::TlsStream<TcpStream>> {
    let config = Arc::clone(LOOPBACK_TLS.get_or_init(loopback_tls));
    let name = rustls::pki_types::ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    tokio_rustls::TlsConnector::from(config).connect(name, stream).await.ok()
}

async fn ask(stream: TcpStream, tls: bool) -> Reach {
    if !tls {
        return questions(stream).await;
    }
    match encrypt(stream).await {
        Some(stream) => questions(stream).await,
        None => Reach::Foreign,
    }
}

async fn questions(stream: impl AsyncRead + AsyncWrite + Unpin) -> Reach {
    let Ok((mut sender, connection)) = handshake(TokioIo::new(stream)).await else { return Reach::Foreign };
    let mut connection = std::pin::pin!(connection);
    let mut open = true;
    let asking = async {
        let ready = get(&mut sender, "/readyz").await?.and_then(|text| parse_ready(&text));
        let startup = get(&mut sender, "/startupz").await?.and_then(|text| parse_startup(&text));
        let live = if ready.is_none() && startup.is_none() {
            get(&mut sender, "/healthz").await?.is_some_and(|text| parse_live(&text))
        } else {
            true
        };
        Ok::<_, Reach>(Answers { ready, startup, live })
    };
    let mut asking = std::pin::pin!(asking);
    loop {
        tokio::select! {
            biased;
            answers = &mut asking => {
                return match answers {
                    Ok(answers) if answers.live => Reach::Answered(answers),
                    Ok(_) => Reach::Foreign,
                    Err(reach) => reach,
                };
            }
            _ = &mut connection, if open => open = false,
        }
    }
}

/// The JSON at a path; `None` when there is something else. An error is what that makes of the port.
async fn get(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<Option<String>, Reach> {
    // Ended in the middle of it, as on the way down: as good as nobody there.
    let failed = |error: hyper::Error| if error.is_parse() { Reach::Foreign } else { Reach::Refused };
    sender.ready().await.map_err(failed)?;
    let request = hyper::Request::get(path)
        .header(HOST, "127.0.0.1")
        .header(ACCEPT, "application/json")
        .body(Empty::new());
    let Ok(request) = request else { return Ok(None) };
    let response = sender.send_request(request).await.map_err(failed)?;
    let json = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let json = json.is_some_and(|value| value.starts_with("application/json"));
    // One that is too long is not read to its end, and then the connection is of no more use.
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await.map_err(|_| Reach::Foreign)?;
    let text = String::from_utf8(body.to_bytes().to_vec()).ok();
    Ok(text.filter(|_| json))
}

static LOOPBACK_TLS: std::sync::OnceLock<Arc<rustls::ClientConfig>> = std::sync::OnceLock::new();

/// A gateway's certificate is often its own making. What is asked here is public and stays on this host: any will do.
fn loopback_tls() -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks both versions of TLS")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(algorithms)))
        .with_no_client_auth();
    Arc::new(config)
}

#[derive(Debug)]
struct AnyCertificate(rustls::crypto::WebPkiSupportedAlgorithms);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const HTML: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi";

    /// A gateway that says what it is told to.
    pub(crate) struct Fake {
        pub(crate) port: u16,
        pub(crate) answers: Arc<Mutex<Say>>,
        server: tokio::task::JoinHandle<()>,
    }

    #[derive(Debug, Clone)]
    pub(crate) enum Say {
        /// The bodies of `/readyz` and `/startupz`, with their status.
        Json(u16, &'static str, &'static str),
        Html,
        Nothing,
        Garbage,
        Long,
    }

    pub(crate) const READY: Say = Say::Json(
        200,
        r#"{"ready":true,"failing":[],"uptimeMs":13640,"eventLoop":{"delayP99Ms":20.7}}"#,
        r#"{"ok":true,"status":"started","version":"2026.9.6","uptimeMs":13654}"#,
    );

    impl Fake {
        pub(crate) async fn start(say: Say) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let answers = Arc::new(Mutex::new(say));
            let shared = Arc::clone(&answers);
            #[expect(clippy::disallowed_methods, reason = "a test's server ends with the test")]
            let server = tokio::spawn(async move {
                let mut connections = tokio::task::JoinSet::new();
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        let mut buffer = [0; 4096];
                        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                            let request = String::from_utf8_lossy(&buffer[..n]).into_owned();
                            let say = shared.lock().unwrap().clone();
                            let reply = match say {
                                Say::Nothing => std::future::pending::<String>().await,
                                Say::Garbage => "SSH-2.0-x\r\n\r\n".to_owned(),
                                Say::Html => HTML.to_owned(),
                                Say::Long => format!(
                                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}",
                                    " ".repeat(200_000)
                                ),
                                Say::Json(status, ready, startup) => {
                                    let body =
                                        if request.starts_with("GET /readyz") { ready } else { startup };
                                    format!(
                                        "HTTP/1.1 {status} X\r\ncontent-type: application/json; charset=utf-8\r\n\
                                         content-length: {}\r\n\r\n{body}",
                                        body.len()
                                    )
                                }
                            };
                            if stream.write_all(reply.as_bytes()).await.is_err() {
                                return;
                            }
                            if matches!(say, Say::Long | Say::Garbage) {
                                return;
                            }
                        }
                    });
                }
            });
            Self { port, answers, server }
        }

        pub(crate) fn say(&self, say: Say) {
            *self.answers.lock().unwrap() = say;
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            self.server.abort();
        }
    }

    fn target(port: u16) -> Target {
        Target { port, host: None, tls: false }
    }

    #[tokio::test]
    async fn a_gateway_is_told_from_everything_else() {
        let fake = Fake::start(READY).await;
        let Reach::Answered(answers) = probe(&target(fake.port)).await else { panic!("no answer") };
        assert_eq!(answers.startup.unwrap().version.as_deref(), Some("2026.9.6"));
        assert_eq!(answers.ready.unwrap().delay_p99_ms, Some(20.7));
        for say in [Say::Html, Say::Garbage, Say::Long, Say::Json(200, "{}", "[]"), Say::Json(404, "", "")] {
            fake.say(say.clone());
            assert_eq!(probe(&target(fake.port)).await, Reach::Foreign, "{say:?}");
        }
        let port = fake.port;
        drop(fake);
        let gone = || async { probe(&target(port)).await == Reach::Refused };
        while !gone().await {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn silence_has_an_end() {
        let fake = Fake::start(Say::Nothing).await;
        tokio::time::pause();
        assert_eq!(probe(&target(fake.port)).await, Reach::Silent);
    }

    #[tokio::test]
    async fn a_certificate_of_its_own_making_will_do() {
        let made = rcgen::generate_simple_self_signed(["gateway.local".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![made.cert.der().clone()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let serve = async {
            let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            for body in [r#"{"ready":true}"#, r#"{"status":"started"}"#] {
                let mut buffer = [0; 4096];
                assert!(stream.read(&mut buffer).await.unwrap() > 0);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
                let reply = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(reply.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        };
        let target = Target { port, host: None, tls: true };
        let (reach, ()) = tokio::join!(probe(&target), serve);
        assert!(matches!(reach, Reach::Answered(_)), "{reach:?}");
    }
}
