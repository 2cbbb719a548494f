#![doc = include_str!("../README.md")]

mod board;
mod command;
mod config;
mod connection;
mod error;
mod event;
mod intents;
mod keeper;
mod metrics;
mod once;
mod session;
mod shard;
mod shared;
mod start;
mod store;

pub use config::{Config, KEYS};
pub use error::Error;
pub use start::run;
