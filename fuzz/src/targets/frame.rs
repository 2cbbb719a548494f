//! The heads of gateway frames: what is said of a frame has to be what it says.

use transcode::{Error, Frame, Member, Payload};

use super::Outcome;
use crate::json::{self, Document, Value};

/// How many containers within each other are read: the frame, and what is in it. Where nothing
/// follows the payload, the frame itself may not be counted.
const DEPTH: usize = 127;

/// Tries one frame.
pub(super) fn run(input: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(input) else {
        return Outcome::Refused;
    };
    let document = Document::parse(text).ok();
    alone(text, document.as_ref());
    let expected = document
        .as_ref()
        .and_then(|document| members(&document.value));
    let shallow = document
        .as_ref()
        .is_some_and(|document| document.depth <= DEPTH);
    let frame = Frame::parse(text);
    let taken = frame.and_then(|frame| frame.payload.text().map(|payload| (frame, payload)));
    match (expected, taken) {
        (Some(expected), Ok((frame, payload))) => {
            same(&expected, &frame, payload);
            Outcome::Accepted
        }
        (None, Ok((frame, _))) => panic!("no frame, and taken: {frame:?}"),
        (Some(_), Err(error)) if shallow => panic!("a frame, and refused: {error}"),
        (_, Err(error)) => refused(error, text),
    }
}

/// Checks a text that is nothing but a payload.
fn alone(text: &str, document: Option<&Document<'_>>) {
    let taken = Payload::new(text).text();
    match document {
        Some(document) if document.depth <= DEPTH => {
            let space = [' ', '\t', '\r', '\n'];
            assert_eq!(taken, Ok(text.trim_matches(space)));
        }
        _ => assert!(taken.is_err(), "taken as {taken:?}"),
    }
}

fn refused(error: Error, text: &str) -> Outcome {
    let at = match error {
        Error::Deep { at } | Error::Duplicate { at } | Error::Malformed { at } => at,
        Error::Frame { member } if member != Member::Data => 0,
        Error::Frame { .. } | Error::NotObject | Error::NotUtf8 { .. } => {
            panic!("no reason to refuse a frame: {error}")
        }
    };
    assert!(at <= text.len(), "the mistake is at byte {at}");
    Outcome::Refused
}

/// What a frame says.
struct Head<'a> {
    op: u32,
    sequence: Option<u64>,
    name: Option<&'a str>,
    payload: &'a str,
}

fn same(expected: &Head<'_>, frame: &Frame<'_>, payload: &str) {
    assert_eq!(frame.op, expected.op);
    assert_eq!(frame.sequence, expected.sequence);
    assert_eq!(frame.name.as_deref(), expected.name);
    assert_eq!(payload, expected.payload);
}

/// What an object says as a frame. `None` if it is none.
fn members<'v>(value: &'v Value<'_>) -> Option<Head<'v>> {
    let Value::Object(members) = value else {
        return None;
    };
    let op = match &only(members, "op")?.as_ref()?.value {
        Value::Number(token) => token.parse().ok()?,
        _ => return None,
    };
    let sequence = match only(members, "s")?.map(|member| &member.value) {
        None | Some(Value::Null) => None,
        Some(Value::Number(token)) => Some(token.parse().ok()?),
        Some(_) => return None,
    };
    let name = match only(members, "t")?.map(|member| &member.value) {
        None | Some(Value::Null) => None,
        Some(Value::Text(text)) => Some(text.chars()?),
        Some(_) => return None,
    };
    Some(Head {
        op,
        sequence,
        name,
        payload: only(members, "d")?.map_or("null", |member| member.raw),
    })
}

/// The member of a name. `None` if there are several.
fn only<'v, 'a>(
    members: &'v [json::Member<'a>],
    name: &str,
) -> Option<Option<&'v json::Member<'a>>> {
    let mut found = members
        .iter()
        .filter(|member| member.key.chars() == Some(name));
    let first = found.next();
    found.next().is_none().then_some(first)
}
