#![doc = include_str!("../README.md")]

mod ahead;
mod careful;
mod config;
mod demuxer;
mod error;
mod feed;
mod files;
mod frames;
mod guard;
mod health;
mod media;
mod pace;
mod remote;
mod resolver;
mod sources;
mod stereo;
mod stream;
mod web;

pub use config::{Config, KEYS};
pub use error::Error;
pub use health::Health;
pub use pace::Taken;
pub use sources::{Opened, Source, Sources};
pub use stream::{Format, Stream, StreamSender, stream};
