//! Why a source gives no sound.

use std::{io, time::Duration};

use places::Refusal;
use wire::gateway::v1::Code;

/// A source that cannot be played, or not any further. Nothing here repeats an address: it may be a
/// secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// It is no address that a file could be read from.
    #[error("the url is no address that begins with https:// or http://, without a user")]
    Address,
    /// It is damaged.
    #[error("the sound cannot be decoded any further: {0}; send the file in another format")]
    Broken(String),
    /// No track of the file is of a format that is known.
    #[error(
        "the content is no sound of a known format ({0}); known are Opus, Vorbis, FLAC, MP3, AAC, ALAC and PCM in \
         Ogg, WebM, Matroska, MP4, WAV, AIFF or alone"
    )]
    Format(String),
    /// What is read is no longer what it was.
    #[error(
        "the file has changed while it was played, or its server sends another part than it was asked for"
    )]
    Changed,
    /// The file cannot be read.
    #[error(
        "the file cannot be read: {0}; the operator has to look at the directory of sounds (VOICE_SOUNDS)"
    )]
    File(io::ErrorKind),
    /// No files can be named.
    #[error("the operator has no directory of sounds (VOICE_SOUNDS): send the content as `data`")]
    FilesOff,
    /// It took too long.
    #[error("there was no sound within {0:?} (VOICE_SOURCE_TIMEOUT)")]
    Late(Duration),
    /// It is larger than the operator allows.
    #[error("it is larger than {0} bytes (VOICE_SOURCE_SIZE)")]
    Long(u64),
    /// There is no such file.
    #[error("there is no such file in the directory of sounds (VOICE_SOUNDS)")]
    NoFile,
    /// It is something else than a file.
    #[error("there is something else than a file in the directory of sounds (VOICE_SOUNDS)")]
    NotAFile,
    /// A path that leads elsewhere.
    #[error(
        "the file's path leads out of the directory of sounds (VOICE_SOUNDS): name one below it, without .."
    )]
    Path,
    /// It is within a private network, or leads there.
    #[error("the url leads to an address that is not a public one (see VOICE_URLS)")]
    Private,
    /// A query that is none.
    #[error("the query cannot be looked for: {0}")]
    Query(&'static str),
    /// One address leads to the next without end.
    #[error("the url leads from one address to another more than {0} times")]
    Redirects(usize),
    /// The operator's command does not work.
    #[error("the command that looks for queries (VOICE_RESOLVER) does not work: {0}")]
    Resolver(String),
    /// It took too long.
    #[error("nothing was found for the query within {0:?} (VOICE_RESOLVER_TIMEOUT)")]
    ResolverLate(Duration),
    /// Queries cannot be looked for.
    #[error("the operator has no command that looks for queries (VOICE_RESOLVER): send a `url`")]
    ResolverOff,
    /// Its server says nothing.
    #[error("its server has sent nothing for {0:?} (VOICE_SOURCE_TIMEOUT)")]
    Silent(Duration),
    /// Its server answered with a failure.
    #[error("its server answered with status {0}")]
    Status(u16),
    /// Its server cannot be reached.
    #[error("its server could not be reached, or broke off again and again")]
    Unreachable,
    /// There is nothing for the query.
    #[error("nothing was found for the query: {0}")]
    Unresolved(String),
    /// No addresses are taken at all.
    #[error("the operator allows no addresses (VOICE_URLS is none): send the content as `data`")]
    UrlsOff,
    /// A position after the end.
    #[error("the position is after the end of the track{}", ends_at(*.0))]
    PastEnd(Option<Duration>),
    /// A frame that is none.
    #[error("frame {sequence} is no {format} of 20 ms: {reason}")]
    Frame {
        /// Its number.
        sequence: u64,
        /// What it should be.
        format: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Frames that do not follow those that came.
    #[error("the next frame of the stream is {expected}, not {found}: send from there on")]
    Sequence {
        /// The number of the next one.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// More frames than there is room for.
    #[error(
        "there is no room for these frames: at most {0} wait to be played; send the next when the last request was answered"
    )]
    Overrun(usize),
    /// More frames than a message may have.
    #[error("{0} frames are too many for one request: send at most 250")]
    Frames(usize),
    /// The track has ended, or its sender has ended it.
    #[error("the stream has ended: nothing more can be added to it")]
    Ended,
    /// A source without positions.
    #[error("the source has no positions to go to: it can only be played from its beginning")]
    Unseekable,
}

impl Error {
    /// The kind of failure, as the contract counts them.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Broken(_) | Self::Changed | Self::Format(_) | Self::Unseekable => {
                Code::FailedPrecondition
            }
            Self::Status(429 | 500..) | Self::Silent(_) | Self::Unreachable => Code::Unavailable,
            Self::Status(404 | 410) | Self::NoFile | Self::Unresolved(_) | Self::Ended => {
                Code::NotFound
            }
            Self::Status(_) | Self::Redirects(_) | Self::NotAFile => Code::FailedPrecondition,
            Self::Address
            | Self::FilesOff
            | Self::Frame { .. }
            | Self::Frames(_)
            | Self::Long(_)
            | Self::Path
            | Self::Private
            | Self::Query(_)
            | Self::ResolverOff
            | Self::UrlsOff => Code::InvalidArgument,
            Self::File(_) | Self::Resolver(_) => Code::Internal,
            Self::Late(_) | Self::ResolverLate(_) => Code::DeadlineExceeded,
            Self::Overrun(_) => Code::ResourceExhausted,
            Self::PastEnd(_) | Self::Sequence { .. } => Code::OutOfRange,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Address => Self::Address,
            Refusal::Off => Self::UrlsOff,
            Refusal::Private => Self::Private,
        }
    }
}

fn ends_at(duration: Option<Duration>) -> String {
    duration.map_or_else(String::new, |duration| {
        format!(", which is at {duration:?}")
    })
}
