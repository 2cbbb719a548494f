//! What ends the service.

/// A failure of `gateway-webhook`. Those that reach the operator say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for webhook events cannot be had.
    #[error(transparent)]
    Listen(#[from] listener::Error),
    /// Requests cannot be sent to Discord.
    #[error(transparent)]
    Outbound(#[from] outbound::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}
