//! Inputs that are like others, but not quite: what random bytes alone would take ages to find.

mod edit;
mod tree;

use fastrand::Rng;

use crate::catalogue::{Catalogue, split};
use crate::generate;
use edit::edited;

/// The length that inputs do not grow beyond.
const LARGE: usize = 1 << 16;

/// A line with an event or message, and JSON.
pub fn payload(rng: &mut Rng, input: &[u8]) -> Vec<u8> {
    let (line, rest) = split(input);
    let (line, text) = match (rng.u8(..24), text(rest)) {
        (0, _) | (_, None) => {
            let (subject, text) = generate::subject(rng);
            (subject.line().into_bytes(), text)
        }
        (1, Some(text)) => {
            let (subject, _) = generate::subject(rng);
            (subject.line().into_bytes(), text.to_owned())
        }
        (_, Some(text)) => (line.to_vec(), json(rng, text, &Catalogue::shared().names)),
    };
    joined(&line, text.as_bytes())
}

/// A line with a message, and protobuf.
pub fn message(rng: &mut Rng, input: &[u8]) -> Vec<u8> {
    let (line, bytes) = split(input);
    let catalogue = Catalogue::shared();
    let other = &catalogue.messages[rng.usize(..catalogue.messages.len())];
    if rng.u8(..24) == 0 || bytes.len() > LARGE {
        return joined(other.full_name().as_bytes(), &tree::encoded(rng, other));
    }
    let envelope = wire::descriptors().get_message_by_name("gateway.v1.Event");
    let envelope = envelope.filter(|envelope| line == envelope.full_name().as_bytes());
    let descriptor = envelope.or_else(|| catalogue.subject(line).message().cloned());
    let changed = tree::changed(rng, descriptor.as_ref().unwrap_or(other), bytes);
    joined(line, &changed)
}

/// A frame of the gateway.
pub fn frame(rng: &mut Rng, input: &[u8]) -> Vec<u8> {
    let names = ["t", "s", "op", "d", "x"].map(str::to_owned);
    match text(input) {
        Some(text) if rng.u8(..24) > 0 => json(rng, text, &names).into_bytes(),
        _ => {
            let (subject, payload) = generate::subject(rng);
            let mut members = [
                format!("\"t\":\"{}\"", subject.line()),
                format!("\"s\":{}", rng.u64(..) >> rng.u8(..64)),
                format!("\"op\":{}", [0, 10, 11, u32::MAX][rng.usize(..4)]),
                format!("\"d\":{payload}"),
            ];
            if rng.bool() {
                rng.shuffle(&mut members);
            }
            format!("{{{}}}", members.join(",")).into_bytes()
        }
    }
}

/// A line with the name of an event, and an interaction.
pub fn interaction(rng: &mut Rng, input: &[u8]) -> Vec<u8> {
    let (line, rest) = split(input);
    let name: &[u8] = match rng.u8(..16) {
        0 => &words(rng, 1).into_bytes(),
        1 => b"INTERACTION_CREATE",
        _ => line,
    };
    match (rng.u8(..16), text(rest)) {
        (0, _) => joined(name, interaction_json(rng).as_bytes()),
        (1, _) | (_, None) => {
            let number = |rng: &mut Rng| (rng.u64(..) >> rng.u8(..64)).to_string();
            let kind = rng.u8(..7).to_string();
            let count = rng.usize(1..6);
            let lines = [kind, number(rng), number(rng), words(rng, count)];
            joined(name, lines.join("\n").as_bytes())
        }
        (_, Some(text)) if text.starts_with('{') => {
            let edited = json(rng, text, &Catalogue::shared().names);
            joined(name, edited.as_bytes())
        }
        (_, Some(text)) => joined(name, swapped(rng, text).as_bytes()),
    }
}

/// Lines with a signature and its moment, and a body: the same but for some bytes.
pub fn signature(rng: &mut Rng, input: &[u8]) -> Vec<u8> {
    if rng.u8(..4) == 0 || input.len() > LARGE {
        let digits: String = (0..128).map(|_| rng.digit(16)).collect();
        let moment = 1_700_000_000 + rng.u64(..400);
        return format!("{digits}\n{moment}\n{}", words(rng, 1)).into_bytes();
    }
    let mut input = input.to_vec();
    let at = rng.usize(..=input.len());
    match (rng.u8(..6), input.get_mut(at)) {
        (0, Some(byte)) => *byte = rng.u8(..),
        (1, Some(byte)) => *byte ^= 0x20,
        (2, Some(_)) => {
            input.remove(at);
        }
        (3, _) => input.insert(at, rng.u8(..)),
        // A digit for a digit, as most of the input are some.
        (_, Some(byte)) if byte.is_ascii_hexdigit() => *byte = b'0' + rng.u8(..10),
        _ => input.push(rng.u8(..)),
    }
    input
}

/// A packet of Opus.
pub fn opus(rng: &mut Rng, input: &[u8]) -> Vec<u8> {
    if rng.bool() || input.len() > LARGE {
        return opus_packet(rng);
    }
    let mut input = input.to_vec();
    let at = rng.usize(..=input.len());
    match (rng.u8(..4), input.get_mut(at)) {
        (0, Some(byte)) => *byte ^= 1 << rng.u8(..8),
        (1, Some(byte)) => *byte = [0, 1, 251, 252, 255][rng.usize(..5)],
        (2, Some(_)) => input.truncate(at),
        _ => input.insert(at, rng.u8(..)),
    }
    input
}

/// One that says what it is, and may have a little too much or too little of it.
fn opus_packet(rng: &mut Rng) -> Vec<u8> {
    let code = rng.u8(..4);
    let mut packet = vec![rng.u8(..32) << 3 | code];
    let lengths = |rng: &mut Rng, count: u8, packet: &mut Vec<u8>| -> usize {
        let lengths: Vec<usize> = (0..count).map(|_| some(rng, 8, 300)).collect();
        for length in lengths.iter().skip(1) {
            let rest = length.saturating_sub(252);
            let first = if *length < 252 {
                *length
            } else {
                252 + rest % 4
            };
            packet.push(u8::try_from(first).unwrap_or(u8::MAX));
            packet.extend((*length >= 252).then(|| u8::try_from(rest / 4).unwrap_or(u8::MAX)));
        }
        lengths.iter().sum()
    };
    let size = match code {
        0 => some(rng, 10, 1400),
        1 => 2 * rng.usize(..100),
        2 => lengths(rng, 2, &mut packet),
        _ => {
            let (count, is_padded, is_listed) = (rng.u8(1..9), rng.bool(), rng.bool());
            packet.push(count | u8::from(is_padded) << 6 | u8::from(is_listed) << 7);
            let padding = if is_padded { rng.usize(..600) } else { 0 };
            if is_padded {
                packet.extend(vec![255; padding / 254]);
                packet.push(u8::try_from(padding % 254).unwrap_or_default());
            }
            padding
                + match is_listed {
                    true => lengths(rng, count, &mut packet),
                    false => usize::from(count) * rng.usize(..50),
                }
        }
    };
    let size = size + usize::from(rng.u8(..8) == 0);
    packet.extend((0..size).map(|_| rng.u8(..)));
    packet
}

/// A number below one of two.
fn some(rng: &mut Rng, few: usize, many: usize) -> usize {
    let most = if rng.bool() { few } else { many };
    rng.usize(..most)
}

fn interaction_json(rng: &mut Rng) -> String {
    let mut out = String::new();
    let all = &Catalogue::shared().messages;
    let message = all.iter().find(|message| message.name() == "Interaction");
    match message {
        Some(message) => generate::object(rng, message, 4, &mut out),
        None => generate::any(rng, 4, &mut out),
    }
    out
}

/// Lines of words as a stranger could choose them.
fn words(rng: &mut Rng, count: usize) -> String {
    let words: Vec<String> = (0..count)
        .map(|_| {
            let mut word = String::new();
            for _ in 0..rng.u8(..6) {
                let times = if rng.u8(..8) == 0 {
                    rng.usize(..260)
                } else {
                    1
                };
                word.push_str(&HOSTILE[rng.usize(..HOSTILE.len())].repeat(times));
            }
            word
        })
        .collect();
    words.join("\n")
}

#[rustfmt::skip]
const HOSTILE: [&str; 24] = [
    "a", "play", ".", "*", "#", ":", " ", "\t", "\r", "\u{0}", "\u{7f}", "\u{85}", "\u{a0}", "\u{200b}", "\u{2028}",
    "\u{3000}", "\u{feff}", "\u{e9}", "\u{4e2d}", "\u{1f600}", "\u{202e}", "-", "_", "\u{fffd}",
];

/// Another word in the place of some of a text.
fn swapped(rng: &mut Rng, text: &str) -> String {
    let at = text.floor_char_boundary(rng.usize(..=text.len()));
    let until = text.floor_char_boundary(at + rng.usize(..=8).min(text.len() - at));
    format!("{}{}{}", &text[..at], words(rng, 1), &text[until..])
}

/// A text after some edits.
fn json(rng: &mut Rng, text: &str, names: &[String]) -> String {
    let mut text = text.to_owned();
    for _ in 0..=rng.u8(..4) {
        let next = edited(rng, &text, names);
        if next.len() <= LARGE {
            text = next;
        }
    }
    text
}

/// What can be edited: text, and not too long.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.len() <= LARGE).then_some(text)
}

fn joined(line: &[u8], rest: &[u8]) -> Vec<u8> {
    [line, b"\n", rest].concat()
}
