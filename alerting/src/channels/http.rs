//! HTTP, as channels need it: one question and one short answer; to addresses that [`Reach`] allows; no redirects, because
//! they would lead anywhere; and what failed in words that hold none of the channel's secrets.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::fmt::rfc2822::DateTimeParser;
pub(super) use reqwest::Method;
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Proxy, Url, redirect};
use ring::hmac;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;

use super::form::Form;
use super::reach::{self, Nowhere, Reach};
use super::secrets::Secrets;
use super::{Failed, Fault, Problem};

/// How long a question may take, answer and all: less than an attempt, so that it ends in words about it.
const LIMIT: Duration = Duration::from_secs(15);
const CONNECT_LIMIT: Duration = Duration::from_secs(8);
/// Connections are kept for what comes in bursts.
const IDLE: Duration = Duration::from_secs(20);
/// Bytes of an answer that are read.
const BODY: usize = 64 << 10;

/// What all channels that speak HTTP share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Web {
    reach: Reach,
    roots: Arc<[CertificateDer<'static>]>,
    tls: Option<Arc<ClientConfig>>,
}

impl Web {
    /// Trusting the certificate authorities that this machine trusts.
    pub fn system(reach: Reach) -> Self {
        let roots = rustls_native_certs::load_native_certs().certs;
        if roots.is_empty() {
            warn!(
                "this machine knows no certificate authorities, so that no channel can use TLS: install ca-certificates"
            );
        }
        Self::new(reach, roots)
    }

    /// Trusting these certificate authorities.
    pub fn new(reach: Reach, roots: Vec<CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls =
            config.ok().map(|config| Arc::new(config.with_root_certificates(store).with_no_client_auth()));
        Self { reach, roots: roots.into(), tls }
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// A client for a channel.
    pub(super) fn client(&self, setup: ClientSetup) -> Client {
        let inner = self.build(setup.proxy.as_ref()).map_err(|error| describe(&error));
        Client { inner, reach: self.reach, proxy: setup.proxy, secrets: setup.secrets }
    }

    fn build(&self, proxy: Option<&Address>) -> Result<reqwest::Client, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            // Nothing from the environment: what a channel goes through stands in its form.
            .no_proxy()
            .dns_resolver(Arc::new(Names(self.reach)))
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(LIMIT)
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("OpenClaw-Watch/", env!("CARGO_PKG_VERSION")));
        if let Some(tls) = &self.tls {
            builder = builder.tls_backend_preconfigured(ClientConfig::clone(tls));
        }
        if let Some(Address(proxy)) = proxy {
            builder = builder.proxy(Proxy::all(proxy.clone())?);
        }
        builder.build()
    }
}

/// What a form says about HTTP.
#[derive(Debug, Clone)]
pub(super) struct ClientSetup {
    proxy: Option<Address>,
    secrets: Secrets,
}

impl ClientSetup {
    pub(super) fn read(form: &Form<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Self { proxy: form.proxy()?, secrets: Secrets::of(form) })
    }
}

/// Resolves names to addresses that may be asked.
struct Names(Reach);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = reach.resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = _> + Send>)
        })
    }
}

/// The address of a service.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address(Url);

/// An address may be a secret.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.host())
    }
}

impl Address {
    /// Reads an address of the web.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "give a whole address, such as https://example.org/path")?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("give an address that begins with https:// or http://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("leave the name and password out of the address");
        }
        Ok(Self(url))
    }

    /// Reads an address of a proxy.
    pub(super) fn parse_proxy(text: &str) -> Result<Self, &'static str> {
        let wrong = "give an address such as socks5h://proxy.example:1080";
        let url = Url::parse(text).map_err(|_| wrong)?;
        let known =
            matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.host_str().is_some();
        // What reqwest makes of it shows here, and not when something is to be told.
        if known && Proxy::all(url.clone()).is_ok() { Ok(Self(url)) } else { Err(wrong) }
    }

    /// Its host, without a port.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// What lies below it, level by level. Its query stays.
    pub(super) fn below<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Self {
        let mut url = self.0.clone();
        if let Ok(mut levels) = url.path_segments_mut() {
            levels.pop_if_empty().extend(path);
        }
        Self(url)
    }

    /// With these in its query.
    pub(super) fn with(&self, pairs: &[(&str, &str)]) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(pairs);
        Self(url)
    }
}

/// A header's name and value.
pub(super) type Header = (HeaderName, HeaderValue);

/// Reads a line of the form `Name: value`.
pub(super) fn header(line: &str) -> Result<Header, &'static str> {
    let wrong = "write each header on a line of its own, as Name: value";
    let (name, value) = line.split_once(':').ok_or(wrong)?;
    let name: HeaderName = name.trim().parse().map_err(|_| wrong)?;
    if matches!(name.as_str(), "host" | "content-length" | "transfer-encoding" | "connection" | "upgrade") {
        return Err("leave out Host, Content-Length and other headers that belong to the connection");
    }
    Ok((name, value.trim().parse().map_err(|_| wrong)?))
}

/// HMAC-SHA256.
pub(super) fn hmac_sha256(key: &[u8], text: &[u8]) -> impl AsRef<[u8]> + use<> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

/// Base64 with padding.
pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64.encode(bytes)
}

/// Asks for one channel.
pub(super) struct Client {
    inner: Result<reqwest::Client, String>,
    reach: Reach,
    proxy: Option<Address>,
    secrets: Secrets,
}

impl Client {
    /// A question, to be filled in.
    pub(super) fn ask(&self, method: Method, address: Address) -> Ask<'_> {
        Ask { client: self, method, address, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// A question in JSON.
    pub(super) fn post(&self, address: Address, body: &Value) -> Ask<'_> {
        self.ask(Method::POST, address).json(body)
    }
}

/// A question.
pub(super) struct Ask<'a> {
    client: &'a Client,
    method: Method,
    address: Address,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Ask<'_> {
    /// With a header, replacing one of that name.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With a header that is ours. A value that cannot be one is left out, and the other side says what it misses.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = value.parse() {
            self.headers.insert(name, value);
        }
        self
    }

    /// Signed in by a token.
    pub(super) fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// With a body of JSON.
    pub(super) fn json(self, body: &Value) -> Self {
        self.with("content-type", "application/json; charset=utf-8").body(body.to_string())
    }

    /// With a body.
    pub(super) fn body(mut self, body: String) -> Self {
        self.body = body.into_bytes();
        self
    }

    /// Asks.
    pub(super) async fn send(self) -> Result<Answer, Failed> {
        let Self { client, method, address, headers, body } = self;
        let inner = client.inner.as_ref().map_err(|why| {
            Failed::new(Fault::Settings, client.secrets.hide(&format!("cannot be used: {why}")))
        })?;
        // Names are looked at when they are resolved; these are not resolved.
        for address in [Some(&address), client.proxy.as_ref()].into_iter().flatten() {
            if reach::literal(address.host()).is_some_and(|ip| !client.reach.allows(ip)) {
                return Err(Failed::new(Fault::Settings, Nowhere::Private.to_string()));
            }
        }
        let host = client.proxy.as_ref().map_or(address.host(), Address::host).to_owned();
        let failed = |error: reqwest::Error| client.failed(&host, &error);
        let request = inner.request(method, address.0).headers(headers).body(body);
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while body.len() < BODY {
            match response.chunk().await.map_err(failed)? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        body.truncate(BODY);
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
        let body = String::from_utf8_lossy(&body).into_owned();
        let said = client.secrets.hide(&body);
        let said = if said.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {said}") };
        Ok(Answer { status, retry_after, body, said })
    }
}

impl Client {
    fn failed(&self, host: &str, error: &reqwest::Error) -> Failed {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(nowhere) = error.downcast_ref::<Nowhere>() {
                let fault =
                    if matches!(nowhere, Nowhere::Private) { Fault::Settings } else { Fault::Channel };
                return Failed::new(fault, self.secrets.hide(&format!("{host}: {nowhere}")));
            }
            cause = error.source();
        }
        let why = if error.is_timeout() {
            format!("{host} did not answer in time")
        } else if error.is_connect() {
            format!("cannot connect to {host}: {}", describe(error))
        } else {
            format!("the answer of {host} was cut off: {}", describe(error))
        };
        Failed::new(Fault::Channel, self.secrets.hide(&why))
    }
}

/// What lies at the bottom of an error: the layers above say only that something failed.
fn describe(error: &reqwest::Error) -> String {
    let mut bottom: &dyn Error = error;
    while let Some(below) = bottom.source() {
        bottom = below;
    }
    // Of reqwest's own errors the address would be part.
    if std::ptr::addr_eq(std::ptr::from_ref(bottom), std::ptr::from_ref(error)) {
        return "the request cannot be made".to_owned();
    }
    bottom.to_string()
}

/// How long the other side wants to be left alone: seconds, or until a moment of its own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let wanted = header("retry-after")?;
    if let Ok(seconds) = wanted.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let moment = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let wait = moment(wanted)?.duration_since(moment(header("date")?)?);
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// How long to stay away.
    pub(super) retry_after: Option<Duration>,
    /// The first 64 KiB of its body. May hold secrets: not for people.
    pub(super) body: String,
    /// The status and what the body says, shortened, for people.
    pub(super) said: String,
}

impl Answer {
    /// Its body as JSON of a shape.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.body).ok()
    }

    /// Whether it says yes.
    pub(super) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// It is a no, about this.
    pub(super) fn failed(&self, fault: Fault) -> Failed {
        Failed { why: self.said.clone(), retry_after: self.retry_after, fault }
    }

    /// What its status means where nothing better is known; `by_token`: who is not let in has a wrong token.
    pub(super) fn judge(&self, by_token: bool) -> Result<(), Failed> {
        match self.status {
            200..300 => Ok(()),
            300..400 => Err(Failed::new(
                Fault::Settings,
                format!(
                    "{}. It leads elsewhere, which is not followed: give the address it leads to",
                    self.said
                ),
            )),
            410 => Err(self.failed(Fault::Settings)),
            401 | 403 | 404 if by_token => Err(self.failed(Fault::Settings)),
            400 | 409 | 411 | 413 | 414 | 415 | 422 | 431 => Err(self.failed(Fault::Message)),
            // Also what is not found or not allowed where somebody may be mending just that; and what is no HTTP status.
            _ => Err(self.failed(Fault::Channel)),
        }
    }
}
