//! Carries out requests to Discord's HTTP API, for workers that have no token, within its limits: the service
//! `gateway-api`, whose README says what it does and how it is set up.

mod config;
mod error;
mod helpers;
mod http_errors;
mod listener;
mod raw;
mod service;
mod start;

pub use config::{Config, KEYS};
pub use error::Error;
pub use outbound::{Answer, Call, Failure, Gateway, Token};
pub use start::run;
