//! What ends the service.

/// A failure of `gateway-http`. Those that reach the operator say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be had.
    #[error(transparent)]
    Listen(#[from] listener::Error),
    /// What was ordered was not done.
    #[error(transparent)]
    Registration(#[from] registration::Error),
    /// Nobody can answer over stdio.
    #[error("workers answer interactions over RabbitMQ: BROKER_TYPE=stdio has no way for that")]
    Stdio,
}
