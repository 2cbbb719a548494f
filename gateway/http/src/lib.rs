//! Takes interactions that Discord sends over HTTP, and answers them with what workers reply: the service `gateway-http`, whose
//! README says what it does and how it is set up.

mod check;
mod config;
mod conversation;
mod endpoint;
mod error;
mod event;
mod ledger;
mod metrics;
mod pattern;
mod replies;
mod reply;
mod start;

pub use config::{Config, KEYS};
pub use error::Error;
pub use start::run;
