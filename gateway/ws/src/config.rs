//! What an operator can set, and what the values have to be.

mod application;
mod presence;
mod values;

pub(crate) use application::Application;

use crate::store::Place;
use boot::{Key, Reader};
use std::{path::PathBuf, time::Duration};
use values::{ApiUrl, RedisUrl};

const API_URL: Key = Key::new(
    "DISCORD_API_URL",
    "Base of Discord's HTTP API, version included.",
)
.with_default("https://discord.com/api/v10");
const REDIS_URL: Key = Key::new(
    "REDIS_URL",
    "Redis or Valkey, where sessions outlive the process.",
)
.secret();
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
const STALL_TIMEOUT: Key = Key::new(
    "WS_STALL_TIMEOUT",
    "How long the broker may take no event before a shard disconnects, to resume when it does.",
)
.with_default("5s");

/// The keys of this service alone.
const OWN: &[Key] = &[
    API_URL,
    REDIS_URL,
    SESSION_FILE,
    LEASE_TTL,
    IDENTIFY_RESERVE,
    STALL_TIMEOUT,
];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[application::KEYS, OWN, broker::KEYS];

/// The configuration of `gateway-ws`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The applications, at least one.
    pub(crate) applications: Vec<Application>,
    /// Base of Discord's HTTP API.
    pub(crate) api_url: String,
    /// Where sessions are kept.
    pub(crate) sessions: Place,
    /// How long a shard stays with a process that is not heard of.
    pub lease_ttl: Duration,
    /// How many identifies of the day are left unused.
    pub identify_reserve: u32,
    /// How long the broker may take no event.
    pub(crate) stall_timeout: Duration,
    /// The broker.
    pub(crate) broker: broker::Config,
}

impl Config {
    /// Reads the configuration; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let application = Application::read(reader);
        let api_url = reader.or_default::<ApiUrl>(&API_URL);
        let sessions = place(reader);
        let lease_ttl =
            reader.in_range(&LEASE_TTL, Duration::from_secs(2)..=Duration::from_secs(60));
        let identify_reserve = reader.in_range(&IDENTIFY_RESERVE, 0..=100_000);
        let stall_timeout = reader.in_range(
            &STALL_TIMEOUT,
            Duration::from_millis(100)..=Duration::from_secs(30),
        );
        let broker = broker::Config::read(reader);
        Some(Self {
            applications: vec![application?],
            api_url: api_url?.0,
            sessions: sessions?,
            lease_ttl: lease_ttl?,
            identify_reserve: identify_reserve?,
            stall_timeout: stall_timeout?,
            broker: broker?,
        })
    }
}

/// Where sessions are kept, by whichever of the two keys is set.
fn place(reader: &mut Reader) -> Option<Place> {
    let redis = reader.optional::<RedisUrl>(&REDIS_URL);
    let file = reader.optional::<PathBuf>(&SESSION_FILE);
    match (redis, file) {
        (Some(_), Some(_)) => {
            reader.mistake(&SESSION_FILE, "is set as well as REDIS_URL; set only one");
            None
        }
        (Some(url), None) => Some(Place::Redis(url.0)),
        (None, Some(path)) => Some(Place::File(path)),
        (None, None) => Some(Place::Memory),
    }
}

#[cfg(test)]
mod tests;
