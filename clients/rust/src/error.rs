//! What can go wrong, by what the caller does about it.

use wire::gateway::v1::Error as Failure;

/// Why a consumer cannot be made, or an event cannot be settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The connection that the event came by is gone: RabbitMQ gives the event out again.
    #[error("the connection that the event came by is gone; the event will come again")]
    Disconnected,
    /// An option cannot be used as it is.
    #[error("{0}")]
    Option(String),
    /// The broker's URL cannot be used.
    #[error("the broker's URL cannot be used: {0}")]
    Url(String),
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The answer is not what the contract says, so the service is of another version.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
    /// The service did not do it, and says why: `code` tells whether to try again.
    #[error("{:?}: {}", .0.code(), .0.message)]
    Failed(Box<Failure>),
    /// The answers end before their end: the connection broke after the request was sent, the
    /// [`Requests`](crate::Requests) were closed, or more answers came than the caller read. The
    /// request may have been carried out or not.
    #[error("the connection was lost before the whole answer came")]
    Lost,
    /// The contract has no such method, or not with these messages. Repeating cannot help.
    #[error("{0}")]
    Method(String),
    /// No service takes such requests at the moment; nothing was carried out.
    #[error("no service takes requests with the routing key {0}: is it running?")]
    NoService(String),
    /// No answer came in time. Without a connection nothing was sent; otherwise the request may
    /// have been carried out or not.
    #[error("no answer came in time")]
    TimedOut,
}
