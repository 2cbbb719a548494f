//! Packets of Opus that workers send: exactly those of 20 ms that are made as RFC 6716 says are taken.

use futures_util::FutureExt as _;
use sound::{Error, Format, stream};

use super::Outcome;

/// Samples of a packet of 20 ms, and of the longest there is.
const SAMPLES: usize = 960;
const MOST: usize = 5760;
/// The longest frame, and the longest packet that fits into one of Discord's.
const LONGEST: usize = 1275;

/// Tries one packet.
pub(super) fn run(input: &[u8]) -> Outcome {
    let (sender, _stream) = stream(Format::Opus);
    let packet = input.to_vec().into();
    let sent = sender.send(0, vec![packet], true).now_or_never();
    let sent = sent.expect("there is room for one packet");
    let is_taken = input.len() <= LONGEST && samples(input) == Some(SAMPLES);
    match &sent {
        Ok(_) => assert!(is_taken, "it is no packet of 20 ms"),
        Err(error) => {
            assert!(matches!(error, Error::Frame { sequence: 0, .. }), "{error}");
            assert!(!is_taken, "{error}");
        }
    }
    match sent {
        Ok(_) => Outcome::Accepted,
        Err(_) => Outcome::Refused,
    }
}

/// How many samples a packet has at 48 kHz; `None` for what is none.
///
/// See [RFC 6716](https://www.rfc-editor.org/rfc/rfc6716#section-3).
fn samples(packet: &[u8]) -> Option<usize> {
    let (head, rest) = packet.split_first()?;
    let config = usize::from(head >> 3);
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][config % 4],
        12..16 => [480, 960][config % 2],
        _ => [120, 240, 480, 960][config % 4],
    };
    let lengths = match head & 3 {
        0 => vec![rest.len()],
        1 => equal(2, rest.len())?,
        2 => listed(2, rest)?,
        _ => several(rest, frame)?,
    };
    let is_sound = lengths.iter().all(|length| *length <= LONGEST);
    is_sound.then_some(lengths.len() * frame)
}

/// The lengths of frames that are told one by one, but for the last, which has the rest.
fn listed(count: usize, bytes: &[u8]) -> Option<Vec<usize>> {
    let (mut bytes, mut lengths) = (bytes, Vec::new());
    for _ in 1..count {
        let (first, rest) = bytes.split_first()?;
        bytes = rest;
        let mut length = usize::from(*first);
        if length >= 252 {
            let (second, rest) = bytes.split_first()?;
            bytes = rest;
            length += 4 * usize::from(*second);
        }
        lengths.push(length);
    }
    let last = bytes.len().checked_sub(lengths.iter().sum())?;
    lengths.push(last);
    Some(lengths)
}

fn equal(count: usize, bytes: usize) -> Option<Vec<usize>> {
    bytes
        .is_multiple_of(count)
        .then(|| vec![bytes / count; count])
}

/// Any number of frames, with padding behind them.
fn several(bytes: &[u8], frame: usize) -> Option<Vec<usize>> {
    let (head, mut bytes) = bytes.split_first()?;
    let count = usize::from(head & 0x3f);
    if count == 0 || count * frame > MOST {
        return None;
    }
    if head & 0x40 != 0 {
        let mut padding = 0;
        loop {
            let (length, rest) = bytes.split_first()?;
            bytes = rest;
            padding += usize::from(*length).min(254);
            if *length < 255 {
                break;
            }
        }
        bytes = &bytes[..bytes.len().checked_sub(padding)?];
    }
    match head & 0x80 {
        0 => equal(count, bytes.len()),
        _ => listed(count, bytes),
    }
}
