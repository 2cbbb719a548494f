//! Signatures: exactly what was signed is taken, and headers are read as they have to be.

use std::{sync::LazyLock, time::Duration};

use boot::Parse as _;
use discord::signature::{PublicKeys, SIGNATURE, Stamp, TIMESTAMP};
use http::{HeaderMap, HeaderValue};

use super::Outcome;
use crate::catalogue::split;

/// The moment that it is.
const NOW: u64 = 1_700_000_000;
/// How many seconds a signature's moment may be away from it.
const TOLERANCE: u64 = 300;

/// A key, and the only thing that was ever signed with it: at which moment, what, and the signature.
const KEY: &str = "9415339816dbbfc117540301922e8c4d2965767c604571f11af204513390e97e";
const MOMENT: &[u8] = b"1700000000";
const BODY: &[u8] = br#"{"type":1,"id":"1"}"#;
const SIGNED: &str = "af65c25c27d41d8d9d6b4715285f12ee82929f2f81bfd2338ae714c8c05de15836b1cac06174570d526f1dc56d1e8fdee86c4ed54edf12d1e42f8d6f43d2f50d";

/// Tries one input: a line with the signature, one with its moment, and the body.
pub(super) fn run(input: &[u8]) -> Outcome {
    static KEYS: LazyLock<PublicKeys> =
        LazyLock::new(|| PublicKeys::parse(KEY).expect("it is a key"));
    let (signature, rest) = split(input);
    let (moment, body) = split(rest);
    let mut headers = HeaderMap::new();
    for (name, value) in [(SIGNATURE, signature), (TIMESTAMP, moment)] {
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return Outcome::Refused;
        };
        headers.insert(name, value);
    }
    let (now, tolerance) = (Duration::from_secs(NOW), Duration::from_secs(TOLERANCE));
    let stamp = Stamp::read(&headers, now, tolerance);
    let is_stamp = is_signature(signature) && is_recent(moment);
    assert_eq!(stamp.is_ok(), is_stamp, "{stamp:?}");
    let Ok(stamp) = stamp else {
        return Outcome::Refused;
    };
    let is_it = signature.eq_ignore_ascii_case(SIGNED.as_bytes());
    let is_it = is_it && [moment, body].concat() == [MOMENT, BODY].concat();
    assert_eq!(KEYS.verify(&stamp, body).is_ok(), is_it);
    Outcome::Accepted
}

fn is_signature(text: &[u8]) -> bool {
    text.len() == 128 && text.iter().all(u8::is_ascii_hexdigit)
}

fn is_recent(text: &[u8]) -> bool {
    let is_number = (1..=20).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let moment = text.iter().fold(0_u128, |sum, digit| {
        sum.wrapping_mul(10) + u128::from(digit.wrapping_sub(b'0'))
    });
    is_number && moment.abs_diff(NOW.into()) <= TOLERANCE.into()
}
