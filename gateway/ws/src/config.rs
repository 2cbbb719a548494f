//! What an operator can set, and what the values have to be.

mod application;
mod presence;
mod values;

pub(crate) use application::Application;

use boot::{Key, Reader, Size};
use broker::Spool;
use discord::config::{API_URL, ApiUrl, LIST};
use interactions::{DEFER_AFTER, REPLIES, defer_after};
use std::{path::PathBuf, time::Duration};

const SESSION_FILE: Key = Key::new(
    "WS_SESSION_FILE",
    "A file where sessions outlive the process; for one process without Redis.",
);
const LEASE_TTL: Key = Key::new(
    "WS_LEASE_TTL",
    "How long a shard stays with a process that is no longer heard of, before another takes it.",
)
.with_default("10s");
const IDENTIFY_RESERVE: Key = Key::new(
    "WS_IDENTIFY_RESERVE",
    "How many of the day's identifies are left unused, as Discord resets the token after the last.",
)
.with_default("10");
const RESHARD_THRESHOLD: Key = Key::new(
    "WS_RESHARD_THRESHOLD",
    "With `auto`: the number of shards changes when Discord recommends this many times as many.",
)
.with_default("1.5");
const RESHARD_INTERVAL: Key = Key::new(
    "WS_RESHARD_INTERVAL",
    "With `auto`: how often Discord is asked how many shards it recommends.",
)
.with_default("10m");
const STALL_TIMEOUT: Key = Key::new(
    "WS_STALL_TIMEOUT",
    "How long the broker may take no event before a shard disconnects, to resume when it does.",
)
.with_default("5s");
const SPOOL_DIR: Key = Key::new(
    "WS_SPOOL_DIR",
    "A folder where events wait when the broker takes none and AMQP_WINDOW is full; for one \
     process. Without it the shards disconnect then.",
);
const SPOOL_SIZE: Key =
    Key::new("WS_SPOOL_SIZE", "How much WS_SPOOL_DIR may hold.").with_default("1GiB");

/// The keys of this service alone.
const OWN: &[Key] = &[
    API_URL,
    SESSION_FILE,
    LEASE_TTL,
    IDENTIFY_RESERVE,
    RESHARD_THRESHOLD,
    RESHARD_INTERVAL,
    STALL_TIMEOUT,
    SPOOL_DIR,
    SPOOL_SIZE,
    REPLIES,
    DEFER_AFTER,
];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[application::KEYS, OWN, store::KEYS, broker::KEYS];

/// The configuration of `gateway-ws`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The applications, at least one.
    pub(crate) applications: Vec<Application>,
    /// Base of Discord's HTTP API.
    pub(crate) api_url: String,
    /// Where the state is kept that outlives a process.
    pub(crate) store: store::Config,
    /// How long a shard stays with a process that is not heard of.
    pub lease_ttl: Duration,
    /// How many identifies of the day are left unused.
    pub identify_reserve: u32,
    /// By how much a recommendation has to exceed the number of shards before that changes.
    pub(crate) reshard_threshold: f64,
    /// How often Discord is asked for its recommendation.
    pub(crate) reshard_interval: Duration,
    /// How long the broker may take no event.
    pub(crate) stall_timeout: Duration,
    /// How long replies to interactions are waited for, if they are answered so.
    pub(crate) replies: Option<Duration>,
    /// The broker.
    pub(crate) broker: broker::Config,
}

impl Config {
    /// Reads the configuration; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let applications = reader.each(LIST, Application::read);
        let api_url = reader.or_default::<ApiUrl>(&API_URL);
        let file = reader.optional::<PathBuf>(&SESSION_FILE);
        let store = store::Config::read(reader, file);
        let lease_ttl =
            reader.in_range(&LEASE_TTL, Duration::from_secs(2)..=Duration::from_secs(60));
        let identify_reserve = reader.in_range(&IDENTIFY_RESERVE, 0..=100_000);
        let reshard_threshold = reader.in_range(&RESHARD_THRESHOLD, 1.0..=10.0);
        let reshard_interval = reader.in_range(
            &RESHARD_INTERVAL,
            Duration::from_secs(1)..=Duration::from_hours(24),
        );
        let stall_timeout = reader.in_range(
            &STALL_TIMEOUT,
            Duration::from_millis(100)..=Duration::from_secs(30),
        );
        let broker = broker::Config::read(reader);
        let replies = reader.or_default::<bool>(&REPLIES);
        let defer_after = defer_after(reader);
        let spool_dir = reader.optional::<PathBuf>(&SPOOL_DIR);
        let spool_size = reader.in_range(&SPOOL_SIZE, Size(64 << 20)..=Size(1 << 50));
        Some(Self {
            applications: applications?,
            api_url: api_url?.0,
            store: store?,
            lease_ttl: lease_ttl?,
            identify_reserve: identify_reserve?,
            reshard_threshold: reshard_threshold?,
            reshard_interval: reshard_interval?,
            stall_timeout: stall_timeout?,
            replies: replies?.then_some(defer_after?),
            broker: broker::Config {
                spool: spool(spool_dir, spool_size?),
                ..broker?
            },
        })
    }
}

/// The folder where events wait for the broker, if there is one.
fn spool(dir: Option<PathBuf>, size: Size) -> Option<Spool> {
    let limit = size.0;
    Some(Spool { dir: dir?, limit })
}

#[cfg(test)]
mod tests;
