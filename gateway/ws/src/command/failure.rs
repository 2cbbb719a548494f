//! What callers are told when their request was not carried out.

use std::time::Duration;
use wire::gateway::v1::{Code, Error as Failure};

/// A failure of this kind.
pub(super) fn failure(code: Code, message: impl Into<String>) -> Failure {
    Failure {
        code: code.into(),
        message: message.into(),
        ..Failure::default()
    }
}

/// The request itself is wrong.
pub(super) fn invalid(message: impl Into<String>) -> Failure {
    failure(Code::InvalidArgument, message)
}

/// A limit is used up, until then.
pub(super) fn exhausted(message: impl Into<String>, retry_after: Duration) -> Failure {
    Failure {
        retry_after: prost_types::Duration::try_from(retry_after).ok(),
        ..failure(Code::ResourceExhausted, message)
    }
}

/// The caller waits no longer.
pub(super) fn too_late() -> Failure {
    let text = "it could not be done in the time that the caller waits; what was not sent by then will \
                not be sent";
    failure(Code::DeadlineExceeded, text)
}

/// A shard has no connection.
pub(super) fn unavailable(shard: u32) -> Failure {
    failure(
        Code::Unavailable,
        format!("shard {shard} is not connected; try again"),
    )
}
