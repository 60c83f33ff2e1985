//! The listener on port 38889. The first bytes decide: TLS, MQTT or HTTP. Accepting never waits for anyone.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::attempts::{AttemptOutcome, Caller, Via, tls_detail};
use crate::config::PlainText;
use crate::hub::{Hub, lock};
use crate::limiter::{Limiter, subnet};
use crate::metrics::{Gauge, count};
use crate::wire::Stream;
use crate::{http, session};

const TLS_HANDSHAKE: u8 = 0x16;
const MQTT_CONNECT: u8 = 0x10;

/// Connections that have not shown a key yet, counted per address and overall.
#[derive(Default)]
pub(crate) struct Doorstep(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    overall: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place on the doorstep; dropping it gives the place back.
pub(crate) struct Admission {
    doorstep: Arc<Doorstep>,
    address: IpAddr,
    _gauge: Gauge,
}

impl Doorstep {
    fn admit(self: &Arc<Self>, hub: &Hub, address: IpAddr) -> Option<Admission> {
        let address = subnet(address);
        let limit = if address.is_loopback() {
            hub.config.max_unauthenticated
        } else {
            hub.config.max_unauthenticated_per_address
        };
        let mut waiting = lock(&self.0);
        let here = waiting.by_address.get(&address).copied().unwrap_or(0);
        if waiting.overall >= hub.config.max_unauthenticated || here >= limit {
            return None;
        }
        waiting.overall += 1;
        waiting.by_address.insert(address, here + 1);
        Some(Admission {
            doorstep: self.clone(),
            address,
            _gauge: Gauge::new(&hub.metrics, |m| &m.unauthenticated_now),
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut waiting = lock(&self.doorstep.0);
        waiting.overall -= 1;
        if let Some(here) = waiting.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                waiting.by_address.remove(&self.address);
            }
        }
    }
}

/// Takes connections until the hub shuts down.
pub(crate) async fn listen(hub: Arc<Hub>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut limiter =
        Limiter::new(hub.config.address_rate(), hub.config.overall_rate(), Instant::now().into_std());
    let doorstep = Arc::new(Doorstep::default());
    let mut pause = Duration::from_millis(10);
    loop {
        let accepted = tokio::select! {
            () = hub.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a connection that died in the queue. Spinning would make it worse.
                count(&hub.metrics.accept_errors);
                if pause == Duration::from_millis(10) {
                    warn!(error = %error, "cannot take connections now; raise the limit of open files if this goes on");
                }
                tokio::select! {
                    () = hub.shutdown.cancelled() => return,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(Duration::from_secs(1));
                continue;
            }
        };
        pause = Duration::from_millis(10);
        count(&hub.metrics.connections_accepted);
        let caller = Caller { address: peer.ip().to_canonical(), via: Via::Tcp };
        if !limiter.admit(peer.ip(), Instant::now().into_std()) {
            count(&hub.metrics.refused_rate);
            hub.note(caller, AttemptOutcome::Limited, None, Some("rate".into()));
            continue;
        }
        let Some(admission) = doorstep.admit(&hub, peer.ip()) else {
            count(&hub.metrics.refused_unauthenticated);
            hub.note(caller, AttemptOutcome::Limited, None, Some("unauthenticated".into()));
            continue;
        };
        hub.tasks.spawn(connection(hub.clone(), stream, caller, tls.clone(), admission));
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // For clients without a keep-alive of their own whose network is gone.
    let keep_alive =
        socket2::TcpKeepalive::new().with_time(Duration::from_mins(1)).with_interval(Duration::from_secs(15));
    socket2::SockRef::from(stream).set_tcp_keepalive(&keep_alive)
}

async fn connection(
    hub: Arc<Hub>,
    stream: TcpStream,
    caller: Caller,
    tls: Option<TlsAcceptor>,
    admission: Admission,
) {
    let deadline = Instant::now() + Duration::from_secs(hub.config.handshake_timeout_s);
    // Boxed: what a handshake needs is not kept for the life of the connection.
    let Ok(opened) = timeout_at(deadline, Box::pin(open(&hub, stream, caller, tls))).await else {
        count(&hub.metrics.refused_timeout);
        hub.note(caller, AttemptOutcome::TimedOut, None, None);
        return;
    };
    match opened {
        Some((Protocol::Mqtt, stream, input)) => {
            session::serve(hub, stream, input, caller, deadline, admission).await;
        }
        Some((Protocol::Http, stream, input)) => {
            count(&hub.metrics.http_requests);
            Box::pin(http::serve(hub, stream, input, caller, deadline, admission)).await;
        }
        None => {}
    }
}

enum Protocol {
    Mqtt,
    Http,
}

async fn open(
    hub: &Hub,
    stream: TcpStream,
    caller: Caller,
    tls: Option<TlsAcceptor>,
) -> Option<(Protocol, Stream, BytesMut)> {
    if let Err(error) = prepare(&stream) {
        debug!(error = %error, "connection died before its first byte");
        return None;
    }
    let mut first = [0u8; 1];
    let refused = |outcome, detail| hub.note(caller, outcome, None, detail);
    if stream.peek(&mut first).await.ok()? == 0 {
        count(&hub.metrics.refused_protocol);
        refused(AttemptOutcome::NotMqtt, Some("closed".into()));
        return None;
    }
    let mut stream: Stream = match (tls, first) {
        (Some(tls), [TLS_HANDSHAKE]) => match tls.accept(stream).await {
            Ok(stream) => Box::new(stream),
            Err(error) => {
                count(&hub.metrics.refused_tls);
                refused(AttemptOutcome::TlsFailed, Some(tls_detail(&error)));
                debug!(peer.address = %caller.address, error = %error, "TLS handshake failed");
                return None;
            }
        },
        _ => {
            let allowed = match hub.config.plain_text {
                PlainText::Never => false,
                PlainText::Loopback => subnet(caller.address).is_loopback(),
                PlainText::Everywhere => true,
            };
            if !allowed {
                count(&hub.metrics.refused_plain);
                refused(AttemptOutcome::PlainRefused, None);
                debug!(peer.address = %caller.address, "plain text refused: TLS is needed from other machines");
                return None;
            }
            Box::new(stream)
        }
    };
    let mut input = BytesMut::with_capacity(512);
    if stream.read_buf(&mut input).await.ok()? == 0 {
        count(&hub.metrics.refused_protocol);
        refused(AttemptOutcome::NotMqtt, Some("closed".into()));
        return None;
    }
    match input.first() {
        Some(&MQTT_CONNECT) => Some((Protocol::Mqtt, stream, input)),
        // GET, POST, PUT, PATCH, HEAD, DELETE, OPTIONS
        Some(b'G' | b'P' | b'H' | b'D' | b'O') => Some((Protocol::Http, stream, input)),
        _ => {
            count(&hub.metrics.refused_protocol);
            refused(AttemptOutcome::NotMqtt, None);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, D, E, F>(_: fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        // Without what TLS keeps; tokio's own header comes on top.
        let (task, session) = (size(connection), size_of::<session::Session>());
        println!("task {task}, session {session}");
        assert!(task + session <= 2048, "task {task}, session {session} bytes for each connection");
    }
}
