//! Puts the fields of a message in order.
//!
//! Protobuf lets a sender write a field twice (the last one counts, or both are merged), interleave
//! the elements of lists, or split a message into parts. Hardly anybody does; what there is of it goes
//! through the library's reflection, which knows all of these rules, at the cost of a tree in memory.

use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use crate::error::{Mistake, RenderError};

/// As the tree takes many times the memory of the bytes, larger messages are refused.
pub(crate) const LARGEST: usize = 1 << 20;

/// The same message, as an encoder writes it.
#[cold]
pub(crate) fn ordered(
    message: &MessageDescriptor,
    protobuf: &[u8],
) -> Result<Vec<u8>, RenderError> {
    if protobuf.len() > LARGEST {
        return Err(RenderError::whole(Mistake::Size));
    }
    match DynamicMessage::decode(message.clone(), protobuf) {
        Ok(message) => Ok(message.encode_to_vec()),
        Err(error) => Err(RenderError::whole(Mistake::Malformed(error.to_string()))),
    }
}
