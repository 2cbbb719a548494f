//! What `/metrics` says of the connections to Discord.
//!
//! What is counted for each event is looked up once, and is an atomic from then on: for the
//! application in [`Ledger`], which must balance, and for each shard in [`OfShard`].

mod ledger;
#[cfg(test)]
mod tests;

pub(crate) use self::ledger::{Ledger, OfShard, Step};

use boot::metrics::{Buckets, Counter, Family, Gauge, Histogram};
use std::{borrow::Cow, sync::atomic::AtomicU64, time::Duration};
use store::Shard;

/// The labels of a shard.
type ByShard = [(&'static str, u64); 3];

/// The label of an application.
type ByApplication = [(&'static str, u64); 1];

/// The label of an application, and one with a value of ours: the number of those is bounded,
/// whatever the network sends.
type ByWord = [(&'static str, Cow<'static, str>); 2];

/// The counters and gauges of the service, as one application sees them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// The application's id.
    application: u64,
    /// Connections that were begun, by whether they identify or resume.
    connects: Family<ByWord, Counter>,
    /// Sessions that were begun or taken up.
    sessions: Family<ByWord, Counter>,
    /// What is shown of each shard.
    shards: Shards,
    /// What became of all events.
    pub(crate) ledger: Ledger,
    /// What Discord refused for good.
    refused: Family<ByWord, Counter>,
    /// How often Discord was away.
    outages: Family<ByWord, Counter>,
    /// Whether it is.
    outage: Family<ByWord, Gauge>,
    /// Payloads that were no event and no answer.
    odd: Family<ByWord, Counter>,
    /// Connections that were given up because the broker took nothing.
    stalls: Family<ByApplication, Counter>,
    /// How many shards run here.
    leases: Family<ByApplication, Gauge>,
    /// Leases that were lost to another replica.
    fenced: Family<ByApplication, Counter>,
    /// How long hand-overs took.
    hand_overs: Family<ByApplication, Histogram, Buckets>,
    /// How far a change of the number of shards is.
    reshard_phase: Family<ByApplication, Gauge>,
    /// Whether a change has to wait for identifies.
    reshard_postponed: Family<ByApplication, Gauge>,
    /// Whether the store answers.
    store_up: Family<ByApplication, Gauge>,
    /// Sessions that could not be saved.
    saves_failed: Family<ByApplication, Counter>,
    /// How many identifies are left.
    identifies_left: Family<ByApplication, Gauge>,
    /// Whether the application was given up.
    failed: Family<ByApplication, Gauge>,
    /// Requests of workers, by what came of them.
    commands: Family<ByWord, Counter>,
    /// Events of our own.
    status_events: Family<ByApplication, Counter>,
    /// Events of our own that found no room.
    status_dropped: Family<ByApplication, Counter>,
}

/// The families of which a shard has a series while it is here.
#[derive(Clone, Debug)]
struct Shards {
    /// Whether it is connected.
    connected: Family<ByShard, Gauge>,
    /// How long a heartbeat's answer took.
    latency: Family<ByShard, Gauge>,
    /// The number of its state in the contract.
    state: Family<ByShard, Gauge>,
    /// How long an event waited for its confirm.
    lag: Family<ByShard, Gauge<f64, AtomicU64>>,
    /// What became of its events.
    steps: ledger::Steps,
}

impl Shards {
    fn new(metrics: &boot::Metrics) -> Self {
        Self {
            connected: metrics.gauges("ws_connected", "Whether the shard has a session: 1 or 0"),
            latency: metrics.gauges(
                "ws_heartbeat_latency_milliseconds",
                "How long Discord took to answer the last heartbeat",
            ),
            state: metrics.gauges(
                "ws_state",
                "The shard's state: 1 connecting, 2 standby, 3 live, 4 away",
            ),
            lag: metrics.register(
                "ws_confirm_lag_seconds",
                "How long the event that was looked at last has waited for its confirm",
                Family::default(),
            ),
            steps: metrics.counters(
                "ws_shard_events",
                "Events of the shard: received, filtered, published, and confirmed",
            ),
        }
    }
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &boot::Metrics) -> Self {
        Self {
            application: 0,
            connects: metrics.counters("ws_connects", "Connections begun, by how they would begin"),
            sessions: metrics.counters("ws_sessions", "Sessions identified and resumed"),
            shards: Shards::new(metrics),
            ledger: Ledger::new(metrics),
            refused: metrics.counters(
                "ws_refused",
                "Refusals of Discord that only a person can put right",
            ),
            outages: metrics.counters("ws_outages", "Outages of Discord: of its rest or gateway"),
            outage: metrics.gauges("ws_outage", "Whether there is an outage of Discord: 1 or 0"),
            odd: metrics.counters("ws_odd_payloads", "Payloads that could not be understood"),
            stalls: metrics.counters(
                "ws_stalls",
                "Connections given up for a while because the broker took no events",
            ),
            leases: metrics.gauges("ws_leases", "Shards that run in this process"),
            fenced: metrics.counters("ws_fenced", "Shards lost to another replica"),
            hand_overs: metrics.histograms(
                "ws_hand_over_seconds",
                "From the order to end a shard to the release of its lease",
                Buckets::seconds(),
            ),
            reshard_phase: metrics.gauges(
                "ws_reshard_phase",
                "How far a change of the number of shards is: 0 none, 1 warming, 2 switching",
            ),
            reshard_postponed: metrics.gauges(
                "ws_reshard_postponed",
                "Whether a change of the number of shards waits for enough identifies: 1 or 0",
            ),
            store_up: metrics.gauges("ws_store_up", "Whether the store answers: 1 or 0"),
            saves_failed: metrics.counters("ws_saves_failed", "Sessions could not be saved"),
            identifies_left: metrics.gauges(
                "ws_identifies_left",
                "Identifies left today, but for the reserve, when last asked",
            ),
            failed: metrics.gauges(
                "ws_application_failed",
                "1 when the application was given up: the log says what to change",
            ),
            commands: metrics.counters(
                "ws_commands",
                "Requests of workers: done, forwarded to the shard's holder, or the code of the failure",
            ),
            status_events: metrics.counters(
                "ws_status_events",
                "Events about shards and their number, given to the broker",
            ),
            status_dropped: metrics.counters(
                "ws_status_events_dropped",
                "Events about shards that were dropped for newer ones, because the broker takes none",
            ),
        }
    }

    /// An event of our own was given to the broker.
    pub(crate) fn status_published(&self) {
        self.status_events
            .get_or_create(&self.by_application())
            .inc();
    }

    /// An event of our own found no room.
    pub(crate) fn status_dropped(&self) {
        self.status_dropped
            .get_or_create(&self.by_application())
            .inc();
    }

    /// The same for one application.
    pub(crate) fn of(&self, application: u64) -> Self {
        Self {
            application,
            ledger: self.ledger.of(application),
            ..self.clone()
        }
    }

    /// A request of a worker came to its end here: it is done, forwarded, or failed with a code.
    pub(crate) fn command(&self, outcome: &'static str) {
        let labels = self.by_word("outcome", outcome);
        self.commands.get_or_create(&labels).inc();
    }

    /// A connection begins.
    pub(crate) fn connecting(&self, resume: bool) {
        let how = if resume { "resume" } else { "identify" };
        self.connects.get_or_create(&self.by_word("how", how)).inc();
    }

    /// A session was identified or resumed.
    pub(crate) fn connected(&self, shard: Shard, how: &'static str) {
        self.sessions.get_or_create(&self.by_word("how", how)).inc();
        self.shards
            .connected
            .get_or_create(&self.by_shard(shard))
            .set(1);
    }

    /// A connection is over.
    pub(crate) fn disconnected(&self, shard: Shard) {
        self.shards
            .connected
            .get_or_create(&self.by_shard(shard))
            .set(0);
    }

    /// What the last heartbeat took.
    pub(crate) fn latency(&self, shard: Shard, latency: Option<Duration>) {
        let millis = latency.and_then(|latency| i64::try_from(latency.as_millis()).ok());
        if let Some(millis) = millis {
            self.shards
                .latency
                .get_or_create(&self.by_shard(shard))
                .set(millis);
        }
    }

    /// What is counted for each event of a shard.
    pub(crate) fn shard(&self, shard: Shard) -> OfShard {
        OfShard::new(&self.shards.steps, self.application, shard)
    }

    /// The shard is in the state with this number.
    pub(crate) fn state(&self, shard: Shard, state: i32) {
        self.shards
            .state
            .get_or_create(&self.by_shard(shard))
            .set(state.into());
    }

    /// How long an event has waited for its confirm.
    pub(crate) fn lag(&self, shard: Shard, lag: Duration) {
        self.shards
            .lag
            .get_or_create(&self.by_shard(shard))
            .set(lag.as_secs_f64());
    }

    /// The shard is not here any more, and neither are its series.
    pub(crate) fn forget(&self, shard: Shard) {
        let labels = self.by_shard(shard);
        for gauges in [
            &self.shards.connected,
            &self.shards.latency,
            &self.shards.state,
        ] {
            gauges.remove(&labels);
        }
        self.shards.lag.remove(&labels);
        ledger::forget(&self.shards.steps, self.application, shard);
    }

    /// Discord refused for good.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused
            .get_or_create(&self.by_word("reason", reason))
            .inc();
    }

    /// Discord's `what` is away, or there again.
    pub(crate) fn outage(&self, what: &'static str, is_away: bool) {
        let labels = self.by_word("what", what);
        if is_away {
            self.outages.get_or_create(&labels).inc();
        }
        self.outage.get_or_create(&labels).set(is_away.into());
    }

    /// A payload that cannot be read.
    pub(crate) fn malformed(&self) {
        let labels = self.by_word("kind", "malformed");
        self.odd.get_or_create(&labels).inc();
    }

    /// A payload with an opcode that is not known.
    pub(crate) fn unknown_opcode(&self) {
        let labels = self.by_word("kind", "opcode");
        self.odd.get_or_create(&labels).inc();
    }

    /// The broker took no event for too long.
    pub(crate) fn stalled(&self) {
        self.stalls.get_or_create(&self.by_application()).inc();
    }

    /// So many shards run here.
    pub(crate) fn leases(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.leases.get_or_create(&self.by_application()).set(count);
    }

    /// A shard was lost to another replica.
    pub(crate) fn fenced(&self) {
        self.fenced.get_or_create(&self.by_application()).inc();
    }

    /// A shard was handed over, which took so long.
    pub(crate) fn released(&self, took: Duration) {
        self.hand_overs
            .get_or_create(&self.by_application())
            .observe(took.as_secs_f64());
    }

    /// How far a change of the number of shards is.
    pub(crate) fn reshard_phase(&self, phase: i64) {
        self.reshard_phase
            .get_or_create(&self.by_application())
            .set(phase);
    }

    /// Whether a change of the number of shards waits for enough identifies.
    pub(crate) fn reshard_postponed(&self, is_postponed: bool) {
        self.reshard_postponed
            .get_or_create(&self.by_application())
            .set(is_postponed.into());
    }

    /// Whether the store answers.
    pub(crate) fn store_up(&self, is_up: bool) {
        self.store_up
            .get_or_create(&self.by_application())
            .set(is_up.into());
    }

    /// Sessions could not be saved.
    pub(crate) fn save_failed(&self) {
        self.saves_failed
            .get_or_create(&self.by_application())
            .inc();
    }

    /// So many identifies are left.
    pub(crate) fn identifies_left(&self, left: u32) {
        self.identifies_left
            .get_or_create(&self.by_application())
            .set(left.into());
    }

    /// The application was given up.
    pub(crate) fn failed(&self) {
        self.failed.get_or_create(&self.by_application()).set(1);
    }

    fn by_word(&self, key: &'static str, word: &'static str) -> ByWord {
        by_word(self.application, key, word)
    }

    fn by_application(&self) -> ByApplication {
        [("application", self.application)]
    }

    fn by_shard(&self, shard: Shard) -> ByShard {
        by_shard(self.application, shard)
    }
}

fn by_word(application: u64, key: &'static str, word: &'static str) -> ByWord {
    let application = application.to_string().into();
    [("application", application), (key, word.into())]
}

fn by_shard(application: u64, shard: Shard) -> ByShard {
    [
        ("application", application),
        ("shard", shard.id.into()),
        ("shard_count", shard.count.into()),
    ]
}
