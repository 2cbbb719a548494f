//! What became of every event that was received: the half of the loss ledger that is this service's.
//!
//! received = filtered + held + published + returned + dropped, but for the one event of each shard
//! that is in hand; and what all applications published, with the events of our own and what was
//! found in the spool, is what the broker was given, whose half of the ledger goes on from there.

use super::{ByWord, by_word};
use boot::metrics::{Counter, Family, Gauge};
use std::borrow::Cow;
use store::Shard;

/// What becomes of a shard's events, by shard and step.
pub(super) type Steps = Family<ByStep, Counter>;

/// The labels of a shard, and what happened.
type ByStep = [(&'static str, Cow<'static, str>); 4];

/// The label of an application.
type ByApplication = [(&'static str, u64); 1];

/// What happens to an event of a shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// The broker has confirmed it.
    Confirmed,
    /// Nobody wants it.
    Filtered,
    /// The broker was given it.
    Published,
    /// Discord sent it.
    Received,
}

impl Step {
    const ALL: [Self; 4] = [
        Self::Confirmed,
        Self::Filtered,
        Self::Published,
        Self::Received,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Filtered => "filtered",
            Self::Published => "published",
            Self::Received => "received",
        }
    }
}

/// The counters of one shard.
#[derive(Clone, Debug)]
pub(crate) struct OfShard([Counter; 4]);

impl OfShard {
    pub(super) fn new(steps: &Steps, application: u64, shard: Shard) -> Self {
        let counter = |step| steps.get_or_create_owned(&by_step(application, shard, step));
        Self(Step::ALL.map(counter))
    }

    /// This happened to an event.
    pub(crate) fn count(&self, step: Step) {
        self.counter(step).inc();
    }

    /// What counts it.
    pub(crate) const fn counter(&self, step: Step) -> &Counter {
        &self.0[step as usize]
    }
}

/// Takes the series of a shard away.
pub(super) fn forget(steps: &Steps, application: u64, shard: Shard) {
    for step in Step::ALL {
        steps.remove(&by_step(application, shard, step));
    }
}

fn by_step(application: u64, shard: Shard, step: Step) -> ByStep {
    [
        ("application", application.to_string().into()),
        ("shard", shard.id.to_string().into()),
        ("shard_count", shard.count.to_string().into()),
        ("step", step.name().into()),
    ]
}

/// The counters of one application, looked up already.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    families: Families,
    /// Events that Discord sent.
    pub(crate) received: Counter,
    /// Those that `DISCORD_EVENTS` leaves out.
    pub(crate) filtered: Counter,
    /// Those that are held back while the number of shards changes.
    pub(crate) held: Gauge,
    /// Those that the broker was given.
    pub(crate) published: Counter,
    /// Those that were read and given up with the connection: Discord sends them again.
    pub(crate) returned: Counter,
    /// Those that another set of shards publishes.
    pub(crate) suppressed: Counter,
    /// Those that belong to no session.
    pub(crate) sessionless: Counter,
    /// How they travel.
    pub(crate) lanes: Lanes,
}

/// How events travel.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    /// As JSON, because that was asked for.
    pub(crate) json: Counter,
    /// As text that cannot be read.
    pub(crate) malformed: Counter,
    /// Typed.
    pub(crate) typed: Counter,
    /// As JSON, because they are no object.
    pub(crate) unfit: Counter,
    /// As JSON, because the schema does not know them.
    pub(crate) unknown: Counter,
}

#[derive(Clone, Debug)]
struct Families {
    received: Family<ByApplication, Counter>,
    filtered: Family<ByApplication, Counter>,
    held: Family<ByApplication, Gauge>,
    published: Family<ByApplication, Counter>,
    returned: Family<ByApplication, Counter>,
    dropped: Family<ByWord, Counter>,
    lanes: Family<ByWord, Counter>,
}

impl Ledger {
    /// Registers everything; it counts for nobody until it is that [of](Self::of) an application.
    pub(super) fn new(metrics: &boot::Metrics) -> Self {
        let families = Families {
            received: metrics.counters("ws_received", "Events that Discord sent"),
            filtered: metrics.counters("ws_filtered", "Events that DISCORD_EVENTS leaves out"),
            held: metrics.gauges(
                "ws_held",
                "Events that a new set of shards holds back until it takes over",
            ),
            published: metrics.counters("ws_published", "Events given to the broker"),
            returned: metrics.counters(
                "ws_returned",
                "Events read and given up with their connection: Discord sends them again",
            ),
            dropped: metrics.counters("ws_dropped", "Events that are not published, by reason"),
            lanes: metrics.counters(
                "ws_events",
                "Events by how they travel: typed, json (asked for), unknown, malformed, unfit",
            ),
        };
        Self {
            received: Counter::default(),
            filtered: Counter::default(),
            held: Gauge::default(),
            published: Counter::default(),
            returned: Counter::default(),
            suppressed: Counter::default(),
            sessionless: Counter::default(),
            lanes: Lanes {
                json: Counter::default(),
                malformed: Counter::default(),
                typed: Counter::default(),
                unfit: Counter::default(),
                unknown: Counter::default(),
            },
            families,
        }
    }

    /// That of one application.
    pub(super) fn of(&self, application: u64) -> Self {
        let families = self.families.clone();
        let labels = [("application", application)];
        let dropped = |reason| {
            let labels = by_word(application, "reason", reason);
            families.dropped.get_or_create_owned(&labels)
        };
        let lane = |lane| {
            let labels = by_word(application, "lane", lane);
            families.lanes.get_or_create_owned(&labels)
        };
        Self {
            received: families.received.get_or_create_owned(&labels),
            filtered: families.filtered.get_or_create_owned(&labels),
            held: families.held.get_or_create_owned(&labels),
            published: families.published.get_or_create_owned(&labels),
            returned: families.returned.get_or_create_owned(&labels),
            suppressed: dropped("other_set"),
            sessionless: dropped("no_session"),
            lanes: Lanes {
                json: lane("json"),
                malformed: lane("malformed"),
                typed: lane("typed"),
                unfit: lane("unfit"),
                unknown: lane("unknown"),
            },
            families,
        }
    }
}
