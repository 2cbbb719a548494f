//! What can be wrong with a text that should be one of Discord's frames or payloads, and with a
//! message that should become one.

use crate::level::MESSAGES;
use crate::normal::LARGEST;
use crate::scan::DEPTH;

/// Why a text was refused. `at` counts bytes from the start of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Objects and arrays are nested too deeply.
    #[error("more than {} levels of nesting at byte {at}", DEPTH)]
    Deep {
        /// Where the container begins that is one too many.
        at: usize,
    },
    /// An object has the same member twice.
    #[error("a member is repeated at byte {at}")]
    Duplicate {
        /// Where the second one begins.
        at: usize,
    },
    /// The frame lacks a member that every frame has, or its type is wrong.
    #[error("the frame's `{member}` is missing or has the wrong type")]
    Frame {
        /// The member's name.
        member: Member,
    },
    /// The text is not JSON.
    #[error("malformed JSON at byte {at}")]
    Malformed {
        /// Where it stops making sense.
        at: usize,
    },
    /// The text is JSON, but no object.
    #[error("not a JSON object")]
    NotObject,
    /// The text is not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Where that shows.
        at: usize,
    },
}

/// Why a text did not become a message, and where in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}{error}", place(path))]
pub struct ParseError {
    /// The members and indexes that lead to the mistake, `embeds[3].fields[0].value`; empty for the
    /// text as a whole.
    pub path: String,
    /// What is wrong.
    pub error: Error,
}

/// Why a message did not become JSON, and where in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}{mistake}", place(path))]
pub struct RenderError {
    /// The fields and indexes that lead to the mistake, `embeds[3].fields[0].value`; empty for the
    /// message as a whole. The entries of maps are counted.
    pub path: String,
    /// What is wrong.
    pub mistake: Mistake,
}

/// What can be wrong with a message that should become JSON.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Mistake {
    /// A field has a value, and is null or empty as well.
    #[error("`{0}` is said to be null or empty but has a value, or is said to be both: say one")]
    Conflict(String),
    /// Messages, objects or arrays lie too deeply within each other.
    #[error("nested too deeply: at most {MESSAGES} messages, and {DEPTH} objects and arrays")]
    Deep,
    /// Text that should be JSON is not, or not as it should be.
    #[error("{0}; the text must be sound JSON, in `unknown_json` an object")]
    Json(Error),
    /// Protobuf that cannot be decoded.
    #[error("not protobuf of this type ({0}): check that both sides use the same schema")]
    Malformed(String),
    /// A field that `nulls` or `empties` mentions is none of the message's.
    #[error("`{0}` is no field of this message")]
    NoField(String),
    /// A `google.protobuf.Value` without a kind.
    #[error("a value without a kind: set one, `null_value` for null")]
    NoKind,
    /// An event that has neither typed data nor JSON.
    #[error("the event has no payload: neither one of `data` nor `json` is set")]
    NoPayload,
    /// A double that JSON has no form for.
    #[error("JSON has no NaN and no infinity: send a finite number or leave the field out")]
    NotFinite,
    /// A field that `empties` mentions is neither repeated nor a map.
    #[error("`{0}` is neither repeated nor a map, so it cannot be sent as empty")]
    NotList(String),
    /// Text that is not UTF-8.
    #[error("text must be UTF-8")]
    NotUtf8,
    /// Fields that come in an unusual order, in a message so large that it is not put in order.
    #[error(
        "fields are repeated or split, which is put in order only up to {LARGEST} bytes: \
         let a protobuf library encode the message in one go"
    )]
    Size,
    /// A time that cannot be written down.
    #[error("a time must lie in the years 1 to 9999, with 0 to 999999999 nanoseconds")]
    Time,
    /// The message ends within a field.
    #[error("the message ends within a field: it was cut off, or is of another type")]
    Truncated,
    /// A field that the schema lacks.
    #[error(
        "the schema has no field {0} here: the sender's schema is newer or another one; \
         update the gateway, or leave the field out"
    )]
    Unknown(u32),
    /// A field whose wire type is not that of the schema.
    #[error("the wire type is not this field's: check that both sides use the same schema")]
    Wire,
}

fn place(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("`{path}`: ")
    }
}

/// A member of a gateway frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Member {
    /// `d`, the payload.
    Data,
    /// `t`, the event's name.
    Name,
    /// `op`, the opcode.
    Op,
    /// `s`, the sequence number.
    Sequence,
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Data => "d",
            Self::Name => "t",
            Self::Op => "op",
            Self::Sequence => "s",
        })
    }
}

/// Why a scan or a walk ended early. It is set when one does: functions on the hot path return an
/// `Option`, which fits into registers, where a `Result` with a reason does not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    /// How much of the text was left.
    left: usize,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Reason {
    Deep,
    Duplicate,
    #[default]
    Malformed,
    /// The value is JSON, but not of the type that the schema has for it.
    Unfit,
}

impl Fault {
    #[cold]
    #[inline(never)]
    pub(crate) fn set<T>(&mut self, reason: Reason, rest: &[u8]) -> Option<T> {
        *self = Self {
            reason,
            left: rest.len(),
        };
        None
    }

    #[cold]
    pub(crate) fn malformed<T>(&mut self, rest: &[u8]) -> Option<T> {
        self.set(Reason::Malformed, rest)
    }

    #[cold]
    pub(crate) fn unfit<T>(&mut self) -> Option<T> {
        self.set(Reason::Unfit, &[])
    }

    /// What is wrong with a text of this length. `None` if nothing is.
    pub(crate) fn error(&self, length: usize) -> Option<Error> {
        let at = length.saturating_sub(self.left);
        match self.reason {
            Reason::Deep => Some(Error::Deep { at }),
            Reason::Duplicate => Some(Error::Duplicate { at }),
            Reason::Malformed => Some(Error::Malformed { at }),
            Reason::Unfit => None,
        }
    }
}
