//! From protobuf to JSON: what is rendered has to be what the message says, and to stay so.

use std::cell::RefCell;

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage};
use transcode::{Error, Mistake, Scratch, Shape};

use super::{Outcome, repeats_known};
use crate::catalogue::{Catalogue, Subject, split};
use crate::json::{Document, Value};
use crate::render;

/// The line of inputs that are whole events.
const ENVELOPE: &[u8] = b"gateway.v1.Event";

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Tries one input: a line with the subject, then protobuf.
pub(super) fn run(input: &[u8]) -> Outcome {
    let (line, bytes) = split(input);
    let catalogue = Catalogue::shared();
    SCRATCH.with_borrow_mut(|scratch| {
        if line == ENVELOPE {
            return envelope(bytes, scratch);
        }
        match catalogue.subject(line) {
            Subject::Event(event) => message(event.message.full_name(), bytes, scratch),
            Subject::Message(descriptor) => message(descriptor.full_name(), bytes, scratch),
            Subject::Unknown(_) => envelope(bytes, scratch),
        }
    })
}

/// Tries a whole event.
fn envelope(bytes: &[u8], scratch: &mut Scratch) -> Outcome {
    let Ok(rendered) = Catalogue::shared().transcoder.payload(bytes, scratch) else {
        return Outcome::Refused;
    };
    Document::parse(rendered.json).expect("what is rendered is JSON");
    // Fields of the envelope that do not matter here may be broken.
    let descriptor = wire::descriptors().get_message_by_name("gateway.v1.Event");
    let decoded = descriptor.and_then(|event| DynamicMessage::decode(event, bytes).ok());
    if let Some(event) = decoded {
        let is_data = |field: &FieldDescriptor| {
            field
                .containing_oneof()
                .is_some_and(|oneof| oneof.name() == "data")
        };
        let data = event.fields().find(|(field, _)| is_data(field));
        // Of an event of the gateway's own the text counts, should it have one.
        let data = data.and_then(|(_, data)| data.as_message());
        let discords = data.filter(|data| data.descriptor().package_name() == "discord.v1");
        assert_eq!(rendered.typed, discords.is_some(), "{}", rendered.json);
        if let Some(data) = discords {
            says(rendered.json, data);
        }
    }
    Outcome::Accepted
}

/// Tries one message.
fn message(name: &str, bytes: &[u8], scratch: &mut Scratch) -> Outcome {
    let schema = Catalogue::shared().transcoder.schema();
    let shape = schema.shape(name).expect("every message has a shape");
    let descriptor = wire::descriptors().get_message_by_name(name);
    let descriptor = descriptor.expect("the message is part of the contract");
    let decoded = DynamicMessage::decode(descriptor, bytes);
    let known = schema
        .render_known(shape, bytes, scratch)
        .map(str::to_owned);
    if let Ok(text) = &known {
        let decoded = decoded.as_ref().expect("what is rendered can be decoded");
        let document = says(text, decoded);
        stable(shape, &document, text, scratch);
    }
    match schema.render(shape, bytes, scratch) {
        Ok(text) => {
            let known = known.expect("what is taken is taken if newer senders may be heard");
            // As text they may differ: the library keeps no order in a map that it had to merge.
            let (known, text) = (Document::parse(&known), Document::parse(text));
            let same = known.is_ok_and(|a| text.is_ok_and(|b| a.value == b.value));
            assert!(same, "something else if newer senders may be heard");
            Outcome::Accepted
        }
        Err(error) => {
            // A wrong wire type is no proof: the library takes maps of any.
            let is_broken = matches!(
                error.mistake,
                Mistake::Malformed(_) | Mistake::NotUtf8 | Mistake::Truncated
            );
            assert!(
                !is_broken || decoded.is_err(),
                "sound, and refused: {error}"
            );
            let is_newer = matches!(error.mistake, Mistake::NoField(_) | Mistake::Unknown(_));
            assert!(
                is_newer || known.is_err(),
                "taken if newer senders may be heard: {error}"
            );
            Outcome::Refused
        }
    }
}

/// Checks that a text is what the message says.
fn says<'t>(text: &'t str, message: &DynamicMessage) -> Document<'t> {
    let document = Document::parse(text).expect("what is rendered is JSON");
    let mut expected = String::new();
    render::render(message, &mut expected);
    let said = Document::parse(&expected).expect("the expectation is JSON");
    assert!(matches!(document.value, Value::Object(_)));
    let repeats = repeats_known(&message.descriptor(), &document.value);
    assert!(!repeats, "{text} has a member twice");
    assert!(
        document.value == said.value,
        "{text} where {expected} is said"
    );
    document
}

/// Checks that the text becomes a message that is rendered the same.
fn stable(shape: Shape, document: &Document<'_>, text: &str, scratch: &mut Scratch) {
    let schema = Catalogue::shared().transcoder.schema();
    let bytes = match schema.parse(shape, text.as_bytes(), scratch) {
        Ok(bytes) => bytes.to_vec(),
        Err(error) => {
            // A member that is kept as text may hold what no field could.
            let repeats = matches!(error.error, Error::Duplicate { .. }) && document.repeats;
            assert!(repeats, "rendered, and not read again: {error}");
            return;
        }
    };
    let again = schema.render(shape, &bytes, scratch);
    let again = again.expect("what was encoded can be rendered");
    let said = Document::parse(again).expect("what is rendered is JSON");
    assert!(document.value == said.value, "{text} became {again}");
}
