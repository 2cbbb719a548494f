#![doc = include_str!("../README.md")]

pub mod close;
pub mod config;
pub mod error;
pub mod limit;
pub mod opcode;
pub mod rest;
pub mod route;
pub mod signature;

pub use error::Error;
pub use rest::Rest;
