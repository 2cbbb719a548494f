//! Outages of Discord: each is said once when it begins, and once when it is over.

use crate::metrics::Metrics;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Whether one of Discord's sides is away.
#[derive(Debug)]
pub(crate) struct Outage {
    /// Which: `rest` or `gateway`.
    what: &'static str,
    since: Mutex<Option<Instant>>,
    metrics: Arc<Metrics>,
}

impl Outage {
    /// Discord's HTTP API.
    pub(crate) fn of_rest(metrics: Arc<Metrics>) -> Self {
        Self::new("rest", metrics)
    }

    /// The websockets of Discord's gateway.
    pub(crate) fn of_gateway(metrics: Arc<Metrics>) -> Self {
        Self::new("gateway", metrics)
    }

    fn new(what: &'static str, metrics: Arc<Metrics>) -> Self {
        Self {
            what,
            since: Mutex::default(),
            metrics,
        }
    }

    /// It does not answer as it should.
    pub(crate) fn began(&self, reason: &str) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some() {
            return;
        }
        *since = Some(Instant::now());
        self.metrics.outage(self.what, true);
        tracing::warn!(
            what = self.what,
            reason,
            "an outage of Discord: what is connected stays connected, the rest is tried again with \
             growing pauses"
        );
    }

    /// It answers.
    pub(crate) fn is_over(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = since.take() {
            self.metrics.outage(self.what, false);
            tracing::info!(
                what = self.what,
                lasted_s = since.elapsed().as_secs(),
                "the outage of Discord is over"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outage;
    use crate::metrics::Metrics;
    use std::sync::Arc;

    #[test]
    fn an_outage_counts_once_until_it_is_over() {
        let registry = boot::Metrics::new();
        let outage = Outage::of_rest(Arc::new(Metrics::new(&registry).of(7)));
        let shows = |line: &str| registry.text().unwrap().lines().any(|other| other == line);
        outage.is_over();
        for times in 1..=2 {
            outage.began("502");
            outage.began("503");
            let total =
                format!(r#"gateway_ws_outages_total{{application="7",what="rest"}} {times}"#);
            assert!(shows(&total), "{}", registry.text().unwrap());
            assert!(shows(r#"gateway_ws_outage{application="7",what="rest"} 1"#));
            outage.is_over();
            assert!(shows(r#"gateway_ws_outage{application="7",what="rest"} 0"#));
        }
    }
}
