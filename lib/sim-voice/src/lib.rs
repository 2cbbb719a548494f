//! The voice half of a Discord to test against.
#![doc = include_str!("../README.md")]

mod call;
mod certificate;
mod client;
mod config;
mod connection;
mod dave;
mod ear;
mod error;
mod hall;
mod payload;
mod rtp;
mod server;
mod session;
mod state;
mod sync;
mod tone;
mod transport;
mod udp;
mod violations;

pub use certificate::Certificate;
pub use config::{Faults, Settings, Times};
pub use error::Error;
pub use payload::Snowflake;
pub use server::{Config, Speak, Target, VoiceServer, wait_for};
pub use session::Grant;
pub use state::{CallState, ClientState, Heard, State};
pub use sync::lock;
pub use violations::{Kind, Violation, Watcher};
