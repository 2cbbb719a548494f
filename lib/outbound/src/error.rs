//! What ends the way to Discord, or keeps it from beginning.

/// A failure that the operator has to hear of; it says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What Discord's API is to be found at is no address.
    #[error("DISCORD_API_URL is no http or https URL: {0}")]
    Address(String),
    /// A request that the start needs failed for good.
    #[error(transparent)]
    Discord(#[from] discord::Error),
    /// The client that reads files cannot be set up.
    #[error("files cannot be read from addresses: {0}")]
    Files(#[from] reqwest::Error),
    /// An application has neither id nor token.
    #[error("an application needs DISCORD_APPLICATION_ID, or DISCORD_TOKEN to ask for it")]
    Nobody,
    /// Two applications are one and the same.
    #[error("two of the applications are {id}: each may be named once in [[applications]]")]
    SameApplication {
        /// The application.
        id: u64,
    },
    /// TLS cannot be set up.
    #[error("the certificates of this machine cannot be used: {0}")]
    Tls(String),
}
