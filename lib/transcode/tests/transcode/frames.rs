//! Heads of frames: any order, any spelling, and what is no frame.

use transcode::{Error, Frame, Lane, Lanes, Member, Payload, Scratch, Transcoder};

use crate::mapping::envelope;

#[test]
fn members_in_any_order() {
    let members = [
        r#""t":"RESUMED""#,
        r#""s":42"#,
        r#""op":0"#,
        r#""d":{"a":[1,{"d":2}]}"#,
    ];
    for order in permutations(&members) {
        for space in ["", " ", "\n\t"] {
            let text = format!(
                "{space}{{{space}{}{space}}}{space}",
                order.join(&format!("{space},{space}"))
            );
            let frame = Frame::parse(&text).unwrap();
            assert_eq!((frame.op, frame.sequence), (0, Some(42)), "{text}");
            assert_eq!(frame.name.as_deref(), Some("RESUMED"), "{text}");
            assert_eq!(
                frame.payload.text().unwrap(),
                r#"{"a":[1,{"d":2}]}"#,
                "{text}"
            );
        }
    }
}

fn permutations(members: &[&str]) -> Vec<Vec<String>> {
    if members.is_empty() {
        return vec![vec![]];
    }
    let mut found = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let mut rest = members.to_vec();
        rest.remove(index);
        for mut order in permutations(&rest) {
            order.push((*member).to_owned());
            found.push(order);
        }
    }
    found
}

#[test]
fn frames_that_are_no_events() {
    let hello = r#"{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}"#;
    let frame = Frame::parse(hello).unwrap();
    assert_eq!((frame.op, frame.sequence, frame.name), (10, None, None));
    assert_eq!(
        frame.payload.text().unwrap(),
        r#"{"heartbeat_interval":41250}"#
    );
    let frame = Frame::parse(r#"{"op":11}"#).unwrap();
    assert_eq!((frame.op, frame.payload.text()), (11, Ok("null")));
    let frame = Frame::parse(r#"{"op":4294967295,"new":{"t":"X"},"d":1}"#).unwrap();
    assert_eq!(
        (frame.op, frame.name, frame.payload.text()),
        (u32::MAX, None, Ok("1"))
    );
}

#[test]
fn escapes_in_the_head() {
    let frame = Frame::parse(r#"{"\u0074":"READ\u0059","\u006fp":0,"s":1,"d":{}}"#).unwrap();
    assert_eq!(frame.name.as_deref(), Some("READY"));
}

#[test]
fn mistakes() {
    let frame = |member| Err(Error::Frame { member });
    let cases = [
        ("", Err(Error::Malformed { at: 0 })),
        ("[]", Err(Error::Malformed { at: 0 })),
        ("{}", frame(Member::Op)),
        (r#"{"op":"0"}"#, frame(Member::Op)),
        (r#"{"op":-1}"#, frame(Member::Op)),
        (r#"{"op":0.5}"#, frame(Member::Op)),
        (r#"{"op":null}"#, frame(Member::Op)),
        (r#"{"op":4294967296}"#, frame(Member::Op)),
        (r#"{"op":0,"s":"1"}"#, frame(Member::Sequence)),
        (r#"{"op":0,"s":-1}"#, frame(Member::Sequence)),
        (r#"{"op":0,"t":5}"#, frame(Member::Name)),
        (r#"{"op":0,"t":"\ud800"}"#, frame(Member::Name)),
        (r#"{"op":0,"op":0}"#, Err(Error::Duplicate { at: 8 })),
        (
            r#"{"op":0,"d":{},"d":{}}"#,
            Err(Error::Duplicate { at: 15 }),
        ),
        (r#"{"op":0"#, Err(Error::Malformed { at: 7 })),
        (r#"{"op":0,}"#, Err(Error::Malformed { at: 8 })),
        (r#"{"op":0}x"#, Err(Error::Malformed { at: 8 })),
        (r#"{op:0}"#, Err(Error::Malformed { at: 1 })),
    ];
    for (text, expected) in cases {
        assert_eq!(Frame::parse(text), expected, "{text}");
    }
}

/// What follows the payload is checked once the payload's end is known.
#[test]
fn behind_the_payload() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    let cases = [
        ("}", Ok(())),
        (" }\n", Ok(())),
        (r#","x":[1],"y":null}"#, Ok(())),
        ("", Err(())),
        ("}}", Err(())),
        (",}", Err(())),
        (r#","x"}"#, Err(())),
        (r#","op":0}"#, Err(())),
        (r#","d":{}}"#, Err(())),
    ];
    for (rest, expected) in cases {
        let text = format!("{{\"t\":\"RESUMED\",\"s\":1,\"op\":0,\"d\":{{\"a\":1}}{rest}");
        let payload = Frame::parse(&text).unwrap().payload;
        assert_eq!(
            payload.text().map(|_| ()).map_err(|_| ()),
            expected,
            "{text}"
        );
        let encoded = transcoder.event(&envelope("RESUMED", Lanes::Typed), payload, &mut scratch);
        assert_eq!(encoded.lane == Lane::Typed, expected.is_ok(), "{text}");
    }
}

#[test]
fn payloads_alone() {
    assert_eq!(Payload::new(" {} ").text(), Ok("{}"));
    assert_eq!(Payload::new("{} x").text(), Err(Error::Malformed { at: 3 }));
}
