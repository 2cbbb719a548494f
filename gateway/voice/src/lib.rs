//! Calls that workers steer by message: the service `gateway-voice`, whose README says what it does and how it is set up.

mod call;
mod calls;
mod config;
mod driver;
mod error;
mod failure;
mod handshake;
mod heard;
mod herald;
mod load;
mod metrics;
mod order;
mod owner;
mod present;
mod queue;
mod recorder;
mod saved;
mod service;
mod start;
mod track;

pub use config::{Config, KEYS};
pub use error::Error;
pub use start::run;
