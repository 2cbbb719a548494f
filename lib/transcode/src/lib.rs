#![doc = include_str!("../README.md")]

mod envelope;
mod error;
mod event;
mod frame;
mod ids;
mod keys;
mod level;
mod normal;
mod path;
mod read;
mod render;
mod scan;
mod schema;
mod scratch;
mod table;
mod transcoder;
mod walk;
mod write;

pub use envelope::{Envelope, Lanes};
pub use error::{Error, Member, Mistake, ParseError, RenderError};
pub use event::Rendered;
pub use frame::{Frame, Payload};
pub use ids::Ids;
pub use schema::{Schema, Shape};
pub use scratch::Scratch;
pub use transcoder::{Data, Encoded, Lane, Transcoder};
