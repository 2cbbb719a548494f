#![doc = include_str!("../README.md")]

mod advice;
mod application;
mod assignment;
mod board;
mod command;
mod config;
mod connection;
mod error;
mod event;
mod identify;
mod intents;
mod keeper;
mod loss;
mod metrics;
mod once;
mod outage;
mod owner;
mod pace;
mod pulse;
mod reshard;
mod session;
mod shard;
mod shared;
mod start;
mod status;
mod switch;

pub use config::{Config, KEYS};
pub use error::Error;
pub use start::run;
