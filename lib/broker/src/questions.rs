//! Events that want an answer, and the answers of workers.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use boot::CancellationToken;
use bytes::Bytes;
use prost::Message as _;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::timeout,
};
use wire::gateway::v1::Error as Failure;

use crate::{Message, amqp::Word, queue::User, requests::FAILURE};

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
    pub(crate) fn new(delivery_tag: u64, settled: &Arc<Settled>) -> Self {
        Self(Arc::new(Unsettled {
            delivery_tag,
            settled: Arc::downgrade(settled),
        }))
    }
}

#[derive(Debug)]
struct Unsettled {
    delivery_tag: u64,
    /// Gone with the connection: then the message comes again.
    settled: Weak<Settled>,
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(settled) = self.settled.upgrade() {
            settled.add(self.delivery_tag);
        }
    }
}

/// The messages of a connection that are dealt with, and of which RabbitMQ has not heard: never more than it lets us have in
/// hand.
#[derive(Debug)]
pub(crate) struct Settled {
    delivery_tags: Mutex<Vec<u64>>,
    news: Notify,
    is_closed: Arc<AtomicBool>,
}

impl Settled {
    pub(crate) fn new(is_closed: Arc<AtomicBool>) -> Self {
        Self {
            delivery_tags: Mutex::default(),
            news: Notify::new(),
            is_closed,
        }
    }

    fn add(&self, delivery_tag: u64) {
        // The end of the connection puts all of them back, in their order.
        if !self.is_closed.load(Ordering::Acquire) {
            self.delivery_tags().push(delivery_tag);
            self.news.notify_one();
        }
    }

    /// Those since the last time.
    pub(crate) fn take(&self) -> Vec<u64> {
        mem::take(&mut *self.delivery_tags())
    }

    /// Returns when there may be more. Cancel safe.
    pub(crate) async fn more(&self) {
        self.news.notified().await;
    }

    fn delivery_tags(&self) -> MutexGuard<'_, Vec<u64>> {
        let delivery_tags = self.delivery_tags.lock();
        delivery_tags.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nobody was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
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
    pub(crate) what: What,
    pub(crate) done: oneshot::Sender<Result<(), AskError>>,
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum What {
    /// An event that wants an answer, which is known by the event's id.
    Question(Message),
    /// Something that a worker wants to hear.
    Word(Word),
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

    /// Publishes an event that wants an answer, which has the event's id for its correlation id, and returns when RabbitMQ
    /// has it in a queue. It is for the caller to say how long that may take: what has not been sent when this is dropped is
    /// not sent any more.
    ///
    /// # Errors
    ///
    /// It has not.
    pub async fn ask(&self, message: Message) -> Result<(), AskError> {
        self.order(What::Question(message)).await
    }

    /// Tells a worker what was wrong with its answer, if it wants to know. It is no loss when that does not get through.
    pub async fn tell(&self, answer: &Answer, failure: &Failure) {
        let Some(reply_to) = answer.reply_to.clone() else {
            return;
        };
        let word = Word {
            queue: reply_to,
            type_name: FAILURE,
            correlation_id: answer.correlation_id.clone(),
            body: failure.encode_to_vec().into(),
        };
        let telling = timeout(TELL, self.order(What::Word(word)));
        if !matches!(telling.await, Ok(Ok(()))) {
            tracing::debug!("a worker does not hear what was wrong with its answer");
        }
    }

    async fn order(&self, what: What) -> Result<(), AskError> {
        let (done, told) = oneshot::channel();
        let order = Order { what, done };
        self.orders.send(order).await.map_err(|_| AskError::Lost)?;
        told.await.unwrap_or(Err(AskError::Lost))
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
