//! What the broker counts.

use boot::metrics::{Buckets, Counter, Gauge, Histogram};

use crate::queue::Counts;

/// The broker's metrics; all names begin with `gateway_broker_`.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Messages handed over for the first time.
    pub(crate) published: Counter,
    /// Bytes of the bodies of those.
    pub(crate) bytes: Counter,
    /// Messages that the broker has confirmed.
    pub(crate) confirmed: Counter,
    /// Messages handed over again after a failure.
    pub(crate) republished: Counter,
    /// Refusals of messages by the broker.
    pub(crate) nacked: Counter,
    /// Messages that were replaced by a notice because the broker can never take them.
    pub(crate) oversized: Counter,
    /// Replies to requests that nobody was there to take.
    pub(crate) unclaimed: Counter,
    /// Connections after the first.
    pub(crate) reconnects: Counter,
    /// Whether there is a working connection.
    pub(crate) connected: Gauge,
    /// Whether the broker has asked us to stop publishing.
    pub(crate) blocked: Gauge,
    /// What became of every event, and the memory in use.
    pub(crate) counts: Counts,
    /// Seconds from handing a message over to its confirm.
    pub(crate) latency: Histogram,
}

impl Metrics {
    pub(crate) fn new(metrics: &boot::Metrics, window: usize) -> Self {
        let size = metrics.gauge(
            "broker_window_bytes",
            "Memory that unconfirmed messages may take",
        );
        size.set(signed(window));
        Self {
            published: metrics.counter("broker_published", "Messages handed to the broker"),
            bytes: metrics.counter(
                "broker_published_bytes",
                "Bytes of the bodies of published messages",
            ),
            confirmed: metrics.counter("broker_confirmed", "Messages that the broker confirmed"),
            republished: metrics.counter(
                "broker_republished",
                "Messages handed to the broker again after a connection was lost",
            ),
            nacked: metrics.counter("broker_nacked", "Times that the broker refused a message"),
            oversized: metrics.counter(
                "broker_oversized",
                "Messages larger than the broker allows, replaced by a dead-letter notice",
            ),
            unclaimed: metrics.counter(
                "broker_replies_unclaimed",
                "Replies to requests that nobody was there to take",
            ),
            reconnects: metrics.counter(
                "broker_reconnects",
                "Connections to the broker after the first",
            ),
            connected: metrics.gauge(
                "broker_connected",
                "Whether the broker is connected (1) or not (0)",
            ),
            blocked: metrics.gauge(
                "broker_blocked",
                "Whether the broker has blocked publishers (1), usually for want of memory or disk",
            ),
            counts: counts(metrics),
            latency: metrics.histogram(
                "broker_confirm_seconds",
                "Time from publishing a message to its confirm",
                &Buckets::seconds(),
            ),
        }
    }
}

/// What is counted when there is a spool.
#[derive(Clone, Debug)]
pub(crate) struct SpoolMetrics {
    /// Bytes that it may take.
    pub(crate) limit: Gauge,
    /// Bytes that its files take.
    pub(crate) used: Gauge,
    /// Whether its folder takes messages.
    pub(crate) up: Gauge,
    /// Failed attempts to open it or to write to it.
    pub(crate) failures: Counter,
}

impl SpoolMetrics {
    pub(crate) fn new(metrics: &boot::Metrics) -> Self {
        Self {
            limit: metrics.gauge(
                "broker_spool_bytes",
                "Bytes that the spool may take on disk",
            ),
            used: metrics.gauge(
                "broker_spool_used_bytes",
                "Bytes that the spool's files take",
            ),
            up: metrics.gauge(
                "broker_spool_up",
                "Whether the spool's folder takes events (1) or not (0)",
            ),
            failures: metrics.counter(
                "broker_spool_failures",
                "Failed attempts to open the spool's folder or to write to it",
            ),
        }
    }
}

/// The ledger: events = confirmed + waiting + spooled + dropped.
fn counts(metrics: &boot::Metrics) -> Counts {
    Counts {
        given: metrics.counter(
            "broker_events",
            "Events given to the broker, or found in the spool at the start",
        ),
        found: metrics.counter(
            "broker_events_found",
            "Events that an earlier process had left in the spool",
        ),
        confirmed: metrics.counter(
            "broker_events_confirmed",
            "Events that the broker confirmed, alone or in a batch",
        ),
        waiting: metrics.gauge(
            "broker_events_waiting",
            "Events in memory that are not confirmed yet",
        ),
        spooled: metrics.gauge("broker_events_spooled", "Events that wait on disk"),
        dropped: metrics.counters(
            "broker_events_dropped",
            "Events that will never arrive: oversized (a notice is in their place), or corrupt \
             (the spool's file cannot be read)",
        ),
        used: metrics.gauge(
            "broker_window_used_bytes",
            "Memory that unconfirmed messages take",
        ),
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
