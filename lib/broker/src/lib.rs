//! The way to and from the workers: AMQP, or this process' own stdin and stdout.
#![doc = include_str!("../README.md")]

mod amqp;
mod broker;
mod config;
mod error;
mod lane;
mod message;
mod metrics;
mod queue;
mod requests;
mod ring;
mod stdio;

pub use broker::Broker;
pub use config::{Config, KEYS, Kind, Spool};
pub use error::{Closed, Error};
pub use lane::Lane;
pub use message::{Batch, Exchange, Message, Value};
pub use requests::{Call, Request, Requests};
