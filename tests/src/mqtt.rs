//! MQTT byte by byte, so that tests can also say what no decent client would.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Device, Server, tls};

/// Any stream.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A packet as it came: the first byte, and what follows the length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Kind and flags.
    pub first: u8,
    /// The rest.
    pub body: Vec<u8>,
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// 4 or 5.
    pub level: u8,
    /// Client id.
    pub client_id: &'a str,
    /// The key.
    pub key: &'a str,
    /// Clean session or clean start.
    pub clean: bool,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    /// Topic, payload, QoS and retain flag of the last will.
    pub will: Option<(&'a str, &'a [u8], u8, bool)>,
    /// MQTT 5 properties of CONNECT, encoded.
    pub properties: &'a [u8],
}

impl<'a> Options<'a> {
    /// A clean 3.1.1 session without a will.
    pub fn new(client_id: &'a str, key: &'a str) -> Self {
        Self { level: 4, client_id, key, clean: true, keep_alive: 60, will: None, properties: &[] }
    }

    /// The same for MQTT 5.
    pub fn v5(client_id: &'a str, key: &'a str) -> Self {
        Self { level: 5, ..Self::new(client_id, key) }
    }

    /// The bytes of the CONNECT.
    pub fn bytes(&self) -> Vec<u8> {
        let mut flags = 0xc0 | u8::from(self.clean) << 1;
        if let Some((.., qos, retain)) = self.will {
            flags |= 4 | qos << 3 | u8::from(retain) << 5;
        }
        let mut body = text("MQTT");
        body.extend([self.level, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        if self.level == 5 {
            body.extend(length(self.properties.len()));
            body.extend(self.properties);
        }
        body.extend(text(self.client_id));
        if let Some((topic, payload, ..)) = self.will {
            if self.level == 5 {
                body.push(0);
            }
            body.extend(text(topic));
            body.extend(binary(payload));
        }
        body.extend(text("anyone"));
        body.extend(text(self.key));
        packet(0x10, &body)
    }
}

/// A text with its length.
pub fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

/// Bytes with their length.
pub fn binary(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("at most 65535 bytes");
    [&len.to_be_bytes()[..], bytes].concat()
}

/// A variable byte integer.
pub fn length(mut len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(len & 127).expect("seven bits");
        len >>= 7;
        if len == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 128);
    }
}

/// A whole packet.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first][..], &length(body.len()), body].concat()
}

/// A PUBLISH. MQTT 5 gets no properties.
pub fn publish(level: u8, topic: &str, payload: &[u8], qos: u8, retain: bool, packet_id: u16) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(packet_id.to_be_bytes());
    }
    if level == 5 {
        body.push(0);
    }
    body.extend(payload);
    packet(0x30 | qos << 1 | u8::from(retain), &body)
}

/// A SUBSCRIBE to one filter.
pub fn subscribe(level: u8, packet_id: u16, filter: &str, options: u8) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if level == 5 {
        body.push(0);
    }
    body.extend(text(filter));
    body.push(options);
    packet(0x82, &body)
}

/// An UNSUBSCRIBE of one filter.
pub fn unsubscribe(level: u8, packet_id: u16, filter: &str) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if level == 5 {
        body.push(0);
    }
    body.extend(text(filter));
    packet(0xa2, &body)
}

/// One of the server's counters.
pub fn metric(server: &Server, name: &str) -> u64 {
    let mut response = ureq::get(format!("http://{}/metrics", server.dashboard))
        .header("authorization", format!("Bearer {}", server.token()))
        .call()
        .expect("the server tells its counters");
    let text = response.body_mut().read_to_string().expect("counters are text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    assert!(line.is_some(), "no {name} in:\n{text}");
    line.unwrap_or_default()
}

/// The memory that a process has in RAM, from `/proc`.
pub fn resident_bytes(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Adds devices through the API, which is faster than the command line.
pub fn add_devices(server: &Server, n: usize) -> Vec<Device> {
    let add = |n| {
        let body = serde_json::json!({ "name": format!("d{n}") });
        let (status, added) = server.request("POST", "/devices", Some(&body));
        assert_eq!(status, 201, "{added}");
        let text = |field: &str| added[field].as_str().unwrap_or_default().to_owned();
        Device { id: text("id"), key: text("key"), pin: text("pin") }
    };
    (0..n).map(add).collect()
}

/// Makes a key that may publish to and subscribe to these filters.
pub fn service(server: &Server, publish: &[&str], subscribe: &[&str]) -> String {
    let mut arguments = vec!["key", "add", "--kind", "service"];
    arguments.extend(publish.iter().flat_map(|filter| ["--publish", filter]));
    arguments.extend(subscribe.iter().flat_map(|filter| ["--subscribe", filter]));
    arguments.push("test");
    let made = server.command(&arguments);
    made["key"].as_str().expect("a key").to_owned()
}

/// A client that sends and receives packets.
pub struct Client {
    stream: Box<dyn Stream>,
    level: u8,
    next_id: u16,
}

/// A PUBLISH as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its QoS.
    pub qos: u8,
    /// Its retain flag.
    pub retain: bool,
    /// Its DUP flag.
    pub dup: bool,
    /// Its packet id; 0 for QoS 0.
    pub packet_id: u16,
}

impl Client {
    /// Speaks over a stream that is open.
    pub fn over(stream: impl Stream + 'static, level: u8) -> Self {
        Self { stream: Box::new(stream), level, next_id: 0 }
    }

    /// Connects over TLS; the CONNACK's code is 0.
    pub async fn connect(address: &str, options: &Options<'_>) -> Self {
        let (client, connack) = Self::try_connect(address, options).await.expect("the server answers");
        assert_eq!(connack.body.get(1), Some(&0), "{connack:?}");
        client
    }

    /// Connects in plain text; the CONNACK's code is 0.
    pub async fn plain(address: &str, options: &Options<'_>) -> Self {
        let (client, connack) = Self::try_plain(address, options).await.expect("the server answers");
        assert_eq!(connack.body.get(1), Some(&0), "{connack:?}");
        client
    }

    /// Connects over TLS, whatever the answer.
    pub async fn try_connect(address: &str, options: &Options<'_>) -> io::Result<(Self, Raw)> {
        Self::begin(Self::over(tls::connect(address).await?, options.level), options).await
    }

    /// Connects in plain text, whatever the answer.
    pub async fn try_plain(address: &str, options: &Options<'_>) -> io::Result<(Self, Raw)> {
        Self::begin(Self::over(TcpStream::connect(address).await?, options.level), options).await
    }

    async fn begin(mut client: Self, options: &Options<'_>) -> io::Result<(Self, Raw)> {
        client.send(&options.bytes()).await?;
        let connack = client.receive().await?;
        assert_eq!(connack.first, 0x20, "{connack:?}");
        Ok((client, connack))
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next packet. `TimedOut` when none comes within 10 s.
    pub async fn receive(&mut self) -> io::Result<Raw> {
        self.receive_within(Duration::from_secs(10)).await
    }

    /// The next packet.
    pub async fn receive_within(&mut self, limit: Duration) -> io::Result<Raw> {
        timeout(limit, self.read()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn read(&mut self) -> io::Result<Raw> {
        let first = self.stream.read_u8().await?;
        let (mut len, mut shift) = (0usize, 0);
        loop {
            let byte = self.stream.read_u8().await?;
            len |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte & 128 == 0 {
                break;
            }
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).await?;
        Ok(Raw { first, body })
    }

    /// The next packet whose first byte is this, with those before it passed over.
    pub async fn packet(&mut self, first: u8) -> io::Result<Raw> {
        loop {
            let raw = self.receive().await?;
            if raw.first == first {
                return Ok(raw);
            }
        }
    }

    /// Sends PINGREQ and waits for PINGRESP; gives the messages that came before it. What the server had to say to
    /// what was sent before has come then.
    pub async fn ping(&mut self) -> io::Result<Vec<Received>> {
        self.send(&packet(0xc0, &[])).await?;
        let mut messages = Vec::new();
        loop {
            let raw = self.receive().await?;
            if raw.first == 0xd0 {
                return Ok(messages);
            }
            messages.extend(self.parse(&raw));
        }
    }

    /// The next PUBLISH; acknowledges it when it asks for that. Other packets are passed over.
    pub async fn message(&mut self) -> io::Result<Received> {
        loop {
            let raw = self.receive().await?;
            let Some(received) = self.parse(&raw) else {
                continue;
            };
            match received.qos {
                1 => self.send(&packet(0x40, &received.packet_id.to_be_bytes())).await?,
                2 => self.send(&packet(0x50, &received.packet_id.to_be_bytes())).await?,
                _ => {}
            }
            return Ok(received);
        }
    }

    /// Reads a packet as a PUBLISH, if it is one.
    pub fn parse(&self, raw: &Raw) -> Option<Received> {
        if raw.first >> 4 != 3 {
            return None;
        }
        let mut body = raw.body.as_slice();
        let mut take = |n: usize| {
            let (head, tail) = body.split_at_checked(n)?;
            body = tail;
            Some(head.to_vec())
        };
        let two = |bytes: Vec<u8>| bytes.try_into().map(u16::from_be_bytes).ok();
        let len = two(take(2)?)?;
        let topic = String::from_utf8(take(usize::from(len))?).ok()?;
        let qos = raw.first >> 1 & 3;
        let packet_id = if qos > 0 { two(take(2)?)? } else { 0 };
        if self.level == 5 {
            let (mut len, mut shift) = (0usize, 0);
            loop {
                let byte = *take(1)?.first()?;
                len |= usize::from(byte & 127) << shift;
                shift += 7;
                if byte & 128 == 0 {
                    break;
                }
            }
            take(len)?;
        }
        let (retain, dup) = (raw.first & 1 != 0, raw.first & 8 != 0);
        Some(Received { topic, payload: body.to_vec(), qos, retain, dup, packet_id })
    }

    /// Publishes with QoS 1 and waits for the PUBACK; its reason code (0 for 3.1.1).
    pub async fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) -> io::Result<u8> {
        self.next_id = self.next_id % u16::MAX + 1;
        let id = self.next_id;
        self.send(&publish(self.level, topic, payload, 1, retain, id)).await?;
        loop {
            let raw = self.receive().await?;
            if raw.first == 0x40 && raw.body.starts_with(&id.to_be_bytes()) {
                return Ok(raw.body.get(2).copied().unwrap_or(0));
            }
        }
    }

    /// Subscribes and gives the SUBACK's code.
    pub async fn subscribe(&mut self, filter: &str, options: u8) -> io::Result<u8> {
        self.next_id = self.next_id % u16::MAX + 1;
        self.send(&subscribe(self.level, self.next_id, filter, options)).await?;
        loop {
            let raw = self.receive().await?;
            if raw.first == 0x90 {
                return Ok(raw.body.last().copied().unwrap_or(0xff));
            }
        }
    }

    /// Whether the server closes the connection within the time.
    pub async fn closed(&mut self, limit: Duration) -> bool {
        let end = async {
            let mut byte = [0u8; 256];
            while self.stream.read(&mut byte).await.is_ok_and(|n| n > 0) {}
        };
        timeout(limit, end).await.is_ok()
    }
}
