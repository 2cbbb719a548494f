//! Requests of a service to other services, or to other replicas of itself.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};

use crate::{CallError, requests::Reply};

/// How many replies of a stream may wait for the one who asked. When there are more, the call fails:
/// whoever does not read must not hold up the others' replies.
pub(crate) const REPLIES: usize = 256;

/// How many requests may wait to be sent. Whoever asks waits when there is no room.
pub(crate) const ASKS: usize = 64;

/// Asks others; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    /// To the task that asks. Without one there is nobody to ask.
    asks: Option<mpsc::Sender<Ask>>,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) routing_key: String,
    pub(crate) body: Bytes,
    pub(crate) priority: u8,
    pub(crate) deadline: Instant,
    pub(crate) replies: mpsc::Sender<Result<Reply, CallError>>,
}

/// The replies to a request, as they come.
#[must_use = "the replies are what was asked for"]
#[derive(Debug)]
pub struct Replies {
    replies: mpsc::Receiver<Result<Reply, CallError>>,
    timeout: Duration,
    deadline: Instant,
}

impl Client {
    pub(crate) fn new(asks: Option<mpsc::Sender<Ask>>) -> Self {
        Self { asks }
    }

    /// Asks, and waits for the one reply. `method` is the full name, such as `gateway.v1.Ws/Send`, and
    /// `body` the encoded request message.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn call(
        &self,
        method: &str,
        routing_key: &str,
        body: Bytes,
        priority: u8,
        timeout: Duration,
    ) -> Result<Reply, CallError> {
        let asked = self.stream(method, routing_key, body, priority, timeout);
        match asked.await?.next().await {
            Some(reply) => reply,
            None => Err(CallError::Away),
        }
    }

    /// Asks, and takes the replies of a streaming method one by one. The time is for each of them.
    ///
    /// # Errors
    /// Nothing was asked.
    pub async fn stream(
        &self,
        method: &str,
        routing_key: &str,
        body: Bytes,
        priority: u8,
        timeout: Duration,
    ) -> Result<Replies, CallError> {
        let Some(asks) = &self.asks else {
            return Err(CallError::Nobody(routing_key.to_owned()));
        };
        let deadline = Instant::now() + timeout;
        let (sender, replies) = mpsc::channel(REPLIES);
        let ask = Ask {
            method: method.to_owned(),
            routing_key: routing_key.to_owned(),
            body,
            priority,
            deadline,
            replies: sender,
        };
        match time::timeout_at(deadline, asks.send(ask)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(CallError::Away),
            Err(_) => return Err(CallError::Late(timeout)),
        }
        Ok(Replies {
            replies,
            timeout,
            deadline,
        })
    }
}

impl Replies {
    /// The next reply, or why there is none; `None` behind the last. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Reply, CallError>> {
        let Ok(reply) = time::timeout_at(self.deadline, self.replies.recv()).await else {
            self.replies.close();
            return Some(Err(CallError::Late(self.timeout)));
        };
        self.deadline = Instant::now() + self.timeout;
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_broker_there_is_nobody_to_ask() {
        let client = Client::new(None);
        let asked = client.call("a.B/C", "b.C.1", Bytes::new(), 0, Duration::from_secs(1));
        let nobody = CallError::Nobody("b.C.1".to_owned());
        assert_eq!(asked.await, Err(nobody));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_time_for_each_reply() {
        let (asks, mut asked) = mpsc::channel(1);
        let client = Client::new(Some(asks));
        let timeout = Duration::from_secs(2);
        let stream = client.stream("a.B/C", "b.C.1", Bytes::new(), 0, timeout);
        let mut replies = stream.await.unwrap();
        let ask = asked.recv().await.unwrap();
        let reply = Reply {
            type_name: "a.C".to_owned(),
            body: Bytes::new(),
            end: false,
        };
        time::sleep(Duration::from_millis(1_500)).await;
        ask.replies.send(Ok(reply.clone())).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(reply)));
        let began = Instant::now();
        assert_eq!(replies.next().await, Some(Err(CallError::Late(timeout))));
        assert_eq!(began.elapsed(), timeout);
        assert_eq!(replies.next().await, None);
        assert!(ask.replies.is_closed(), "the task learns that nobody waits");
    }
}
