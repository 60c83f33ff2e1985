//! Packets of MQTT 3.1.1, and a connection as an agent opens it.

use std::io;

use bytes::{Buf as _, BufMut as _, BytesMut};
use protocol::{ApiKey, DeviceTopic, Payload as _, Presence, Topic, TopicRoot, limits};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A connection, plain or with TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// First byte of a PUBACK.
pub const PUBACK: u8 = 0x40;
const CONNACK: u8 = 0x20;

fn text(out: &mut BytesMut, text: &[u8]) {
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text);
}

fn packet(out: &mut BytesMut, first: u8, body: &[u8]) {
    out.put_u8(first);
    let mut len = body.len();
    loop {
        let byte = u8::try_from(len & 127).unwrap_or(0);
        len >>= 7;
        out.put_u8(if len == 0 { byte } else { byte | 128 });
        if len == 0 {
            break;
        }
    }
    out.put_slice(body);
}

/// A PUBLISH of QoS 1.
pub fn publish(out: &mut BytesMut, topic: &str, id: u16, payload: &[u8], retain: bool) {
    let mut body = BytesMut::with_capacity(payload.len() + topic.len() + 4);
    text(&mut body, topic.as_bytes());
    body.put_u16(id);
    body.put_slice(payload);
    packet(out, 0x32 | u8::from(retain), &body);
}

/// A PINGREQ.
pub fn ping(out: &mut BytesMut) {
    packet(out, 0xc0, &[]);
}

/// A DISCONNECT.
pub fn disconnect(out: &mut BytesMut) {
    packet(out, 0xe0, &[]);
}

/// Takes the next packet from what was read: its first byte, and what follows its length.
pub fn take(input: &mut BytesMut) -> Option<(u8, BytesMut)> {
    let first = *input.first()?;
    let (mut len, mut shift, mut head) = (0usize, 0, 1);
    loop {
        let byte = *input.get(head)?;
        head += 1;
        len |= usize::from(byte & 127) << shift;
        shift += 7;
        if byte & 128 == 0 || shift > 21 {
            break;
        }
    }
    if input.len() < head + len {
        return None;
    }
    input.advance(head);
    Some((first, input.split_to(len)))
}

/// The name of a device's topic below the usual root.
pub fn topic(key: &ApiKey, what: DeviceTopic) -> String {
    Topic { device: key.subject(), what }.name(&TopicRoot::default()).as_str().to_owned()
}

fn connect_packet(key: &ApiKey, epoch: u64) -> BytesMut {
    let mut body = BytesMut::new();
    text(&mut body, b"MQTT");
    // 3.1.1; user name, password, retained will of QoS 1, clean session.
    body.put_slice(&[4, 0xc0 | 0x20 | 0x08 | 0x04 | 0x02]);
    body.put_u16(limits::AGENT_KEEP_ALIVE_SECS);
    text(&mut body, key.subject().as_str().as_bytes());
    text(&mut body, topic(key, DeviceTopic::Presence).as_bytes());
    text(&mut body, &Presence::will(epoch).encode());
    text(&mut body, b"agent");
    text(&mut body, key.reveal().as_bytes());
    let mut out = BytesMut::new();
    packet(&mut out, 0x10, &body);
    out
}

/// Connects as a device, with its last will; returns when the server has let it in. What is read behind that is left in
/// `input`.
pub async fn connect(
    address: &str,
    tls: Option<&TlsConnector>,
    key: &ApiKey,
    epoch: u64,
    input: &mut BytesMut,
) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let name = rustls::pki_types::ServerName::try_from("openclaw-watch").map_err(io::Error::other)?;
            Box::new(tls.connect(name, stream).await?)
        }
    };
    stream.write_all(&connect_packet(key, epoch)).await?;
    stream.flush().await?;
    loop {
        if let Some((first, body)) = take(input) {
            let fine = first == CONNACK && body.get(1) == Some(&0);
            return if fine { Ok(stream) } else { Err(io::Error::other("the server refused the device")) };
        }
        if stream.read_buf(input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
