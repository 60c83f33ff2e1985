//! HTTP and HTTPS on one port: the first byte decides.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use crate::auth::Peer;
use crate::error::ApiError;
use crate::lock;

const TLS_HANDSHAKE: u8 = 0x16;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections at once. Above it new ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4_096;
/// Connections at once from one address: one host cannot take every place. (A proxy on this machine may.)
const MAX_PER_ADDRESS: usize = 256;
/// Seconds for a request, its body included, until its answer begins. Sockets that were opened are not requests.
const REQUEST: Duration = Duration::from_secs(30);

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                   font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    require_https: bool,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let addresses = Arc::new(Mutex::new(HashMap::new()));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors: spinning would make it worse.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some(here) = Here::admit(&addresses, peer.ip().to_canonical()) else { continue };
        let (router, tls, shutdown) = (router.clone(), tls.clone(), shutdown.clone());
        tasks.spawn(async move {
            connection(stream, peer, router, tls, require_https, shutdown).await;
            drop((place, here));
        });
    }
}

type Addresses = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One of the connections of an address.
struct Here {
    addresses: Addresses,
    address: IpAddr,
}

impl Here {
    fn admit(addresses: &Addresses, address: IpAddr) -> Option<Self> {
        let mut all = lock(addresses);
        let here = all.entry(address).or_insert(0);
        if *here >= MAX_PER_ADDRESS && !address.is_loopback() {
            return None;
        }
        *here += 1;
        Some(Self { addresses: addresses.clone(), address })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let mut all = lock(&self.addresses);
        if let Some(here) = all.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                all.remove(&self.address);
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    require_https: bool,
    shutdown: CancellationToken,
) {
    drop(stream.set_nodelay(true));
    let mut first = [0u8; 1];
    let peeked = timeout(HANDSHAKE, stream.peek(&mut first)).await;
    if !matches!(peeked, Ok(Ok(1))) {
        return;
    }
    let address = peer.ip().to_canonical();
    match tls {
        Some(tls) if first == [TLS_HANDSHAKE] => {
            let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await else {
                return;
            };
            http(stream, Peer { address, tls: true }, router, false, shutdown).await;
        }
        _ => http(stream, Peer { address, tls: false }, router, require_https, shutdown).await,
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    redirect: bool,
    shutdown: CancellationToken,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let mut router = router.clone();
        async move {
            let response = if redirect && request.uri().path() != "/healthz" {
                to_https(request.uri(), request.headers())
            } else {
                timeout(REQUEST, router.call(request.map(Body::new))).await.map_or_else(
                    |_| ApiError::too_slow().into_response(),
                    |answer| answer.unwrap_or_else(|never: Infallible| match never {}),
                )
            };
            Ok::<_, Infallible>(harden(response))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(15))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        // An error here is the client's: it went away, or does not speak HTTP.
        _ = connection.as_mut() => {}
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(timeout(Duration::from_secs(5), connection).await);
        }
    }
}

fn to_https(uri: &Uri, headers: &axum::http::HeaderMap) -> Response<Body> {
    let plain = |host: &&str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(plain);
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let location = host.and_then(|host| HeaderValue::from_str(&format!("https://{host}{path}")).ok());
    match location {
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        None => ApiError::new(StatusCode::FORBIDDEN, "https_required", "Use https://.").into_response(),
    }
}

/// Headers that every answer carries.
fn harden(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .insert("permissions-policy", HeaderValue::from_static("camera=(), microphone=(), geolocation=()"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
