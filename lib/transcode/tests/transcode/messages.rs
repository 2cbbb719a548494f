//! Messages of every kind, both ways: by their schema rather than as events.

use std::cell::RefCell;

use proptest::prelude::any;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use transcode::{Error, Mistake, Schema, Scratch};

use crate::generate::{self, Dice};
use crate::json::Json;
use crate::mapping::runner;
use crate::{disorder, dynamic};
use crate::{oracle, render};

/// The schema of the contract, and the descriptors of all that stands for an object.
pub(crate) fn schema() -> (Schema, Vec<MessageDescriptor>) {
    let pool = wire::descriptors();
    let schema = Schema::new(pool);
    let mut names: Vec<_> = schema.names().collect();
    names.sort_unstable();
    let messages = names
        .iter()
        .map(|name| pool.get_message_by_name(name).unwrap());
    let messages = messages.collect();
    (schema, messages)
}

/// From JSON and back.
fn check(schema: &Schema, scratch: &mut Scratch, message: &MessageDescriptor, text: &str) {
    let name = message.full_name();
    let shape = schema.shape(name).unwrap();
    let parsed = Json::parse(text).expect("the generator makes JSON");
    let encoded = schema
        .parse(shape, text.as_bytes(), scratch)
        .map(<[u8]>::to_vec);
    match oracle::encode(message, &parsed) {
        Err(oracle::Repeated) => {
            let error = encoded.unwrap_err().error;
            assert!(matches!(error, Error::Duplicate { .. }), "{error} {text}");
        }
        Ok(None) => assert_eq!(encoded.unwrap_err().error, Error::NotObject, "{text}"),
        Ok(Some(expected)) => {
            let encoded = encoded.unwrap();
            let decoded = DynamicMessage::decode(message.clone(), &*encoded).unwrap();
            let expected = expected.encode_to_vec();
            let expected = DynamicMessage::decode(message.clone(), &*expected).unwrap();
            assert!(
                decoded == expected,
                "{name}\n{text}\n{}",
                encoded.escape_ascii()
            );
            let rendered = schema.render(shape, &encoded, scratch).unwrap();
            let same = Json::parse(rendered).as_ref() == Some(&parsed);
            assert!(same, "{name}\n{text}\n{rendered}");
        }
    }
}

#[test]
fn there_and_back() {
    let (schema, messages) = schema();
    assert!(messages.len() > 100, "{}", messages.len());
    let scratch = RefCell::default();
    for message in &messages {
        let result = runner(12).run(&any::<u64>(), |seed| {
            let text = generate::object(&mut Dice::new(seed), message, 2);
            check(&schema, &mut scratch.borrow_mut(), message, &text);
            Ok(())
        });
        result.unwrap();
    }
}

/// Every message that keeps what the schema lacks has a shape, and every field of it a place in the
/// tables: none is left to `unknown_json`.
#[test]
fn every_field_is_typed() {
    let (schema, messages) = schema();
    let keeping = wire::descriptors().all_messages();
    let keeping = keeping.filter(|message| message.get_field_by_name("unknown_json").is_some());
    assert_eq!(messages.len(), keeping.count());
    let mut scratch = Scratch::default();
    for message in &messages {
        let shape = schema.shape(message.full_name()).unwrap();
        let own = oracle::own_fields(message);
        for field in message.fields().filter(|field| !own.contains(field)) {
            let text = format!("{{\"{}\":null}}", field.name());
            let parsed = schema.parse(shape, text.as_bytes(), &mut scratch).unwrap();
            let decoded = DynamicMessage::decode(message.clone(), parsed).unwrap();
            let expected = oracle::mention(&own[1], std::slice::from_ref(&field));
            assert!(
                *decoded.get_field(&own[1]) == expected,
                "{}",
                field.full_name()
            );
        }
    }
    assert!(schema.shape("discord.v1.Nothing").is_none());
    assert!(schema.shape("gateway.v1.Event").is_none());
    assert!(schema.shape("discord.v1.EventOptions").is_none());
}

/// From a message that somebody made to JSON.
fn check_rendering(schema: &Schema, scratch: &mut Scratch, message: &DynamicMessage) -> bool {
    let descriptor = prost_reflect::ReflectMessage::descriptor(message);
    let shape = schema.shape(descriptor.full_name()).unwrap();
    let bytes = message.encode_to_vec();
    let rendered = schema.render(shape, &bytes, scratch);
    let name = descriptor.full_name();
    match (rendered, render::render(message)) {
        (Ok(text), Ok(expected)) => {
            let same = Json::parse(text).as_ref() == Some(&expected);
            assert!(same, "{name}\n{}\n{text}", bytes.escape_ascii());
            true
        }
        (Err(_), Err(_)) => false,
        (rendered, expected) => {
            let expected = expected.map(|_| ());
            panic!(
                "{name}\n{}\n{rendered:?}\n{expected:?}",
                bytes.escape_ascii()
            )
        }
    }
}

#[test]
fn of_any_message() {
    let (schema, messages) = schema();
    let scratch = RefCell::default();
    for mistakes in [0, 1] {
        let sound = RefCell::new(0);
        for message in &messages {
            let result = runner(8).run(&any::<u64>(), |seed| {
                let message = dynamic::message(&mut Dice::new(seed), message, 2, mistakes);
                let rendered = check_rendering(&schema, &mut scratch.borrow_mut(), &message);
                *sound.borrow_mut() += usize::from(rendered);
                Ok(())
            });
            result.unwrap();
        }
        let sound = sound.into_inner();
        assert!(
            sound > messages.len() * 4,
            "{sound} of {}",
            messages.len() * 8
        );
    }
}

/// Fields, elements and parts of messages in an order that no encoder would choose, though it means
/// the same; and some that it would not mean.
#[test]
fn in_any_order() {
    let (schema, messages) = schema();
    let scratch = RefCell::default();
    let unusual = RefCell::new(0);
    for message in &messages {
        let shape = schema.shape(message.full_name()).unwrap();
        let result = runner(6).run(&any::<u64>(), |seed| {
            let dice = &mut Dice::new(seed);
            let first = dynamic::message(dice, message, 2, 0).encode_to_vec();
            let mut bytes = disorder::shuffled(dice, &first, 3);
            if dice.chance(30) {
                // A second message after the first is merged into it.
                bytes.extend(dynamic::message(dice, message, 1, 0).encode_to_vec());
            }
            let decoded = DynamicMessage::decode(message.clone(), &*bytes).unwrap();
            let scratch = &mut scratch.borrow_mut();
            let rendered = schema.render(shape, &bytes, scratch);
            match (rendered, render::render(&decoded)) {
                (Ok(text), Ok(expected)) => {
                    let same = Json::parse(text) == Some(expected);
                    assert!(
                        same,
                        "{}\n{}\n{text}",
                        message.full_name(),
                        bytes.escape_ascii()
                    );
                    *unusual.borrow_mut() += 1;
                }
                (Err(_), Err(_)) => {}
                (rendered, expected) => {
                    let expected = expected.map(|_| ());
                    let name = message.full_name();
                    panic!(
                        "{name}\n{}\n{rendered:?}\n{expected:?}",
                        bytes.escape_ascii()
                    )
                }
            }
            Ok(())
        });
        result.unwrap();
    }
    assert!(
        unusual.into_inner() > messages.len(),
        "most of it means something"
    );
}

/// Changed bytes: no panic, and nothing but JSON comes out.
#[test]
fn mutations() {
    let (schema, messages) = schema();
    let scratch = RefCell::default();
    let result = runner(8_000).run(&any::<u64>(), |seed| {
        let dice = &mut Dice::new(seed);
        let message = &messages[dice.below(messages.len())];
        let mut bytes = dynamic::message(dice, message, 2, 0).encode_to_vec();
        for _ in 0..=dice.below(3) {
            let place = dice.below(bytes.len() + 1);
            match dice.below(4) {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, dice.roll() as u8),
                2 if place < bytes.len() => bytes[place] ^= 1 << dice.below(8),
                _ => {
                    let end = (place + dice.below(16)).min(bytes.len());
                    bytes.drain(place..end);
                }
            }
        }
        let shape = schema.shape(message.full_name()).unwrap();
        let scratch = &mut scratch.borrow_mut();
        let rendered = schema.render(shape, &bytes, scratch);
        let decoded = DynamicMessage::decode(message.clone(), &*bytes).ok();
        let expected = decoded.as_ref().map(render::render);
        match (rendered, expected) {
            (Ok(text), Some(Ok(expected))) => {
                let same = Json::parse(text) == Some(expected);
                assert!(same, "{}\n{text}", bytes.escape_ascii());
            }
            (Ok(text), expected) => {
                let expected = expected.map(|expected| expected.err());
                panic!("{}\n{text}\n{expected:?}", bytes.escape_ascii())
            }
            (Err(error), Some(Ok(_))) => {
                // Reflection forgets what else there is in the library's own messages, and what a
                // later field of the same number has replaced.
                let kept = decoded.map_or(0, |message| message.encoded_len());
                let excused = match error.mistake {
                    // Nor does it look at the wire types of maps.
                    Mistake::Unknown(_) | Mistake::Wire => true,
                    Mistake::NoKind | Mistake::NotFinite | Mistake::Time => kept < bytes.len(),
                    _ => false,
                };
                assert!(excused, "{error}\n{}", bytes.escape_ascii());
            }
            (Err(_), _) => {}
        }
        Ok(())
    });
    result.unwrap();
}
