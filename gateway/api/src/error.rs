//! What ends the service.

/// A failure of `gateway-api`. Those that reach the operator say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request that the start needs failed for good.
    #[error(transparent)]
    Discord(#[from] discord::Error),
    /// The HTTP listener's address cannot be had.
    #[error(transparent)]
    Listen(#[from] listener::Error),
    /// Two of the tokens belong to one application.
    #[error(
        "two of the tokens belong to application {id}: each application may be named once in \
         [[applications]]"
    )]
    SameApplication {
        /// The application.
        id: u64,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The client that reads files cannot be set up.
    #[error("files cannot be read from addresses: {0}")]
    Files(#[from] reqwest::Error),
    /// TLS cannot be set up.
    #[error("the certificates of this machine cannot be used: {0}")]
    Tls(String),
}
