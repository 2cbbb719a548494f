//! What can go wrong when a test asks the voice server for something.

use std::io;

/// Why the voice server refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// A listener could not be opened or a file not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The condition that was waited for did not come in time.
    #[error("waited {seconds} s in vain for: {what}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// No voice session fits the request.
    #[error("no voice session fits the request")]
    Unmatched,
}
