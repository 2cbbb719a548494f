//! The way to and from the workers: AMQP, or this process' own stdin and stdout.
#![doc = include_str!("../README.md")]

mod amqp;
mod body;
mod broker;
mod client;
mod config;
mod error;
mod lane;
mod message;
mod metrics;
mod owned;
mod queue;
mod requests;
mod ring;
mod stdio;

pub use broker::Broker;
pub use client::{Client, Replies};
pub use config::{Config, KEYS, Kind};
pub use error::{CallError, Closed, Error};
pub use lane::Lane;
pub use message::{Exchange, Message, Value};
pub use owned::{Bindings, Owned};
pub use requests::{Call, Forwarded, Reply, Request, Requests};
