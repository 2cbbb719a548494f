//! Golden payloads and broken bodies, decoded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::SystemTime,
};

use serde_json::Value;
use serenity::model::event::GatewayEvent;
use transcode::{Envelope, Lanes, Payload};
use wire::gateway::v1::{Source, event::Data};

use super::*;
use crate::SERENITY_EVENTS;

const MESSAGE: &str = r#"{
    "id":"11","channel_id":"12","guild_id":"13","content":"hi","timestamp":"2024-05-01T10:00:00+00:00",
    "edited_timestamp":null,"tts":false,"mention_everyone":false,"mentions":[],"mention_roles":[],
    "attachments":[],"embeds":[],"pinned":false,"type":0,"of_tomorrow":[1],
    "author":{"id":"14","username":"ann","discriminator":"0","avatar":null}}"#;

/// The body that the gateway publishes for a payload.
fn encode(name: &str, json: &str, lanes: Lanes) -> Vec<u8> {
    let envelope = Envelope {
        id: "session:1",
        application_id: 1,
        name,
        source: Source::Ws,
        shard: Some((0, 1)),
        sequence: Some(1),
        received_at: SystemTime::UNIX_EPOCH,
        lanes,
    };
    let mut scratch = Scratch::default();
    let encoded = Transcoder::new().event(&envelope, Payload::new(json), &mut scratch);
    encoded.body.to_vec()
}

fn decoded(name: &str, body: &[u8]) -> Event {
    let mut scratch = Scratch::default();
    decode(name, body, &Transcoder::new(), &mut scratch).unwrap()
}

#[test]
fn a_message_comes_as_serenitys_in_either_lane() {
    for lanes in [Lanes::Typed, Lanes::Json, Lanes::Both] {
        let body = encode("MESSAGE_CREATE", MESSAGE, lanes);
        let Event::Serenity(event) = decoded("MESSAGE_CREATE", &body) else {
            panic!("{lanes:?}");
        };
        let SerenityEvent::MessageCreate(event) = *event else {
            panic!("{lanes:?}");
        };
        assert_eq!(event.message.content, "hi");
        assert_eq!(event.message.guild_id.unwrap().get(), 13);
    }
}

#[test]
fn what_serenity_lacks_or_cannot_read_comes_as_ours() {
    let body = encode(
        "MESSAGE_CREATE",
        r#"{"id":"11","content":"hi"}"#,
        Lanes::Typed,
    );
    let Event::Wire(event) = decoded("MESSAGE_CREATE", &body) else {
        panic!("serenity needs an author");
    };
    let Some(Data::MessageCreate(message)) = event.data else {
        panic!("{event:?}");
    };
    assert_eq!(message.content(), "hi");

    let body = encode("EVENT_OF_TOMORROW", r#"{"a":1}"#, Lanes::Typed);
    let Event::Wire(event) = decoded("EVENT_OF_TOMORROW", &body) else {
        panic!("nobody knows it");
    };
    assert_eq!((event.json.as_str(), event.data), (r#"{"a":1}"#, None));
}

#[test]
fn what_discord_sent_broken_comes_as_it_is() {
    for json in [r#"{"id":"1","id":"2"}"#, "[1]", "null", r#"{"id":"#] {
        let body = encode("MESSAGE_DELETE", json, Lanes::Typed);
        let Event::Wire(event) = decoded("MESSAGE_DELETE", &body) else {
            panic!("{json}");
        };
        assert_eq!(event.json, json);
    }
}

#[test]
fn a_newer_gateways_fields_do_no_harm() {
    // Field 999 of the envelope: a string.
    let mut body = encode("MESSAGE_CREATE", MESSAGE, Lanes::Json);
    body.extend([0xba, 0x3e, 0x01, b'x']);
    assert!(matches!(
        decoded("MESSAGE_CREATE", &body),
        Event::Serenity(_)
    ));
}

#[test]
fn what_is_no_event_is_an_error() {
    let body = encode("MESSAGE_CREATE", MESSAGE, Lanes::Typed);
    let mut scratch = Scratch::default();
    let transcoder = Transcoder::new();
    let broken = &body[..body.len() - 1];
    assert!(decode("MESSAGE_CREATE", broken, &transcoder, &mut scratch).is_err());
}

#[test]
fn the_reason_shows_nothing_of_the_payload() {
    let reason = |json: &str| {
        let error = handler::read("MESSAGE_DELETE", json).unwrap().unwrap_err();
        Reason(&error).to_string()
    };
    let id = r#"{"id":"secret","channel_id":"2"}"#;
    assert!(
        reason(id).starts_with("unexpected value before byte"),
        "{}",
        reason(id)
    );
    assert!(
        reason("{}").starts_with("missing field `"),
        "{}",
        reason("{}")
    );
    assert!(reason("{").starts_with("malformed JSON"), "{}", reason("{"));
}

/// The payloads that every library of the contract is tested with, by file name.
fn golden() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut golden = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(path).unwrap();
            golden.insert(name, serde_json::from_str(&text).unwrap());
        }
    }
    golden
}

/// What serenity itself makes of a frame from Discord.
fn expected(name: &str, payload: &Value) -> Option<Value> {
    let frame = serde_json::json!({"op": 0, "s": 1, "t": name, "d": payload});
    match serde_json::from_value(frame).unwrap() {
        GatewayEvent::Dispatch(_, SerenityEvent::Unknown(_)) => None,
        GatewayEvent::Dispatch(_, event) => Some(sorted(serde_json::to_value(event).unwrap())),
        other => panic!("{other:?}"),
    }
}

/// Serenity keeps many lists as maps, whose order is another one each time.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.into_iter().map(sorted).collect();
            list.sort_by_cached_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, sorted(value)))
            .collect(),
        value => value,
    }
}

#[test]
fn golden_events_come_as_serenity_reads_them_itself() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    let mut read = BTreeSet::new();
    let golden = golden();
    for (file, payload) in &golden {
        let name = file.split('.').next().unwrap();
        let body = encode(name, &payload.to_string(), Lanes::Typed);
        let event = match decode(name, &body, &transcoder, &mut scratch).unwrap() {
            Event::Serenity(event) => Some(sorted(serde_json::to_value(event).unwrap())),
            Event::Wire(event) => {
                assert!(event.data.is_some() || !event.json.is_empty(), "{file}");
                None
            }
        };
        assert!(event == expected(name, payload), "{file}");
        if event.is_some() {
            read.insert(name);
        }
    }
    let names: BTreeSet<&str> = golden
        .keys()
        .filter_map(|file| file.split('.').next())
        .collect();
    let without: Vec<_> = SERENITY_EVENTS
        .iter()
        .filter(|name| !names.contains(*name))
        .collect();
    assert!(without.is_empty(), "no golden event: {without:?}");
    assert!(
        read.len() >= 65,
        "serenity reads only {}: {read:?}",
        read.len()
    );
}
