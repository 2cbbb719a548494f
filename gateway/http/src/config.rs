//! What an operator can set.

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, time::Duration};

use boot::{Key, Reader, Size};
use discord::{
    config::{Id, LIST, OWN_ID, read_those_with},
    signature::PublicKeys,
};
use events::Carries;
use interactions::{DEFER_AFTER, Settings, defer_after};
use listener::Proxies;
use transcode::Lanes;

const PUBLIC_KEY: Key = Key::new(
    "DISCORD_PUBLIC_KEY",
    "The application's public key, as the developer portal shows it; several with commas between them, such as the old and the \
     new one. Applications in [[applications]] that have none are passed over.",
)
.unique_in_each(LIST, "public_key");
const EVENT_PAYLOAD: Key = Key::new(
    "EVENT_PAYLOAD",
    "What an event carries: `typed`, `json` or `both`.",
)
.with_default("typed")
.in_each(LIST, "event_payload");

const ADDRESS: Key = Key::new(
    "HTTP_ADDRESS",
    "Where Discord, or the proxy in front, finds this service. The interactions endpoint URL is its address with the path \
     /interactions, or /interactions/<application id>.",
)
.with_default("127.0.0.1:8080");
const LINGER: Key = Key::new(
    "INTERACTION_LINGER",
    "How long a process that is stopped waits for replies to what it has deferred.",
)
.with_default("10s");
const TOLERANCE: Key = Key::new(
    "HTTP_SIGNATURE_TOLERANCE",
    "How far the moment of a signature may be from this machine's clock.",
)
.with_default("5m");
const MAX_BODY: Key =
    Key::new("HTTP_MAX_BODY", "How large an interaction may be.").with_default("1MiB");
const PROXIES: Key = Key::new(
    "HTTP_PROXIES",
    "Proxies in front, as addresses and networks: their X-Forwarded-For says who has called, for the log.",
);

/// The keys of an application.
const EACH: &[Key] = &[PUBLIC_KEY, OWN_ID, EVENT_PAYLOAD];

/// The keys of this service alone.
const OWN: &[Key] = &[ADDRESS, LINGER, TOLERANCE, MAX_BODY, PROXIES];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[
    EACH,
    &[DEFER_AFTER],
    interactions::KEYS,
    OWN,
    listener::KEYS,
    broker::KEYS,
];

/// The configuration of `gateway-http`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The applications, at least one.
    pub(crate) applications: Vec<Application>,
    /// Where interactions are taken.
    pub(crate) address: SocketAddr,
    /// How many connections there are, and whether with TLS.
    pub(crate) open: listener::Config,
    /// When an interaction is deferred.
    pub(crate) defer_after: Duration,
    /// What holds for interactions, whichever way they come.
    pub(crate) settings: Settings,
    /// How long the end waits for late replies.
    pub(crate) linger: Duration,
    /// How far the moment of a signature may be away.
    pub(crate) tolerance: Duration,
    /// Bytes that an interaction may have.
    pub(crate) max_body: usize,
    /// Whose word counts about who has called.
    pub(crate) proxies: Proxies,
    /// The broker.
    pub(crate) broker: broker::Config,
}

/// One application.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    /// Its id.
    pub(crate) id: u64,
    /// What its requests are signed with.
    pub(crate) keys: PublicKeys,
    /// Which lanes its events carry.
    pub(crate) lanes: Lanes,
}

impl Config {
    /// Reads the configuration; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let second = Duration::from_secs(1);
        let missing = "is missing: no application has a public key";
        let applications = read_those_with(reader, &PUBLIC_KEY, missing, Application::read);
        let address = reader.or_default(&ADDRESS);
        let open = listener::Config::read(reader);
        let defer_after = defer_after(reader);
        let settings = Settings::read(reader);
        let linger = reader.in_range(&LINGER, Duration::ZERO..=600 * second);
        let tolerance = reader.in_range(&TOLERANCE, second..=24 * 3600 * second);
        let max_body = reader.in_range(&MAX_BODY, Size(64 << 10)..=Size(64 << 20));
        let proxies = reader.optional(&PROXIES);
        let broker = broker::Config::read_amqp(reader, "over stdio no worker could answer");
        Some(Self {
            applications: applications?,
            address: address?,
            open: open?,
            defer_after: defer_after?,
            settings: settings?,
            linger: linger?,
            tolerance: tolerance?,
            max_body: max_body?.bytes(),
            proxies: proxies.unwrap_or_default(),
            broker: broker?,
        })
    }
}

impl Application {
    /// `None` for one whose interactions come in another way, and for mistakes.
    fn read(reader: &mut Reader) -> Option<Self> {
        let has_key = reader.is_set(&PUBLIC_KEY);
        let keys = reader.optional(&PUBLIC_KEY);
        let lanes = reader.or_default::<Carries>(&EVENT_PAYLOAD);
        let id = match has_key {
            true => reader.required::<Id>(&OWN_ID),
            false => reader.optional::<Id>(&OWN_ID),
        };
        Some(Self {
            id: id?.0,
            keys: keys?,
            lanes: lanes?.0,
        })
    }
}
