//! What an operator can set, and what the values have to be.

use crate::{intents, store::Place};
use boot::{ExposeSecret, Key, Parse, Reader, SecretString, config::Invalid};
use http::Uri;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

const TOKEN: Key = Key::new("DISCORD_TOKEN", "The bot's token.").secret();
const APPLICATION_ID: Key = Key::new(
    "DISCORD_APPLICATION_ID",
    "The application's id. Asked from Discord when it is not set.",
);
const API_URL: Key = Key::new(
    "DISCORD_API_URL",
    "Base of Discord's HTTP API, version included.",
)
.with_default("https://discord.com/api/v10");
const INTENTS: Key = Key::new(
    "DISCORD_INTENTS",
    "The gateway intents: names separated by commas, or the number of the bitfield.",
);
const EVENTS: Key = Key::new(
    "DISCORD_EVENTS",
    "The events to publish, by name, separated by commas. All when it is not set.",
);
const SHARD_COUNT: Key = Key::new(
    "DISCORD_SHARD_COUNT",
    "How many shards there are: a number, or `auto` for what Discord recommends.",
)
.with_default("auto");
const SHARD_IDS: Key = Key::new(
    "DISCORD_SHARD_IDS",
    "The shards that this process runs, such as `0-3,8`. All when it is not set.",
);
const EVENT_PAYLOAD: Key = Key::new(
    "EVENT_PAYLOAD",
    "What an event carries: `typed`, `json` or `both`. Events that the schema does not know \
     always carry `json`.",
)
.with_default("typed");
const REDIS_URL: Key = Key::new(
    "REDIS_URL",
    "Redis or Valkey, where sessions outlive the process.",
)
.secret();
const SESSION_FILE: Key = Key::new(
    "WS_SESSION_FILE",
    "A file where sessions outlive the process; for one process without Redis.",
);
const STALL_TIMEOUT: Key = Key::new(
    "WS_STALL_TIMEOUT",
    "How long the broker may take no event before a shard disconnects, to resume when it does.",
)
.with_default("5s");

/// The keys of this service alone.
const OWN: &[Key] = &[
    TOKEN,
    APPLICATION_ID,
    API_URL,
    INTENTS,
    EVENTS,
    SHARD_COUNT,
    SHARD_IDS,
    EVENT_PAYLOAD,
    REDIS_URL,
    SESSION_FILE,
    STALL_TIMEOUT,
];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[OWN, broker::KEYS];

/// The configuration of `gateway-ws`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The bot's token.
    pub(crate) token: SecretString,
    /// The application's id, if it need not be asked for.
    pub(crate) application_id: Option<u64>,
    /// Base of Discord's HTTP API.
    pub(crate) api_url: String,
    /// The bitfield of intents.
    pub(crate) intents: u64,
    /// The events to publish; `None` is all.
    pub(crate) events: Option<Arc<BTreeSet<String>>>,
    /// How many shards there are; `None` is Discord's recommendation.
    pub(crate) shard_count: Option<u32>,
    /// The shards that this process runs; `None` is all.
    pub(crate) shard_ids: Option<BTreeSet<u32>>,
    /// Which lanes an event carries.
    pub(crate) lanes: transcode::Lanes,
    /// Where sessions are kept.
    pub(crate) sessions: Place,
    /// How long the broker may take no event.
    pub(crate) stall_timeout: Duration,
    /// The broker.
    pub(crate) broker: broker::Config,
}

impl Config {
    /// Reads the configuration; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let token = reader.required::<Token>(&TOKEN);
        let application_id = reader.optional(&APPLICATION_ID);
        let api_url = reader.or_default::<ApiUrl>(&API_URL);
        let intents = reader.required::<intents::Bits>(&INTENTS);
        let events = reader.optional::<Vec<EventName>>(&EVENTS);
        let shard_count = reader.or_default::<ShardCount>(&SHARD_COUNT);
        let shard_ids = reader.optional::<Vec<ShardRange>>(&SHARD_IDS);
        let lanes = reader.or_default::<Payload>(&EVENT_PAYLOAD);
        let sessions = place(reader);
        let stall_timeout = reader.in_range(
            &STALL_TIMEOUT,
            Duration::from_millis(100)..=Duration::from_secs(30),
        );
        let broker = broker::Config::read(reader);
        let shard_ids = shard_ids.map(ShardRange::ids);
        if let (Some(ids), Some(ShardCount(Some(count)))) = (&shard_ids, shard_count)
            && let Some(id) = ids.iter().find(|id| **id >= count)
        {
            reader.mistake(
                &SHARD_IDS,
                format!("names shard {id}, but DISCORD_SHARD_COUNT is {count}"),
            );
        }
        Some(Self {
            token: token?.0,
            application_id,
            api_url: api_url?.0,
            intents: intents?.0,
            events: events.map(EventName::set),
            shard_count: shard_count?.0,
            shard_ids,
            lanes: lanes?.0,
            sessions: sessions?,
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

/// A bot token.
struct Token(SecretString);

impl Parse for Token {
    fn expected() -> String {
        "a bot token: one word of letters, digits, dots, dashes and underscores, without \"Bot \" \
         in front"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new())
        }
    }
}

/// The base of an HTTP API.
struct ApiUrl(String);

impl Parse for ApiUrl {
    fn expected() -> String {
        "an http or https URL, for example https://discord.com/api/v10".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let uri: Uri = text.parse().map_err(|_| Invalid::new())?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(Self(text.to_owned())),
            _ => Err(Invalid::new()),
        }
    }
}

/// The URL of a Redis server.
struct RedisUrl(SecretString);

impl Parse for RedisUrl {
    fn expected() -> String {
        "a Redis URL, for example redis://user:password@localhost:6379/0, or rediss:// for TLS"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let secret = SecretString::from(text);
        redis::Client::open(secret.expose_secret()).map_err(|_| Invalid::new())?;
        Ok(Self(secret))
    }
}

/// The name of an event, as Discord writes it.
struct EventName(String);

impl EventName {
    /// The names as a set.
    fn set(names: Vec<Self>) -> Arc<BTreeSet<String>> {
        Arc::new(names.into_iter().map(|name| name.0).collect())
    }
}

impl Parse for EventName {
    fn expected() -> String {
        "the name of an event, for example MESSAGE_CREATE".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let name = text.to_ascii_uppercase();
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if name.bytes().all(fits) && !name.is_empty() {
            Ok(Self(name))
        } else {
            Err(Invalid::new())
        }
    }
}

/// How many shards there are.
#[derive(Clone, Copy)]
struct ShardCount(Option<u32>);

impl Parse for ShardCount {
    fn expected() -> String {
        "`auto`, or a number from 1 to 65535".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self(None));
        }
        match text.parse::<u16>() {
            Ok(count) if count > 0 => Ok(Self(Some(count.into()))),
            _ => Err(Invalid::new()),
        }
    }
}

/// One shard, or several in a row.
struct ShardRange(u16, u16);

impl ShardRange {
    /// Every shard of the ranges.
    fn ids(ranges: Vec<Self>) -> BTreeSet<u32> {
        ranges
            .into_iter()
            .flat_map(|Self(first, last)| first..=last)
            .map(u32::from)
            .collect()
    }
}

impl Parse for ShardRange {
    fn expected() -> String {
        "a shard, or a range of shards such as 0-3".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| Invalid::new());
        let range = Self(number(first)?, number(last)?);
        if range.0 <= range.1 {
            Ok(range)
        } else {
            Err(Invalid::new())
        }
    }
}

/// What an event carries.
struct Payload(transcode::Lanes);

impl Parse for Payload {
    fn expected() -> String {
        "`typed`, `json` or `both`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text.to_ascii_lowercase().as_str() {
            "both" => Ok(Self(transcode::Lanes::Both)),
            "json" => Ok(Self(transcode::Lanes::Json)),
            "typed" => Ok(Self(transcode::Lanes::Typed)),
            _ => Err(Invalid::new()),
        }
    }
}

#[cfg(test)]
mod tests;
