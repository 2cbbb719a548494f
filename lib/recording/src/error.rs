//! Why nothing is recorded.

use std::{io, path::PathBuf};

/// Files that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be made.
    #[error("the directory {} of a recording cannot be made: see to VOICE_RECORDINGS", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written any further.
    #[error("the file {} of a recording cannot be written: see to VOICE_RECORDINGS", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More speakers than files.
    #[error("more than {0} speakers were heard: those who spoke first have files")]
    Files(usize),
}
