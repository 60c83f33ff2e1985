use bytes::{Bytes, BytesMut};
use protocol::{Qos, TopicFilter, TopicName};

use super::properties::{
    self, AUTH_DATA, AUTH_METHOD, CONTENT_TYPE, CORRELATION_DATA, MAXIMUM_PACKET_SIZE, MESSAGE_EXPIRY,
    PAYLOAD_FORMAT, REASON_STRING, RECEIVE_MAXIMUM, REQUEST_PROBLEM_INFO, REQUEST_RESPONSE_INFO,
    RESPONSE_TOPIC, SERVER_REFERENCE, SESSION_EXPIRY, SUBSCRIPTION_ID, TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY, Value, WILL_DELAY, take, take_binary, take_text, take_u8, take_u16, variable_int,
};
use super::{Connect, DecodeError, Packet, Publish, RetainHandling, Subscription, Version, Will};

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;
const AUTH: u8 = 15;

/// Takes packets off the front of a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder {
    /// `None` until CONNECT has said it.
    pub(crate) version: Option<Version>,
    /// The largest packet that is read.
    pub(crate) max_packet: usize,
}

impl Decoder {
    /// The next whole packet, `None` when more bytes are needed.
    pub(crate) fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some(&first) = buffer.first() else {
            return Ok(None);
        };
        let kind = first >> 4;
        let Some(version) = self.version else {
            if first != CONNECT << 4 {
                return Err(DecodeError::Protocol("the first packet is not CONNECT"));
            }
            return Ok(self.body(buffer)?.map(connect).transpose()?.map(|c| Packet::Connect(Box::new(c))));
        };
        // Refused by its first byte already: nothing is buffered for a packet that a client never sends.
        let flags = first & 0x0f;
        match (kind, flags) {
            (CONNECT, _) => return Err(DecodeError::Protocol("CONNECT comes twice")),
            (PUBLISH, _)
            | (PUBACK | PUBREC | PUBCOMP | PINGREQ | DISCONNECT, 0)
            | (PUBREL | SUBSCRIBE | UNSUBSCRIBE, 2) => {}
            (AUTH, _) => return Err(DecodeError::Protocol("AUTH without an authentication method")),
            (PUBACK..=PUBCOMP | SUBSCRIBE | UNSUBSCRIBE | PINGREQ | DISCONNECT, _) => {
                return Err(DecodeError::Malformed("reserved flags are set"));
            }
            _ => return Err(DecodeError::Protocol("a client does not send this packet")),
        }
        let Some(mut body) = self.body(buffer)? else {
            return Ok(None);
        };
        let packet = match kind {
            PUBLISH => Packet::Publish(Box::new(publish(version, flags, &mut body)?)),
            PUBACK => Packet::PubAck { packet_id: acknowledgement(version, &mut body)?.0 },
            PUBREC => {
                let (packet_id, reason) = acknowledgement(version, &mut body)?;
                Packet::PubRec { packet_id, reason }
            }
            PUBREL => Packet::PubRel { packet_id: acknowledgement(version, &mut body)?.0 },
            PUBCOMP => Packet::PubComp { packet_id: acknowledgement(version, &mut body)?.0 },
            SUBSCRIBE => subscribe(version, &mut body)?,
            UNSUBSCRIBE => unsubscribe(version, &mut body)?,
            PINGREQ => Packet::PingReq,
            _ => disconnect(version, &mut body)?,
        };
        if !body.is_empty() {
            return Err(DecodeError::Malformed("a packet is longer than what it says"));
        }
        Ok(Some(packet))
    }

    fn body(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, DecodeError> {
        let Some((len, bytes)) = variable_int(buffer.get(1..).unwrap_or_default())? else {
            return Ok(None);
        };
        let total = 1 + bytes + usize::try_from(len).unwrap_or(usize::MAX);
        if total > self.max_packet {
            return Err(DecodeError::TooLarge);
        }
        if buffer.len() < total {
            return Ok(None);
        }
        let mut packet = buffer.split_to(total).freeze();
        drop(take(&mut packet, 1 + bytes)?);
        Ok(Some(packet))
    }
}

fn qos(bits: u8) -> Result<Qos, DecodeError> {
    Qos::from_bits(bits).ok_or(DecodeError::Malformed("QoS is 3"))
}

fn packet_id(body: &mut Bytes) -> Result<u16, DecodeError> {
    match take_u16(body)? {
        0 => Err(DecodeError::Malformed("a packet id is 0")),
        id => Ok(id),
    }
}

fn topic_name(text: &str) -> Result<TopicName, DecodeError> {
    TopicName::parse(text).map_err(|_| DecodeError::InvalidTopic)
}

const MESSAGE: [u8; 6] =
    [PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY];

fn check_response_topic(id: u8, value: &Value) -> Result<(), DecodeError> {
    match (id, value) {
        (RESPONSE_TOPIC, Value::Text(topic)) => topic_name(topic).map(drop),
        _ => Ok(()),
    }
}

fn connect(mut body: Bytes) -> Result<Connect, DecodeError> {
    let name = take_binary(&mut body)?;
    if name != b"MQTT"[..] {
        // 3.1 calls itself MQIsdp: an old version, not a broken packet.
        let old = name == b"MQIsdp"[..];
        return Err(if old { DecodeError::UnsupportedVersion } else { DecodeError::Malformed("not MQTT") });
    }
    let version = match take_u8(&mut body)? {
        4 => Version::V311,
        5 => Version::V5,
        _ => return Err(DecodeError::UnsupportedVersion),
    };
    let flags = take_u8(&mut body)?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    if has(0) {
        return Err(DecodeError::Malformed("reserved flags are set"));
    }
    let (user_name, password, will_retain, will, clean_start) = (has(7), has(6), has(5), has(2), has(1));
    let will_qos = qos(flags >> 3 & 3)?;
    if !will && (will_retain || will_qos != Qos::AtMostOnce) {
        return Err(DecodeError::Malformed("will flags without a will"));
    }
    if version == Version::V311 && password && !user_name {
        return Err(DecodeError::Malformed("a password without a user name"));
    }
    let keep_alive_secs = take_u16(&mut body)?;
    let mut connect = Connect {
        version,
        client_id: String::new(),
        clean_start,
        keep_alive_secs,
        will: None,
        user_name: None,
        password: None,
        session_expiry_secs: if version == Version::V311 && !clean_start { u32::MAX } else { 0 },
        receive_maximum: u16::MAX,
        maximum_packet_size: None,
        enhanced_auth: false,
    };
    if version == Version::V5 {
        let allowed = [
            SESSION_EXPIRY,
            RECEIVE_MAXIMUM,
            MAXIMUM_PACKET_SIZE,
            TOPIC_ALIAS_MAXIMUM,
            REQUEST_RESPONSE_INFO,
            REQUEST_PROBLEM_INFO,
            USER_PROPERTY,
            AUTH_METHOD,
            AUTH_DATA,
        ];
        properties::read(&mut body, &allowed, |id, value, _| {
            match (id, value) {
                (SESSION_EXPIRY, Value::Four(secs)) => connect.session_expiry_secs = secs,
                (RECEIVE_MAXIMUM, Value::Two(0)) | (MAXIMUM_PACKET_SIZE, Value::Four(0)) => {
                    return Err(DecodeError::Protocol("a maximum is 0"));
                }
                (RECEIVE_MAXIMUM, Value::Two(n)) => connect.receive_maximum = n,
                (MAXIMUM_PACKET_SIZE, Value::Four(n)) => connect.maximum_packet_size = Some(n),
                (AUTH_METHOD | AUTH_DATA, _) => connect.enhanced_auth = true,
                _ => {}
            }
            Ok(())
        })?;
    }
    connect.client_id = take_text(&mut body)?;
    if will {
        let mut kept = BytesMut::new();
        if version == Version::V5 {
            let mut allowed = MESSAGE.to_vec();
            allowed.push(WILL_DELAY);
            properties::read(&mut body, &allowed, |id, value, raw| {
                check_response_topic(id, &value)?;
                if id != WILL_DELAY {
                    kept.extend_from_slice(raw);
                }
                Ok(())
            })?;
        }
        let topic = topic_name(&take_text(&mut body)?)?;
        let payload = take_binary(&mut body)?;
        connect.will =
            Some(Will { topic, payload, qos: will_qos, retain: will_retain, properties: kept.freeze() });
    }
    if user_name {
        connect.user_name = Some(take_text(&mut body)?);
    }
    if password {
        connect.password = Some(take_binary(&mut body)?);
    }
    if body.is_empty() {
        Ok(connect)
    } else {
        Err(DecodeError::Malformed("a packet is longer than what it says"))
    }
}

fn publish(version: Version, flags: u8, body: &mut Bytes) -> Result<Publish, DecodeError> {
    let dup = flags & 8 != 0;
    let qos = qos(flags >> 1 & 3)?;
    if dup && qos == Qos::AtMostOnce {
        return Err(DecodeError::Malformed("DUP on QoS 0"));
    }
    let name = take_text(body)?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { packet_id(body)? };
    let mut kept = BytesMut::new();
    if version == Version::V5 {
        let mut allowed = MESSAGE.to_vec();
        allowed.push(TOPIC_ALIAS);
        properties::read(body, &allowed, |id, value, raw| {
            check_response_topic(id, &value)?;
            if id == TOPIC_ALIAS {
                return Err(DecodeError::TopicAlias);
            }
            kept.extend_from_slice(raw);
            Ok(())
        })?;
    }
    let topic = topic_name(&name)?;
    let payload = std::mem::take(body);
    Ok(Publish { dup, qos, retain: flags & 1 != 0, topic, packet_id, payload, properties: kept.freeze() })
}

fn acknowledgement(version: Version, body: &mut Bytes) -> Result<(u16, u8), DecodeError> {
    let packet_id = packet_id(body)?;
    let mut reason = 0;
    if version == Version::V5 && !body.is_empty() {
        reason = take_u8(body)?;
        if !body.is_empty() {
            properties::read(body, &[REASON_STRING, USER_PROPERTY], |_, _, _| Ok(()))?;
        }
    }
    Ok((packet_id, reason))
}

fn subscribe(version: Version, body: &mut Bytes) -> Result<Packet, DecodeError> {
    let packet_id = packet_id(body)?;
    let mut subscription_id = None;
    if version == Version::V5 {
        properties::read(body, &[SUBSCRIPTION_ID, USER_PROPERTY], |_, value, _| {
            match value {
                Value::Var(0) => return Err(DecodeError::Protocol("a subscription id is 0")),
                Value::Var(id) => subscription_id = Some(id),
                _ => {}
            }
            Ok(())
        })?;
    }
    let mut filters = Vec::new();
    while !body.is_empty() {
        let text = take_text(body)?;
        let options = take_u8(body)?;
        let reserved = if version == Version::V5 { 0xc0 } else { 0xfc };
        if options & reserved != 0 {
            return Err(DecodeError::Malformed("reserved options are set"));
        }
        let retain_handling = match options >> 4 & 3 {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            2 => RetainHandling::Never,
            _ => return Err(DecodeError::Protocol("retain handling is 3")),
        };
        filters.push(Subscription {
            filter: TopicFilter::parse(&text),
            qos: qos(options & 3)?,
            no_local: options & 4 != 0,
            retain_as_published: options & 8 != 0,
            retain_handling,
        });
    }
    if filters.is_empty() {
        return Err(DecodeError::Protocol("SUBSCRIBE without a filter"));
    }
    Ok(Packet::Subscribe { packet_id, subscription_id, filters })
}

fn unsubscribe(version: Version, body: &mut Bytes) -> Result<Packet, DecodeError> {
    let packet_id = packet_id(body)?;
    if version == Version::V5 {
        properties::read(body, &[USER_PROPERTY], |_, _, _| Ok(()))?;
    }
    let mut filters = Vec::new();
    while !body.is_empty() {
        filters.push(take_text(body)?);
    }
    if filters.is_empty() {
        return Err(DecodeError::Protocol("UNSUBSCRIBE without a filter"));
    }
    Ok(Packet::Unsubscribe { packet_id, filters })
}

fn disconnect(version: Version, body: &mut Bytes) -> Result<Packet, DecodeError> {
    let mut reason = 0;
    let mut session_expiry_secs = None;
    if version == Version::V5 && !body.is_empty() {
        reason = take_u8(body)?;
        if !body.is_empty() {
            let allowed = [SESSION_EXPIRY, REASON_STRING, USER_PROPERTY, SERVER_REFERENCE];
            properties::read(body, &allowed, |id, value, _| {
                if let (SESSION_EXPIRY, Value::Four(secs)) = (id, value) {
                    session_expiry_secs = Some(secs);
                }
                Ok(())
            })?;
        }
    }
    Ok(Packet::Disconnect { reason, session_expiry_secs })
}
