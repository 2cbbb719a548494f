//! Signatures, right and wrong.

use std::time::Duration;

use boot::Parse as _;
use curve25519_dalek::{constants::EIGHT_TORSION, scalar::Scalar};
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha512;

use super::{Forged, PublicKeys, SIGNATURE, Stamp, TIMESTAMP};

const NOW: u64 = 1_790_000_000;
const TOLERANCE: u64 = 300;
const BODY: &[u8] = br#"{"type":1}"#;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn public(seeds: &[u8]) -> PublicKeys {
    let keys = seeds
        .iter()
        .map(|seed| hex(key(*seed).verifying_key().as_bytes()));
    PublicKeys::parse(&keys.collect::<Vec<_>>().join(", ")).unwrap()
}

fn signature(seed: u8, timestamp: &str, body: &[u8]) -> String {
    let message = [timestamp.as_bytes(), body].concat();
    hex(&key(seed).sign(&message).to_bytes())
}

fn headers(signature: &str, timestamp: &str) -> HeaderMap {
    [(SIGNATURE, signature), (TIMESTAMP, timestamp)]
        .into_iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        })
        .collect()
}

fn check(keys: &PublicKeys, headers: &HeaderMap, body: &[u8]) -> Result<(), Forged> {
    let (now, tolerance) = (Duration::from_secs(NOW), Duration::from_secs(TOLERANCE));
    keys.verify(&Stamp::read(headers, now, tolerance)?, body)
}

#[test]
fn what_discord_signs_is_known_by_each_of_the_keys() {
    let now = NOW.to_string();
    let keys = public(&[1, 2]);
    for (seed, expected) in [(1, Ok(())), (2, Ok(())), (3, Err(Forged::Wrong))] {
        let headers = headers(&signature(seed, &now, BODY), &now);
        assert_eq!(check(&keys, &headers, BODY), expected, "{seed}");
    }
}

#[test]
fn a_key_may_be_in_either_case() {
    // Of RFC 8032, test 2.
    let text = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let key = PublicKeys::parse(text).unwrap();
    assert_eq!(PublicKeys::parse(&text.to_uppercase()).unwrap(), key);
}

#[test]
fn nothing_that_was_signed_can_be_changed() {
    let now = NOW.to_string();
    let keys = public(&[1]);
    let right = signature(1, &now, BODY);
    let other = (NOW + 1).to_string();
    assert_eq!(
        check(&keys, &headers(&right, &other), BODY),
        Err(Forged::Wrong)
    );
    assert_eq!(
        check(&keys, &headers(&right, &now), b"{}"),
        Err(Forged::Wrong)
    );
    assert_eq!(
        check(&keys, &headers(&right, &now), b""),
        Err(Forged::Wrong)
    );
    for place in 0..right.len() {
        let mut wrong = right.clone().into_bytes();
        wrong[place] = if wrong[place] == b'0' { b'1' } else { b'0' };
        let wrong = String::from_utf8(wrong).unwrap();
        assert_eq!(
            check(&keys, &headers(&wrong, &now), BODY),
            Err(Forged::Wrong)
        );
    }
    // The border between the moment and the body is a part of it.
    let moved = [b"0".as_slice(), BODY].concat();
    assert!(check(&keys, &headers(&right, &now[..now.len() - 1]), &moved).is_err());
}

#[test]
fn a_signature_that_begins_with_a_point_of_small_order_is_none() {
    let (now, keys) = (NOW.to_string(), public(&[1]));
    let (secret, message) = (key(1), [now.as_bytes(), BODY].concat());
    let public = secret.verifying_key();
    let mut taken = 0;
    for point in EIGHT_TORSION {
        let begin = point.compress().to_bytes();
        let hashed = [&begin[..], public.as_bytes(), &message].concat();
        let end = Scalar::hash_from_bytes::<Sha512>(&hashed) * secret.to_scalar();
        let signature = Signature::from_components(begin, end.to_bytes());
        taken += usize::from(public.verify(&message, &signature).is_ok());
        assert!(public.verify_strict(&message, &signature).is_err());
        let headers = headers(&hex(&signature.to_bytes()), &now);
        assert_eq!(check(&keys, &headers, BODY), Err(Forged::Wrong));
    }
    assert_eq!(taken, 1, "of the neutral point, unless it is looked at");
}

#[test]
fn a_signature_has_one_number_and_not_another_that_means_the_same() {
    // What a number may be larger by and mean the same: the order of the group, lowest byte first.
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (now, keys) = (NOW.to_string(), public(&[1]));
    let message = [now.as_bytes(), BODY].concat();
    let right = key(1).sign(&message);
    let mut carry = 0;
    let number = right.s_bytes().iter().zip(order).map(|(byte, more)| {
        let sum = u16::from(*byte) + more + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    let number: Vec<u8> = number.collect();
    let other = [right.r_bytes(), &number[..]].concat();
    for (signature, expected) in [(right.to_vec(), Ok(())), (other, Err(Forged::Wrong))] {
        assert_eq!(
            check(&keys, &headers(&hex(&signature), &now), BODY),
            expected
        );
        let signature = Signature::from_slice(&signature).unwrap();
        let strict = key(1).verifying_key().verify_strict(&message, &signature);
        assert_eq!(strict.is_ok(), expected.is_ok());
    }
}

#[test]
fn a_signature_is_128_digits_in_one_header() {
    let now = NOW.to_string();
    let keys = public(&[1]);
    let right = signature(1, &now, BODY);
    // The same bytes, written in another way.
    assert_eq!(
        check(&keys, &headers(&right.to_uppercase(), &now), BODY),
        Ok(())
    );
    for wrong in [
        String::new(),
        right[..127].to_owned(),
        right[..126].to_owned(),
        format!("{right}0"),
        format!("0x{}", &right[..126]),
        format!("{}g", &right[..127]),
        format!("{}+f", &right[..126]),
        format!(" {}", &right[..127]),
        "0".repeat(4096),
    ] {
        let found = check(&keys, &headers(&wrong, &now), BODY);
        assert_eq!(found, Err(Forged::Malformed), "{wrong}");
    }
    assert_eq!(
        check(&keys, &headers(&"0".repeat(128), &now), BODY),
        Err(Forged::Wrong)
    );
    for name in [SIGNATURE, TIMESTAMP] {
        let mut fewer = headers(&right, &now);
        fewer.remove(name);
        assert_eq!(check(&keys, &fewer, BODY), Err(Forged::Missing(name)));
        let mut more = headers(&right, &now);
        let twice = more[name].clone();
        more.append(name, twice);
        assert_eq!(check(&keys, &more, BODY), Err(Forged::Missing(name)));
    }
}

#[test]
fn a_moment_is_a_number_of_seconds_near_ours() {
    let keys = public(&[1]);
    for (timestamp, expected) in [
        (NOW.to_string(), Ok(())),
        ((NOW - TOLERANCE).to_string(), Ok(())),
        ((NOW + TOLERANCE).to_string(), Ok(())),
        // A zero in front makes it another text, and the same number; it was signed so.
        (format!("0{NOW}"), Ok(())),
        ((NOW - TOLERANCE - 1).to_string(), Err(Forged::Stale)),
        ((NOW + TOLERANCE + 1).to_string(), Err(Forged::Stale)),
        ("0".to_owned(), Err(Forged::Stale)),
        (u64::MAX.to_string(), Err(Forged::Stale)),
        ("9".repeat(20), Err(Forged::Stale)),
        ("9".repeat(21), Err(Forged::Undated)),
        (String::new(), Err(Forged::Undated)),
        (format!("-{NOW}"), Err(Forged::Undated)),
        (format!("+{NOW}"), Err(Forged::Undated)),
        (format!("{NOW}.0"), Err(Forged::Undated)),
        (format!("{NOW} "), Err(Forged::Undated)),
        ("now".to_owned(), Err(Forged::Undated)),
    ] {
        let headers = headers(&signature(1, &timestamp, BODY), &timestamp);
        assert_eq!(check(&keys, &headers, BODY), expected, "{timestamp:?}");
    }
}

#[test]
fn a_public_key_is_one() {
    let right = hex(key(1).verifying_key().as_bytes());
    for wrong in [
        String::new(),
        ",".to_owned(),
        right[..62].to_owned(),
        format!("{right}00"),
        format!("{right},"),
        format!("{right} {right}"),
        // A point of small order: it verifies anything.
        hex(&[0; 32]),
        format!("01{}", "00".repeat(31)),
        // No point at all.
        format!("02{}", "00".repeat(31)),
        "g".repeat(64),
    ] {
        assert!(PublicKeys::parse(&wrong).is_err(), "{wrong}");
    }
}
