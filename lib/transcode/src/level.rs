//! How deep a value lies, and how deep one may lie.

use crate::scan::DEPTH;

/// How many messages may lie within each other. Readers refuse more than 100; a value that would
/// need more is kept as text. The rest is room for what has no depth of its own.
pub(crate) const MESSAGES: u32 = 90;

/// What is open around a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    /// Objects and arrays.
    pub(crate) containers: u32,
    /// Protobuf messages.
    messages: u32,
}

impl Level {
    /// Within an object that stands alone: around it is the envelope, whether or not it is there.
    pub(crate) const OBJECT: Self = Self {
        containers: 1,
        messages: 2,
    };

    /// One container further in. `None` if that is too deep.
    #[inline(always)]
    pub(crate) fn container(self) -> Option<Self> {
        (self.containers < DEPTH).then_some(Self {
            containers: self.containers + 1,
            ..self
        })
    }

    /// Some messages further in. `None` if that is too deep.
    #[inline(always)]
    pub(crate) fn messages(self, more: u32) -> Option<Self> {
        let messages = self.messages + more;
        (messages <= MESSAGES).then_some(Self { messages, ..self })
    }
}
