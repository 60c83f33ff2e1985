//! MQTT 3.1.1 and 5 on the server's side: what clients send is decoded, what they get is encoded.
//!
//! One `Packet` type for both versions; a property that 3.1.1 does not have is absent there. Only packets that a
//! client may send can be decoded, so nothing a client sends can look like a word of the server.

mod decode;
mod encode;
mod properties;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use protocol::{Qos, TopicFilter, TopicName};

pub(crate) use decode::Decoder;
pub(crate) use encode::encode;
pub(crate) use properties::{UserProperties, forwarded_expiry};

/// The protocol level that a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V311,
    V5,
}

/// Why a packet was not understood; ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("a packet is malformed: {0}")]
    Malformed(&'static str),
    #[error("a packet is not allowed here: {0}")]
    Protocol(&'static str),
    #[error("a packet is larger than allowed")]
    TooLarge,
    #[error("the protocol level is not 3.1.1 or 5")]
    UnsupportedVersion,
    #[error("the topic name is not valid")]
    InvalidTopic,
    #[error("a topic alias was used that was not offered")]
    TopicAlias,
}

impl DecodeError {
    /// It in a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Protocol(_) => "not_allowed_here",
            Self::TooLarge => "too_large",
            Self::UnsupportedVersion => "version",
            Self::InvalidTopic => "topic",
            Self::TopicAlias => "topic_alias",
        }
    }

    /// The MQTT 5 reason code for it.
    pub(crate) fn reason(self) -> u8 {
        match self {
            Self::Malformed(_) => 0x81,
            Self::Protocol(_) => 0x82,
            Self::TooLarge => 0x95,
            Self::UnsupportedVersion => 0x84,
            Self::InvalidTopic => 0x90,
            Self::TopicAlias => 0x94,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive_secs: u16,
    pub(crate) will: Option<Will>,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Bytes>,
    /// Seconds to keep the session after the connection; 3.1.1 without clean session keeps it for ever.
    pub(crate) session_expiry_secs: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) enhanced_auth: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) topic: TopicName,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) properties: UserProperties,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) topic: TopicName,
    /// 0 for QoS 0.
    pub(crate) packet_id: u16,
    pub(crate) payload: Bytes,
    pub(crate) properties: UserProperties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetainHandling {
    Always,
    IfNew,
    Never,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// `Err` keeps the place in the SUBACK of a filter that is not valid.
    pub(crate) filter: Result<TopicFilter, protocol::InvalidFilter>,
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) retain_handling: RetainHandling,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    Connect(Box<Connect>),
    Publish(Box<Publish>),
    PubAck { packet_id: u16 },
    PubRec { packet_id: u16, reason: u8 },
    PubRel { packet_id: u16 },
    PubComp { packet_id: u16 },
    Subscribe { packet_id: u16, subscription_id: Option<u32>, filters: Vec<Subscription> },
    Unsubscribe { packet_id: u16, filters: Vec<String> },
    PingReq,
    Disconnect { reason: u8, session_expiry_secs: Option<u32> },
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    ConnAck {
        session_present: bool,
        code: ConnectCode,
        assigned_client_id: Option<&'a str>,
        limits: ServerLimits,
    },
    Publish {
        publish: Outgoing<'a>,
    },
    PubAck {
        packet_id: u16,
        reason: u8,
    },
    PubRec {
        packet_id: u16,
        reason: u8,
    },
    PubRel {
        packet_id: u16,
        reason: u8,
    },
    PubComp {
        packet_id: u16,
        reason: u8,
    },
    SubAck {
        packet_id: u16,
        codes: &'a [u8],
    },
    UnsubAck {
        packet_id: u16,
        codes: &'a [u8],
    },
    PingResp,
    /// Only MQTT 5 has it; nothing is sent to a 3.1.1 client.
    Disconnect {
        reason: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing<'a> {
    pub(crate) dup: bool,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) topic: &'a str,
    pub(crate) packet_id: u16,
    pub(crate) payload: &'a [u8],
    pub(crate) properties: &'a UserProperties,
    pub(crate) subscription_ids: &'a [u32],
}

/// How a CONNECT is answered, in the words of both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectCode {
    Accepted,
    UnsupportedVersion,
    ClientIdNotValid,
    ServerUnavailable,
    BadCredentials,
    NotAuthorized,
    BadAuthenticationMethod,
    QuotaExceeded,
}

impl ConnectCode {
    pub(crate) fn v311(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::UnsupportedVersion => 1,
            Self::ClientIdNotValid => 2,
            Self::ServerUnavailable | Self::QuotaExceeded => 3,
            // 4 (bad user name or password) would tell a guesser which half was right.
            Self::BadCredentials | Self::NotAuthorized | Self::BadAuthenticationMethod => 5,
        }
    }

    pub(crate) fn v5(self) -> u8 {
        match self {
            Self::Accepted => 0x00,
            Self::UnsupportedVersion => 0x84,
            Self::ClientIdNotValid => 0x85,
            Self::BadCredentials | Self::NotAuthorized => 0x87,
            Self::ServerUnavailable => 0x88,
            Self::BadAuthenticationMethod => 0x8c,
            Self::QuotaExceeded => 0x97,
        }
    }
}

/// What a CONNACK of MQTT 5 tells of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerLimits {
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_packet_size: u32,
    pub(crate) session_expiry_secs: Option<u32>,
    pub(crate) keep_alive_secs: Option<u16>,
}
