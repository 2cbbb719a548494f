//! From Discord's answer to an operation's response message.

use serde_json::value::RawValue;
use transcode::Scratch;

use crate::error::ResponseError;
use crate::operation::{Answer, Operation};
use crate::operations::Operations;

impl Operation {
    /// The encoded response message, for an answer with a status of 2xx.
    ///
    /// # Errors
    ///
    /// If the body should be JSON and is not, or is nested too deeply.
    ///
    /// # Panics
    ///
    /// If the operation is one of other `operations`.
    pub fn response(
        &self,
        operations: &Operations,
        status: u16,
        body: &[u8],
        scratch: &mut Scratch,
    ) -> Result<Vec<u8>, ResponseError> {
        if body.is_empty() {
            return Ok(Vec::new());
        }
        let other = self
            .statuses
            .iter()
            .find(|(it, _)| *it == u32::from(status));
        let answer = other.map(|(_, answer)| answer).or(self.answer.as_ref());
        let json = match answer {
            Some(answer) if answer.is_raw => return Ok(raw(answer, body)),
            // The body is put into the response message by its name. It is looked at alone first:
            // it must not be able to end that object and go on.
            Some(answer) => format!(r#"{{"{}":{}}}"#, answer.name, sound(body)?),
            None => sound(body)?.to_owned(),
        };
        let schema = &operations.schema;
        let message = schema.parse(self.response, json.as_bytes(), scratch)?;
        Ok(message.to_vec())
    }
}

/// The text of a body that is one JSON value.
fn sound(body: &[u8]) -> Result<&str, ResponseError> {
    let value: &RawValue =
        serde_json::from_slice(body).map_err(|error| ResponseError::Json(error.to_string()))?;
    Ok(value.get())
}

/// A message with the body as it is.
fn raw(answer: &Answer, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(body.len() + 8);
    let length = body.len() as u64;
    for number in [u64::from(answer.number) << 3 | 2, length] {
        prost_reflect::prost::encoding::encode_varint(number, &mut message);
    }
    message.extend_from_slice(body);
    message
}
