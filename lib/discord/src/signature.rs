//! Whether a request comes from Discord: its signature, with Ed25519, over the moment and the body.
//!
//! See [Discord Docs/Validating Security Request
//! Headers](https://docs.discord.com/developers/interactions/overview#validating-security-request-headers).

#[cfg(test)]
mod tests;

use std::{sync::LazyLock, time::Duration};

use boot::{Parse, config::Invalid};
use curve25519_dalek::constants::EIGHT_TORSION;
use ed25519_dalek::{SIGNATURE_LENGTH, Signature, Verifier as _, VerifyingKey};
use http::{HeaderMap, HeaderValue};

/// The header with the signature, in hex digits.
pub const SIGNATURE: &str = "x-signature-ed25519";
/// The header with the moment of the signature, in seconds since 1970.
pub const TIMESTAMP: &str = "x-signature-timestamp";

/// The longest moment that is looked at: enough for all of time.
const LONGEST: usize = 20;

/// The points of small order, as they are written. A signature that begins with one proves nothing.
static SMALL: LazyLock<[[u8; 32]; 8]> =
    LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress().to_bytes()));

/// The public keys of an application: more than one while it gets a new one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKeys(Vec<VerifyingKey>);

/// What the headers of a request say, before anybody has looked whether it is true.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    signature: Signature,
    timestamp: &'a str,
}

/// Why a request is not taken for one of Discord's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Forged {
    /// A header is missing, or there are several of it.
    #[error("it has not exactly one header {0}")]
    Missing(&'static str),
    /// The signature is not one.
    #[error("its signature is not {} hex digits", 2 * SIGNATURE_LENGTH)]
    Malformed,
    /// The moment is no number of seconds.
    #[error("the moment of its signature is no number")]
    Undated,
    /// It was signed too long ago, or is dated from the future.
    #[error("it was signed too long ago, or in the future: or the clock of this machine is wrong")]
    Stale,
    /// The signature is not that of this body, or not with a key of the application.
    #[error("its signature is wrong")]
    Wrong,
}

impl Forged {
    /// A word for it, for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Malformed => "malformed",
            Self::Undated => "undated",
            Self::Stale => "stale",
            Self::Wrong => "wrong",
        }
    }
}

impl<'a> Stamp<'a> {
    /// Reads the headers; `now` is the time since 1970, from which the moment may be so far away.
    ///
    /// Digits of a signature may be upper-case: the bytes are the same, so nobody gains by it.
    ///
    /// # Errors
    ///
    /// They are not what Discord sends, or were sent at another time.
    pub fn read(
        headers: &'a HeaderMap,
        now: Duration,
        tolerance: Duration,
    ) -> Result<Self, Forged> {
        let signature = one(headers, SIGNATURE)?;
        let signature = bytes::<SIGNATURE_LENGTH>(signature).ok_or(Forged::Malformed)?;
        let timestamp = one(headers, TIMESTAMP)?;
        let is_number =
            (1..=LONGEST).contains(&timestamp.len()) && timestamp.iter().all(u8::is_ascii_digit);
        let timestamp = str::from_utf8(timestamp).ok().filter(|_| is_number);
        let timestamp = timestamp.ok_or(Forged::Undated)?;
        let moment = timestamp.parse().map_err(|_| Forged::Stale)?;
        // A moment has no parts of seconds: one of this second is not from the past.
        if now.as_secs().abs_diff(moment) > tolerance.as_secs() {
            return Err(Forged::Stale);
        }
        Ok(Self {
            signature: Signature::from_bytes(&signature),
            timestamp,
        })
    }
}

impl PublicKeys {
    /// Whether all of these are among them.
    #[must_use]
    pub fn have(&self, others: &Self) -> bool {
        others.0.iter().all(|key| self.0.contains(key))
    }

    /// Looks whether one of the keys has signed this body at the stamp's moment.
    ///
    /// Takes the signatures that `VerifyingKey::verify_strict` takes, in less time: a signature that `verify` takes begins with
    /// a point as it is written, so whether that is of small order shows without reading it. Keys of small order are none.
    ///
    /// # Errors
    ///
    /// None has.
    pub fn verify(&self, stamp: &Stamp<'_>, body: &[u8]) -> Result<(), Forged> {
        let mut message = Vec::with_capacity(stamp.timestamp.len() + body.len());
        message.extend_from_slice(stamp.timestamp.as_bytes());
        message.extend_from_slice(body);
        let is_its = |key: &VerifyingKey| key.verify(&message, &stamp.signature).is_ok();
        let is_small = SMALL.contains(stamp.signature.r_bytes());
        match !is_small && self.0.iter().any(is_its) {
            true => Ok(()),
            false => Err(Forged::Wrong),
        }
    }
}

/// The value of a header that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a [u8], Forged> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(HeaderValue::as_bytes(value)),
        _ => Err(Forged::Missing(name)),
    }
}

/// The bytes that exactly so many hex digits stand for.
fn bytes<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    if hex.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

impl Parse for PublicKeys {
    fn expected() -> String {
        "an application's public key, of 64 hex digits, as Discord's developer portal shows it; or several, with commas \
         between them"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let items: Vec<_> = text.split(',').map(|item| item.trim().to_owned()).collect();
        Self::parse_list(&items)
    }

    fn parse_list(items: &[String]) -> Result<Self, Invalid> {
        let key = |item: &String| {
            let bytes = bytes(item.as_bytes())?;
            let key = VerifyingKey::from_bytes(&bytes).ok()?;
            // With such a key anybody could sign anything.
            (!key.is_weak()).then_some(key)
        };
        let keys: Option<Vec<_>> = items.iter().map(key).collect();
        match keys.filter(|keys| !keys.is_empty()) {
            Some(keys) => Ok(Self(keys)),
            None => Err(Invalid::new()),
        }
    }
}
