//! The envelope around a payload: every field, each lane, and the ids.

use prost::Message;
use transcode::{Encoded, Frame, Ids, Lane, Lanes, Payload, Scratch, Transcoder};
use wire::gateway::v1::event::Data;
use wire::gateway::v1::{Event, Shard, Source};

use crate::mapping::envelope;
use crate::payloads;

const DELETE: &str = r#"{"id":"1","channel_id":"2","guild_id":"3"}"#;

fn encode(name: &str, payload: &str, lanes: Lanes) -> (Event, Lane, Ids) {
    let mut scratch = Scratch::default();
    let transcoder = Transcoder::new();
    let Encoded {
        body, ids, lane, ..
    } = transcoder.event(&envelope(name, lanes), Payload::new(payload), &mut scratch);
    let event = Event::decode(body).unwrap();
    assert_eq!(
        ids,
        Ids {
            guild_id: event.guild_id,
            channel_id: event.channel_id,
            user_id: event.user_id
        },
    );
    (event, lane, ids)
}

#[test]
fn every_field() {
    let (event, lane, _) = encode("MESSAGE_DELETE", DELETE, Lanes::Both);
    let expected = Event {
        id: "0123456789abcdef:7".into(),
        application_id: 81_384_788_765_712_384,
        name: "MESSAGE_DELETE".into(),
        source: Source::Ws.into(),
        shard: Some(Shard { id: 3, count: 16 }),
        sequence: Some(7),
        received_at: Some(prost_types::Timestamp {
            seconds: 1_790_000_000,
            nanos: 123_456_789,
        }),
        guild_id: Some(3),
        channel_id: Some(2),
        user_id: None,
        json: DELETE.into(),
        data: event.data.clone(),
    };
    assert_eq!((&event, lane), (&expected, Lane::Typed));
    let Some(Data::MessageDelete(delete)) = event.data else {
        panic!("{:?}", event.data);
    };
    assert_eq!(
        (delete.id, delete.channel_id, delete.guild_id),
        (Some(1), Some(2), Some(3))
    );
}

#[test]
fn without_a_shard() {
    let mut scratch = Scratch::default();
    let transcoder = Transcoder::new();
    let mut envelope = envelope("INTERACTION_CREATE", Lanes::Typed);
    envelope.source = Source::Http;
    envelope.shard = None;
    envelope.sequence = None;
    envelope.received_at = std::time::UNIX_EPOCH - std::time::Duration::from_secs(1);
    let encoded = transcoder.event(&envelope, Payload::new("{}"), &mut scratch);
    let event = Event::decode(encoded.body).unwrap();
    assert_eq!(
        (event.shard, event.sequence, event.received_at),
        (None, None, None)
    );
    assert_eq!(event.source(), Source::Http);
}

#[test]
fn lanes() {
    let (event, lane, ids) = encode("MESSAGE_DELETE", DELETE, Lanes::Typed);
    assert_eq!(
        (lane, event.json.as_str(), event.data.is_some()),
        (Lane::Typed, "", true)
    );
    let (event, lane, same) = encode("MESSAGE_DELETE", DELETE, Lanes::Json);
    assert_eq!(
        (lane, event.json.as_str(), event.data.is_some()),
        (Lane::Json, DELETE, false)
    );
    assert_eq!(ids, same);
    for lanes in [Lanes::Typed, Lanes::Json, Lanes::Both] {
        let payload = r#"{"guild_id":"3","user":{"id":"4"},"channel_id":"x"}"#;
        let (event, lane, ids) = encode("NEW_EVENT", payload, lanes);
        assert_eq!(
            (lane, event.json.as_str(), event.data),
            (Lane::Unknown, payload, None)
        );
        assert_eq!(
            ids,
            Ids {
                guild_id: Some(3),
                channel_id: None,
                user_id: Some(4)
            }
        );
        let (event, lane, _) = encode("MESSAGE_DELETE", "[]", lanes);
        assert_eq!((event.json.as_str(), event.data), ("[]", None));
        assert_eq!(
            lane,
            if lanes == Lanes::Json {
                Lane::Json
            } else {
                Lane::Unfit
            }
        );
        let repeated = r#"{"id":"1","guild_id":"3","id":"1"}"#;
        let (event, lane, ids) = encode("MESSAGE_DELETE", repeated, lanes);
        assert_eq!((event.json.as_str(), event.data), (repeated, None));
        assert_eq!(matches!(lane, Lane::Refused(_)), lanes != Lanes::Json);
        assert_eq!(ids.guild_id, Some(3));
        let broken = r#"{"guild_id":"3","id":"1""#;
        let (event, lane, ids) = encode("MESSAGE_DELETE", broken, lanes);
        assert_eq!((event.json.as_str(), event.data), (broken, None));
        assert!(matches!(lane, Lane::Refused(_)));
        assert_eq!(ids.guild_id, Some(3));
    }
}

#[test]
fn a_broken_payload_leaves_its_frame() {
    let mut scratch = Scratch::default();
    let transcoder = Transcoder::new();
    let text = r#"{"t":"RESUMED","s":1,"op":0,"d":{"a":tru}}"#;
    let payload = Frame::parse(text).unwrap().payload;
    let encoded = transcoder.event(&envelope("RESUMED", Lanes::Typed), payload, &mut scratch);
    assert_eq!(
        encoded.lane,
        Lane::Refused(transcode::Error::Malformed { at: 37 })
    );
    assert_eq!(Event::decode(encoded.body).unwrap().json, r#"{"a":tru}"#);
}

/// The ids are the same whether they are found in the JSON or in the typed data.
#[test]
fn ids_in_either_lane() {
    for (name, payload) in payloads::all() {
        let (_, lane, typed) = encode(name, &payload, Lanes::Typed);
        let (_, _, json) = encode(name, &payload, Lanes::Json);
        if lane == Lane::Typed {
            assert_eq!(typed, json, "{name} {payload}");
        }
    }
}

/// Also where their names are written with escapes.
#[test]
fn ids_behind_escapes() {
    for lanes in [Lanes::Typed, Lanes::Json] {
        let payload =
            r#"{"id":"1","channel\u005fid":"2","gui\u006cd_id":"3","guild_i\u0064s":"4"}"#;
        let (_, _, ids) = encode("MESSAGE_DELETE", payload, lanes);
        assert_eq!(
            (ids.channel_id, ids.guild_id),
            (Some(2), Some(3)),
            "{lanes:?}"
        );
    }
}

#[test]
fn ids_by_path() {
    let ids = |name, payload| encode(name, payload, Lanes::Typed).2;
    let presence = ids("PRESENCE_UPDATE", r#"{"user":{"id":"1"},"guild_id":"2"}"#);
    assert_eq!(
        presence,
        Ids {
            guild_id: Some(2),
            channel_id: None,
            user_id: Some(1)
        }
    );
    let guild = ids(
        "GUILD_CREATE",
        r#"{"id":"1","members":[{"user":{"id":"2"}}]}"#,
    );
    assert_eq!(
        guild,
        Ids {
            guild_id: Some(1),
            channel_id: None,
            user_id: None
        }
    );
    let member = r#"{"user":{"id":"1"},"member":{"user":{"id":"2"}},"channel_id":"3"}"#;
    assert_eq!(ids("INTERACTION_CREATE", member).user_id, Some(2));
    let user = r#"{"user":{"id":"1"},"member":null,"guild_id":4}"#;
    let found = Ids {
        guild_id: Some(4),
        channel_id: None,
        user_id: Some(1),
    };
    assert_eq!(ids("INTERACTION_CREATE", user), found);
}

#[test]
fn names() {
    let transcoder = Transcoder::new();
    for kind in wire::event::events() {
        assert!(transcoder.knows(&kind.name), "{}", kind.name);
    }
    for name in [
        "",
        "MESSAGE",
        "MESSAGE_CREATED",
        "message_create",
        "MESSAGE_CREATE\0",
    ] {
        assert!(!transcoder.knows(name), "{name}");
    }
}

#[test]
fn data_alone() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    let data = transcoder
        .data("MESSAGE_DELETE", Payload::new(DELETE), &mut scratch)
        .unwrap();
    let delete = wire::discord::v1::MessageDelete::decode(data).unwrap();
    assert_eq!(delete.id, Some(1));
    assert!(
        transcoder
            .data("MESSAGE_DELETE", Payload::new("{"), &mut scratch)
            .is_none()
    );
    assert!(
        transcoder
            .data("NEW_EVENT", Payload::new("{}"), &mut scratch)
            .is_none()
    );
}

#[test]
fn data_that_was_kept_is_enclosed_as_it_would_have_been_at_once() {
    let transcoder = Transcoder::new();
    let (mut scratch, mut other) = (Scratch::default(), Scratch::default());
    let mut count = 0;
    for (name, text) in payloads::all() {
        let payload = Payload::new(&text);
        let Some(kept) = transcoder.keep(name, payload, &mut scratch) else {
            continue;
        };
        assert_eq!(
            transcoder.data(name, payload, &mut other),
            Some(kept.bytes())
        );
        for lanes in [Lanes::Typed, Lanes::Json, Lanes::Both] {
            let envelope = envelope(name, lanes);
            let at_once = transcoder.event(&envelope, payload, &mut other);
            let enclosed = transcoder.enclose(&envelope, payload, &kept, &mut scratch);
            assert_eq!(enclosed.body, at_once.body, "{name} {lanes:?} {text}");
            assert_eq!((enclosed.ids, enclosed.lane), (at_once.ids, at_once.lane));
            assert_eq!(enclosed.data(), at_once.data());
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}
