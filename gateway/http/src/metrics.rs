//! What `/metrics` says of requests that are none of Discord's; the rest is that of all interactions.

#[cfg(test)]
mod tests;

use boot::metrics::{Counter, Family};

/// The metrics of the endpoint; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &boot::Metrics) -> Self {
        Self {
            refused: metrics.counters(
                "http_refused",
                "Requests that are no interactions of Discord's, by what was wrong with them",
            ),
        }
    }

    /// A request was none of Discord's.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }
}
