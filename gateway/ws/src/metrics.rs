//! What `/metrics` says of the connections to Discord.

use boot::metrics::{Counter, Family, Gauge};
use std::time::Duration;

/// The label of a shard.
type ByShard = [(&'static str, u32); 1];

/// A label with a value of ours: its number is bounded, whatever the network sends.
type ByWord = [(&'static str, &'static str); 1];

/// The counters and gauges of the service.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Connections that were begun, by whether they identify or resume.
    connects: Family<ByWord, Counter>,
    /// Sessions that were begun or taken up.
    sessions: Family<ByWord, Counter>,
    /// Whether a shard is connected.
    connected: Family<ByShard, Gauge>,
    /// How long a heartbeat's answer took.
    latency: Family<ByShard, Gauge>,
    /// Events by lane.
    events: Family<ByWord, Counter>,
    /// Payloads that were no event and no answer.
    odd: Family<ByWord, Counter>,
    /// Connections that were given up because the broker took nothing.
    stalls: Counter,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &boot::Metrics) -> Self {
        Self {
            connects: metrics.counters("ws_connects", "Connections begun, by how they would begin"),
            sessions: metrics.counters("ws_sessions", "Sessions identified and resumed"),
            connected: metrics.gauges("ws_connected", "Whether the shard has a session: 1 or 0"),
            latency: metrics.gauges(
                "ws_heartbeat_latency_milliseconds",
                "How long Discord took to answer the last heartbeat",
            ),
            events: metrics.counters(
                "ws_events",
                "Events read: typed, json (asked for), unknown, malformed, or skipped by the filter",
            ),
            odd: metrics.counters("ws_odd_payloads", "Payloads that could not be understood"),
            stalls: metrics.counter(
                "ws_stalls",
                "Connections given up for a while because the broker took no events",
            ),
        }
    }

    /// A connection begins.
    pub(crate) fn connecting(&self, resume: bool) {
        let how = if resume { "resume" } else { "identify" };
        self.connects.get_or_create(&[("how", how)]).inc();
    }

    /// A session was identified or resumed.
    pub(crate) fn connected(&self, shard: u32, how: &'static str) {
        self.sessions.get_or_create(&[("how", how)]).inc();
        self.connected.get_or_create(&[("shard", shard)]).set(1);
    }

    /// A connection is over.
    pub(crate) fn disconnected(&self, shard: u32) {
        self.connected.get_or_create(&[("shard", shard)]).set(0);
    }

    /// What the last heartbeat took.
    pub(crate) fn latency(&self, shard: u32, latency: Option<Duration>) {
        let millis = latency.and_then(|latency| i64::try_from(latency.as_millis()).ok());
        if let Some(millis) = millis {
            self.latency.get_or_create(&[("shard", shard)]).set(millis);
        }
    }

    /// An event was read; `lane` says how it is published.
    pub(crate) fn event(&self, lane: &'static str) {
        self.events.get_or_create(&[("lane", lane)]).inc();
    }

    /// A payload that cannot be read.
    pub(crate) fn malformed(&self) {
        self.odd.get_or_create(&[("kind", "malformed")]).inc();
    }

    /// A payload with an opcode that is not known.
    pub(crate) fn unknown_opcode(&self) {
        self.odd.get_or_create(&[("kind", "opcode")]).inc();
    }

    /// The broker took no event for too long.
    pub(crate) fn stalled(&self) {
        self.stalls.inc();
    }
}
