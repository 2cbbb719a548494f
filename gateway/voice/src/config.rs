//! What an operator can set.

mod recordings;
#[cfg(test)]
mod tests;

use std::{num::NonZeroU64, time::Duration};

use boot::{Key, Parse, Reader, Size, config::Invalid};
use discord::config::{Id, LIST, OWN_ID, read_those_with};

pub(crate) use self::recordings::Recordings;

const USER_ID: Key = Key::new(
    "DISCORD_USER_ID",
    "The id of the bot's user [default: the application's, which it is for all but the oldest bots].",
)
.in_each(LIST, "user_id");

const CALLS: Key = Key::new(
    "VOICE_CALLS",
    "How many calls this node takes; further ones are refused.",
)
.with_default("500");
const QUEUE: Key = Key::new(
    "VOICE_QUEUE",
    "How many tracks the queue of a call may have.",
)
.with_default("1000");
const DATA: Key = Key::new(
    "VOICE_TRACK_DATA",
    "How large the content of a file may be that comes with a track.",
)
.with_default("8MiB");
const JOIN_TIMEOUT: Key = Key::new(
    "VOICE_JOIN_TIMEOUT",
    "How long Discord may take to let the bot into a channel: it does not say when it will not.",
)
.with_default("10s");
const RECONNECT_TIMEOUT: Key = Key::new(
    "VOICE_RECONNECT_TIMEOUT",
    "How long a connection that was lost is tried to be made again, before the call ends.",
)
.with_default("60s");
const POSITION_INTERVAL: Key = Key::new(
    "VOICE_POSITION_INTERVAL",
    "How often TRACK_POSITION tells how far a track is; 0s: never.",
)
.with_default("10s");

const LEASE_TTL: Key = Key::new(
    "VOICE_LEASE_TTL",
    "How long a call stays with a node that is no longer heard of, before another takes it over.",
)
.with_default("5s");

const CPU: Key = Key::new(
    "VOICE_CPU",
    "From how many percent of the CPU time that it can have on this node takes no further calls; 100: it does not matter.",
)
.with_default("90");

const EMPTY: Key = Key::new(
    "VOICE_EMPTY",
    "What happens when nobody but bots is in the channel any more: `stay`: it plays on; `pause`: the track is held until somebody comes; \
     `leave`: the same, and after VOICE_EMPTY_TIMEOUT the call ends. For the last two gateway-ws has to publish GUILD_CREATE as well.",
)
.with_default("stay");
const EMPTY_TIMEOUT: Key = Key::new(
    "VOICE_EMPTY_TIMEOUT",
    "How long somebody may take to come back, until the call ends.",
)
.with_default("5m");

/// The keys of an application.
const EACH: &[Key] = &[OWN_ID, USER_ID];

/// The keys of this service alone.
const OWN: &[Key] = &[
    CALLS,
    CPU,
    QUEUE,
    DATA,
    JOIN_TIMEOUT,
    RECONNECT_TIMEOUT,
    POSITION_INTERVAL,
    LEASE_TTL,
    EMPTY,
    EMPTY_TIMEOUT,
];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[
    EACH,
    OWN,
    recordings::KEYS,
    sound::KEYS,
    store::KEYS,
    broker::KEYS,
];

/// The configuration of `gateway-voice`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The applications, at least one.
    pub(crate) applications: Vec<Application>,
    /// What holds for calls.
    pub(crate) settings: Settings,
    /// Where recordings go.
    pub(crate) recordings: Recordings,
    /// Where sound may come from.
    pub(crate) sound: sound::Config,
    /// Where calls outlive their node.
    pub(crate) store: store::Config,
    /// The broker.
    pub(crate) broker: broker::Config,
}

/// One application.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Application {
    /// Its id.
    pub(crate) id: u64,
    /// The id of its bot's user.
    pub(crate) user_id: NonZeroU64,
}

/// What holds for calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How many there may be.
    pub(crate) calls: u32,
    /// From how many percent of CPU time on there may be no more.
    pub(crate) cpu: u32,
    /// How many tracks a queue may have.
    pub(crate) queue: usize,
    /// How many bytes a track may bring with it.
    pub(crate) data: usize,
    /// How long Discord may take.
    pub(crate) join_timeout: Duration,
    /// How long a lost connection is tried again.
    pub(crate) reconnect_timeout: Duration,
    /// How often positions are told; zero: never.
    pub(crate) position_interval: Duration,
    /// How long a call stays with a node that is not heard of.
    pub(crate) lease_ttl: Duration,
    /// What happens when nobody listens.
    pub(crate) empty: Empty,
    /// How long that may last.
    pub(crate) empty_timeout: Duration,
}

/// What happens when nobody listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Empty {
    /// The track is held, and the call ends after a while.
    Leave,
    /// The track is held.
    Pause,
    /// Nothing.
    Stay,
}

impl Parse for Empty {
    fn expected() -> String {
        "leave, pause or stay".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "leave" => Ok(Self::Leave),
            "pause" => Ok(Self::Pause),
            "stay" => Ok(Self::Stay),
            _ => Err(Invalid::new()),
        }
    }
}

impl Config {
    /// Reads the configuration; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let missing = "is required: no application has an id";
        let applications = read_those_with(reader, &OWN_ID, missing, Application::read);
        let settings = Settings::read(reader);
        let recordings = Recordings::read(reader);
        let sound = sound::Config::read(reader);
        let store = store::Config::read(reader, None);
        let broker = broker::Config::read_amqp(reader, "over stdio there is no gateway-ws");
        Some(Self {
            applications: applications?,
            settings: settings?,
            recordings: recordings?,
            sound: sound?,
            store: store?,
            broker: broker?,
        })
    }
}

impl Application {
    /// `None` for one that has no id: other services learn it from Discord. And for mistakes.
    fn read(reader: &mut Reader) -> Option<Self> {
        let user_id = reader.optional::<UserId>(&USER_ID);
        let id = reader.optional::<Id>(&OWN_ID)?.0;
        let user_id = match user_id {
            Some(user) => user.0,
            None => NonZeroU64::new(id)?,
        };
        Some(Self { id, user_id })
    }
}

impl Settings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let second = Duration::from_secs(1);
        let calls = reader.in_range(&CALLS, 1..=100_000_u32);
        let cpu = reader.in_range(&CPU, 1..=100_u32);
        let queue = reader.in_range(&QUEUE, 1..=100_000_u32);
        let data = reader.in_range(&DATA, Size(1 << 10)..=Size(64 << 20));
        let join_timeout = reader.in_range(&JOIN_TIMEOUT, second..=60 * second);
        let reconnect_timeout = reader.in_range(&RECONNECT_TIMEOUT, second..=3600 * second);
        let position_interval = reader.in_range(&POSITION_INTERVAL, Duration::ZERO..=3600 * second);
        let lease_ttl = reader.in_range(&LEASE_TTL, second..=300 * second);
        let empty = reader.or_default::<Empty>(&EMPTY);
        let empty_timeout = reader.in_range(&EMPTY_TIMEOUT, Duration::ZERO..=24 * 3600 * second);
        Some(Self {
            calls: calls?,
            cpu: cpu?,
            queue: queue? as usize,
            data: data?.bytes(),
            join_timeout: join_timeout?,
            reconnect_timeout: reconnect_timeout?,
            position_interval: position_interval?,
            lease_ttl: lease_ttl?,
            empty: empty?,
            empty_timeout: empty_timeout?,
        })
    }
}

/// The id of a user.
struct UserId(NonZeroU64);

impl Parse for UserId {
    fn expected() -> String {
        "a user's id, for example 1234567890123456789".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let id = Id::parse(text)?.0;
        NonZeroU64::new(id).map(Self).ok_or_else(Invalid::new)
    }
}
