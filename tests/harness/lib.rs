//! What the scenarios stand on: servers of their own, private and gone with the test run.

pub mod balancer;
pub mod chaos;
pub mod cluster;
pub mod counter;
pub mod deployment;
pub mod fleet;
pub mod interactions;
pub mod log;
pub mod passing;
pub mod rabbitmq;
pub mod redis;
pub mod server;
pub mod service;
pub mod sound;
pub mod tally;

/// Lets this process use TLS, which a client needs also where it speaks plain HTTP.
pub fn crypto() {
    // It fails when there is a default already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}
