//! The page's live socket.

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::Server;

/// An open live socket.
pub struct Live {
    socket: WebSocketStream<TcpStream>,
    rev: u64,
}

impl Live {
    /// Opens it and takes the snapshot.
    pub async fn open(server: &Server) -> (Self, Value) {
        Self::open_at(server, "/live").await
    }

    /// The same at a path with a query.
    pub async fn open_at(server: &Server, path: &str) -> (Self, Value) {
        let stream = TcpStream::connect(&server.dashboard).await.expect("the dashboard answers");
        let mut request =
            format!("ws://{}{path}", server.dashboard).into_client_request().expect("an address");
        let bearer = format!("Bearer {}", server.token()).parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("the socket opens");
        let mut live = Self { socket, rev: 0 };
        let snapshot = live.next().await;
        assert_eq!(snapshot["type"], "snapshot");
        (live, snapshot)
    }

    /// The next frame but `alive`. Each has the next `rev`.
    pub async fn next(&mut self) -> Value {
        loop {
            let message = self.socket.next().await.expect("the socket is open").expect("the socket is well");
            let Ok(text) = message.into_text() else { continue };
            if text.is_empty() {
                continue;
            }
            let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
            if frame["type"] == "alive" {
                continue;
            }
            let rev = frame["rev"].as_u64().expect("a frame has a rev");
            assert_eq!(rev, self.rev + 1, "a frame is missing");
            self.rev = rev;
            return frame;
        }
    }

    /// The next state of a device for which `check` holds.
    pub async fn device(&mut self, id: &str, check: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next().await;
            let devices = frame["devices"].as_array().cloned().unwrap_or_default();
            if let Some(device) = devices.into_iter().find(|d| d["id"] == id && check(d)) {
                return device;
            }
        }
    }
}
