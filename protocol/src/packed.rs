//! Payloads in a smaller form, for links that cost money: a report takes about a fifth of its bytes.
//!
//! A packed payload is one byte, the number of a dictionary, and a zstd frame. No JSON text begins with such a byte, so both
//! forms may travel on every topic. Only a device packs, and the gate unpacks before anybody else sees the payload:
//! whoever subscribes reads JSON. A dictionary is never changed, because old agents use it; a better one gets the next
//! number.

use std::borrow::Cow;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::{PayloadError, limits};

/// What payloads look like: trained by `zstd --train` with some thousand reports, usages, events and logs of made-up devices.
const DICTIONARY_1: &[u8] = include_bytes!("dictionary-1.bin");
/// zstd's level: above it costs the device memory and saves next to nothing.
const LEVEL: i32 = 9;
static TO_PACK: LazyLock<EncoderDictionary<'_>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, LEVEL));
static TO_UNPACK: LazyLock<DecoderDictionary<'_>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_1));
/// No text begins with a byte below this one.
const FIRST_OF_TEXT: u8 = 0x09;

/// Packs a payload; one that would not become smaller stays as it is.
pub fn pack(payload: Vec<u8>) -> Vec<u8> {
    let packed = Compressor::with_prepared_dictionary(&TO_PACK)
        .and_then(|mut compressor| {
            compressor.include_checksum(false)?;
            // Which dictionary it is says our own byte.
            compressor.include_dictid(false)?;
            compressor.compress(&payload)
        })
        .ok()
        .filter(|packed| packed.len() + 1 < payload.len());
    match packed {
        Some(mut packed) => {
            packed.insert(0, 1);
            packed
        }
        None => payload,
    }
}

/// Unpacks a payload that is packed; any other stays as it is.
///
/// Fails on a dictionary that this version does not know, on a damaged frame, and on one that would become longer than
/// [`limits::MAX_PAYLOAD_BYTES`].
pub fn unpack(payload: &[u8]) -> Result<Cow<'_, [u8]>, PayloadError> {
    match payload.split_first() {
        Some((1, frame)) if !frame.is_empty() => Decompressor::with_prepared_dictionary(&TO_UNPACK)
            .and_then(|mut decompressor| decompressor.decompress(frame, limits::MAX_PAYLOAD_BYTES))
            .map(Cow::Owned)
            .map_err(|_| PayloadError::Packed),
        Some((number, _)) if *number < FIRST_OF_TEXT => Err(PayloadError::Packed),
        _ => Ok(Cow::Borrowed(payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPORT: &[u8] = include_bytes!("../tests/golden/report-full.json");

    #[test]
    fn a_report_becomes_small_and_comes_back() {
        let report =
            serde_json::to_vec(&serde_json::from_slice::<serde_json::Value>(REPORT).unwrap()).unwrap();
        let packed = pack(report.clone());
        assert!(packed.len() * 3 < report.len(), "{} of {}", packed.len(), report.len());
        assert_eq!(unpack(&packed).unwrap(), report);
    }

    #[test]
    fn what_is_not_packed_stays_as_it_is() {
        for payload in [&b""[..], b"{}", b" {}", b"online", b"\n"] {
            assert_eq!(pack(payload.to_vec()), payload);
            assert_eq!(unpack(payload).unwrap(), payload);
        }
    }

    #[test]
    fn what_cannot_be_unpacked_is_refused() {
        let bomb = pack(vec![b'x'; limits::MAX_PAYLOAD_BYTES + 1]);
        assert!(bomb.len() < 100);
        let mut damaged = pack(REPORT.to_vec());
        damaged.truncate(damaged.len() - 3);
        for bad in [&bomb[..], &damaged, b"\x01", b"\x01{}", b"\x00", b"\x02{}"] {
            assert!(matches!(unpack(bad), Err(PayloadError::Packed)), "{:?}", &bad[..bad.len().min(8)]);
        }
    }

    proptest! {
        #[test]
        fn every_payload_comes_back(text in "\\PC{0,400}", times in 1usize..50) {
            let payload = text.repeat(times).into_bytes();
            prop_assume!(payload.first().is_none_or(|b| *b >= FIRST_OF_TEXT));
            let packed = pack(payload.clone());
            prop_assert_eq!(unpack(&packed).unwrap(), payload);
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(unpack(&bytes));
            drop(unpack(&[&[1][..], &bytes].concat()));
        }
    }
}
