//! What callers are told when their request was not carried out.

use wire::gateway::v1::{Code, Error as Failure};

/// A failure of this kind.
pub(crate) fn failure(code: Code, message: impl Into<String>) -> Failure {
    Failure {
        code: code.into(),
        message: message.into(),
        ..Failure::default()
    }
}

/// The request itself is wrong.
pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    failure(Code::InvalidArgument, message)
}

/// The caller waits no longer.
pub(crate) fn too_late() -> Failure {
    let text = "it could not be done in the time that the caller waits";
    failure(Code::DeadlineExceeded, text)
}

/// There is nothing that plays.
pub(crate) fn nothing_plays() -> Failure {
    failure(Code::FailedPrecondition, "nothing plays")
}

/// The guild has no call.
pub(crate) fn no_call(guild_id: u64) -> Failure {
    let text = format!("the guild {guild_id} has no call; Join begins one");
    failure(Code::NotFound, text)
}

/// The guild's call is just ending.
pub(crate) fn ending() -> Failure {
    let text = "the guild's call is just ending; try again";
    failure(Code::Unavailable, text)
}
