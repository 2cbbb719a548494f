//! Carries out requests to Discord's HTTP API, for workers that have no token, within its limits: the service
//! `gateway-api`, whose README says what it does and how it is set up.

mod call;
mod client;
mod config;
mod desk;
mod error;
mod failure;
mod files;
mod gateway;
mod helpers;
mod listener;
mod metrics;
mod operations;
mod repeat;
mod requests;
mod sharing;
mod start;

pub use call::{Answer, Call, Token};
pub use config::{Config, KEYS};
pub use error::Error;
pub use failure::Failure;
pub use files::FileError;
pub use gateway::Gateway;
pub use start::run;
