//! What ends the service.

/// A failure of `gateway-voice`. Those that reach the operator say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address can be read from.
    #[error("the TLS set-up of this machine cannot be used")]
    Sources(#[source] boot::BoxError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::Error),
}
