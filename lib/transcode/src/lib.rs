#![doc = include_str!("../README.md")]

mod envelope;
mod error;
mod frame;
mod ids;
mod keys;
mod scan;
mod table;
mod transcoder;
mod walk;
mod write;

pub use envelope::{Envelope, Lanes};
pub use error::{Error, Member};
pub use frame::{Frame, Payload};
pub use ids::Ids;
pub use transcoder::{Encoded, Lane, Scratch, Transcoder};
