//! Random JSON by descriptor: mostly what Discord could send, some of it odd.

use std::fmt::Write;

use fastrand::Rng;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::catalogue::{Catalogue, Subject};
use crate::render::is_own;

/// A number of bytes from which on no more members are added.
const LARGE: usize = 4096;

/// An event or message, with a payload of its type.
pub fn subject(rng: &mut Rng) -> (Subject<'static>, String) {
    let catalogue = Catalogue::shared();
    let subject = match rng.u8(..8) {
        0 => Subject::Unknown("SOMETHING_NEW"),
        1..4 => Subject::Message(&catalogue.messages[rng.usize(..catalogue.messages.len())]),
        _ => Subject::Event(&catalogue.events[rng.usize(..catalogue.events.len())]),
    };
    let mut out = String::new();
    match subject.message() {
        Some(message) => object(rng, message, 4, &mut out),
        None => any(rng, 3, &mut out),
    }
    (subject, out)
}

/// An object of this type.
pub fn object(rng: &mut Rng, message: &MessageDescriptor, depth: u32, out: &mut String) {
    // Most members are there in some objects, hardly any in others.
    let share = [10, 40, 90][rng.usize(..3)];
    out.push('{');
    let mut first = true;
    for field in message.fields().filter(|field| !is_own(field)) {
        if rng.u8(..100) >= share || out.len() > LARGE {
            continue;
        }
        if !first {
            out.push(',');
        }
        first = false;
        print(out, format_args!("\"{}\":", field.name()));
        match rng.u8(..40) {
            0..3 => out.push_str("null"),
            3 => any(rng, 2, out),
            _ => whole_field(rng, &field, depth, out),
        }
    }
    out.push('}');
}

fn whole_field(rng: &mut Rng, field: &FieldDescriptor, depth: u32, out: &mut String) {
    let kind = field.kind();
    if !field.is_list() && !field.is_map() {
        return one(rng, &kind, depth, out);
    }
    let count = rng.usize(..4);
    let (open, close) = if field.is_map() {
        ('{', '}')
    } else {
        ('[', ']')
    };
    out.push(open);
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        match kind.as_message().filter(|_| field.is_map()) {
            Some(entry) => {
                one(rng, &entry.map_entry_key_field().kind(), depth, out);
                out.push(':');
                one(rng, &entry.map_entry_value_field().kind(), depth, out);
            }
            None => one(rng, &kind, depth, out),
        }
    }
    out.push(close);
}

fn one(rng: &mut Rng, kind: &Kind, depth: u32, out: &mut String) {
    match kind {
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => moment(rng, out),
            "google.protobuf.Value" => any(rng, 3, out),
            _ if depth == 0 => out.push_str("{}"),
            _ => object(rng, message, depth - 1, out),
        },
        Kind::Bool => print(out, rng.bool()),
        Kind::Double => number(rng, out),
        Kind::Fixed64 | Kind::Uint64 => digits(rng, out),
        Kind::String => text(rng, out),
        _ if rng.u8(..30) == 0 => number(rng, out),
        _ => print(out, rng.u32(..) >> rng.u8(..32)),
    }
}

/// Any JSON.
pub fn any(rng: &mut Rng, depth: u32, out: &mut String) {
    match rng.u8(..if depth == 0 { 6 } else { 9 }) {
        0 => out.push_str(odd(rng)),
        1 => text(rng, out),
        2 => number(rng, out),
        3 => digits(rng, out),
        4 => moment(rng, out),
        5 => out.push_str(
            rng.choice(["null", "true", "false", "{}", "[]"])
                .unwrap_or_default(),
        ),
        6 => {
            out.push('[');
            for index in 0..rng.u8(..4) {
                out.push_str(if index > 0 { "," } else { "" });
                any(rng, depth - 1, out);
            }
            out.push(']');
        }
        _ => {
            out.push('{');
            for index in 0..rng.u8(..4) {
                out.push_str(if index > 0 { "," } else { "" });
                text(rng, out);
                out.push(':');
                any(rng, depth - 1, out);
            }
            out.push('}');
        }
    }
}

/// A value that is at the edge of what some type can hold, or of how it is written.
pub fn odd(rng: &mut Rng) -> &'static str {
    ODD[rng.usize(..ODD.len())]
}

#[rustfmt::skip]
const ODD: [&str; 64] = [
    "null", "true", "false", "{}", "[]", "\"\"", "[null]", "[[]]", "[{}]", "{\"\":null}", "{\"1\":{}}", "{\"01\":{}}",
    "0", "-0", "-1", "1.0", "-0.0", "0.5", "1e3", "1E-3", "1e400", "5e-324", "1e21", "0.30000000000000004",
    "127", "128", "16384", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296",
    "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "18446744073709551615", "18446744073709551616",
    "\"0\"", "\"00\"", "\"18446744073709551615\"", "\"18446744073709551616\"", "\"00000000000000000001\"",
    "\"\\u0031\"", "\"-1\"", "\"1 \"", "\"123456789012345678901\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ude00\"",
    "\"\\u0000\"", "\"\u{1f600}\"",
    "\"2026-11-20T09:08:07+00:00\"", "\"2026-11-20T09:08:07.000000+00:00\"", "\"2026-11-20T09:08:07Z\"",
    "\"0001-01-01T00:00:00+00:00\"", "\"9999-12-31T23:59:59.999999+00:00\"", "\"0000-12-31T23:59:59-01:00\"",
    "\"2023-02-29T00:00:00+00:00\"", "\"2024-02-29T00:00:00.1+01:30\"", "\"2026-11-20T24:00:00+00:00\"",
    "\"1969-12-31T23:59:59.999999+00:00\"",
];

fn number(rng: &mut Rng, out: &mut String) {
    let whole = rng.u64(..) >> rng.u8(..64);
    match rng.u8(..8) {
        0..3 => print(out, whole),
        3..5 => print(out, format_args!("{whole}.{}", rng.u16(..))),
        5 => print(out, format_args!("-{whole}")),
        6 => print(out, format_args!("{whole}e{}", rng.i16(-400..400))),
        _ => {
            let number = f64::from_bits(rng.u64(..));
            print(out, if number.is_finite() { number } else { 0.1 });
        }
    }
}

/// A number in a string.
fn digits(rng: &mut Rng, out: &mut String) {
    match rng.u8(..40) {
        0 => out.push_str(odd(rng)),
        1 => print(out, rng.u64(..)),
        _ => print(out, format_args!("\"{}\"", rng.u64(..) >> rng.u8(..64))),
    }
}

fn moment(rng: &mut Rng, out: &mut String) {
    let (year, month, day) = (rng.u16(1900..2100), rng.u8(1..13), rng.u8(1..30));
    let (hour, minute, second) = (rng.u8(..24), rng.u8(..60), rng.u8(..60));
    print(
        out,
        format_args!("\"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"),
    );
    match rng.u8(..4) {
        0 => print(out, format_args!(".{:06}", rng.u32(..1_000_000))),
        1 => print(out, format_args!(".{}", rng.u32(..))),
        _ => {}
    }
    let zone = ["+00:00", "+00:00", "+00:00", "+00:00", "Z", "-05:30"];
    out.push_str(zone[rng.usize(..zone.len())]);
    out.push('"');
}

fn text(rng: &mut Rng, out: &mut String) {
    out.push('"');
    let longest = [3, 12, 40][rng.usize(..3)];
    for _ in 0..rng.u8(..longest) {
        match rng.u8(..32) {
            0 => {
                let escapes = ["\\n", "\\\"", "\\\\", "\\/", "\\b\\f\\r\\t", "\\u00e9"];
                out.push_str(escapes[rng.usize(..escapes.len())]);
            }
            1 => {
                out.push_str(["\\ud83d\\ude00", "\u{1f600}", "\u{20ac}", "\u{7f}"][rng.usize(..4)])
            }
            2 => out.push_str("a run of plain text"),
            3 => print(out, format_args!("\\u00{:02x}", rng.u8(..0x20))),
            _ => out.push(rng.alphanumeric()),
        }
    }
    out.push('"');
}

fn print(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a string takes all that is written");
}
