//! What can go wrong when a test asks the simulator for something.

use std::io;

/// Why the simulator refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A run is going on already; stop it first.
    #[error("a run is going on already: stop it first")]
    Busy,
    /// The request was not well-formed; the text says where.
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
    /// No connection or session fits the request.
    #[error("no connection fits the request")]
    Unmatched,
}

impl From<sim_voice::Error> for Error {
    fn from(error: sim_voice::Error) -> Self {
        match error {
            sim_voice::Error::Invalid(text) => Self::Invalid(text),
            sim_voice::Error::Io(error) => Self::Io(error),
            sim_voice::Error::Timeout { what, seconds } => Self::Timeout { what, seconds },
            sim_voice::Error::Unmatched => Self::Unmatched,
        }
    }
}
