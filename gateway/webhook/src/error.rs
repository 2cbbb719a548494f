//! What ends the service.

/// A failure of `gateway-webhook`. Those that reach the operator say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for webhook events cannot be had.
    #[error(transparent)]
    Listen(#[from] listener::Error),
    /// There is no address to register.
    #[error(
        "no webhook events are taken here: set DISCORD_PUBLIC_KEY, DISCORD_APPLICATION_ID and HTTP_ADDRESS first"
    )]
    NoEvents,
    /// Requests cannot be sent to Discord.
    #[error(transparent)]
    Outbound(#[from] outbound::Error),
    /// What was ordered was not done.
    #[error(transparent)]
    Registration(#[from] registration::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}
