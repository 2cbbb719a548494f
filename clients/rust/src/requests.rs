//! Asks the gateway's services to do something, and waits for what they answer.

mod link;
mod method;

use std::{marker::PhantomData, time::Duration};

use prost::{Message, Name};
use rabbitmq::Tls;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, Instant},
};

use self::{
    link::{Link, Reply},
    method::Method,
};
use crate::{CallError, Error, options::place};

/// How long a call waits if it does not say.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a call can wait.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// So many calls wait to be sent while there is no connection. Further ones wait for their turn.
const WAITING: usize = 64;
/// So many replies wait to be read by one call. A call that falls behind further is given up.
const REPLIES: usize = 1024;

/// The way to the gateway's services, over a connection of its own.
///
/// It connects in the background and never gives up. Dropping it ends the connection.
///
/// ```no_run
/// use discord_gateway_client::{
///     CallError, Requests,
///     wire::gateway::v1::{SendRequest, SendResponse, send_request::Connection},
/// };
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let requests = Requests::start("amqp://guest:guest@127.0.0.1:5672/%2f", "discord")?;
/// let request = SendRequest {
///     connection: Some(Connection::ShardId(0)),
///     payload: r#"{"op":3,"d":{"since":null,"activities":[],"status":"idle","afk":true}}"#.into(),
/// };
/// let sent: Result<SendResponse, CallError> = requests.to(81384788765712384).call(&request).await;
/// match sent {
///     Ok(response) => println!("sent by shard {}", response.shard_id),
///     Err(CallError::Failed(why)) => println!("refused: {}", why.message),
///     Err(error) => println!("{error}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Requests {
    asks: mpsc::Sender<Ask>,
    task: JoinSet<()>,
}

impl Requests {
    /// Starts to connect to a broker, `amqp[s]://user:password@host:port/vhost`, where the names of
    /// exchanges begin with `prefix`; `discord` unless the operator has set another one.
    ///
    /// # Errors
    /// The URL or the prefix cannot be used.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start(url: impl Into<String>, prefix: &str) -> Result<Self, Error> {
        Self::start_tls(url, prefix, &Tls::default())
    }

    /// The same, where the URL begins with `amqps`: with these whom to trust, and this to show to RabbitMQ.
    ///
    /// # Errors
    /// The URL, the prefix or a file cannot be used.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start_tls(url: impl Into<String>, prefix: &str, tls: &Tls) -> Result<Self, Error> {
        let link = Link::new(place(&url.into().into(), tls)?, prefix)?;
        let (asks, receiver) = mpsc::channel(WAITING);
        let mut task = JoinSet::new();
        task.spawn(link.run(receiver));
        Ok(Self { asks, task })
    }

    /// Begins a call to a service of this application's.
    pub fn to(&self, application_id: u64) -> Call<'_> {
        Call {
            requests: self,
            application_id,
            target: None,
            timeout: TIMEOUT,
            priority: 0,
        }
    }

    /// Says goodbye to RabbitMQ. Calls that wait for answers get none.
    pub async fn close(self) {
        let Self { asks, mut task } = self;
        drop(asks);
        if let Some(Err(error)) = task.join_next().await {
            tracing::error!(%error, "the connection for requests has broken down");
        }
    }
}

/// A call that has not been sent yet.
#[must_use = "a call does nothing until `call` or `stream` sends it"]
#[derive(Clone, Debug)]
pub struct Call<'a> {
    requests: &'a Requests,
    application_id: u64,
    target: Option<String>,
    timeout: Duration,
    priority: u8,
}

impl<'a> Call<'a> {
    /// What within the application is meant, where the service asks for it: it becomes the last word
    /// of the routing key, such as a guild's id.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// How long to wait, 10 s by default and a day at most: for the answer, or for each part of a stream. The service
    /// is told, and does not begin what is too late.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST);
        self
    }

    /// From 0 to 9; the higher is served first where requests queue.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority.min(9);
        self
    }

    /// Sends a request and waits for the answer. The request's type says which method is meant.
    ///
    /// # Errors
    /// There is no answer, or it says that the service failed; see [`CallError`].
    pub async fn call<Q, A>(self, request: &Q) -> Result<A, CallError>
    where
        Q: Message + Name,
        A: Message + Name + Default,
    {
        let method = Method::of::<Q, A>(false)?;
        let mut replies = self.send(&method, request).await?;
        replies.next().await.unwrap_or(Err(CallError::Lost))
    }

    /// Sends a request that is answered by several messages.
    ///
    /// # Errors
    /// The request cannot be sent; see [`CallError`].
    pub async fn stream<Q, A>(self, request: &Q) -> Result<Replies<A>, CallError>
    where
        Q: Message + Name,
        A: Message + Name + Default,
    {
        let method = Method::of::<Q, A>(true)?;
        self.send(&method, request).await
    }

    async fn send<A>(
        self,
        method: &Method,
        request: &impl Message,
    ) -> Result<Replies<A>, CallError> {
        let (answers, replies) = mpsc::channel(REPLIES);
        let deadline = Instant::now() + self.timeout;
        let ask = Ask {
            routing_key: method.routing_key(self.application_id, self.target.as_deref())?,
            method: method.full_name().to_owned(),
            body: request.encode_to_vec(),
            deadline,
            priority: self.priority,
            streamed: method.is_streamed(),
            answers,
        };
        match time::timeout_at(deadline, self.requests.asks.send(ask)).await {
            Err(_) => Err(CallError::TimedOut),
            Ok(Err(_)) => Err(CallError::Lost),
            Ok(Ok(())) => Ok(Replies {
                replies,
                deadline,
                timeout: self.timeout,
                ended: false,
                answer: PhantomData,
            }),
        }
    }
}

/// The answers to one request, in their order.
#[must_use = "the answers have to be read"]
#[derive(Debug)]
pub struct Replies<A> {
    replies: mpsc::Receiver<Result<Reply, CallError>>,
    /// When the next one has to be there.
    deadline: Instant,
    timeout: Duration,
    ended: bool,
    answer: PhantomData<fn() -> A>,
}

impl<A: Message + Name + Default> Replies<A> {
    /// The next answer; `None` after the last one, or after an error. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<A, CallError>> {
        if self.ended {
            return None;
        }
        let result = match time::timeout_at(self.deadline, self.replies.recv()).await {
            Err(_) => Err(CallError::TimedOut),
            Ok(None) => Err(CallError::Lost),
            Ok(Some(Err(error))) => Err(error),
            Ok(Some(Ok(reply))) => {
                self.ended = reply.end;
                reply.read()
            }
        };
        self.ended |= result.is_err();
        self.deadline = Instant::now() + self.timeout;
        Some(result)
    }
}

/// A request on its way to the connection.
#[derive(Debug)]
struct Ask {
    routing_key: String,
    /// Full name of the method, such as `gateway.v1.Ws/Send`.
    method: String,
    body: Vec<u8>,
    deadline: Instant,
    priority: u8,
    /// Whether there may be more than one answer.
    streamed: bool,
    answers: mpsc::Sender<Result<Reply, CallError>>,
}
