//! What is fuzzed.

mod frame;
mod opus;
mod parse;
mod render;
mod routing;
mod signature;

use std::collections::BTreeSet;

use prost_reflect::MessageDescriptor;

use crate::json::Value;
use crate::mutate;
use crate::render::is_own;

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its corpus, and of its program.
    pub name: &'static str,
    /// Tries one input, and panics if something is wrong.
    pub run: fn(&[u8]) -> Outcome,
    /// Makes an input like another one.
    pub mutate: fn(&mut fastrand::Rng, &[u8]) -> Vec<u8>,
}

/// What became of an input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was taken.
    Accepted,
    /// It was not what it should be, and that was noticed.
    Refused,
}

/// From JSON to protobuf.
pub const PARSE: Target = Target {
    name: "parse",
    run: parse::run,
    mutate: mutate::payload,
};

/// The heads of gateway frames.
pub const FRAME: Target = Target {
    name: "frame",
    run: frame::run,
    mutate: mutate::frame,
};

/// Packets of Opus.
pub const OPUS: Target = Target {
    name: "opus",
    run: opus::run,
    mutate: mutate::opus,
};

/// From protobuf to JSON.
pub const RENDER: Target = Target {
    name: "render",
    run: render::run,
    mutate: mutate::message,
};

/// Routing keys of events.
pub const ROUTING: Target = Target {
    name: "routing",
    run: routing::run,
    mutate: mutate::interaction,
};

/// Signatures of requests.
pub const SIGNATURE: Target = Target {
    name: "signature",
    run: signature::run,
    mutate: mutate::signature,
};

/// All of them.
pub const ALL: [Target; 6] = [FRAME, OPUS, PARSE, RENDER, ROUTING, SIGNATURE];

/// Whether an object has a member twice that the message has a field for.
fn repeats_known(message: &MessageDescriptor, object: &Value<'_>) -> bool {
    let Value::Object(members) = object else {
        return false;
    };
    let mut seen = BTreeSet::new();
    members.iter().any(|member| {
        let name = member.key.chars().unwrap_or_default();
        let field = message.get_field_by_name(name);
        field.is_some_and(|field| !is_own(&field) && !seen.insert(field.number()))
    })
}
