//! What `/metrics` says of the requests to Discord.

use boot::metrics::{Buckets, Counter, Family, Gauge, Histogram, Label};
use discord::limit::{Level, Scope};
use std::time::Duration;

/// The label of an application.
type ByApplication = [(&'static str, u64); 1];

/// Labels with values of ours: the number of those is bounded, whatever the network sends.
type Words<const N: usize> = [(&'static str, Label); N];

/// The metrics of the service; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<Words<3>, Counter>,
    failures: Family<Words<2>, Counter>,
    limited: Family<Words<2>, Counter>,
    retries: Family<ByApplication, Counter>,
    queue: Family<ByApplication, Histogram, Buckets>,
    discord: Family<ByApplication, Histogram, Buckets>,
    waiting: Family<ByApplication, Gauge>,
    in_flight: Family<ByApplication, Gauge>,
    buckets: Family<ByApplication, Gauge>,
    revoked: Family<ByApplication, Gauge>,
    invalid: Gauge,
    level: Gauge,
    banned: Gauge,
    store_up: Family<ByApplication, Gauge>,
    replicas: Family<ByApplication, Gauge>,
    /// Bytes of the bodies of requests in hand.
    pub(crate) bytes: Gauge,
}

/// The same as one application sees them.
#[derive(Clone, Debug)]
pub(crate) struct OfApplication {
    id: u64,
    all: Metrics,
    queue: Histogram,
    discord: Histogram,
    waiting: Gauge,
    in_flight: Gauge,
    buckets: Gauge,
    revoked: Gauge,
    retries: Counter,
    store_up: Gauge,
    replicas: Gauge,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &boot::Metrics) -> Self {
        Self {
            requests: metrics.counters(
                "api_requests",
                "Requests that Discord answered, by operation and status",
            ),
            failures: metrics.counters(
                "api_failures",
                "Requests without an answer of Discord's, by the code that the caller was told",
            ),
            limited: metrics.counters("api_limited", "Answers with 429, by what they cover"),
            retries: metrics.counters(
                "api_retries",
                "Requests sent again after a 5xx or a lost connection",
            ),
            queue: metrics.histograms(
                "api_queue_seconds",
                "Time that requests waited for their turn",
                Buckets::seconds(),
            ),
            discord: metrics.histograms(
                "api_discord_seconds",
                "Time that Discord took to answer",
                Buckets::seconds(),
            ),
            waiting: metrics.gauges("api_waiting", "Requests that wait for their turn"),
            in_flight: metrics.gauges("api_in_flight", "Requests that Discord has not answered"),
            buckets: metrics.gauges("api_buckets", "Buckets that are remembered"),
            revoked: metrics.gauges(
                "api_token_refused",
                "1 when Discord has refused the bot token, and the application is stopped",
            ),
            invalid: metrics.gauge(
                "api_invalid_requests",
                "Answers with 401, 403 and 429 in the last ten minutes, of all replicas behind the same address",
            ),
            level: metrics.gauge(
                "api_invalid_level",
                "How near Discord's ban is: 0 quiet, 1 warned, 2 slowed, 3 stopped",
            ),
            banned: metrics.gauge(
                "api_banned",
                "1 while Cloudflare keeps the address out, and nothing is sent",
            ),
            store_up: metrics.gauges(
                "api_store_up",
                "Whether the store, by which replicas share limits, is there: 1 or 0",
            ),
            replicas: metrics.gauges(
                "api_replicas",
                "Replicas that share the application's limits, as far as is known",
            ),
            bytes: metrics.gauge("api_bytes", "Bytes of the bodies of requests in hand"),
        }
    }

    /// The same for one application.
    pub(crate) fn of(&self, application_id: u64) -> OfApplication {
        let label = [("application", application_id)];
        OfApplication {
            id: application_id,
            queue: self.queue.get_or_create_owned(&label),
            discord: self.discord.get_or_create_owned(&label),
            waiting: self.waiting.get_or_create_owned(&label),
            in_flight: self.in_flight.get_or_create_owned(&label),
            buckets: self.buckets.get_or_create_owned(&label),
            revoked: self.revoked.get_or_create_owned(&label),
            retries: self.retries.get_or_create_owned(&label),
            store_up: self.store_up.get_or_create_owned(&label),
            replicas: self.replicas.get_or_create_owned(&label),
            all: self.clone(),
        }
    }

    /// So many invalid requests count at this moment.
    pub(crate) fn invalid(&self, invalid: u32) {
        self.invalid.set(invalid.into());
    }

    /// Whether Cloudflare keeps the address out.
    pub(crate) fn banned(&self, is_banned: bool) {
        self.banned.set(is_banned.into());
    }

    /// So near the ban is.
    pub(crate) fn level(&self, level: Level) {
        self.level.set(match level {
            Level::Quiet => 0,
            Level::Warned => 1,
            Level::Slowed => 2,
            Level::Stopped => 3,
        });
    }
}

impl OfApplication {
    /// Discord answered.
    pub(crate) fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        self.discord.observe(took.as_secs_f64());
        let labels = [
            ("application", Label::Number(self.id)),
            ("operation", Label::Word(operation)),
            ("status", Label::Number(status.into())),
        ];
        self.all.requests.get_or_create(&labels).inc();
    }

    /// There is no answer.
    pub(crate) fn failed(&self, code: &'static str) {
        let labels = self.words("code", code);
        self.all.failures.get_or_create(&labels).inc();
    }

    /// A 429 came.
    pub(crate) fn limited(&self, scope: Scope) {
        let scope = match scope {
            Scope::Cloudflare => "cloudflare",
            Scope::Global => "global",
            Scope::Shared => "shared",
            Scope::User => "user",
        };
        let labels = self.words("scope", scope);
        self.all.limited.get_or_create(&labels).inc();
    }

    /// A request is sent again.
    pub(crate) fn retried(&self) {
        self.retries.inc();
    }

    /// A request has had its turn.
    pub(crate) fn queued(&self, waited: Duration) {
        self.queue.observe(waited.as_secs_f64());
    }

    /// How many are where.
    pub(crate) fn line(&self, waiting: usize, in_flight: usize, buckets: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.waiting.set(number(waiting));
        self.in_flight.set(number(in_flight));
        self.buckets.set(number(buckets));
    }

    /// Whether the store is there.
    pub(crate) fn store_up(&self, is_up: bool) {
        self.store_up.set(is_up.into());
    }

    /// So many replicas share the limits.
    pub(crate) fn replicas(&self, replicas: u32) {
        self.replicas.set(replicas.into());
    }

    /// Discord has refused the token.
    pub(crate) fn revoked(&self) {
        self.revoked.set(1);
    }

    fn words(&self, key: &'static str, word: &'static str) -> Words<2> {
        [
            ("application", Label::Number(self.id)),
            (key, Label::Word(word)),
        ]
    }
}
