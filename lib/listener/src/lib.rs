#![doc = include_str!("../README.md")]

mod body;
mod config;
mod connection;
mod error;
mod proxies;
mod refusals;
mod signed;
mod socket;
mod tls;

pub use body::{Bodies, Body, BodyError};
pub use config::{CLIENT_CA, Config, KEYS};
pub use connection::Answer;
pub use error::Error;
pub use proxies::Proxies;
pub use refusals::Refusals;
pub use signed::{Refusal, Signed, Verified};
pub use socket::{Listener, Protocols};
pub use tls::Tls;
