#![doc = include_str!("../README.md")]

mod application;
mod call;
mod client;
mod config;
mod desk;
mod error;
mod failure;
mod files;
mod gateway;
mod metrics;
mod operations;
mod repeat;
mod requests;
mod serve;
mod sharing;

pub use application::Application;
pub use call::{Answer, Call, Token};
pub use client::{is_ours, leave_out};
pub use config::{Config, GLOBAL_LIMIT, KEYS};
pub use error::Error;
pub use failure::Failure;
pub use files::FileError;
pub use gateway::Gateway;
pub use requests::{Errand, Method, Place, Response, Service, query};
pub use serve::serve;
