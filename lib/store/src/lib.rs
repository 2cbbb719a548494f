#![doc = include_str!("../README.md")]

mod application;
mod config;
mod error;
mod fleet;
mod identify;
mod memory;
mod shard;

pub use application::{Application, Store};
pub use config::{Config, KEYS, Place};
pub use error::Error;
pub use fleet::{Fleet, Held, Lease, Phase, Plan, Replica};
pub use identify::{Limit, Pace, Permit};
pub use shard::{Acquired, Saved, Session, Shard, Status, Written};
