//! What is said of lost connections, and how long to wait before the next one.

use std::{mem::Discriminant, time::Duration};

use backoff::Backoff;
use rabbitmq::{Down, Place};
use tokio::time::Instant;

/// The shortest and the longest wait before another attempt to connect.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// A connection that held this long was a good one: the next wait is a short one again.
const GOOD: Duration = Duration::from_secs(10);

/// Remembers why the last connection failed, so as to say it once and not at each attempt.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What does not work without a connection.
    what: String,
    backoff: Backoff,
    /// The kind of the last reason, until a connection has held.
    kind: Option<Discriminant<Down>>,
    /// Since when there is a connection.
    since: Option<Instant>,
}

impl Trouble {
    pub(crate) fn new(what: String) -> Self {
        Self {
            what,
            backoff: Backoff::new(WAIT.0, WAIT.1),
            kind: None,
            since: None,
        }
    }

    /// There is a connection.
    pub(crate) fn up(&mut self, place: &Place) {
        self.since = Some(Instant::now());
        if self.kind.take().is_some() {
            tracing::info!(%place, what = self.what, "connected to RabbitMQ again");
        } else {
            tracing::debug!(%place, what = self.what, "connected to RabbitMQ");
        }
    }

    /// There is none, or none any more. Returns how long to wait.
    pub(crate) fn down(&mut self, down: &Down, place: &Place) -> Duration {
        if self
            .since
            .take()
            .is_some_and(|since| since.elapsed() > GOOD)
        {
            self.backoff.reset();
        }
        let kind = down.kind();
        let reason = down.explain(place);
        let wait = self.backoff.next();
        if self.kind.replace(kind) == Some(kind) {
            tracing::debug!(reason, what = self.what, ?wait, "still no connection");
        } else {
            tracing::warn!(reason, what = self.what, ?wait, "no connection to RabbitMQ");
        }
        wait
    }
}
