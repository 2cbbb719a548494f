//! Where the bot is in voice: what the main gateway says of it, and what the voice server lets in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use serde_json::{Value, json};
use sim_voice::{Grant, Snowflake, VoiceServer, Watcher, lock};

use crate::{
    config::Config,
    error::Error,
    gateway::payload,
    guilds::{self, Guild},
    json,
    orders::{self, Dispatch},
    violations::{Breach, Culprit, Kind, Violations},
    world::World,
};

/// What a moderator, or Discord itself, does with the bot in a guild's voice.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum VoiceOrder {
    /// It is disconnected.
    Disconnect,
    /// It is moved to another channel: the same endpoint with a new token.
    Move(u64),
    /// It is muted for all, or not any more.
    Mute(bool),
    /// Its voice server is gone: VOICE_SERVER_UPDATE without an endpoint, and 4022.
    LoseServer,
    /// It gets another endpoint, with a new token.
    ChangeServer,
}

/// An event of the main gateway.
type Told = (&'static str, Value);

/// The voice server, and where the bot is.
#[derive(Debug)]
pub(crate) struct Voice {
    server: VoiceServer,
    /// By guild.
    states: Mutex<HashMap<u64, Place>>,
}

/// Where the bot is in one guild.
#[derive(Clone, Debug)]
struct Place {
    channel_id: u64,
    session_id: String,
    token: String,
    self_mute: bool,
    self_deaf: bool,
    mute: bool,
    /// Whether it is in the audience.
    suppress: bool,
    /// Which of the voice server's names it was told.
    endpoint: usize,
}

impl Voice {
    pub(crate) async fn start(
        config: &Config,
        violations: &Arc<Violations>,
    ) -> Result<Self, sim_voice::Error> {
        let violations = Arc::clone(violations);
        let watcher = Watcher::new(move |violation| {
            let text = match violation.user_id {
                Some(user) => format!("{:?} of {user}: {}", violation.kind, violation.text),
                None => format!("{:?}: {}", violation.kind, violation.text),
            };
            violations.record(Culprit::default(), Breach::new(Kind::Voice, text));
        });
        let server = VoiceServer::start(sim_voice::Config {
            address: config.voice_address,
            certificate_file: config.voice_certificate.clone(),
            watcher: Some(watcher),
            ..sim_voice::Config::default()
        });
        Ok(Self {
            server: server.await?,
            states: Mutex::default(),
        })
    }

    pub(crate) fn server(&self) -> &VoiceServer {
        &self.server
    }

    pub(crate) fn url(&self) -> String {
        let [endpoint, _] = self.server.endpoints();
        format!("wss://{endpoint}")
    }

    /// Follows op 4; what the session is told.
    pub(crate) fn update(&self, world: &World, guild: &Guild, voice: &payload::Voice) -> Vec<Told> {
        let config = world.config();
        let mut states = lock(&self.states);
        let Some(Snowflake(channel_id)) = voice.channel_id else {
            let place = states.remove(&guild.id);
            self.server.revoke(guild.id, config.user_id);
            let place = place.unwrap_or_else(|| Place::new(0));
            return vec![state(&config, guild.id, None, &place)];
        };
        let known = states.get(&guild.id);
        let stays = known.is_some_and(|place| place.channel_id == channel_id);
        let mut place = match known {
            Some(place) if stays => place.clone(),
            Some(place) => place.moved(channel_id),
            None => Place::new(channel_id),
        };
        place.self_mute = voice.self_mute;
        place.self_deaf = voice.self_deaf;
        if !stays {
            place.suppress = world.faults.borrow().voice_audience;
        }
        let mut told = vec![state(&config, guild.id, Some(channel_id), &place)];
        if !stays {
            self.allow(&config, guild, &place);
            told.push(self.server_update(guild.id, &place));
            if world.faults.borrow().voice_server_first {
                told.reverse();
            }
        }
        states.insert(guild.id, place);
        told
    }

    /// Carries out an order; how many sessions were told.
    pub(crate) fn order(
        &self,
        world: &World,
        guild_id: u64,
        order: VoiceOrder,
    ) -> Result<usize, Error> {
        let config = world.config();
        let guilds = world.guilds();
        let guild = guilds.iter().find(|guild| guild.id == guild_id);
        let guild = guild.ok_or(Error::Unmatched)?;
        let told = {
            let mut states = lock(&self.states);
            let place = states.get_mut(&guild_id).ok_or(Error::Unmatched)?;
            let channel_id = place.channel_id;
            match order {
                VoiceOrder::Disconnect => {
                    let told = vec![state(&config, guild_id, None, place)];
                    states.remove(&guild_id);
                    self.server.revoke(guild_id, config.user_id);
                    told
                }
                VoiceOrder::Move(channel_id) => {
                    *place = place.moved(channel_id);
                    self.allow(&config, guild, place);
                    let state = state(&config, guild_id, Some(channel_id), place);
                    vec![state, self.server_update(guild_id, place)]
                }
                VoiceOrder::Mute(mute) => {
                    place.mute = mute;
                    self.mute(&config, guild_id, mute);
                    vec![state(&config, guild_id, Some(channel_id), place)]
                }
                VoiceOrder::LoseServer => {
                    let mut told = self.server_update(guild_id, place);
                    told.1["endpoint"] = Value::Null;
                    self.end(&config, guild_id);
                    vec![told]
                }
                VoiceOrder::ChangeServer => {
                    place.token = token();
                    place.endpoint = 1 - place.endpoint;
                    self.end(&config, guild_id);
                    self.allow(&config, guild, place);
                    vec![self.server_update(guild_id, place)]
                }
            }
        };
        let mut sessions = 0;
        for (name, d) in told {
            let data = String::from_utf8_lossy(&json::text(&d)).into_owned();
            let event = Dispatch {
                name: name.to_owned(),
                data,
                ..Dispatch::default()
            };
            sessions = orders::dispatch(world, &event)?;
        }
        Ok(sessions)
    }

    fn allow(&self, config: &Config, guild: &Guild, place: &Place) {
        self.server.allow(Grant {
            guild_id: guild.id,
            channel_id: place.channel_id,
            user_id: config.user_id,
            session_id: place.session_id.clone(),
            token: place.token.clone(),
            companion: Some(guild.user(0)),
        });
    }

    /// The bot's voice session in the guild, if it has one, is muted or not.
    fn mute(&self, config: &Config, guild_id: u64, mute: bool) {
        if let Err(error) = self.server.mute(target(config, guild_id), mute) {
            tracing::debug!(%error, "nobody to mute");
        }
    }

    /// The bot's voice session in the guild, if it has one, ends with the call.
    fn end(&self, config: &Config, guild_id: u64) {
        if let Err(error) = self.server.close(target(config, guild_id), 4022) {
            tracing::debug!(%error, "nobody to disconnect");
        }
    }

    fn server_update(&self, guild_id: u64, place: &Place) -> Told {
        let endpoint = self.server.endpoints().get(place.endpoint);
        let d = json!({
            "token": place.token, "endpoint": endpoint, "guild_id": guild_id.to_string(),
        });
        ("VOICE_SERVER_UPDATE", d)
    }
}

impl Place {
    fn new(channel_id: u64) -> Self {
        Self {
            channel_id,
            session_id: format!("{:032x}", fastrand::u128(..)),
            token: token(),
            self_mute: false,
            self_deaf: false,
            mute: false,
            suppress: false,
            endpoint: 0,
        }
    }

    fn moved(&self, channel_id: u64) -> Self {
        Self {
            channel_id,
            token: token(),
            ..self.clone()
        }
    }
}

fn target(config: &Config, guild_id: u64) -> sim_voice::Target {
    sim_voice::Target {
        guild_id: Some(guild_id),
        user_id: Some(config.user_id),
    }
}

fn token() -> String {
    format!("{:016x}", fastrand::u64(..))
}

fn state(config: &Config, guild_id: u64, channel_id: Option<u64>, place: &Place) -> Told {
    let d = json!({
        "user_id": config.user_id.to_string(), "suppress": place.suppress,
        "session_id": place.session_id, "self_video": false,
        "self_mute": place.self_mute, "self_deaf": place.self_deaf,
        "request_to_speak_timestamp": null, "mute": place.mute, "deaf": false,
        "member": {
            "user": guilds::bot_user(config), "roles": [], "mute": place.mute, "deaf": false,
            "flags": 0, "joined_at": "2024-01-02T03:04:05.678000+00:00", "nick": null,
            "premium_since": null, "pending": false, "avatar": null, "banner": null,
            "communication_disabled_until": null,
        },
        "channel_id": channel_id.map(|id| id.to_string()), "guild_id": guild_id.to_string(),
    });
    ("VOICE_STATE_UPDATE", d)
}
