//! What an operator can set of recordings.

use std::{path::PathBuf, time::Duration};

use boot::{Key, Reader};

const RECORDINGS: Key = Key::new(
    "VOICE_RECORDINGS",
    "The directory that recordings are written to, each into one of its own; without it workers can only have them as \
     messages.",
);
const RECORDING_LIMIT: Key = Key::new(
    "VOICE_RECORDING_LIMIT",
    "How long a recording into files may last; then it ends.",
)
.with_default("6h");

/// The keys that [`Recordings::read`] reads, in the order of the documentation.
pub(super) const KEYS: &[Key] = &[RECORDINGS, RECORDING_LIMIT];

/// Where recordings go.
#[derive(Clone, Debug)]
pub(crate) struct Recordings {
    /// The directory of files; without it there are none.
    pub(crate) directory: Option<PathBuf>,
    /// How long one may last.
    pub(crate) limit: Duration,
}

impl Recordings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let directory = reader.optional::<PathBuf>(&RECORDINGS);
        if directory.as_ref().is_some_and(|it| !it.is_dir()) {
            reader.mistake(&RECORDINGS, "is no directory");
        }
        let second = Duration::from_secs(1);
        let limit = reader.in_range(&RECORDING_LIMIT, second..=31 * 24 * 3600 * second);
        Some(Self {
            directory,
            limit: limit?,
        })
    }
}
