//! Broken input: never a panic, and accepted exactly if serde_json accepts it.
//!
//! Two things are refused that serde_json accepts: members that the schema knows and that come
//! twice, and more than 127 levels of nesting.

use std::cell::RefCell;

use proptest::prelude::{any, prop};
use serde::de::IgnoredAny;
use transcode::{Error, Frame, Lane, Lanes, Payload, Scratch, Transcoder};

use crate::generate::{self, Dice};
use crate::mapping::{envelope, runner};
use crate::payloads;

/// Whether the payload is accepted, in any lane.
fn accepted(transcoder: &Transcoder, scratch: &mut Scratch, name: &str, text: &str) -> bool {
    let payload = Payload::new(text);
    let lane = transcoder
        .event(&envelope(name, Lanes::Typed), payload, scratch)
        .lane;
    let accepted = match lane {
        Lane::Refused(Error::Duplicate { .. }) => true,
        Lane::Refused(_) => false,
        Lane::Typed | Lane::Unfit | Lane::Unknown | Lane::Json => true,
    };
    // The bare scanner agrees, where it does not stop at a repeated member.
    if !matches!(lane, Lane::Refused(Error::Duplicate { .. })) {
        assert_eq!(payload.text().is_ok(), accepted, "{text}");
    }
    accepted
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[test]
fn cut_off_anywhere() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    for (name, payload) in payloads::all() {
        let payload = payload.trim();
        let frame = format!("{{\"t\":\"{name}\",\"s\":7,\"op\":0,\"d\":{payload}}}");
        for end in 0..frame.len() {
            let Some(text) = frame.get(..end) else {
                continue;
            };
            if let Ok(frame) = Frame::parse(text) {
                assert!(frame.payload.text().is_err(), "{text}");
                let envelope = envelope(name, Lanes::Typed);
                let lane = transcoder
                    .event(&envelope, frame.payload, &mut scratch)
                    .lane;
                assert!(matches!(lane, Lane::Refused(_)), "{text}");
            }
        }
    }
}

/// Values, most of them malformed.
const VALUES: &str = r#"
 | tru | true | truE | trueish | fals | false | nul | null | nulll | None | NaN | Infinity | - | +1 | 01 | -01
 | 00 | 1. | .5 | 1.e1 | 1e | 1e+ | 1E+1 | 0x10 | 1_000 | --1 | 1- | 12345678901 | 1e999999999 | -1.5e-300
 | 'a' | "a | "\x" | "\u12" | "\u12g4" | "\ud800" | "\ud800\u0041" | "\udc00" | "\ | [ | [1 | [1, | [1,] | [,]
 | [1 2] | [1} | { | {"a" | {"a": | {"a":1 | {"a":1, | {"a":1,} | {,} | {"a" 1} | {a:1} | {1:1} | {"a":1]
 | {"a":1,"b"} | [[[]] | /**/1 | 1, | {} | [] | { } | [ ] | "1" | "" | 0 | -0 | "2021-03-04T05:06:07.123456+00:00
 | "2021-03-04T05:06:07+00:00 | "2021-03-04T05:06:07.123456+00:00x" | "12345678901234567 | "12345678" "1"
"#;

/// Those that don't look like much.
const CONTROLS: [&str; 9] = [
    "\"a\nb\"",
    "\"\0\"",
    "\"\u{1f}\"",
    "\"\u{7f}\"",
    "\u{feff}1",
    "\u{a0}1",
    "\u{b}1",
    "1\0",
    "1 \t",
];

/// A member that is unknown, and one of each type.
const MEMBERS: [&str; 12] = [
    "x",
    "id",
    "content",
    "type",
    "flags",
    "tts",
    "timestamp",
    "nonce",
    "embeds",
    "author",
    "mention_roles",
    "mentions",
];

#[test]
fn mistakes() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    for value in VALUES.split('|').map(str::trim).chain(CONTROLS) {
        let mut check = |name, text: String| {
            let accepted = accepted(&transcoder, &mut scratch, name, &text);
            assert_eq!(accepted, is_json(&text), "{text:?}");
        };
        for member in MEMBERS {
            check("MESSAGE_CREATE", format!("{{\"{member}\":{value}}}"));
        }
        for map in ["users", "members"] {
            let maps = format!("{{\"{map}\":{{\"1\":{value}}},\"roles\":{value}}}");
            check(
                "INTERACTION_CREATE",
                format!("{{\"data\":{{\"resolved\":{maps}}}}}"),
            );
        }
    }
}

#[test]
fn too_deep() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    for (open, close) in [
        ("[", "]"),
        ("{\"a\":", "}"),
        ("{\"referenced_message\":", "}"),
    ] {
        for member in ["x", "nonce", "embeds", "referenced_message"] {
            for depth in [1, 126, 127, 100_000] {
                // The payload's own braces are one level.
                let (open, close) = (open.repeat(depth), close.repeat(depth));
                let text = format!("{{\"{member}\":{open}1{close}}}");
                let accepted = accepted(&transcoder, &mut scratch, "MESSAGE_CREATE", &text);
                assert_eq!(accepted, depth <= 126, "{depth} {open:.20}");
                let text = &text[..text.len() / 2];
                let envelope = envelope("MESSAGE_CREATE", Lanes::Typed);
                let lane = transcoder
                    .event(&envelope, Payload::new(text), &mut scratch)
                    .lane;
                assert!(matches!(lane, Lane::Refused(_)));
            }
        }
    }
}

/// A list that turns out not to fit at its very end, again and again within itself, is read twice
/// at each level, but not twice as often at each.
#[test]
fn misfits_within_misfits() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    let mut text = "{}".to_owned();
    for _ in 0..40 {
        text = format!("{{\"components\":[{text},1]}}");
    }
    let text = format!("{{\"components\":[{text},1]}}");
    assert!(accepted(&transcoder, &mut scratch, "MESSAGE_CREATE", &text));
}

#[test]
fn mutations() {
    let transcoder = Transcoder::new();
    let scratch = RefCell::default();
    let events = wire::event::events();
    let realistic = payloads::all();
    let changes = prop::collection::vec((any::<usize>(), any::<u8>()), 1..4);
    let result = runner(8_000).run(&(any::<u64>(), changes), |(seed, changes)| {
        let mut dice = Dice::new(seed);
        let (name, text) = if dice.below(4) == 0 {
            let (name, text) = &realistic[dice.below(realistic.len())];
            (*name, text.clone())
        } else {
            let kind = &events[dice.below(events.len())];
            (
                kind.name.as_str(),
                generate::object(&mut dice, &kind.message, 1),
            )
        };
        let mut bytes = text.into_bytes();
        for (place, byte) in changes {
            mutate(&mut dice, &mut bytes, place, byte);
        }
        let text = String::from_utf8_lossy(&bytes);
        let accepted = accepted(&transcoder, &mut scratch.borrow_mut(), name, &text);
        assert_eq!(accepted, is_json(&text), "{name} {text}");
        Ok(())
    });
    result.unwrap();
}

/// Changes, removes or repeats something.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>, place: usize, byte: u8) {
    let place = place % (bytes.len() + 1);
    let syntax = b"{}[]:,\"\\ \n\0tfnu0123456789-+.eE";
    match dice.below(5) {
        0 => bytes.truncate(place),
        1 => bytes.insert(place, byte),
        2 => bytes.insert(place, syntax[usize::from(byte) % syntax.len()]),
        3 if place < bytes.len() => bytes[place] = syntax[usize::from(byte) % syntax.len()],
        _ => {
            let end = (place + usize::from(byte % 16)).min(bytes.len());
            let part = bytes.drain(place..end).collect::<Vec<_>>();
            if dice.below(2) == 0 {
                let at = dice.below(bytes.len() + 1);
                bytes.splice(at..at, part);
            }
        }
    }
}
