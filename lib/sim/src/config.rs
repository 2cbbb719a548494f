//! What the simulated Discord looks like: addresses, the application, its limits and its guilds.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{error::Error, generator::Mix, intents, rest::RestConfig};

/// Keys that are settled when the simulator starts.
const FIXED: [&str; 5] = [
    "address",
    "gateway_address",
    "resume_address",
    "voice_address",
    "voice_certificate",
];

/// Everything that can be set about the simulator; all but the addresses and the certificate may change while it runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Listener of the REST routes and of the control interface.
    pub address: SocketAddr,
    /// Listener that `GET /gateway` names.
    pub gateway_address: SocketAddr,
    /// Listener that READY names as `resume_gateway_url`.
    pub resume_address: SocketAddr,
    /// Listener that VOICE_SERVER_UPDATE names; packets are taken at the same IP address.
    pub voice_address: SocketAddr,
    /// Where the certificate of that listener is written, as PEM, for clients to trust.
    pub voice_certificate: Option<PathBuf>,
    /// The only bot token that is accepted.
    pub token: String,
    /// Id of the application.
    pub application_id: u64,
    /// Id of the bot's user.
    pub user_id: u64,
    /// Name of the bot's user.
    pub username: String,
    /// Shards that `GET /gateway/bot` recommends.
    pub shards: u32,
    /// Identifies allowed per window, one for each `shard_id % max_concurrency`.
    pub max_concurrency: u32,
    /// Identifies allowed per day.
    pub total: u32,
    /// Identifies left today.
    pub remaining: u32,
    /// Milliseconds until `remaining` becomes `total` again.
    pub reset_after_ms: u64,
    /// Length of the identify window in milliseconds.
    pub identify_window_ms: u64,
    /// Whether the token stops working, as with Discord, when a client identifies with nothing left.
    pub reset_token_on_exhaustion: bool,
    /// Intents that may be asked for; the others close with 4014.
    pub allowed_intents: u64,
    /// Number of guilds that the bot is in.
    pub guilds: u32,
    /// Channels of each guild.
    pub guild_channels: u32,
    /// Roles of each guild besides `@everyone`.
    pub guild_roles: u32,
    /// Members of each guild.
    pub guild_members: u32,
    /// How many of the guilds are down: they come as `GUILD_DELETE` with `unavailable`.
    pub unavailable_guilds: u32,
    /// Pause before each `GUILD_CREATE` that follows READY, in milliseconds.
    pub guild_create_interval_ms: u64,
    /// Guilds that one shard may have before Identify closes with 4011.
    pub max_guilds_per_shard: u32,
    /// The number of shards must be a multiple of this, else Identify closes with 4010.
    pub shard_multiple: u32,
    /// What HELLO says.
    pub heartbeat_interval_ms: u64,
    /// How much later than the interval a heartbeat may come; absent: half the interval, at least 500 ms.
    pub heartbeat_grace_ms: Option<u64>,
    /// How long a session lives without a connection, in milliseconds.
    pub session_timeout_ms: u64,
    /// How many events a session keeps for a resume.
    pub replay_events: usize,
    /// How many bytes of events a session keeps for a resume.
    pub replay_bytes: usize,
    /// How many events may wait for one slow client before the generator waits for it.
    pub queue_events: usize,
    /// For how many events a session remembers the names, for accounting.
    pub accounting_events: usize,
    /// Level of zstd-stream.
    pub zstd_level: i32,
    /// Level of zlib-stream, 0 to 9.
    pub zlib_level: u32,
    /// More new connections than this within one second are a violation.
    pub max_connections_per_second: u32,
    /// Seed of the generated events.
    pub seed: u64,
    /// Whether generated events carry the member `sim` with a number and the time.
    pub mark: bool,
    /// What the generator emits, unless a run says otherwise.
    pub mix: Mix,
    /// The REST half.
    pub rest: RestConfig,
}

impl Default for Config {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            address: any,
            gateway_address: any,
            resume_address: any,
            voice_address: any,
            voice_certificate: None,
            token: "sim.token".to_owned(),
            application_id: 1_100_000_000_000_000_001,
            user_id: 1_100_000_000_000_000_001,
            username: "sim".to_owned(),
            shards: 1,
            max_concurrency: 1,
            total: 1000,
            remaining: 1000,
            reset_after_ms: 14_400_000,
            identify_window_ms: 5000,
            reset_token_on_exhaustion: true,
            allowed_intents: intents::ALL,
            guilds: 10,
            guild_channels: 12,
            guild_roles: 8,
            guild_members: 40,
            unavailable_guilds: 0,
            guild_create_interval_ms: 0,
            max_guilds_per_shard: 2500,
            shard_multiple: 1,
            heartbeat_interval_ms: 41_250,
            heartbeat_grace_ms: None,
            session_timeout_ms: 180_000,
            replay_events: 200_000,
            replay_bytes: 256 << 20,
            queue_events: 1000,
            accounting_events: 10_000_000,
            zstd_level: 3,
            zlib_level: 6,
            max_connections_per_second: 20,
            seed: 1,
            mark: true,
            mix: Mix::default(),
            rest: RestConfig::default(),
        }
    }
}

impl Config {
    /// A copy with the given members changed.
    pub(crate) fn patched(&self, patch: &Map<String, Value>) -> Result<Self, Error> {
        if let Some(key) = FIXED.iter().find(|key| patch.contains_key(**key)) {
            return Err(Error::Invalid(format!(
                "{key} is settled when the simulator starts"
            )));
        }
        let config: Self = merge(self, patch)?;
        config.check()?;
        Ok(config)
    }

    /// Refuses what the simulator could not work with.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mistake = if self.shards == 0 {
            "shards must be at least 1"
        } else if self.max_concurrency == 0 {
            "max_concurrency must be at least 1"
        } else if self.shard_multiple == 0 {
            "shard_multiple must be at least 1"
        } else if self.heartbeat_interval_ms == 0 {
            "heartbeat_interval_ms must be at least 1"
        } else if self.queue_events == 0 || self.replay_events < 2 || self.replay_bytes == 0 {
            "queue_events, replay_events and replay_bytes must be positive"
        } else if self.zlib_level > 9 {
            "zlib_level goes from 0 to 9"
        } else if !(1..=22).contains(&self.zstd_level) {
            "zstd_level goes from 1 to 22"
        } else if let Some(mistake) = self.rest.mistake() {
            mistake
        } else {
            return self.mix.check();
        };
        Err(Error::Invalid(mistake.to_owned()))
    }
}

/// A copy of `current` with the members of `patch` put over it.
pub(crate) fn merge<T>(current: &T, patch: &Map<String, Value>) -> Result<T, Error>
where
    T: Serialize + for<'de> Deserialize<'de>,
{
    let invalid = |error: serde_json::Error| Error::Invalid(error.to_string());
    let mut whole = serde_json::to_value(current).map_err(invalid)?;
    if let Value::Object(members) = &mut whole {
        members.extend(patch.clone());
    }
    serde_json::from_value(whole).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Config, Map, Value};

    fn patch(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_patch_changes_only_its_own_members() {
        let changed = Config::default()
            .patched(&patch(&json!({"shards": 4, "token": "other"})))
            .unwrap();
        let expected = Config {
            shards: 4,
            token: "other".to_owned(),
            ..Config::default()
        };
        assert_eq!(changed, expected);
    }

    #[test]
    fn bad_patches_are_refused() {
        for bad in [
            json!({"shard": 4}),
            json!({"shards": 0}),
            json!({"shards": "two"}),
            json!({"address": "127.0.0.1:1"}),
            json!({"mix": {"NO_SUCH_EVENT": 1}}),
            json!({"zlib_level": 10}),
        ] {
            assert!(Config::default().patched(&patch(&bad)).is_err(), "{bad}");
        }
    }
}
