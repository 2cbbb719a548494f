//! Which service has which keys, so that one file can be for all of them.

use super::key::Key;

/// A service that a file can be for.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// What its table is called: `ws` is that of `gateway-ws`.
    pub name: &'static str,
    /// The keys that it has and that not every service has: their names, whether they are secret, and
    /// where they stand in an array. The rest is the service's own to say.
    pub keys: &'static [Key],
}

/// The services. Those without keys are of other versions than this one.
///
/// Each service reads this list to tell what is for another from what nobody knows. It stands here,
/// as services know nothing of each other; a test compares it with their keys.
pub const SERVICES: &[Service] = &[
    Service::new("api", API),
    Service::new("cache", &[]),
    Service::new("control", &[]),
    Service::new("http", HTTP),
    Service::new("voice", VOICE),
    Service::new("webhook", WEBHOOK),
    Service::new("ws", WS),
];

const API: &[Key] = &[
    key("DISCORD_API_URL"),
    of_application("DISCORD_TOKEN", "token").secret(),
    key("API_EGRESS"),
    key("API_FILE_TIMEOUT"),
    key("API_FILE_URLS"),
    of_application("API_GLOBAL_LIMIT", "global_limit"),
    key("API_INVALID_LIMIT"),
    key("API_MAX_BODY"),
    key("API_REQUEST_TIMEOUT"),
    key("API_TIMEOUT"),
    key("API_WAITING"),
    key("API_WAITING_PER_BUCKET"),
    key("API_WAITING_SIZE"),
    key("HTTP_ADDRESS"),
    key("HTTP_CONNECTIONS"),
    key("HTTP_SECRET").secret(),
    key("HTTP_TLS_CERT"),
    key("HTTP_TLS_CLIENT_CA"),
    key("HTTP_TLS_KEY"),
    key("HTTP_TOKENS"),
    key("INTERACTION_EPHEMERAL"),
    key("INTERACTION_FAILURE_MESSAGE"),
    key("INTERACTION_REMEMBERED"),
    key("INTERACTION_REPLIES"),
    key("REDIS_PREFIX"),
    key("REDIS_TLS_CA"),
    key("REDIS_TLS_CERT"),
    key("REDIS_TLS_KEY"),
    key("REDIS_URL").secret(),
];

const HTTP: &[Key] = &[
    of_application("DISCORD_PUBLIC_KEY", "public_key"),
    of_application("EVENT_PAYLOAD", "event_payload"),
    key("HTTP_ADDRESS"),
    key("HTTP_CONNECTIONS"),
    key("HTTP_MAX_BODY"),
    key("HTTP_PROXIES"),
    key("HTTP_SIGNATURE_TOLERANCE"),
    key("HTTP_TLS_CERT"),
    key("HTTP_TLS_CLIENT_CA"),
    key("HTTP_TLS_KEY"),
    key("INTERACTION_DEFER_AFTER"),
    key("INTERACTION_EPHEMERAL"),
    key("INTERACTION_FAILURE_MESSAGE"),
    key("INTERACTION_LINGER"),
    key("INTERACTION_REMEMBERED"),
];

const VOICE: &[Key] = &[
    of_application("DISCORD_USER_ID", "user_id"),
    key("REDIS_PREFIX"),
    key("REDIS_TLS_CA"),
    key("REDIS_TLS_CERT"),
    key("REDIS_TLS_KEY"),
    key("REDIS_URL").secret(),
    key("VOICE_CALLS"),
    key("VOICE_CPU"),
    key("VOICE_EMPTY"),
    key("VOICE_EMPTY_TIMEOUT"),
    key("VOICE_JOIN_TIMEOUT"),
    key("VOICE_LEASE_TTL"),
    key("VOICE_POSITION_INTERVAL"),
    key("VOICE_QUEUE"),
    key("VOICE_READ_AHEAD"),
    key("VOICE_RECONNECT_TIMEOUT"),
    key("VOICE_RECORDINGS"),
    key("VOICE_RECORDING_LIMIT"),
    key("VOICE_RESOLVER"),
    key("VOICE_RESOLVER_TIMEOUT"),
    key("VOICE_SOUNDS"),
    key("VOICE_SOURCE_SIZE"),
    key("VOICE_SOURCE_TIMEOUT"),
    key("VOICE_TRACK_DATA"),
    key("VOICE_URLS"),
];

const WEBHOOK: &[Key] = &[
    key("DISCORD_API_URL"),
    of_application("DISCORD_TOKEN", "token").secret(),
    key("API_EGRESS"),
    key("API_FILE_TIMEOUT"),
    key("API_FILE_URLS"),
    key("API_INVALID_LIMIT"),
    key("API_MAX_BODY"),
    key("API_REQUEST_TIMEOUT"),
    key("API_TIMEOUT"),
    key("API_WAITING"),
    key("API_WAITING_PER_BUCKET"),
    key("API_WAITING_SIZE"),
    of_application("DISCORD_PUBLIC_KEY", "public_key"),
    of_application("EVENT_PAYLOAD", "event_payload"),
    key("HTTP_ADDRESS"),
    key("HTTP_CONNECTIONS"),
    key("HTTP_TLS_CERT"),
    key("HTTP_TLS_CLIENT_CA"),
    key("HTTP_TLS_KEY"),
    key("REDIS_PREFIX"),
    key("REDIS_TLS_CA"),
    key("REDIS_TLS_CERT"),
    key("REDIS_TLS_KEY"),
    key("REDIS_URL").secret(),
];

const WS: &[Key] = &[
    key("DISCORD_API_URL"),
    of_application("DISCORD_TOKEN", "token").secret(),
    of_application("DISCORD_EVENTS", "events"),
    of_application("DISCORD_INTENTS", "intents"),
    of_application("DISCORD_PRESENCE", "presence"),
    of_application("DISCORD_SHARD_COUNT", "shard_count"),
    of_application("DISCORD_SHARD_IDS", "shard_ids"),
    of_application("EVENT_BATCH", "event_batch"),
    of_application("EVENT_PAYLOAD", "event_payload"),
    key("INTERACTION_DEFER_AFTER"),
    key("INTERACTION_REPLIES"),
    key("REDIS_PREFIX"),
    key("REDIS_TLS_CA"),
    key("REDIS_TLS_CERT"),
    key("REDIS_TLS_KEY"),
    key("REDIS_URL").secret(),
    key("WS_IDENTIFY_RESERVE"),
    key("WS_LEASE_TTL"),
    key("WS_RESHARD_INTERVAL"),
    key("WS_RESHARD_THRESHOLD"),
    key("WS_SESSION_FILE"),
    key("WS_SPOOL_DIR"),
    key("WS_SPOOL_SIZE"),
    key("WS_STALL_TIMEOUT"),
];

impl Service {
    const fn new(name: &'static str, keys: &'static [Key]) -> Self {
        Self { name, keys }
    }
}

const fn key(name: &'static str) -> Key {
    Key::new(name, "")
}

/// A key that may stand in each table of `[[applications]]`.
const fn of_application(name: &'static str, there: &'static str) -> Key {
    key(name).in_each("applications", there)
}
