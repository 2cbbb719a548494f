#![doc = include_str!("../README.md")]

mod audio;
mod ears;
mod error;
mod file;
mod files;
mod order;
mod recording;
mod speaking;
mod speech;
mod tally;

pub use audio::Format;
pub use ears::{Call, Ears};
pub use error::Error;
pub use recording::{Recording, Stopped};
pub use tally::Tally;
