//! Why the store did not do what it was asked for.

use std::{io, path::PathBuf};

/// A failure of the store. Nothing was changed, unless [`Error::is_transient`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis cannot be reached, or does not answer in time.
    #[error("Redis (REDIS_URL) is away")]
    Away {
        /// What happened.
        source: redis::RedisError,
    },
    /// A key holds something else than what we write.
    #[error(
        "the key {key}, field {field}, is not what this program writes: {reason}; it was left as \
         it is: correct it, or delete it if it may be forgotten"
    )]
    Corrupt {
        /// The key.
        key: String,
        /// The field of the key.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Redis answered with an error.
    #[error("Redis (REDIS_URL) did not do what it was asked for")]
    Failed {
        /// What it answered.
        source: redis::RedisError,
    },
    /// The file cannot be read or written.
    #[error("cannot {what} the session file {} (WS_SESSION_FILE)", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "the session file {} (WS_SESSION_FILE) holds something else than sessions: delete it if \
         it is no longer needed, or name another",
        path.display()
    )]
    FileContent {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Redis does not let us in, or not do what we must.
    #[error(
        "Redis (REDIS_URL) refuses us: check user and password, and the user's rights to keys and \
         commands"
    )]
    Refused {
        /// What it answered.
        source: redis::RedisError,
    },
    /// The URL is none of Redis'.
    #[error("REDIS_URL is no URL of a Redis server")]
    Url {
        /// What is wrong with it.
        source: redis::RedisError,
    },
}

impl Error {
    /// Whether the same may succeed later, without anybody doing something about it here.
    ///
    /// The change that was asked for may have been made all the same: Redis can have done it and
    /// the answer be lost.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Away { .. } | Self::Failed { .. } | Self::File { .. } => true,
            Self::Corrupt { .. }
            | Self::FileContent { .. }
            | Self::Refused { .. }
            | Self::Url { .. } => false,
        }
    }
}
