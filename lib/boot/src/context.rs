//! What a running service is given.

use tokio_util::sync::CancellationToken;

use crate::{health::Health, metrics::Metrics, orders::Orders, tasks::Tasks, trace::Traces};

/// What a service needs from its process; cheap to clone, and easy to make in a test.
#[derive(Clone, Debug)]
pub struct Context {
    /// Cancelled when the service is to stop: by a signal, by a failed task, or by itself.
    pub shutdown: CancellationToken,
    /// Where all tasks are started.
    pub tasks: Tasks,
    /// What `/readyz` reports.
    pub health: Health,
    /// What `/metrics` reports.
    pub metrics: Metrics,
    /// Records what happens to some of the events.
    pub traces: Traces,
    /// What is to be done once, in place of running.
    pub orders: Orders,
}

impl Context {
    /// A context of its own, not connected to signals or to an address.
    #[must_use]
    pub fn new() -> Self {
        let shutdown = CancellationToken::new();
        Self {
            tasks: Tasks::new(shutdown.clone()),
            shutdown,
            health: Health::default(),
            metrics: Metrics::new(),
            traces: Traces::default(),
            orders: Orders::default(),
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}
