//! Requests of workers to a service, and the answers to them.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use wire::gateway::v1::Error as Failure;

use crate::{
    Error,
    amqp::{self, Consumer},
    queue::User,
    stdio,
};

/// The full name of the message that says why a request failed.
const FAILURE: &str = "gateway.v1.Error";

/// The requests to one service of one application, in the order in which they come.
///
/// While it exists, the broker stays open: drop it when no more requests are taken.
#[derive(Debug)]
pub struct Requests {
    source: Source,
    user: User,
}

#[derive(Debug)]
pub(crate) enum Source {
    Amqp(Box<Consumer>),
    Stdio(stdio::Input),
}

impl Requests {
    pub(crate) fn new(source: Source, user: User) -> Self {
        Self { source, user }
    }

    /// The next request; it waits for ever when none comes. Cancel safe.
    ///
    /// What is no request at all has been answered, if it says where to, and put into the
    /// dead-letter exchange by then.
    pub async fn next(&mut self) -> Request {
        loop {
            let (call, answer) = match &mut self.source {
                Source::Amqp(consumer) => {
                    let (call, delivery) = consumer.next().await;
                    (call, Answer::Amqp(Box::new(delivery)))
                }
                Source::Stdio(input) => {
                    let (call, answer) = input.next().await;
                    (call, Answer::Stdio(answer))
                }
            };
            let user = User::new(self.user.queue());
            let mut request = Request {
                call: Call::default(),
                answer,
                _user: user,
            };
            match call {
                Ok(call) => {
                    request.call = call;
                    return request;
                }
                Err(reason) => refuse(request, reason).await,
            }
        }
    }
}

/// Answers what is no request, and keeps it where somebody can look at it.
async fn refuse(request: Request, reason: String) {
    tracing::debug!(reason, "a message among the requests is no request");
    if let Err(error) = request.refuse(&reason).await {
        tracing::debug!(%error, "it was not refused, and will come again");
    }
}

/// What a caller wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Full name of the method, such as `gateway.v1.Ws/Send`.
    pub method: String,
    /// The key that the request was routed by: `<service>.<Method>.<application_id>[.<target>]`.
    pub routing_key: String,
    /// The encoded request message.
    pub body: Bytes,
    /// Where the answer goes. Without it nobody waits for one.
    pub reply_to: Option<String>,
    /// What the caller knows the answer by.
    pub correlation_id: Option<String>,
    /// How long the caller waits, counted from when the request was sent.
    pub timeout: Option<Duration>,
    /// From 0 to 9, the higher the more urgent.
    pub priority: u8,
    /// Whether it may have been delivered before, perhaps to a process that then died.
    pub redelivered: bool,
}

/// A request that waits for its answer.
///
/// Each is delivered at least once: one that is dropped without an answer is delivered again.
#[must_use = "a request that is dropped without an answer is delivered again"]
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub call: Call,
    answer: Answer,
    _user: User,
}

#[derive(Debug)]
enum Answer {
    Amqp(Box<amqp::Delivery>),
    Stdio(stdio::Answer),
}

/// One reply to a request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Full name of the body's message.
    pub(crate) type_name: String,
    /// The encoded message.
    pub(crate) body: Bytes,
    /// Whether it is the last of a stream.
    pub(crate) end: bool,
}

impl Request {
    /// Answers with the method's response message, encoded, and settles the request.
    ///
    /// # Errors
    /// The answer did not get through; the request will be delivered again.
    pub async fn reply(self, type_name: &str, body: Bytes) -> Result<(), Error> {
        self.settle(Reply {
            type_name: type_name.to_owned(),
            body,
            end: false,
        })
        .await
    }

    /// Says why the request failed, and settles it.
    ///
    /// # Errors
    /// The answer did not get through; the request will be delivered again.
    pub async fn fail(self, failure: &Failure) -> Result<(), Error> {
        self.settle(failed(failure)).await
    }

    /// Sends one of several answers to a streaming method.
    ///
    /// # Errors
    /// The answer did not get through.
    pub async fn part(&mut self, type_name: &str, body: Bytes) -> Result<(), Error> {
        self.send(&Reply {
            type_name: type_name.to_owned(),
            body,
            end: false,
        })
        .await
    }

    /// Sends the last answer of a streaming method, marked with the header `end`, and settles the
    /// request.
    ///
    /// # Errors
    /// The answer did not get through; the request will be delivered again.
    pub async fn end(self, type_name: &str, body: Bytes) -> Result<(), Error> {
        self.settle(Reply {
            type_name: type_name.to_owned(),
            body,
            end: true,
        })
        .await
    }

    async fn settle(mut self, reply: Reply) -> Result<(), Error> {
        self.send(&reply).await?;
        self.done().await
    }

    async fn refuse(mut self, reason: &str) -> Result<(), Error> {
        let failure = Failure {
            code: wire::gateway::v1::Code::InvalidArgument.into(),
            message: reason.to_owned(),
            ..Failure::default()
        };
        match &mut self.answer {
            Answer::Amqp(delivery) => {
                delivery.send_if_possible(&failed(&failure)).await?;
                delivery.bury(reason).await?;
            }
            Answer::Stdio(answer) => answer.send(&failed(&failure)).await?,
        }
        self.done().await
    }

    async fn send(&mut self, reply: &Reply) -> Result<(), Error> {
        match &mut self.answer {
            Answer::Amqp(delivery) => delivery.send_if_possible(reply).await,
            Answer::Stdio(answer) => answer.send(reply).await,
        }
    }

    async fn done(&mut self) -> Result<(), Error> {
        match &mut self.answer {
            Answer::Amqp(delivery) => delivery.ack().await,
            Answer::Stdio(_) => Ok(()),
        }
    }
}

fn failed(failure: &Failure) -> Reply {
    Reply {
        type_name: FAILURE.to_owned(),
        body: failure.encode_to_vec().into(),
        end: false,
    }
}

/// The full name of a method, taken apart: `gateway.v1.Ws/Send` is service `gateway.v1.Ws` and
/// method `Send`.
pub(crate) fn split(method: &str) -> Option<(&str, &str)> {
    let (service, name) = method.split_once('/')?;
    let is_name = |text: &str| {
        text.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            && text.starts_with(|letter: char| letter.is_ascii_alphabetic())
    };
    (is_name(name) && service.split('.').all(is_name)).then_some((service, name))
}

/// What requests call a service: the last part of its name, in lower case.
pub(crate) fn short_name(service: &str) -> String {
    service
        .rsplit('.')
        .next()
        .unwrap_or(service)
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_taken_apart() {
        assert_eq!(split("gateway.v1.Ws/Send"), Some(("gateway.v1.Ws", "Send")));
        assert_eq!(short_name("gateway.v1.Ws"), "ws");
        for wrong in [
            "",
            "/",
            "a/",
            "/b",
            "gateway.v1.Ws",
            "a..b/C",
            "a/b/c",
            "a/b c",
            "1a/b",
        ] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }
}
