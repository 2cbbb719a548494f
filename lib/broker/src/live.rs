//! Messages that are worth something at once or never, such as sound.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// How many messages may wait to be sent.
pub(crate) const ORDERS: usize = 1_024;

/// What a message costs in memory beside its body.
const OVERHEAD: usize = 512;

/// Publishes once, and keeps nobody waiting: what RabbitMQ does not take is lost, and whoever has sent it is told. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Live {
    /// To the task that publishes. Without one nobody takes anything.
    orders: Option<mpsc::Sender<Order>>,
    /// Bytes that may be under way.
    room: Arc<Semaphore>,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Shot {
    /// By which the exchange chooses queues.
    pub routing_key: String,
    /// Full name of the body's protobuf message.
    pub type_name: &'static str,
    /// The application (bot) that the message belongs to.
    pub app_id: Arc<str>,
    /// When it came into being, in seconds since the Unix epoch.
    pub timestamp: u64,
    /// The encoded message.
    pub body: Bytes,
}

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) shot: Shot,
    /// Dropped, it says that no queue has the message.
    pub(crate) done: oneshot::Sender<()>,
    pub(crate) room: OwnedSemaphorePermit,
}

impl Live {
    /// One that takes nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            orders: None,
            room: Arc::new(Semaphore::new(0)),
        }
    }

    pub(crate) fn new(orders: mpsc::Sender<Order>, window: usize) -> Self {
        let most = u32::try_from(window).unwrap_or(u32::MAX) as usize;
        Self {
            orders: Some(orders),
            room: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Sends a message, unless too many are under way already. What is returned comes to `Ok` when a queue has it, and fails
    /// when none has.
    pub fn send(&self, shot: Shot) -> Option<oneshot::Receiver<()>> {
        let cost = u32::try_from(shot.body.len() + OVERHEAD).ok()?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(cost).ok()?;
        let (done, told) = oneshot::channel();
        let order = Order { shot, done, room };
        self.orders.as_ref()?.try_send(order).ok()?;
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(bytes: usize) -> Shot {
        Shot {
            routing_key: "1.2.3".to_owned(),
            type_name: "a.B",
            app_id: "1".into(),
            timestamp: 0,
            body: vec![0; bytes].into(),
        }
    }

    #[tokio::test]
    async fn what_is_under_way_has_a_bound() {
        let (orders, mut ordered) = mpsc::channel(ORDERS);
        let live = Live::new(orders, 10 * (OVERHEAD + 100));
        let told: Vec<_> = (0..12).filter_map(|_| live.send(shot(100))).collect();
        assert_eq!(told.len(), 10);
        let first = ordered.recv().await.unwrap();
        first.done.send(()).unwrap();
        drop(first.room);
        // The place of the first is another one's, and whatever is dropped is lost.
        assert!(live.send(shot(100)).is_some() && live.send(shot(100)).is_none());
        drop(ordered);
        let mut told = told.into_iter();
        assert_eq!(told.next().unwrap().await, Ok(()));
        assert!(told.next().unwrap().await.is_err());
        assert!(live.send(shot(100)).is_none());
    }
}
