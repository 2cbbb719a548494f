//! Executes Discord's webhooks for workers, within their limits, and takes its webhook events: the service `gateway-webhook`,
//! whose README says what it does and how it is set up.

mod address;
mod config;
mod error;
mod foreign;
mod inbound;
mod metrics;
mod service;
mod start;

pub use config::{Config, KEYS};
pub use error::Error;
pub use start::run;
