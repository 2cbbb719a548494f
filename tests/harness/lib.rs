//! What the scenarios stand on: servers of their own, private and gone with the test run.

pub mod log;
pub mod rabbitmq;
pub mod redis;
pub mod server;
pub mod service;
