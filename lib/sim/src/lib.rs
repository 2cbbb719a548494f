//! A Discord to test against.
#![doc = include_str!("../README.md")]

pub mod cli;
mod clock;
mod compress;
mod config;
mod error;
mod events;
mod faults;
mod gateway;
mod generator;
mod guilds;
mod http;
pub mod intents;
mod interactions;
mod json;
mod ledger;
mod names;
mod orders;
mod rest;
mod sim;
mod state;
mod violations;
mod voice;
mod world;

pub use compress::Transport;
pub use config::Config;
pub use error::Error;
pub use events::{Attempt, Delivery, WebhookEvent};
pub use faults::{Faults, Times};
pub use gateway::connections::{Connection, Door, End, Side};
pub use generator::{EmitRequest, Mix, Progress};
pub use interactions::{Interact, Interacted, InteractionKind, Interactions, Signature};
pub use orders::Dispatch;
pub use rest::{Limit, Request, RestConfig, RestState, Scope, Window};
pub use sim::Sim;
pub use state::{
    Emitted, EmittedQuery, EmittedSession, SessionStartLimit, SessionState, ShardIdentifies, State,
};
pub use violations::{Kind, Violation};
pub use voice::VoiceOrder;
pub use world::Urls;
