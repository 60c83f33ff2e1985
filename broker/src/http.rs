//! HTTP on the device port: the WebSocket upgrade on `/mqtt`, and a word for people who open it in a browser.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Sink, Stream as _};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tracing::debug;

use crate::attempts::{AttemptOutcome, Caller, Via};
use crate::gate::Admission;
use crate::hub::Hub;
use crate::metrics::count;
use crate::session;
use crate::wire::Stream;

pub(crate) async fn serve(
    hub: Arc<Hub>,
    stream: Stream,
    input: BytesMut,
    caller: Caller,
    deadline: Instant,
    admission: Admission,
) {
    let io = TokioIo::new(Rewound { first: input.freeze(), stream });
    // The place on the doorstep goes with the connection that is upgraded; every other keeps it until its end.
    let admission = Arc::new(Mutex::new(Some(admission)));
    let service = {
        let hub = hub.clone();
        service_fn(move |request| {
            let response = respond(&hub, request, caller, deadline, &admission);
            async move { Ok::<_, std::convert::Infallible>(response) }
        })
    };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .max_buf_size(16 * 1024)
        .serve_connection(io, service)
        .with_upgrades();
    tokio::select! {
        () = hub.shutdown.cancelled() => {}
        () = tokio::time::sleep_until(deadline) => {}
        ended = connection => if let Err(error) = ended {
            debug!(error = %error, "HTTP connection on the device port ended");
        }
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn has_token(request: &Request<Incoming>, name: header::HeaderName, token: &str) -> bool {
    request
        .headers()
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

fn respond(
    hub: &Arc<Hub>,
    mut request: Request<Incoming>,
    caller: Caller,
    deadline: Instant,
    admission: &Mutex<Option<Admission>>,
) -> Response<Full<Bytes>> {
    let refused = |outcome, detail: &'static str| {
        hub.note(Caller { via: Via::Http, ..caller }, outcome, None, Some(detail.into()));
    };
    if request.uri().path() != "/mqtt" {
        refused(AttemptOutcome::NotMqtt, "http");
        return text(
            StatusCode::NOT_FOUND,
            "This port is for devices and MQTT clients: MQTT over TLS, or a WebSocket on /mqtt.\n\
             The page is on the dashboard's port (38888 unless configured otherwise).\n",
        );
    }
    let upgrade = request.method() == Method::GET
        && has_token(&request, header::CONNECTION, "upgrade")
        && has_token(&request, header::UPGRADE, "websocket");
    if !upgrade {
        refused(AttemptOutcome::NotMqtt, "http");
        return text(StatusCode::UPGRADE_REQUIRED, "MQTT over a WebSocket is spoken here.\n");
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    let version_ok = request.headers().get(header::SEC_WEBSOCKET_VERSION).is_some_and(|v| v == "13");
    let (Some(key), true) = (key, version_ok) else {
        refused(AttemptOutcome::BadProtocol, "websocket");
        return text(StatusCode::BAD_REQUEST, "Not a WebSocket handshake of version 13.\n");
    };
    if !has_token(&request, header::SEC_WEBSOCKET_PROTOCOL, "mqtt") {
        refused(AttemptOutcome::BadProtocol, "subprotocol");
        return text(StatusCode::BAD_REQUEST, "The WebSocket's subprotocol must be `mqtt`.\n");
    }
    let caller = Caller { via: Via::WebSocket, ..caller };
    let upgraded = hyper::upgrade::on(&mut request);
    let admission = admission.lock().ok().and_then(|mut a| a.take());
    let task_hub = hub.clone();
    hub.tasks.spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_write_buffer_size(1024 * 1024)
            .max_message_size(Some(limits::MAX_PACKET_BYTES * 2))
            .max_frame_size(Some(limits::MAX_PACKET_BYTES * 2));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let stream: Stream = Box::new(WebSocket { socket, rest: Bytes::new() });
        session::serve(task_hub, stream, BytesMut::new(), caller, deadline, admission).await;
    });
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"));
    match accept {
        Ok(accept) => {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            response
        }
        Err(_) => {
            count(&hub.metrics.refused_protocol);
            text(StatusCode::BAD_REQUEST, "Not a WebSocket handshake.\n")
        }
    }
}

/// A stream whose first bytes were read to see what it is.
struct Rewound {
    first: Bytes,
    stream: Stream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = self.first.len().min(buf.remaining());
        let part = self.first.split_to(n);
        buf.put_slice(&part);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The bytes in a WebSocket's binary messages, as one stream (MQTT §6: packets need not align with frames).
struct WebSocket {
    socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
    rest: Bytes,
}

fn io_error(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => self.rest = bytes,
                // Pings are answered by the library.
                Poll::Ready(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
                Poll::Ready(Some(Ok(Message::Text(_)))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "MQTT travels in binary messages",
                    )));
                }
                Poll::Ready(Some(Ok(Message::Close(_))) | None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io_error(error))),
            }
        }
        let n = self.rest.len().min(buf.remaining());
        buf.put_slice(self.rest.get(..n).unwrap_or_default());
        self.rest.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.socket).poll_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(io_error(error))),
            Poll::Ready(Ok(())) => {}
        }
        let message = Message::Binary(Bytes::copy_from_slice(buf));
        Poll::Ready(Pin::new(&mut self.socket).start_send(message).map(|()| buf.len()).map_err(io_error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(io_error)
    }
}
