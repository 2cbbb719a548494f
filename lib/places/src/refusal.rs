//! Why an address is not read from.

use std::error::Error;

/// An address that is refused. Nothing here repeats it: it may be a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It is no address that anything could be read from.
    #[error("it is no address that begins with https:// or http://, without a user")]
    Address,
    /// No addresses are taken at all.
    #[error("the operator allows no addresses")]
    Off,
    /// It is within a private network, or leads there.
    #[error("it leads to an address that is not a public one")]
    Private,
}

impl Refusal {
    /// The refusal that made a request fail, if it was one.
    #[must_use]
    pub fn of(error: &reqwest::Error) -> Option<Self> {
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(refusal) = error.downcast_ref::<Self>() {
                return Some(*refusal);
            }
            source = error.source();
        }
        None
    }
}
