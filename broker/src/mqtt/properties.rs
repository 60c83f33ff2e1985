//! MQTT 5 properties (§2.2.2).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::DecodeError;

pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION_DATA: u8 = 0x09;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0b;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(super) const AUTH_METHOD: u8 = 0x15;
pub(super) const AUTH_DATA: u8 = 0x16;
pub(super) const REQUEST_PROBLEM_INFO: u8 = 0x17;
pub(super) const WILL_DELAY: u8 = 0x18;
pub(super) const REQUEST_RESPONSE_INFO: u8 = 0x19;
pub(super) const SERVER_REFERENCE: u8 = 0x1c;
pub(super) const REASON_STRING: u8 = 0x1f;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const USER_PROPERTY: u8 = 0x26;
pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
pub(super) const SHARED_SUBSCRIPTION: u8 = 0x2a;

/// The properties of a message that travel with it from publisher to subscriber, in their encoded form and order:
/// payload format, expiry, content type, response topic, correlation data, user properties.
pub(crate) type UserProperties = Bytes;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    Var(u32),
    Text(String),
    Binary,
    Pair,
}

/// Reads a variable byte integer. `Ok(None)` when there are not enough bytes yet.
pub(super) fn variable_int(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0u32;
    for (i, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            if i > 0 && *byte == 0 {
                return Err(DecodeError::Malformed("a length is not in its shortest form"));
            }
            return Ok(Some((value, i + 1)));
        }
    }
    if bytes.len() >= 4 { Err(DecodeError::Malformed("a length has more than four bytes")) } else { Ok(None) }
}

pub(super) fn put_variable_int(out: &mut BytesMut, mut value: u32) {
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.put_u8(byte);
            return;
        }
        out.put_u8(byte | 0x80);
    }
}

pub(super) fn take(body: &mut Bytes, len: usize) -> Result<Bytes, DecodeError> {
    if body.len() < len {
        Err(DecodeError::Malformed("a packet ends too early"))
    } else {
        Ok(body.split_to(len))
    }
}

pub(super) fn take_u8(body: &mut Bytes) -> Result<u8, DecodeError> {
    take(body, 1).map(|mut b| b.get_u8())
}

pub(super) fn take_u16(body: &mut Bytes) -> Result<u16, DecodeError> {
    take(body, 2).map(|mut b| b.get_u16())
}

pub(super) fn take_u32(body: &mut Bytes) -> Result<u32, DecodeError> {
    take(body, 4).map(|mut b| b.get_u32())
}

pub(super) fn take_binary(body: &mut Bytes) -> Result<Bytes, DecodeError> {
    let len = take_u16(body)?;
    take(body, usize::from(len))
}

/// A UTF-8 string by §1.5.4: no NUL. (Other control characters are discouraged, not forbidden.)
pub(super) fn take_text(body: &mut Bytes) -> Result<String, DecodeError> {
    let bytes = take_binary(body)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| DecodeError::Malformed("a text is not UTF-8"))?;
    if text.contains('\0') { Err(DecodeError::Malformed("a text holds NUL")) } else { Ok(text.to_owned()) }
}

fn take_var(body: &mut Bytes) -> Result<u32, DecodeError> {
    let (value, len) = variable_int(body)?.ok_or(DecodeError::Malformed("a packet ends too early"))?;
    body.advance(len);
    Ok(value)
}

/// Reads a property list: calls `see` with each property and the bytes it was made of. Each property that is not
/// in `allowed` is an error, and so is one that comes twice (user properties and subscription ids may).
pub(super) fn read(
    body: &mut Bytes,
    allowed: &[u8],
    mut see: impl FnMut(u8, Value, &[u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let len = take_var(body)?;
    let mut list = take(body, usize::try_from(len).unwrap_or(usize::MAX))?;
    let mut seen = 0u64;
    while !list.is_empty() {
        let whole = list.clone();
        let id = take_u8(&mut list)?;
        if !allowed.contains(&id) {
            return Err(DecodeError::Protocol("a property does not belong to its packet"));
        }
        let bit = 1u64 << (id & 63);
        if seen & bit != 0 && id != USER_PROPERTY {
            return Err(DecodeError::Protocol("a property comes twice"));
        }
        seen |= bit;
        let value = match id {
            PAYLOAD_FORMAT | REQUEST_PROBLEM_INFO | REQUEST_RESPONSE_INFO => {
                let value = take_u8(&mut list)?;
                if value > 1 {
                    return Err(DecodeError::Protocol("a property is neither 0 nor 1"));
                }
                Value::Byte(value)
            }
            RECEIVE_MAXIMUM | TOPIC_ALIAS_MAXIMUM | TOPIC_ALIAS => Value::Two(take_u16(&mut list)?),
            MESSAGE_EXPIRY | SESSION_EXPIRY | WILL_DELAY | MAXIMUM_PACKET_SIZE => {
                Value::Four(take_u32(&mut list)?)
            }
            SUBSCRIPTION_ID => Value::Var(take_var(&mut list)?),
            CONTENT_TYPE | RESPONSE_TOPIC | AUTH_METHOD | REASON_STRING | SERVER_REFERENCE => {
                Value::Text(take_text(&mut list)?)
            }
            CORRELATION_DATA | AUTH_DATA => {
                take_binary(&mut list)?;
                Value::Binary
            }
            USER_PROPERTY => {
                take_text(&mut list)?;
                take_text(&mut list)?;
                Value::Pair
            }
            _ => return Err(DecodeError::Malformed("a property is unknown")),
        };
        let used = whole.len() - list.len();
        see(id, value, whole.get(..used).unwrap_or_default())?;
    }
    Ok(())
}

/// The expiry, in seconds, that stands in a message's own properties.
pub(crate) fn forwarded_expiry(properties: &UserProperties) -> Option<u32> {
    // The list was checked when it was read, so a wrong one cannot be here.
    let mut list = BytesMut::new();
    put_variable_int(&mut list, u32::try_from(properties.len()).ok()?);
    list.extend_from_slice(properties);
    let mut expiry = None;
    read(
        &mut list.freeze(),
        &[PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY],
        |id, value, _| {
            if let (MESSAGE_EXPIRY, Value::Four(secs)) = (id, value) {
                expiry = Some(secs);
            }
            Ok(())
        },
    )
    .ok()?;
    expiry
}
