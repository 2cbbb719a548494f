//! Events that want an answer, and the answers of workers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use boot::CancellationToken;
use bytes::Bytes;
use lapin::{Acker, BasicProperties};
use prost::Message as _;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use wire::gateway::v1::Error as Failure;

use crate::{Exchange, Message, amqp, queue::User, requests::FAILURE};

/// How many answers may wait to be looked at. RabbitMQ keeps the others.
pub(crate) const ANSWERS: usize = 256;

/// How many messages may wait to be sent. Whoever has one more waits.
pub(crate) const ORDERS: usize = 256;

/// How long it may take to tell a worker what was wrong with its answer.
const TELL: Duration = Duration::from_secs(5);

/// Asks workers; cheap to clone. The broker stays open while there is one.
#[derive(Clone, Debug)]
pub struct Questions {
    orders: mpsc::Sender<Order>,
    reply_to: Arc<str>,
    _held: Arc<Held>,
}

/// What ends when nobody can ask any more.
#[derive(Debug)]
struct Held {
    _user: User,
    task: CancellationToken,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.task.cancel();
    }
}

/// The answers, as they come.
#[must_use = "the answers are what was asked for"]
#[derive(Debug)]
pub struct Answers {
    answers: mpsc::Receiver<Answer>,
    is_closed: Arc<AtomicBool>,
}

/// What a worker answers, or a copy of an event that wants an answer. Each comes at least once.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What the question is known by.
    pub correlation_id: String,
    /// Full name of the body's message.
    pub type_name: String,
    /// The encoded message.
    pub body: Bytes,
    /// What the worker calls this answer, if anything.
    pub message_id: Option<String>,
    /// Where the worker wants to hear what was wrong with it, if anywhere.
    pub reply_to: Option<String>,
    /// Whether it may have come before.
    pub redelivered: bool,
    /// What it was published with.
    pub routing_key: String,
    /// Its header `deadline`: milliseconds since 1970.
    pub deadline: Option<i64>,
    /// Of a shared queue: RabbitMQ forgets the message when nobody holds this any more.
    pub receipt: Option<Receipt>,
}

/// A message of a shared queue, until it is dealt with. When all clones are dropped, RabbitMQ forgets it; when the process
/// dies before, or [`Answers::close`] was called, it goes to another one.
#[derive(Clone, Debug)]
pub struct Receipt(#[expect(dead_code, reason = "it works by being dropped")] Arc<Unsettled>);

impl Receipt {
    pub(crate) fn new(acker: Acker, is_closed: Arc<AtomicBool>) -> Self {
        Self(Arc::new(Unsettled { acker, is_closed }))
    }
}

#[derive(Debug)]
struct Unsettled {
    acker: Acker,
    is_closed: Arc<AtomicBool>,
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        // The end of the channel puts all of them back, in their order.
        if !self.is_closed.load(Ordering::Acquire) {
            rabbitmq::let_go(&self.acker);
        }
    }
}

/// Why nobody was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// RabbitMQ did not take it in time: whether somebody gets it is not known.
    #[error("RabbitMQ did not take it in time")]
    Late,
    /// The connection broke, or RabbitMQ refused it: whether somebody gets it is not known.
    #[error("RabbitMQ did not take it")]
    Lost,
    /// No queue is bound for it.
    #[error("no queue is bound for it")]
    Nobody,
}

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Order {
    /// The default one when there is none.
    pub(crate) exchange: Option<Exchange>,
    pub(crate) routing_key: String,
    pub(crate) body: Bytes,
    pub(crate) properties: BasicProperties,
    pub(crate) done: oneshot::Sender<Result<(), AskError>>,
}

impl Questions {
    pub(crate) fn new(
        orders: mpsc::Sender<Order>,
        reply_to: &str,
        user: User,
        task: CancellationToken,
    ) -> Self {
        let held = Held { _user: user, task };
        Self {
            orders,
            reply_to: reply_to.into(),
            _held: Arc::new(held),
        }
    }

    /// The queue that answers come to. It is its own routing key of the exchange of replies.
    #[must_use]
    pub fn reply_to(&self) -> &str {
        &self.reply_to
    }

    /// Publishes an event that wants an answer, known by this correlation id, and returns when RabbitMQ has it in a
    /// queue.
    ///
    /// # Errors
    ///
    /// It has not, or not by this moment. What has not been sent by then is not sent any more.
    pub async fn ask(
        &self,
        message: Message,
        correlation_id: &str,
        give_up: Instant,
    ) -> Result<(), AskError> {
        let properties = amqp::properties(&message, &self.reply_to, correlation_id);
        let (done, told) = oneshot::channel();
        let order = Order {
            exchange: Some(message.exchange),
            routing_key: message.routing_key,
            body: message.body,
            properties,
            done,
        };
        self.order(order, told, give_up).await
    }

    /// Tells a worker what was wrong with its answer, if it wants to know. It is no loss when that does not get through.
    pub async fn tell(&self, answer: &Answer, failure: &Failure) {
        let Some(reply_to) = answer.reply_to.clone() else {
            return;
        };
        let (done, told) = oneshot::channel();
        let order = Order {
            exchange: None,
            routing_key: reply_to,
            body: failure.encode_to_vec().into(),
            properties: amqp::plain(FAILURE, &answer.correlation_id),
            done,
        };
        let give_up = Instant::now() + TELL;
        if let Err(error) = self.order(order, told, give_up).await {
            tracing::debug!(%error, "a worker does not hear what was wrong with its answer");
        }
    }

    async fn order(
        &self,
        order: Order,
        told: oneshot::Receiver<Result<(), AskError>>,
        give_up: Instant,
    ) -> Result<(), AskError> {
        let ordered = async {
            self.orders.send(order).await.map_err(|_| AskError::Lost)?;
            told.await.unwrap_or(Err(AskError::Lost))
        };
        timeout_at(give_up, ordered)
            .await
            .unwrap_or(Err(AskError::Late))
    }
}

impl Answers {
    pub(crate) fn new(answers: mpsc::Receiver<Answer>, is_closed: Arc<AtomicBool>) -> Self {
        Self { answers, is_closed }
    }

    /// Takes no more. From a shared queue others take them from now on; what is not dealt with yet goes back to it when
    /// nobody holds the [`Questions`] any more.
    pub fn close(&mut self) {
        self.is_closed.store(true, Ordering::Release);
        self.answers.close();
    }

    /// The next one; `None` when there will be no more. Cancel safe.
    pub async fn next(&mut self) -> Option<Answer> {
        self.answers.recv().await
    }
}
