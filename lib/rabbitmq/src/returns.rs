//! Which messages RabbitMQ has returned, because no queue is bound for them.
//!
//! RabbitMQ returns a message before it confirms it. The AMQP client does not look which one it was, but hands it to whichever confirm
//! comes next: with several messages under way that may be the confirm of another one. So it is looked at here by its correlation id.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lapin::message::BasicReturnMessage;
use tokio::time::sleep;

/// How often, and with which pauses, it is looked whether a message has come back with the confirm of another one after all.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(25);

/// How many are remembered whose own confirm has not come yet: more than are ever under way on one channel.
const MOST: usize = 65_536;

/// What was returned on one channel; cheap to clone. Each message there has to have a correlation id of its own.
#[derive(Clone, Debug, Default)]
pub struct Returns(Arc<Mutex<HashSet<String>>>);

impl Returns {
    /// Whether a queue has the message that is known by this correlation id, when its confirm came with a returned message or
    /// without one. It takes a moment when the confirm came with another message than its own: its own may be behind that.
    pub async fn is_routed(&self, id: &str, returned: Option<&BasicReturnMessage>) -> bool {
        let known = returned.map(|it| it.delivery.properties.correlation_id());
        let known = known.map(|id| id.as_ref().map_or("", |id| id.as_str()));
        self.settle(id, known).await
    }

    async fn settle(&self, id: &str, returned: Option<&str>) -> bool {
        match returned {
            None => !self.lock().remove(id),
            Some(own) if own == id => false,
            Some(other) => {
                self.remember(other);
                for _ in 0..LOOKS {
                    if self.lock().remove(id) {
                        return false;
                    }
                    sleep(PAUSE).await;
                }
                true
            }
        }
    }

    fn remember(&self, id: &str) {
        let mut returned = self.lock();
        if returned.len() < MOST {
            returned.insert(id.to_owned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::join;

    use super::Returns;

    #[tokio::test(start_paused = true)]
    async fn what_came_back_is_known_by_its_own_name() {
        let returns = Returns::default();
        assert!(returns.settle("a", None).await);
        assert!(!returns.settle("b", Some("b")).await);
        // Each with the one after it.
        let [first, second, third] = ["a", "b", "c"].map(|id| (id, returns.clone()));
        let (first, second, third) = join!(
            first.1.settle(first.0, Some("b")),
            second.1.settle(second.0, Some("c")),
            third.1.settle(third.0, None),
        );
        assert_eq!((first, second, third), (true, false, false));
        // Crossed.
        let (first, second) = join!(
            returns.settle("a", Some("b")),
            returns.settle("b", Some("a"))
        );
        assert_eq!((first, second), (false, false));
        assert!(returns.lock().is_empty());
    }
}
