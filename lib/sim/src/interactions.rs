//! How Discord signs what it sends to an application's own server.

mod signature;

pub use signature::Signature;
pub(crate) use signature::Signer;
