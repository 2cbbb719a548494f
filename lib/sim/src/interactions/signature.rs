//! Signatures: Discord's own, and those with which it tests whether an endpoint looks.

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

/// How a request is signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// As Discord does it.
    #[default]
    Right,
    /// The same in upper-case digits.
    Upper,
    /// With an hour in the future.
    Future,
    /// Of another body.
    OtherBody,
    /// With another key.
    OtherKey,
    /// With another moment than the one in the header.
    OtherMoment,
    /// Without the header of the signature.
    Missing,
    /// Without the header of the moment.
    Undated,
    /// One digit too few.
    Short,
    /// An hour old.
    Stale,
    /// Zeros.
    Zeros,
    /// Letters that are no digits.
    Garbage,
}

impl Signature {
    /// Those that have to be refused.
    pub const BAD: [Self; 10] = [
        Self::Future,
        Self::OtherBody,
        Self::OtherKey,
        Self::OtherMoment,
        Self::Missing,
        Self::Undated,
        Self::Short,
        Self::Stale,
        Self::Zeros,
        Self::Garbage,
    ];
}

const HOUR: u64 = 3600;

/// Signs requests.
#[derive(Debug)]
pub(crate) struct Signer {
    key: SigningKey,
    other: SigningKey,
}

impl Signer {
    /// The keys of an application: always the same, so that a service can be told before.
    pub(crate) fn new(application_id: u64) -> Self {
        let key = |salt: u8| {
            let mut seed = [salt; 32];
            seed[..8].copy_from_slice(&application_id.to_be_bytes());
            SigningKey::from_bytes(&seed)
        };
        Self {
            key: key(1),
            other: key(2),
        }
    }

    /// What a service is told.
    pub(crate) fn public_key(&self) -> String {
        hex(self.key.verifying_key().as_bytes())
    }

    /// The headers of the signature and of the moment.
    pub(crate) fn sign(
        &self,
        how: Signature,
        now: u64,
        body: &str,
    ) -> (Option<String>, Option<String>) {
        let said = match how {
            Signature::Future => now + HOUR,
            Signature::Stale => now - HOUR,
            _ => now,
        };
        let signed = if how == Signature::OtherMoment {
            said - 1
        } else {
            said
        };
        let key = if how == Signature::OtherKey {
            &self.other
        } else {
            &self.key
        };
        let more = if how == Signature::OtherBody { " " } else { "" };
        let signature = key.sign(format!("{signed}{body}{more}").as_bytes());
        let signature = hex(&signature.to_bytes());
        let signature = match how {
            Signature::Missing => None,
            Signature::Upper => Some(signature.to_uppercase()),
            Signature::Short => Some(signature[1..].to_owned()),
            Signature::Zeros => Some("0".repeat(128)),
            Signature::Garbage => Some("xyz".to_owned()),
            _ => Some(signature),
        };
        (
            signature,
            (how != Signature::Undated).then(|| said.to_string()),
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
