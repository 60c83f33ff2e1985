//! A cable between an agent and its server that can be cut, bent and pulled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What the cable does with what goes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// It carries everything, after `delay`, at most `bytes_per_s` in each direction.
    Good {
        /// How late everything arrives.
        delay: Duration,
        /// How much fits through.
        bytes_per_s: Option<u32>,
    },
    /// It is accepted and held, and nothing goes through: a link that is half open.
    Silent,
    /// It is cut: every connection is reset, and none is taken.
    Cut,
}

impl Cable {
    /// A cable as it should be.
    pub const FINE: Self = Self::Good { delay: Duration::ZERO, bytes_per_s: None };
}

/// The end of the cable at which the agent connects.
#[derive(Debug)]
pub struct Socket {
    /// `127.0.0.1:PORT`.
    pub address: String,
    state: watch::Sender<Cable>,
    /// Counts up to reset what is connected.
    resets: watch::Sender<u64>,
    _task: JoinSet<()>,
}

impl Socket {
    /// Lays a cable to `server`.
    pub async fn to(server: &str) -> Self {
        let server: SocketAddr = server.parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let state = watch::Sender::new(Cable::FINE);
        let resets = watch::Sender::new(0);
        let mut task = JoinSet::new();
        task.spawn(accept(listener, server, state.clone(), resets.clone()));
        Self { address, state, resets, _task: task }
    }

    /// Makes the cable carry, hold or lose what goes through it.
    pub fn set(&self, cable: Cable) {
        self.state.send_replace(cable);
        if cable == Cable::Cut {
            self.reset();
        }
    }

    /// Resets all connections; new ones are taken.
    pub fn reset(&self) {
        self.resets.send_modify(|n| *n += 1);
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    state: watch::Sender<Cable>,
    resets: watch::Sender<u64>,
) {
    let mut connections = JoinSet::new();
    while let Ok((agent, _)) = listener.accept().await {
        let mut reset = resets.subscribe();
        let state = state.subscribe();
        connections.spawn(async move {
            let agent = Arc::new(agent);
            // However it ends, it ends with a reset: what was under way is lost.
            drop(SockRef::from(&*agent).set_linger(Some(Duration::ZERO)));
            if *state.borrow() == Cable::Cut {
                return;
            }
            let Ok(far) = TcpStream::connect(server).await else { return };
            drop(SockRef::from(&far).set_linger(Some(Duration::ZERO)));
            let Some(near) = Arc::into_inner(agent) else { return };
            drop((near.set_nodelay(true), far.set_nodelay(true)));
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::select! {
                () = carry(near_read, far_write, state.clone()) => {}
                () = carry(far_read, near_write, state.clone()) => {}
                _ = reset.changed() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<Cable>) {
    let mut bytes = vec![0; 1400];
    loop {
        let Ok(read) = from.read(&mut bytes).await else { return };
        if read == 0 {
            return;
        }
        let Ok(cable) = state.wait_for(|cable| *cable != Cable::Silent).await.map(|cable| *cable) else {
            return;
        };
        if let Cable::Good { delay, bytes_per_s } = cable {
            sleep(delay).await;
            if let Some(rate) = bytes_per_s {
                let read = u32::try_from(read).expect("a small number");
                sleep(Duration::from_secs(1) * read / rate.max(1)).await;
            }
        }
        if to.write_all(bytes.get(..read).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}
