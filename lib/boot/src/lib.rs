//! How every service begins, runs and ends.
#![doc = include_str!("../README.md")]
//!
//! # Logging
//!
//! - A message can be read alone. It says what happened, in the words of the operator, without
//!   its fields: `the session was resumed`, not `ok` and not `resumed {} {}`.
//! - What varies is a field, and identifiers always are: `shard`, `guild_id`, `sequence`, `event`.
//!   The names are those of the `.proto` files. Two log lines about one thing have one message.
//! - The level says who has to act. `error`: the service stops, or something is lost, and a person
//!   must act. `warn`: it goes on by itself, but somebody should look when it happens often.
//!   `info`: what an operator wants to see in a quiet hour: start, stop, connect, disconnect,
//!   resume. `debug`: one line per step, for whoever searches a fault. `trace`: one line per message.
//! - Never per event above `trace`: what happens a thousand times a second is a metric.
//! - Never a payload, a token, a URL with a password, or the text of a message that people wrote.
//!   Boot replaces the configured secrets in the output, but that is a net and not a licence.
//! - An error is logged once, where it is handled, with [`chain`], and not on each storey it passes.

mod admin;
mod cli;
pub mod config;
mod context;
mod error;
mod health;
mod log;
pub mod metrics;
mod orders;
mod outlets;
mod plan;
mod post;
mod probe;
mod redact;
mod service;
mod signals;
mod tasks;
mod trace;
mod webhook;

pub use backoff::Backoff;
pub use config::{Key, Mistakes, Parse, Reader, Size};
pub use context::Context;
pub use error::{BoxError, Error, chain};
pub use health::{Check, Health};
pub use metrics::Metrics;
pub use orders::{Order, Orders};
pub use plan::KEYS;
pub use secrecy::{ExposeSecret, SecretString};
pub use service::{main, main_with_orders};
pub use tasks::{Outcome, Tasks};
pub use tokio_util::sync::CancellationToken;
pub use trace::{Span, Traces};
