//! What the broker counts.

use boot::metrics::{Buckets, Counter, Gauge, Histogram};

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
    /// Connections after the first.
    pub(crate) reconnects: Counter,
    /// Whether there is a working connection.
    pub(crate) connected: Gauge,
    /// Whether the broker has asked us to stop publishing.
    pub(crate) blocked: Gauge,
    /// Bytes of the window in use.
    pub(crate) window_used: Gauge,
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
            window_used: metrics.gauge(
                "broker_window_used_bytes",
                "Memory that unconfirmed messages take",
            ),
            latency: metrics.histogram(
                "broker_confirm_seconds",
                "Time from publishing a message to its confirm",
                &Buckets::seconds(),
            ),
        }
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
