#![doc = include_str!("../README.md")]

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
