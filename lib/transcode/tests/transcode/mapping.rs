//! Payloads, hand-written and random: what is encoded is what the oracle says, and renders back.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;
use transcode::{Encoded, Envelope, Lane, Lanes, Payload, Scratch, Transcoder};
use wire::event::EventKind;
use wire::gateway::v1::Source;

use crate::generate::{self, Dice};
use crate::json::Json;
use crate::{oracle, payloads, render};

/// An envelope around an event of this name.
pub(crate) fn envelope(name: &str, lanes: Lanes) -> Envelope<'_> {
    Envelope {
        id: "0123456789abcdef:7",
        application_id: 81_384_788_765_712_384,
        name,
        source: Source::Ws,
        shard: Some((3, 16)),
        sequence: Some(7),
        received_at: UNIX_EPOCH + Duration::new(1_790_000_000, 123_456_789),
        lanes,
    }
}

/// A runner of so many cases, the same ones each time.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Checks one payload in every respect.
pub(crate) fn check(transcoder: &Transcoder, scratch: &mut Scratch, name: &str, text: &str) {
    static KINDS: LazyLock<Vec<EventKind>> = LazyLock::new(wire::event::events);
    let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
    let parsed = Json::parse(text).expect("the generator makes JSON");
    let encoded = transcoder.event(&envelope(name, Lanes::Typed), Payload::new(text), scratch);
    match oracle::encode(&kind.message, &parsed) {
        Err(oracle::Repeated) => {
            let refused = matches!(
                encoded.lane,
                Lane::Refused(transcode::Error::Duplicate { .. })
            );
            assert!(refused, "{:?} of {text}", encoded.lane);
        }
        Ok(None) => assert_eq!(encoded.lane, Lane::Unfit, "{text}"),
        Ok(Some(expected)) => {
            assert_eq!(encoded.lane, Lane::Typed, "{text}");
            let decoded = data(&kind.message, &encoded);
            // Empty lists within values are either there or not until they have been encoded.
            let expected = expected.encode_to_vec();
            let expected = DynamicMessage::decode(kind.message.clone(), &*expected).unwrap();
            if decoded != expected {
                // The descriptors within a message can't be printed: they contain each other.
                let (decoded, expected) = (decoded.encode_to_vec(), expected.encode_to_vec());
                panic!(
                    "\n{name} {text}\n{}\n{}",
                    decoded.escape_ascii(),
                    expected.escape_ascii()
                );
            }
            let same = render::render(&decoded).unwrap() == parsed;
            assert!(same, "not rendered as it came: {name} {text}");
        }
    }
    // Whatever the lane.
    let event = encoded.body.to_vec();
    let rendered = transcoder.payload(&event, scratch).unwrap();
    assert_eq!(rendered.name, name);
    let same = Json::parse(rendered.json).as_ref() == Some(&parsed);
    assert!(same, "{name}\n{text}\n{}", rendered.json);
}

fn data(message: &prost_reflect::MessageDescriptor, encoded: &Encoded<'_>) -> DynamicMessage {
    DynamicMessage::decode(message.clone(), encoded.data().unwrap()).unwrap()
}

#[test]
fn realistic_payloads() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    for (name, text) in payloads::all() {
        check(&transcoder, &mut scratch, name, &text);
    }
}

#[test]
fn random_payloads() {
    let transcoder = Transcoder::new();
    let scratch = RefCell::default();
    let events = wire::event::events();
    let result = runner(2_000).run(&any::<u64>(), |seed| {
        let mut dice = Dice::new(seed);
        let kind = &events[dice.below(events.len())];
        let text = generate::object(&mut dice, &kind.message, 3);
        check(&transcoder, &mut scratch.borrow_mut(), &kind.name, &text);
        Ok(())
    });
    result.unwrap();
}

/// What would be too deep for readers of protobuf is kept as text.
#[test]
fn deep_values() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    for depth in 1..120 {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let text = format!("{{\"nonce\":{open}{close}}}");
        check(&transcoder, &mut scratch, "MESSAGE_CREATE", &text);
        let (open, close) = ("{\"a\":".repeat(depth), "}".repeat(depth));
        let text = format!("{{\"nonce\":{open}1{close}}}");
        check(&transcoder, &mut scratch, "MESSAGE_CREATE", &text);
        let open = "{\"content\":\"x\",\"referenced_message\":".repeat(depth);
        let text = format!("{open}{{}}{close}");
        check(&transcoder, &mut scratch, "MESSAGE_CREATE", &text);
    }
}
