//! What can be wrong with a text that should be one of Discord's frames or payloads.

/// Why a text was refused. `at` counts bytes from the start of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Objects and arrays are nested too deeply.
    #[error("more than {} levels of nesting at byte {at}", crate::scan::DEPTH)]
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
