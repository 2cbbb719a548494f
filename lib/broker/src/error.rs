//! What can go wrong between a service and the broker.

use std::io;

/// The broker has ended: nothing more can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker is closed")]
pub struct Closed;

/// What the broker's task or an answer can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection that a request came by is gone; the request will come again.
    #[error("the connection that the request came by is gone")]
    Disconnected,
    /// RabbitMQ did not take an answer; the request will come again.
    #[error("RabbitMQ refused the answer")]
    Refused,
    /// Nobody reads what we write.
    #[error("cannot write to stdout, where BROKER_TYPE=stdio puts messages")]
    Stdout(#[source] io::Error),
    /// The URL is of no use.
    #[error("AMQP_URL cannot be used: {0}")]
    Url(String),
}
