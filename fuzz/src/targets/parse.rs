//! From JSON to protobuf: what is taken has to come back as it was, the rest has to be refused.

use std::cell::RefCell;
use std::time::UNIX_EPOCH;

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use transcode::{Encoded, Envelope, Error, Ids, Lane, Lanes, Payload, Scratch};
use wire::event::EventKind;
use wire::gateway::v1::{Event, Source};

use super::{Outcome, repeats_known};
use crate::catalogue::{Catalogue, Subject, split};
use crate::json::{Document, Refused, Value};
use crate::render;

/// How many containers within each other are read.
const DEPTH: usize = 127;

thread_local! {
    /// Kept from input to input: what was learnt from one must not show in another.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Tries one input: a line with the subject, then JSON.
pub(super) fn run(input: &[u8]) -> Outcome {
    let (line, bytes) = split(input);
    let subject = Catalogue::shared().subject(line);
    let Ok(text) = std::str::from_utf8(bytes) else {
        if let Subject::Message(descriptor) = subject {
            assert_eq!(message(descriptor, bytes, ""), Outcome::Refused);
        }
        return Outcome::Refused;
    };
    match subject {
        Subject::Event(kind) => event(&kind.name, Some(kind), text),
        Subject::Message(descriptor) => message(descriptor, bytes, text),
        Subject::Unknown(name) => event(name, None, text),
    }
}

/// Tries a message alone. `text` is what the bytes are, if they are text.
fn message(descriptor: &MessageDescriptor, bytes: &[u8], text: &str) -> Outcome {
    let schema = Catalogue::shared().transcoder.schema();
    let shape = schema.shape(descriptor.full_name());
    let shape = shape.expect("every message has a shape");
    let document = Document::parse(text);
    SCRATCH.with_borrow_mut(|scratch| match schema.parse(shape, bytes, scratch) {
        Ok(data) => {
            let document = document.expect("what is taken is JSON");
            assert!(document.depth <= DEPTH, "too deep, and taken");
            round_trip(descriptor, data, &document);
            Outcome::Accepted
        }
        Err(error) => {
            refused(error.error, document.as_ref(), bytes.len());
            Outcome::Refused
        }
    })
}

fn event(name: &str, kind: Option<&EventKind>, text: &str) -> Outcome {
    SCRATCH.with_borrow_mut(|scratch| {
        let encoded = encode(name, text, Lanes::Both, scratch);
        let fresh = &mut Scratch::default();
        let again = encode(name, text, Lanes::Both, fresh);
        assert_eq!(
            (encoded.body, encoded.lane),
            (again.body, again.lane),
            "what came before makes a difference"
        );
        envelope(&encoded, text);
        let outcome = payload(kind, &encoded, text);
        let body = encoded.body.to_vec();
        way_back(name, encoded.lane, &body, text, scratch);
        outcome
    })
}

fn encode<'s>(name: &str, text: &str, lanes: Lanes, scratch: &'s mut Scratch) -> Encoded<'s> {
    let envelope = Envelope {
        id: "0:1",
        application_id: 1,
        name,
        source: Source::Ws,
        shard: Some((0, 1)),
        sequence: Some(1),
        received_at: UNIX_EPOCH,
        lanes,
    };
    let transcoder = &Catalogue::shared().transcoder;
    transcoder.event(&envelope, Payload::new(text), scratch)
}

/// Checks the envelope: that any reader can read it, and that the text is in it.
fn envelope(encoded: &Encoded<'_>, text: &str) {
    let event = Event::decode(encoded.body).expect("the event can be decoded");
    let ids = Ids {
        guild_id: event.guild_id,
        channel_id: event.channel_id,
        user_id: event.user_id,
    };
    assert_eq!(encoded.ids, ids);
    let space = [' ', '\t', '\r', '\n'];
    // What is no JSON has no end: then all that came is there.
    let json = match encoded.lane {
        Lane::Refused(_) => event.json.trim_end_matches(space),
        Lane::Json | Lane::Typed | Lane::Unfit | Lane::Unknown => &event.json,
    };
    let sent = text.trim_matches(space);
    assert_eq!(json, sent, "the text is not in the event");
}

/// Checks that the payload comes back out of an event.
fn way_back(name: &str, lane: Lane, body: &[u8], text: &str, scratch: &mut Scratch) {
    let rendered = Catalogue::shared().transcoder.payload(body, scratch);
    match (lane, rendered) {
        // The text may be no JSON, and so no payload.
        (Lane::Refused(_), Ok(back)) => assert!(!back.typed),
        (Lane::Refused(_), Err(_)) => {}
        (_, Ok(back)) => {
            let document = Document::parse(back.json).expect("what is rendered is JSON");
            let sent = Document::parse(text).expect("what is taken is JSON");
            assert!(document.value == sent.value, "came back as {}", back.json);
            assert_eq!((back.name, back.typed), (name, lane == Lane::Typed));
        }
        (_, Err(error)) => panic!("does not come back: {error}"),
    }
}

/// Checks what became of the payload against what it means.
fn payload(kind: Option<&EventKind>, encoded: &Encoded<'_>, text: &str) -> Outcome {
    let document = Document::parse(text);
    if let Lane::Refused(error) = encoded.lane {
        refused(error, document.as_ref(), text.len());
        return Outcome::Refused;
    }
    let document = document.expect("what is taken is JSON");
    assert!(document.depth <= DEPTH, "too deep, and taken");
    match (kind, encoded.lane) {
        (Some(kind), Lane::Typed) => {
            let data = encoded.data().expect("typed events have data");
            let message = round_trip(&kind.message, data, &document);
            assert_eq!(encoded.ids, ids(kind, &message), "wrong ids");
            let scratch = &mut Scratch::default();
            let json = encode(&kind.name, text, Lanes::Json, scratch);
            assert_eq!(encoded.ids, json.ids, "other ids if JSON is wanted");
        }
        (Some(_), Lane::Unfit) => assert!(!matches!(document.value, Value::Object(_))),
        (None, Lane::Unknown) => {}
        (_, lane) => panic!("{lane:?} is not what this event can have"),
    }
    Outcome::Accepted
}

/// Checks that there is a reason to refuse a text.
fn refused(error: Error, document: Result<&Document<'_>, &Refused>, length: usize) {
    let (at, justified) = match (error, document) {
        (Error::Deep { at }, Ok(document)) => (at, document.depth > DEPTH),
        (Error::Duplicate { at }, Ok(document)) => (at, document.repeats),
        (Error::Malformed { at }, Ok(_)) => (at, false),
        (Error::NotObject, Ok(document)) => (0, !matches!(document.value, Value::Object(_))),
        (Error::Deep { at } | Error::Duplicate { at } | Error::Malformed { at }, Err(_)) => {
            (at, true)
        }
        (Error::NotUtf8 { at }, document) => (at, document.is_err()),
        (Error::Frame { .. }, _) | (Error::NotObject, Err(_)) => (0, false),
    };
    assert!(at <= length, "the mistake is at byte {at}");
    assert!(justified, "no reason to say: {error}");
}

/// Checks that a message is what the text means.
fn round_trip(descriptor: &MessageDescriptor, data: &[u8], sent: &Document<'_>) -> DynamicMessage {
    let repeats = repeats_known(descriptor, &sent.value);
    assert!(!repeats, "a member comes twice, and is taken");
    let message = DynamicMessage::decode(descriptor.clone(), data);
    let message = message.expect("the message can be decoded");
    let mut text = String::new();
    render::render(&message, &mut text);
    let back = Document::parse(&text).expect("what is rendered is JSON");
    assert!(back.value == sent.value, "came back as {text}");
    let schema = Catalogue::shared().transcoder.schema();
    let shape = schema.shape(descriptor.full_name());
    let scratch = &mut Scratch::default();
    let text = schema.render(shape.expect("every message has a shape"), data, scratch);
    let text = text.expect("what was encoded can be rendered");
    let back = Document::parse(text).expect("what is rendered is JSON");
    assert!(back.value == sent.value, "rendered as {text}");
    message
}

/// The ids in an event's message: of the first of several paths that leads somewhere.
fn ids(kind: &EventKind, message: &DynamicMessage) -> Ids {
    let id = |paths: &[Vec<String>]| paths.iter().find_map(|path| follow(message, path));
    Ids {
        guild_id: id(&kind.guild_id),
        channel_id: id(&kind.channel_id),
        user_id: id(&kind.user_id),
    }
}

fn follow(message: &DynamicMessage, path: &[String]) -> Option<u64> {
    let (name, rest) = path.split_first()?;
    if !message.has_field_by_name(name) {
        return None;
    }
    let value = message.get_field_by_name(name)?;
    if rest.is_empty() {
        value.as_u64()
    } else {
        follow(value.as_message()?, rest)
    }
}
