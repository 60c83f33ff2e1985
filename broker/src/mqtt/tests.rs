use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

const CONNECT: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x0a\x00\x03abc";

#[track_caller]
fn check(version: Option<Version>, bytes: &[u8], expected: Result<Option<&str>, DecodeError>) {
    let decoder = Decoder { version, max_packet: 1000 };
    let got = decoder.decode(&mut BytesMut::from(bytes)).map(|p| p.map(|p| format!("{p:?}")));
    match (&got, expected) {
        (Ok(Some(text)), Ok(Some(start))) if text.starts_with(start) => {}
        (Ok(None), Ok(None))
        | (Err(DecodeError::Malformed(_)), Err(DecodeError::Malformed(_)))
        | (Err(DecodeError::Protocol(_)), Err(DecodeError::Protocol(_))) => {}
        (Err(got), Err(expected)) if *got == expected => {}
        (_, expected) => panic!("{bytes:02x?}: got {got:?}, expected {expected:?}"),
    }
}

#[test]
fn packets_of_clients_are_read() {
    use Version::{V5, V311};
    let malformed = || Err(DecodeError::Malformed(""));
    let protocol = || Err(DecodeError::Protocol(""));
    check(None, CONNECT, Ok(Some("Connect")));
    check(None, b"\x30\x00", protocol());
    check(None, b"\x10\xff\xff\xff\x7f", Err(DecodeError::TooLarge));
    check(None, b"\x10\xff\xff\xff\xff\x01", malformed());
    check(None, b"\x10\x8f\x00", malformed());
    check(None, b"\x10\x0f\x00\x04MQTT\x03\x02\x00\x0a\x00\x03abc", Err(DecodeError::UnsupportedVersion));
    check(None, b"\x10\x0f\x00\x04MQTT\x04\x03\x00\x0a\x00\x03abc", malformed());
    check(None, b"\x10\x0f\x00\x04MQTT\x04\x42\x00\x0a\x00\x03abc", malformed());
    check(Some(V311), CONNECT, protocol());
    check(Some(V311), b"\x30\x05\x00\x01axy", Ok(Some("Publish")));
    check(Some(V311), b"\x38\x05\x00\x01axy", malformed());
    check(Some(V311), b"\x36\x05\x00\x01axy", malformed());
    check(Some(V311), b"\x32\x05\x00\x01a\x00\x00", malformed());
    check(Some(V311), b"\x30\x03\x00\x01#", Err(DecodeError::InvalidTopic));
    check(Some(V311), b"\x30\x02\x00\x00", Err(DecodeError::InvalidTopic));
    check(Some(V311), b"\x30\x03\x00\x01\xff", malformed());
    check(Some(V311), b"\x20\x02\x00\x00", protocol());
    check(Some(V5), b"\xb0\x02\x00\x01", protocol());
    check(Some(V5), b"\xf0\x00", protocol());
    check(Some(V311), b"\x82\x06\x00\x01\x00\x01a\x01", Ok(Some("Subscribe")));
    check(Some(V311), b"\x80\x06\x00\x01\x00\x01a\x01", malformed());
    check(Some(V311), b"\x82\x02\x00\x01", protocol());
    check(Some(V311), b"\x82\x06\x00\x01\x00\x01a\x04", malformed());
    check(Some(V5), b"\x82\x07\x00\x01\x00\x00\x01a\x2c", Ok(Some("Subscribe")));
    check(Some(V5), b"\x30\x08\x00\x01a\x03\x23\x00\x01x", Err(DecodeError::TopicAlias));
    check(Some(V5), b"\x30\x09\x00\x01a\x04\x01\x00\x01\x00x", protocol());
    check(Some(V5), b"\x40\x02\x00\x01", Ok(Some("PubAck")));
    check(Some(V5), b"\x40\x04\x00\x01\x10\x00", Ok(Some("PubAck")));
    check(Some(V311), b"\x40\x03\x00\x01\x00", malformed());
    check(Some(V311), b"\xe0\x00", Ok(Some("Disconnect")));
    check(Some(V5), b"\xe0\x01\x04", Ok(Some("Disconnect { reason: 4")));
}

#[test]
fn a_packet_in_pieces_waits_for_its_end() {
    for end in 0..CONNECT.len() {
        check(None, &CONNECT[..end], Ok(None));
    }
}

#[test]
fn what_travels_with_a_message_keeps_its_bytes() {
    let mut buffer =
        BytesMut::from(&b"\x30\x12\x00\x01a\x0c\x02\x00\x00\x00\x09\x26\x00\x01k\x00\x01vxy"[..]);
    let decoder = Decoder { version: Some(Version::V5), max_packet: 1000 };
    let Some(Packet::Publish(publish)) = decoder.decode(&mut buffer).unwrap() else { panic!() };
    assert_eq!(&publish.payload[..], b"xy");
    assert_eq!(forwarded_expiry(&publish.properties), Some(9));
    let mut out = BytesMut::new();
    let publish = Outgoing {
        dup: false,
        qos: Qos::AtMostOnce,
        retain: false,
        topic: "a",
        packet_id: 0,
        payload: b"xy",
        properties: &publish.properties,
        subscription_ids: &[],
    };
    encode(&mut out, Version::V5, &Reply::Publish { publish });
    assert_eq!(&out[..], b"\x30\x12\x00\x01a\x0c\x02\x00\x00\x00\x09\x26\x00\x01k\x00\x01vxy");
}

proptest! {
    /// Whatever arrives, decoding ends, never panics, and never takes more than there is.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), v5 in any::<bool>()) {
        let version = if v5 { Version::V5 } else { Version::V311 };
        for version in [None, Some(version)] {
            let decoder = Decoder { version, max_packet: 150 };
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decoder.decode(&mut buffer) {}
        }
    }

    /// The same with the first byte of a real packet and a length that fits.
    #[test]
    fn any_body_is_survived(kind in 1u8..16, flags in 0u8..16, body in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut bytes = vec![kind << 4 | flags, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        for version in [None, Some(Version::V311), Some(Version::V5)] {
            let decoder = Decoder { version, max_packet: 150 };
            drop(decoder.decode(&mut BytesMut::from(&bytes[..])));
        }
    }
}
