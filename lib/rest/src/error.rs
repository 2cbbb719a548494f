//! What can be wrong with a request message, and with an answer of Discord's.

use transcode::{ParseError, RenderError};

/// Why a message did not become a request. Each names the field; nothing repeats its value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// A file has two contents.
    #[error("`{0}` has both `data` and `url`: its content is one or the other")]
    File(String),
    /// A header cannot have the value.
    #[error(
        "`{0}`: a header cannot have line breaks, other control characters or letters beyond ASCII"
    )]
    Header(String),
    /// A list that is the whole body is absent.
    #[error("`{0}` is missing: set it, or name it in `empties` if it is to be an empty one")]
    List(String),
    /// The message is not one of the operation's, or says what JSON cannot.
    #[error(transparent)]
    Message(#[from] RenderError),
    /// A part of the path, or a file, is absent or empty.
    #[error("`{0}` is missing: the operation cannot do without it")]
    Missing(String),
    /// A part of the path has a value that would be another path.
    #[error("`{0}`: a part of a path cannot be `.` or `..`")]
    Path(String),
    /// A parameter of the query, or a field of a form, has a value that is none.
    #[error(
        "`{0}`: a parameter of the query is a text, a number, `true` or `false`, or a list of \
         these, and a field of a form is one of them"
    )]
    Query(String),
}

/// Why an answer of Discord's did not become a message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResponseError {
    /// The body is not JSON.
    #[error("Discord's answer is not JSON: {0}")]
    Json(String),
    /// The body is JSON that no message can hold.
    #[error("Discord's answer cannot be held: {0}")]
    Message(#[from] ParseError),
}
