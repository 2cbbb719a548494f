#![doc = include_str!("../README.md")]

mod connection;
mod down;
mod place;
mod returns;
mod settle;
mod tls;

pub use connection::{Channels, Connection, answer};
pub use down::{Down, Stage};
pub use place::Place;
pub use returns::Returns;
pub use settle::{PERSISTENT, carried, dead_letter, put_back, settled};
pub use tls::Tls;

/// What AMQP allows for a routing key, an id or a name: its length travels in one byte.
pub const SHORT_STRING: usize = 255;
