//! What kept a request from an answer, and how callers are told.

use crate::{Answer, files::FileError};
use discord::{limit::Refusal, route::PathError};
use serde::Deserialize;
use std::time::Duration;
use wire::gateway::v1::{Code, DiscordError, Error};

/// Why there is no answer of Discord's.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// This process does not serve the application.
    #[error("the application {0} is not served here, or not yet: Discord has not said who it is")]
    Application(u64),
    /// Discord answered, with a status that is neither 2xx nor 3xx.
    #[error("Discord answered {}: {}", .0.status.as_u16(), reason(.0))]
    Discord(Box<Answer>),
    /// The interaction has its first answer already.
    #[error("the interaction has its first answer already: edit that one, or send a followup")]
    Acknowledged(Box<Answer>),
    /// A file cannot be read from where the request says.
    #[error("`{field}`: {error}")]
    File {
        /// The member with the address.
        field: String,
        /// Why it cannot be read.
        error: FileError,
    },
    /// The request is wrong in itself.
    #[error("`{field}`: {why}")]
    Invalid {
        /// The member that is wrong.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// The time of the caller is over. Nothing was done, or what was done may be repeated.
    #[error(
        "it could not be done in the time that the caller waits; what was not sent by then will not be sent"
    )]
    Late,
    /// Discord's answer cannot be read.
    #[error("{0}")]
    Odd(String),
    /// Discord's limits, or our bounds, do not let it through.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A page of a list did not get through to RabbitMQ.
    #[error("a reply did not get through: {0}")]
    Reply(String),
    /// It was delivered before, perhaps to a process that then died, and may not be repeated.
    #[error(
        "it may have been carried out already, by a process that could not say so any more: it was not sent again. \
         Look whether it was done. A bot's message to a channel, unlike a webhook's, is sent again by itself if it has `nonce` \
         and `enforce_nonce`"
    )]
    Repeated,
    /// The service ends; nothing was sent.
    #[error("this process ends; another one will take the request, or try again")]
    Stopping,
    /// Something is larger than it may be.
    #[error("{what} has {bytes} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// How large it is, as far as it was read.
        bytes: usize,
        /// How large it may be (`API_MAX_BODY`, for a request).
        limit: usize,
    },
    /// The service has no such method.
    #[error("the service {0} has no method {1}")]
    Unimplemented(&'static str, String),
    /// It was sent, and no answer came: whether it was carried out is not known.
    #[error(
        "Discord may have carried it out, but its answer was lost ({0}): look before it is repeated"
    )]
    Unknown(String),
    /// Discord cannot be reached; nothing was sent.
    #[error("Discord cannot be reached ({0}); nothing was sent")]
    Unreachable(String),
}

impl Failure {
    /// A member is wrong.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            why: why.into(),
        }
    }

    /// How long to wait before trying again makes sense, if it does.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(
                Refusal::Banned { retry_after }
                | Refusal::Deadline { retry_after }
                | Refusal::Full { retry_after }
                | Refusal::Invalid { retry_after },
            ) => Some(*retry_after),
            Self::Discord(answer) => retry_after(answer),
            Self::Application(_) | Self::Stopping | Self::Unreachable(_) => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// The kind of failure, as the contract counts them.
    pub fn code(&self) -> Code {
        match self {
            Self::Application(_) => Code::NotFound,
            Self::Discord(answer) => code_of(answer.status.as_u16()),
            Self::Acknowledged(_) => Code::AlreadyExists,
            Self::File { error, .. } => error.code(),
            Self::Invalid { .. } => Code::InvalidArgument,
            Self::Late => Code::DeadlineExceeded,
            Self::Odd(_) => Code::Internal,
            Self::Refused(refusal) => match refusal {
                Refusal::Deadline { .. } => Code::DeadlineExceeded,
                Refusal::Gone { status, .. } => code_of(*status),
                Refusal::Banned { .. } | Refusal::Full { .. } | Refusal::Invalid { .. } => {
                    Code::ResourceExhausted
                }
                Refusal::Unauthorized => Code::Unauthenticated,
            },
            Self::Repeated | Self::Unknown(_) => Code::Unknown,
            Self::Reply(_) | Self::Stopping | Self::Unreachable(_) => Code::Unavailable,
            Self::TooLarge { .. } => Code::OutOfRange,
            Self::Unimplemented(..) => Code::Unimplemented,
        }
    }
}

impl From<PathError> for Failure {
    fn from(error: PathError) -> Self {
        Self::invalid("path", error.to_string())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let discord = match &failure {
            Failure::Acknowledged(answer) | Failure::Discord(answer) => Some(DiscordError {
                status: answer.status.as_u16().into(),
                code: answer.code(),
                body: String::from_utf8_lossy(&answer.body).into_owned(),
            }),
            Failure::Refused(Refusal::Gone { status, code, .. }) => Some(DiscordError {
                status: (*status).into(),
                code: *code,
                body: String::new(),
            }),
            _ => None,
        };
        Self {
            code: failure.code().into(),
            message: failure.to_string(),
            retry_after: failure
                .retry_after()
                .and_then(|time| prost_types::Duration::try_from(time).ok()),
            discord,
        }
    }
}

/// The members of Discord's errors that are read here.
///
/// See [Discord Docs/Error Messages](https://docs.discord.com/developers/reference#error-messages).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Refused {
    pub(crate) code: Option<u32>,
    pub(crate) message: Option<String>,
    pub(crate) retry_after: Option<f64>,
}

impl Refused {
    /// Reads a body, as far as it is one of Discord's errors.
    pub(crate) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// What Discord says for people.
fn reason(answer: &Answer) -> String {
    let message = Refused::read(&answer.body).message;
    message.unwrap_or_else(|| "no reason given".to_owned())
}

/// How long Discord asks to wait.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let header = || answer.header("retry-after")?.trim().parse().ok();
    let told = Refused::read(&answer.body).retry_after;
    Duration::try_from_secs_f64(told.or_else(header)?).ok()
}

/// The code for a status of Discord's, as `proto/gateway/v1/api.proto` has them.
const fn code_of(status: u16) -> Code {
    match status {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        405 => Code::Unimplemented,
        409 => Code::Aborted,
        413 => Code::OutOfRange,
        429 => Code::ResourceExhausted,
        500.. => Code::Unavailable,
        _ => Code::FailedPrecondition,
    }
}
