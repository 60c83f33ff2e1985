//! Codes of authenticator apps (RFC 6238 with SHA-1, six digits, thirty seconds: what every app speaks), the picture that
//! hands a secret over, and recovery codes.

use std::fmt::Write as _;

use protocol::{KeyHash, Timestamp};
use qrcodegen::{QrCode, QrCodeEcc};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

const SECRET_BYTES: usize = 20;
const STEP_MS: i64 = 30_000;
const DIGITS: usize = 6;
/// A clock that is half a minute off is forgiven, either way.
const STEPS_OFF: i64 = 1;
const RECOVERY_CODES: usize = 10;
/// 80 bits each.
const RECOVERY_BYTES: usize = 10;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub(crate) struct NoRandom;

fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// A new secret.
pub(crate) fn new_secret() -> Result<Vec<u8>, NoRandom> {
    random::<SECRET_BYTES>().map(Vec::from)
}

/// Base 32 without padding (RFC 4648), as people type it.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut have) = (0_u32, 0_u32);
    let digit = |value: u32| {
        let index = usize::try_from(value & 31).unwrap_or(0);
        BASE32.get(index).copied().map_or('A', char::from)
    };
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        have += 8;
        while have >= 5 {
            have -= 5;
            out.push(digit(bits >> have));
        }
        bits &= (1 << have) - 1;
    }
    if have > 0 {
        out.push(digit(bits << (5 - have)));
    }
    out
}

/// The code of a half minute since 1970.
fn code_of(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or(0) & 15);
    let word =
        tag.get(offset..offset + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes);
    format!("{:0DIGITS$}", (word & 0x7fff_ffff) % 1_000_000)
}

/// The half minute that a code is of, when it is one of now.
pub(crate) fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let present = now.0.div_euclid(STEP_MS);
    let shown = KeyHash::of(code.as_bytes());
    // All are compared, and in constant time.
    (present - STEPS_OFF..=present + STEPS_OFF)
        .filter(|step| KeyHash::of(code_of(secret, *step).as_bytes()).matches(&shown))
        .max()
}

/// A code as somebody typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Six digits of an app.
    Code(String),
    /// A recovery code, in the form of which the hash is kept.
    Recovery(String),
}

/// Reads what somebody typed, with whatever spaces and hyphens.
pub(crate) fn typed(text: &str) -> Typed {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').take(64).collect();
    if plain.len() == DIGITS && plain.bytes().all(|b| b.is_ascii_digit()) {
        Typed::Code(plain)
    } else {
        Typed::Recovery(plain.to_ascii_uppercase())
    }
}

/// What is kept of a recovery code.
pub(crate) fn recovery_hash(plain: &str) -> KeyHash {
    KeyHash::of(plain.as_bytes())
}

/// New recovery codes as they are shown, in groups of four, and what is kept of each.
pub(crate) fn recovery_codes() -> Result<(Vec<String>, Vec<KeyHash>), NoRandom> {
    let mut shown = Vec::with_capacity(RECOVERY_CODES);
    let mut kept = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let plain = base32(&random::<RECOVERY_BYTES>()?);
        kept.push(recovery_hash(&plain));
        let mut groups = String::new();
        for (n, c) in plain.to_ascii_lowercase().chars().enumerate() {
            if n > 0 && n % 4 == 0 {
                groups.push('-');
            }
            groups.push(c);
        }
        shown.push(groups);
    }
    Ok((shown, kept))
}

/// What an app takes a secret from.
pub(crate) fn otpauth(person: &str, secret: &[u8]) -> String {
    let mut label = String::new();
    for byte in person.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            label.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(label, "%{byte:02X}");
        }
    }
    format!(
        "otpauth://totp/OpenClaw%20Watch:{label}?secret={}&issuer=OpenClaw%20Watch&algorithm=SHA1&digits=6&period=30",
        base32(secret)
    )
}

/// A picture of a text: SVG path data of its dark squares, each of size 1, and how many there are in a row. `None` for a text
/// that is too long for one.
pub(crate) fn picture(text: &str) -> Option<(String, i32)> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let run = (x..code.size()).take_while(|x| code.get_module(*x, y)).count();
            let run = i32::try_from(run).unwrap_or(0);
            if run > 0 {
                let _ = write!(path, "M{x} {y}h{run}v1h-{run}z");
            }
            x += run.max(1);
        }
    }
    Some((path, code.size()))
}

#[cfg(test)]
pub(crate) fn code_at(secret: &[u8], at: Timestamp) -> String {
    code_of(secret, at.0.div_euclid(STEP_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B: the last six digits of its eight.
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let at = Timestamp(second * 1000);
            assert_eq!(code_at(SECRET, at), code);
            for (off, good) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
                let step = step_of(SECRET, code, at.plus_millis(off * 1000));
                assert_eq!(step, good.then_some(second / 30), "{second} {off}");
            }
        }
        assert_eq!(step_of(SECRET, "", Timestamp(59_000)), None);
    }

    #[test]
    fn base32_is_the_standard_one() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn what_people_type_is_read() {
        assert_eq!(typed(" 123 456 "), Typed::Code("123456".to_owned()));
        let (shown, kept) = recovery_codes().unwrap();
        assert_eq!((shown.len(), shown[0].len()), (10, 19));
        for (shown, kept) in shown.iter().zip(&kept) {
            for text in [shown.clone(), shown.to_uppercase(), shown.replace('-', " ")] {
                let Typed::Recovery(plain) = typed(&text) else { panic!("{text}") };
                assert!(recovery_hash(&plain).matches(kept));
            }
        }
    }

    #[test]
    fn the_picture_holds_every_dark_square() {
        let url = otpauth("ann & bob", SECRET);
        assert!(
            url.starts_with("otpauth://totp/OpenClaw%20Watch:ann%20%26%20bob?secret=GEZDGNBVGY3TQOJQ"),
            "{url}"
        );
        let (path, size) = picture(&url).unwrap();
        let code = QrCode::encode_text(&url, QrCodeEcc::Medium).unwrap();
        let mut dark = 0;
        for part in path.split('z').filter(|part| !part.is_empty()) {
            let (place, run) = part[1..].split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
            let run: i32 = run.split('v').next().unwrap().parse().unwrap();
            assert!((x..x + run).all(|x| code.get_module(x, y)));
            dark += run;
        }
        let all = (0..size)
            .flat_map(|y| (0..size).map(move |x| (x, y)))
            .filter(|(x, y)| code.get_module(*x, *y))
            .count();
        assert_eq!(usize::try_from(dark).unwrap(), all);
    }
}
