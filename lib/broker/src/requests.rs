//! Requests of workers to a service, and the answers to them.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use wire::gateway::v1::Error as Failure;

use crate::{
    Error,
    amqp::{self, Consumer},
    body,
    queue::User,
    stdio,
};

/// The full name of the message that says why a request failed.
pub(crate) const FAILURE: &str = "gateway.v1.Error";

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
    /// Nobody can ask: over stdio all requests come by the one stdin.
    Nothing,
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
                Source::Nothing => return std::future::pending().await,
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

    /// Takes no more requests. Those that the broker has handed over already, and nobody has looked at, go back to
    /// their queue as new ones, and not as what may have been carried out before.
    pub async fn close(mut self) {
        let Source::Amqp(consumer) = &mut self.source else {
            return;
        };
        let mut left = Vec::new();
        for (call, delivery) in consumer.close().await {
            // What is no request may come again: the next one refuses it.
            let Ok(call) = call else { continue };
            left.push(Request {
                call,
                answer: Answer::Amqp(Box::new(delivery)),
                _user: User::new(self.user.queue()),
            });
        }
        let back = stream::iter(left).map(Request::hand_back);
        // They start in their order.
        back.buffered(BACK).collect::<()>().await;
    }
}

/// How many requests are handed back at once.
const BACK: usize = 64;

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
    /// How long the caller still waits, counted from when the request was taken; zero when it no
    /// longer does.
    pub timeout: Option<Duration>,
    /// From 0 to 9, the higher the more urgent.
    pub priority: u8,
    /// Whether it may have been delivered before, perhaps to a process that then died.
    pub redelivered: bool,
    /// What the caller calls itself.
    pub app_id: Option<String>,
    /// The caller's step of a trace, as W3C Trace Context has it.
    pub traceparent: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Full name of the body's message.
    pub type_name: String,
    /// The encoded message.
    pub body: Bytes,
    /// Whether it is the last of a stream.
    pub end: bool,
}

/// What came of forwarding a request.
#[must_use = "a request that nobody takes wants an answer"]
#[derive(Debug)]
pub enum Forwarded {
    /// Nobody takes requests with that routing key; here it is back.
    Nobody(Box<Request>),
    /// It is in the queues that are bound so, and settled here.
    Taken,
}

impl Request {
    /// Reads the body as the request message of the method.
    ///
    /// # Errors
    /// What the caller should be told, with the path in the body: it is no such message, or has a field
    /// that the contract does not have.
    pub fn decode<M: prost::Message + prost::Name + Default>(&self) -> Result<M, Failure> {
        body::decode(&self.call.body)
    }

    /// Hands the request on, unchanged, to whoever has bound a queue to this routing key; what is left
    /// of the caller's time goes with it. Over stdio that is nobody.
    ///
    /// # Errors
    /// It did not get through; the request will be delivered again.
    pub async fn forward(mut self, routing_key: &str) -> Result<Forwarded, Error> {
        let taken = match &mut self.answer {
            Answer::Amqp(delivery) => delivery.forward(&self.call, routing_key).await?,
            Answer::Stdio(_) => false,
        };
        if !taken {
            return Ok(Forwarded::Nobody(Box::new(self)));
        }
        self.done().await?;
        Ok(Forwarded::Taken)
    }

    /// Puts the request back into its queue as a new one: it was looked at, and nothing was done.
    pub async fn hand_back(self) {
        let key = self.call.routing_key.clone();
        // What did not get through comes again by itself, and may then look as if it had been carried out.
        match self.forward(&key).await {
            Ok(Forwarded::Taken) => {}
            Ok(Forwarded::Nobody(_)) => tracing::debug!("a request has no queue any more"),
            Err(error) => tracing::debug!(%error, "a request was not handed back"),
        }
    }

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

    /// Sends one of several answers to a streaming method; whether anybody was there to take it, as far as that
    /// shows: over RabbitMQ's direct reply-to it does not.
    ///
    /// # Errors
    /// The answer did not get through.
    pub async fn part(&mut self, type_name: &str, body: Bytes) -> Result<bool, Error> {
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
        self.send(&failed(&failure)).await?;
        if let Answer::Amqp(delivery) = &mut self.answer {
            delivery.bury(reason).await?;
        }
        self.done().await
    }

    async fn send(&mut self, reply: &Reply) -> Result<bool, Error> {
        match &mut self.answer {
            Answer::Amqp(delivery) => delivery.send_if_possible(reply).await,
            Answer::Stdio(answer) => answer.send(reply).await.map(|()| true),
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

/// Whether requests of this service may be routed by a key with this first word: the service's short
/// name, or that and what tells its instances apart, as in `ws-shard`.
pub(crate) fn fits(word: &str, service: &str) -> bool {
    let rest = word.strip_prefix(short_name(service).as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
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
    fn a_routing_key_begins_with_the_service() {
        for (word, is_fit) in [
            ("ws", true),
            ("ws-shard", true),
            ("wss", false),
            ("api", false),
        ] {
            assert_eq!(fits(word, "gateway.v1.Ws"), is_fit, "{word}");
        }
    }

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
