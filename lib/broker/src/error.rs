//! What can go wrong between a service and the broker.

use std::{io, time::Duration};

use wire::gateway::v1::{Code, Error as Failure};

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

/// Why a request to others has no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// There is no connection to the broker, or it was lost: what came of the request is not known.
    #[error("there is no connection to RabbitMQ")]
    Away,
    /// Too many requests wait for replies already.
    #[error("too many requests wait for replies already")]
    Busy,
    /// The one who was asked says that it failed.
    #[error("{}", .0.message)]
    Failed(Box<Failure>),
    /// No reply came in time.
    #[error("no reply came within {0:?}")]
    Late(Duration),
    /// Nobody takes requests with this routing key.
    #[error("nobody takes requests with the routing key {0}")]
    Nobody(String),
    /// What came is no reply.
    #[error("the reply cannot be read")]
    Odd,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let code = match &error {
            CallError::Away | CallError::Nobody(_) => Code::Unavailable,
            CallError::Busy => Code::ResourceExhausted,
            CallError::Failed(failure) => return failure.as_ref().clone(),
            CallError::Late(_) => Code::DeadlineExceeded,
            CallError::Odd => Code::Internal,
        };
        Self {
            code: code.into(),
            message: error.to_string(),
            ..Self::default()
        }
    }
}
