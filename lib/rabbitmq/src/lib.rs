#![doc = include_str!("../README.md")]

mod connection;
mod down;
mod place;

pub use connection::{Channels, Connection, answer};
pub use down::{Down, Stage};
pub use place::Place;

/// What AMQP allows for a routing key, an id or a name: its length travels in one byte.
pub const SHORT_STRING: usize = 255;
