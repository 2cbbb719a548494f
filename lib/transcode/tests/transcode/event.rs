//! Events back to the payloads that they came from.

use prost::Message;
use transcode::{Error, Lanes, Mistake, Payload, Scratch, Transcoder};
use wire::discord::v1 as discord;
use wire::gateway::v1::Event;
use wire::gateway::v1::event::Data;

use crate::json::Json;
use crate::mapping::envelope;

fn payload(event: &[u8]) -> Result<(String, String, bool), String> {
    let mut scratch = Scratch::default();
    let transcoder = Transcoder::new();
    let rendered = transcoder.payload(event, &mut scratch);
    let rendered = rendered.map_err(|error| error.to_string())?;
    Ok((
        rendered.name.to_owned(),
        rendered.json.to_owned(),
        rendered.typed,
    ))
}

fn event(content: &str) -> Event {
    Event {
        id: "1:2".to_owned(),
        name: "MESSAGE_CREATE".to_owned(),
        shard: Some(wire::gateway::v1::Shard { id: 1, count: 2 }),
        sequence: Some(2),
        data: Some(Data::MessageCreate(Box::new(discord::Message {
            content: Some(content.to_owned()),
            ..discord::Message::default()
        }))),
        ..Event::default()
    }
}

#[test]
fn in_every_lane() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    for name in ["MESSAGE_CREATE", "NEW_EVENT"] {
        for lanes in [Lanes::Typed, Lanes::Json, Lanes::Both] {
            for text in [r#" {"id":"1","x":[1.0]} "#, "[1]", r#"{"id":"1","id":"2"}"#] {
                let encoded =
                    transcoder.event(&envelope(name, lanes), Payload::new(text), &mut scratch);
                let typed = encoded.data().is_some();
                let rendered = payload(encoded.body).unwrap();
                assert!(
                    Json::parse(&rendered.1) == Json::parse(text),
                    "{text} {rendered:?}"
                );
                assert_eq!((rendered.0.as_str(), rendered.2), (name, typed));
            }
        }
    }
}

#[test]
fn without_a_payload() {
    let none = Event {
        data: None,
        ..event("")
    };
    let error = payload(&none.encode_to_vec()).unwrap_err();
    assert!(error.contains("no payload"), "{error}");
    assert!(payload(b"").unwrap_err().contains("no payload"));
    // An event that only a newer schema knows.
    let newer = [none.encode_to_vec(), vec![0xfa, 0x7d, 0]].concat();
    let error = payload(&newer).unwrap_err();
    assert!(error.contains("no field 2015"), "{error}");
    for (bytes, path) in [
        (b"\x1a\x01\xff".as_slice(), "name"),
        (b"\x5a\x01\xff", "json"),
        (b"\x5a\x03{\"\"", "json"),
    ] {
        let error = payload(bytes).unwrap_err();
        assert!(error.starts_with(&format!("`{path}`: ")), "{error}");
    }
    for bytes in [b"\x1a".as_slice(), b"\x1a\x05a", b"\x0b", b"\0", b"\x80"] {
        assert!(payload(bytes).is_err(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn places() {
    let mut scratch = Scratch::default();
    let transcoder = Transcoder::new();
    let mut broken = event("abc").encode_to_vec();
    let text = broken.windows(3).rposition(|text| text == b"abc").unwrap();
    broken[text + 1] = 0xff;
    let error = transcoder.payload(&broken, &mut scratch).unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.mistake),
        ("message_create.content", Mistake::NotUtf8)
    );
    let json = Event {
        data: None,
        json: "{\"a\":}".to_owned(),
        ..event("")
    };
    let json = json.encode_to_vec();
    let error = transcoder.payload(&json, &mut scratch).unwrap_err();
    assert_eq!(error.mistake, Mistake::Json(Error::Malformed { at: 5 }));
}

/// Two payloads: of one kind they are merged, of two kinds the last one counts.
#[test]
fn more_than_one() {
    let (first, second) = (event("a").encode_to_vec(), event("b").encode_to_vec());
    let both = [first.clone(), second].concat();
    assert_eq!(payload(&both).unwrap().1, r#"{"content":"b"}"#);
    let other = Event {
        data: Some(Data::Resumed(Box::default())),
        ..Event::default()
    };
    let both = [first, other.encode_to_vec()].concat();
    assert_eq!(payload(&both).unwrap().1, "{}");
}

/// A newer gateway may say more than this schema knows.
#[test]
fn of_a_newer_gateway() {
    let known = event("a");
    let Some(Data::MessageCreate(message)) = &known.data else {
        panic!("it is a message")
    };
    let newer = |more: &[u8]| {
        let message = [message.encode_to_vec(), more.to_vec()].concat();
        let envelope = Event {
            data: None,
            ..known.clone()
        };
        let length = [message.len() as u8];
        [
            envelope.encode_to_vec(),
            vec![0xc2, 1],
            length.to_vec(),
            message,
        ]
        .concat()
    };
    // The field of MESSAGE_CREATE is number 24.
    for more in [
        [0xf8, 0x3d, 1].as_slice(),
        &[0xfa, 0x3d, 2, 1, 2],
        &[0xf9, 0x3d, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xca, 0x3e, 2, 0xdf, 0x07],
    ] {
        let rendered = payload(&newer(more));
        assert_eq!(rendered.unwrap().1, r#"{"content":"a"}"#, "{more:?}");
    }
    let group = newer(&[0xfb, 0x3d, 0xfc, 0x3d]);
    assert!(payload(&group).is_err());
}
