//! Reads the bodies of requests, and refuses what the contract does not have: a field that is silently
//! skipped would be a wish that is silently not granted.

use bytes::Bytes;
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, MapKey, Value};
use wire::gateway::v1::{Code, Error as Failure};

/// Reads a body as the message that it should be.
pub(crate) fn decode<M: Message + Name + Default>(body: &Bytes) -> Result<M, Failure> {
    let name = M::full_name();
    let broken = |error: &dyn std::fmt::Display| invalid(format!("the body is no {name}: {error}"));
    if let Some(descriptor) = wire::descriptors().get_message_by_name(&name) {
        let message =
            DynamicMessage::decode(descriptor, body.clone()).map_err(|error| broken(&error))?;
        if let Some(path) = unknown(&message) {
            return Err(invalid(format!(
                "the body has what {name} does not have: {path}; is it meant for a newer version?"
            )));
        }
    }
    M::decode(body.clone()).map_err(|error| broken(&error))
}

/// The path of the first field that the contract does not have.
fn unknown(message: &DynamicMessage) -> Option<String> {
    if let Some(field) = message.unknown_fields().next() {
        return Some(format!("the field with the number {}", field.number()));
    }
    message.fields().find_map(|(field, value)| {
        let (inside, path) = within(value)?;
        Some(format!("{}{inside}: {path}", field.name()))
    })
}

/// Where in a value such a field is, and its path from there.
fn within(value: &Value) -> Option<(String, String)> {
    let below = |value: &Value| value.as_message().and_then(unknown);
    match value {
        Value::Message(_) => Some((String::new(), below(value)?)),
        Value::List(values) => values
            .iter()
            .enumerate()
            .find_map(|(index, value)| Some((format!("[{index}]"), below(value)?))),
        Value::Map(values) => values
            .iter()
            .find_map(|(key, value)| Some((format!("[{}]", key_text(key)), below(value)?))),
        _ => None,
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => format!("{key:?}"),
    }
}

fn invalid(message: String) -> Failure {
    Failure {
        code: Code::InvalidArgument.into(),
        message,
        ..Failure::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{
        discord::v1::{Activity, UpdatePresence},
        gateway::v1::{SendRequest, UpdatePresenceRequest},
    };

    #[test]
    fn a_body_is_read() {
        let request = SendRequest {
            payload: "{}".to_owned(),
            ..SendRequest::default()
        };
        assert_eq!(decode(&request.encode_to_vec().into()), Ok(request));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let failure = decode::<SendRequest>(&Bytes::from_static(&[0xff])).unwrap_err();
        assert_eq!(failure.code(), Code::InvalidArgument);
        assert!(failure.message.contains("gateway.v1.SendRequest"));
    }

    #[test]
    fn a_field_that_is_not_in_the_contract_is_named_with_its_path() {
        // Field 2047, a varint.
        let stray = [0xf8, 0x7f, 1];
        let mut body = SendRequest::default().encode_to_vec();
        body.extend(stray);
        let failure = decode::<SendRequest>(&body.into()).unwrap_err();
        assert!(failure.message.contains("number 2047"), "{failure:?}");

        let mut activity = Activity::default().encode_to_vec();
        activity.extend(stray);
        let wrap = |number: u8, inner: &[u8]| {
            let length = u8::try_from(inner.len()).unwrap();
            [&[number << 3 | 2, length], inner].concat()
        };
        let number = UpdatePresence::default();
        let whole = UpdatePresence {
            activities: vec![Activity::default()],
            ..number
        }
        .encode_to_vec();
        // The only member is `activities`: its key is the first byte.
        let body = wrap(1, &wrap(whole[0] >> 3, &activity));
        let failure = decode::<UpdatePresenceRequest>(&body.into()).unwrap_err();
        assert_eq!(failure.code(), Code::InvalidArgument);
        let path = "presence: activities[0]: the field with the number 2047";
        assert!(failure.message.contains(path), "{failure:?}");
    }
}
