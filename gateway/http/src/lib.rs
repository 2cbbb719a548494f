//! Takes interactions that Discord sends over HTTP, and answers them with what workers reply: the service `gateway-http`, whose
//! README says what it does and how it is set up.

mod config;
mod endpoint;
mod error;
mod event;
mod metrics;
mod start;

pub use config::{Config, KEYS};
pub use error::Error;
pub use start::run;
