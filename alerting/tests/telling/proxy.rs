//! Channels behind a proxy: one that speaks HTTP, and one that speaks SOCKS5.

use std::sync::{Arc, Mutex};

use crate::elsewhere::*;
use alerting::Occasion;
use alerting::channels::{Reach, Web};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// A proxy that leads everything to one place, and remembers where it was to lead.
async fn proxy(to: std::net::SocketAddr) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, wanted) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(Vec::new())));
    let (log, tasks) = (Arc::clone(&wanted), TaskTracker::new());
    TaskTracker::new().spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tasks.spawn(async move {
                let first = client.read_u8().await.ok()?;
                let target =
                    if first == 5 { socks(&mut client).await? } else { connect(&mut client, first).await? };
                log.lock().unwrap().push(target);
                let mut server = TcpStream::connect(to).await.ok()?;
                copy_bidirectional(&mut client, &mut server).await.ok()
            });
        }
    });
    (at, wanted)
}

/// SOCKS5 with a name and a password.
async fn socks(client: &mut TcpStream) -> Option<String> {
    let methods = client.read_u8().await.ok()?;
    let mut offered = vec![0; methods.into()];
    client.read_exact(&mut offered).await.ok()?;
    assert!(offered.contains(&2));
    client.write_all(&[5, 2]).await.ok()?;
    assert_eq!(client.read_u8().await.ok()?, 1);
    for expected in ["ann", "hunter2"] {
        let mut word = vec![0; client.read_u8().await.ok()?.into()];
        client.read_exact(&mut word).await.ok()?;
        assert_eq!(word, expected.as_bytes());
    }
    client.write_all(&[1, 0]).await.ok()?;
    let mut head = [0; 4];
    client.read_exact(&mut head).await.ok()?;
    assert_eq!(head, [5, 1, 0, 3], "connect to a name");
    let mut name = vec![0; client.read_u8().await.ok()?.into()];
    client.read_exact(&mut name).await.ok()?;
    let port = client.read_u16().await.ok()?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await.ok()?;
    Some(format!("{}:{port}", String::from_utf8(name).unwrap()))
}

async fn connect(client: &mut TcpStream, first: u8) -> Option<String> {
    let mut head = vec![first];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    // ann:hunter2
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic yw5uomh1bnrlcji="), "{head}");
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    Some(head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned())
}

/// Telegram's real address, which only the proxy can reach; the certificate is of `localhost`, so the path is to be it.
#[tokio::test]
async fn telegram_is_reached_through_a_proxy() {
    let tls = Tls::new();
    let answer = json!({"ok": true, "result": {"message_id": 1, "chat": {"id": 2}}});
    let server = Server::with_tls(&tls, move |_| say(200, &answer)).await;
    let (at, wanted) = proxy(server.at).await;
    let outside = outside_with(Web::new(Reach { private: true }, vec![tls.authority.clone()]));
    for scheme in ["http", "socks5h"] {
        let proxy = format!("{scheme}://ann:hunter2@{at}");
        let pairs = [
            ("token", "1:abcdefgh"),
            ("chat", "2"),
            ("api", "https://localhost:8443/telegram"),
            ("proxy", &proxy),
        ];
        let opened = open_in("telegram", &pairs, &outside);
        let arrived =
            tell(&opened, &down(Occasion::Fired), None).await.unwrap_or_else(|f| panic!("{scheme}: {f:?}"));
        assert_eq!(arrived.handle.as_deref(), Some("2/1"));
        assert_eq!(server.one().path, "/telegram/bot1:abcdefgh/sendMessage");
        assert_eq!(*wanted.lock().unwrap(), ["localhost:8443"], "{scheme}");
        wanted.lock().unwrap().clear();
    }
    for wrong in ["127.0.0.1:1080", "ftp://127.0.0.1", "socks5://"] {
        let pairs = settings(&[("token", "1:a"), ("chat", "2"), ("proxy", wrong)]);
        assert!(alerting::channels::check("telegram", &pairs).is_err(), "{wrong}");
    }
}
