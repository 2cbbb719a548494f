//! The way to and from the workers: AMQP, or this process' own stdin and stdout.
#![doc = include_str!("../README.md")]

mod amqp;
mod batch;
mod body;
mod broker;
mod client;
mod config;
mod error;
mod events;
mod lane;
mod live;
mod message;
mod metrics;
mod owned;
mod questions;
mod queue;
mod requests;
mod ring;
mod spool;
mod stdio;

pub use batch::{Batch, EventBatch};
pub use broker::Broker;
pub use client::{Client, Replies};
pub use config::{Config, KEYS, Kind, Spool};
pub use error::{CallError, Closed, Error};
pub use events::Events;
pub use lane::Lane;
pub use live::{Live, Shot};
pub use message::{Exchange, Message, Value, Wanted};
pub use owned::{Bindings, Owned};
pub use questions::{Answer, Answers, AskError, Questions, Receipt};
pub use requests::{Call, Forwarded, Reply, Request, Requests};
