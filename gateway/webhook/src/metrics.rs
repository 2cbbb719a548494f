//! What `/metrics` says of webhook events; `lib/outbound` has the rest.

use std::borrow::Cow;

use boot::metrics::{Counter, Family};
use transcode::Lane;

/// Labels with values of ours, or of what Discord has signed.
type Words<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// The metrics of webhook events; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    events: Family<Words<3>, Counter>,
    unconfirmed: Family<[(&'static str, u64); 1], Counter>,
    pings: Family<[(&'static str, u64); 1], Counter>,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &boot::Metrics) -> Self {
        Self {
            events: metrics.counters(
                "webhook_events",
                "Webhook events that RabbitMQ has confirmed, by name and lane",
            ),
            unconfirmed: metrics.counters(
                "webhook_events_unconfirmed",
                "Webhook events that RabbitMQ has not confirmed in time: Discord sends them again",
            ),
            pings: metrics.counters(
                "webhook_pings",
                "Requests by which Discord looks whether somebody is there",
            ),
            refused: metrics.counters(
                "webhook_refused",
                "Requests that were no webhook events, by what was wrong",
            ),
        }
    }
}

impl Metrics {
    /// An event was published, or was not kept.
    pub(crate) fn event(&self, application_id: u64, name: &str, lane: Lane, is_kept: bool) {
        if !is_kept {
            let label = [("application", application_id)];
            self.unconfirmed.get_or_create(&label).inc();
            return;
        }
        let (name, lane) = match lane {
            // As many names as the network likes would be as many series.
            Lane::Unknown => (Cow::Borrowed("other"), "json"),
            Lane::Typed => (Cow::Owned(name.to_owned()), "typed"),
            Lane::Json | Lane::Refused(_) | Lane::Unfit => (Cow::Owned(name.to_owned()), "json"),
        };
        let labels = [
            ("application", Cow::Owned(application_id.to_string())),
            ("event", name),
            ("lane", Cow::Borrowed(lane)),
        ];
        self.events.get_or_create(&labels).inc();
    }

    /// Discord has looked whether somebody is there.
    pub(crate) fn pinged(&self, application_id: u64) {
        let label = [("application", application_id)];
        self.pings.get_or_create(&label).inc();
    }

    /// A request was refused.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }
}
