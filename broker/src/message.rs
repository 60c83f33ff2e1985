//! A message on its way through the engine. What rumqttd would change or lose travels inside the payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protocol::Qos;

use crate::engine::Forwarded;

/// A message for subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Routed {
    /// Grows with every message; tells copies of the same one.
    pub(crate) number: u64,
    /// The session that published it (0: the server), for the "no local" option.
    pub(crate) origin: u64,
    /// The publisher's retain flag, for "retain as published".
    pub(crate) retain: bool,
    pub(crate) qos: Qos,
    /// Messages before this one were lost on the way. Not part of the envelope.
    pub(crate) after_gap: bool,
    pub(crate) topic: Bytes,
    pub(crate) properties: Bytes,
    pub(crate) payload: Bytes,
}

impl Routed {
    pub(crate) fn envelope(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(21 + self.properties.len() + self.payload.len());
        out.put_u64(self.number);
        out.put_u64(self.origin);
        out.put_u8(self.qos as u8 | u8::from(self.retain) << 2);
        out.put_u32(u32::try_from(self.properties.len()).unwrap_or(0));
        out.extend_from_slice(&self.properties);
        out.extend_from_slice(&self.payload);
        out.freeze()
    }

    /// `None` for bytes that the gate did not write.
    pub(crate) fn open(forwarded: Forwarded) -> Option<Self> {
        let mut envelope = forwarded.envelope;
        if envelope.len() < 21 {
            return None;
        }
        let (number, origin, flags) = (envelope.get_u64(), envelope.get_u64(), envelope.get_u8());
        let len = usize::try_from(envelope.get_u32()).ok()?;
        if envelope.len() < len {
            return None;
        }
        let properties = envelope.split_to(len);
        Some(Self {
            number,
            origin,
            retain: flags & 4 != 0,
            qos: Qos::from_bits(flags & 3)?,
            after_gap: forwarded.after_gap,
            topic: forwarded.topic,
            properties,
            payload: envelope,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_opens_to_what_went_in() {
        let routed = Routed {
            number: 7,
            origin: 9,
            retain: true,
            qos: Qos::ExactlyOnce,
            after_gap: false,
            topic: Bytes::from_static(b"a/b"),
            properties: Bytes::from_static(b"\x01\x01"),
            payload: Bytes::new(),
        };
        let sent = Forwarded { topic: routed.topic.clone(), envelope: routed.envelope(), after_gap: false };
        assert_eq!(Routed::open(sent), Some(routed));
        assert_eq!(
            Routed::open(Forwarded {
                topic: Bytes::new(),
                envelope: Bytes::from_static(b"short"),
                after_gap: false
            }),
            None
        );
    }
}
