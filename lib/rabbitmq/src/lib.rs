#![doc = include_str!("../README.md")]

mod connection;
mod down;
mod place;
mod returns;
mod settle;

pub use connection::{Channels, Connection, answer};
pub use down::{Down, Stage};
pub use place::Place;
pub use returns::Returns;
pub use settle::{PERSISTENT, dead_letter, let_go, put_back, settled};

/// What AMQP allows for a routing key, an id or a name: its length travels in one byte.
pub const SHORT_STRING: usize = 255;
