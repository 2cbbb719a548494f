//! The guilds of the simulated Discord: everything about them follows from their number.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{clock, config::Config, generator::words, intents};

/// 2021-06-01, from where guild ids start.
const FIRST_GUILD_MS: u64 = 1_622_505_600_000;
/// Milliseconds from one guild id to the next: a prime, so that any number of shards gets its even part.
const GUILD_STEP_MS: u64 = 7919;
/// Guilds with more members come without their lists.
const LARGEST_LISTED: u32 = 75_000;

/// One guild.
#[derive(Clone, Debug)]
pub(crate) struct Guild {
    pub(crate) id: u64,
    channels: u32,
    roles: u32,
    members: u32,
}

/// All guilds, shared.
pub(crate) type Guilds = Arc<[Guild]>;

/// The guilds that the configuration asks for.
pub(crate) fn all(config: &Config) -> Guilds {
    (0..config.guilds)
        .map(|index| Guild::new(index, config))
        .collect()
}

/// The shard that a guild's events go to.
pub(crate) fn shard_of(guild_id: u64, shard_count: u32) -> u32 {
    u32::try_from((guild_id >> 22) % u64::from(shard_count.max(1))).unwrap_or_default()
}

impl Guild {
    pub(crate) fn new(index: u32, config: &Config) -> Self {
        let created = FIRST_GUILD_MS + u64::from(index) * GUILD_STEP_MS;
        Self {
            id: clock::snowflake(created, 0),
            channels: config.guild_channels.max(2),
            roles: config.guild_roles.max(1),
            members: config.guild_members.max(1),
        }
    }

    /// Any user of the guild; the bot itself is not among them.
    pub(crate) fn user(&self, pick: u64) -> u64 {
        self.id + 1000 + pick % u64::from(self.members)
    }

    /// Any text channel; every fourth channel is for voice.
    pub(crate) fn text_channel(&self, pick: u64) -> u64 {
        let place = pick % u64::from(self.channels);
        self.id + 1 + if place % 4 == 3 { place - 1 } else { place }
    }

    /// Any voice channel, or the first channel of a guild that has none.
    pub(crate) fn voice_channel(&self, pick: u64) -> u64 {
        let count = u64::from(self.channels / 4);
        self.id + 1 + if count == 0 { 0 } else { pick % count * 4 + 3 }
    }

    /// Whether it is one of the guild's channels.
    pub(crate) fn has_channel(&self, id: u64) -> bool {
        id > self.id && id - self.id <= u64::from(self.channels)
    }

    pub(crate) fn role(&self, pick: u64) -> u64 {
        self.id + 500_000 + pick % u64::from(self.roles)
    }

    pub(crate) fn channel_ids(&self) -> impl Iterator<Item = u64> {
        let first = self.id + 1;
        (0..u64::from(self.channels)).map(move |place| first + place)
    }

    /// Members by their order, the bot not among them.
    pub(crate) fn members(&self) -> impl Iterator<Item = Value> {
        (0..u64::from(self.members)).map(|place| self.member(place))
    }

    /// The member with that user id, if there is one.
    pub(crate) fn member_by_id(&self, user_id: u64) -> Option<Value> {
        let place = user_id.checked_sub(self.id + 1000)?;
        (place < u64::from(self.members)).then(|| self.member(place))
    }

    fn member(&self, place: u64) -> Value {
        let user = user_object(self.user(place));
        let mut joined = Vec::new();
        clock::write_iso(1_700_000_000_000_000 + place * 61_000_123, &mut joined);
        json!({
            "user": user, "roles": [self.role(place).to_string()], "premium_since": null,
            "pending": false, "nick": null, "mute": false,
            "joined_at": String::from_utf8_lossy(&joined), "flags": 0, "deaf": false,
            "communication_disabled_until": null, "banner": null, "avatar": null,
        })
    }

    /// What `GUILD_CREATE` carries for a session with these intents.
    pub(crate) fn create(&self, session_intents: u64, config: &Config) -> Value {
        let listed =
            session_intents & intents::GUILD_PRESENCES != 0 && self.members <= LARGEST_LISTED;
        let bot = json!({
            "user": bot_user(config), "roles": [], "mute": false, "deaf": false, "flags": 0,
            "joined_at": "2024-01-02T03:04:05.678000+00:00", "premium_since": null,
            "pending": false, "nick": null, "communication_disabled_until": null,
            "banner": null, "avatar": null,
        });
        let mut members = vec![bot];
        let mut presences = Vec::new();
        if listed {
            members.extend(self.members());
            presences.extend((0..u64::from(self.members / 4)).map(|place| self.presence(place)));
        }
        let mut guild = self.properties();
        if let Value::Object(fields) = &mut guild {
            fields.insert("members".to_owned(), members.into());
            fields.insert("presences".to_owned(), presences.into());
            fields.insert("channels".to_owned(), self.channels().into());
            fields.insert("roles".to_owned(), self.role_objects().into());
        }
        guild
    }

    /// What `GET /guilds/{id}` answers.
    pub(crate) fn rest_object(&self) -> Value {
        let mut guild = self.properties();
        guild["roles"] = self.role_objects().into();
        guild
    }

    fn properties(&self) -> Value {
        let mut name = b"The ".to_vec();
        words::name(self.id, &mut name);
        let mut icon = Vec::new();
        words::hash(self.id, &mut icon);
        let mut guild = settings();
        let own = json!({
            "id": self.id.to_string(), "name": String::from_utf8_lossy(&name),
            "icon": String::from_utf8_lossy(&icon), "owner_id": self.user(0).to_string(),
            "system_channel_id": self.text_channel(0).to_string(),
            "joined_at": "2024-01-02T03:04:05.678000+00:00", "large": self.members > 250,
            "unavailable": false, "member_count": self.members + 1, "voice_states": [],
            "threads": [], "stage_instances": [], "guild_scheduled_events": [],
            "soundboard_sounds": [], "embedded_activities": [], "activity_instances": [],
            "application_command_counts": {"1": 4, "2": 0, "3": 1},
        });
        if let (Value::Object(guild), Value::Object(own)) = (&mut guild, own) {
            guild.extend(own);
        }
        guild
    }

    pub(crate) fn channels(&self) -> Vec<Value> {
        self.channel_ids()
            .enumerate()
            .map(|(place, id)| {
                let voice = place % 4 == 3;
                let mut channel = json!({
                    "id": id.to_string(), "type": if voice { 2 } else { 0 }, "position": place,
                    "permission_overwrites": [], "parent_id": null, "flags": 0,
                    "name": format!("channel-{place}"), "version": 1_700_000_000_000_u64 + id % 1000,
                    "rate_limit_per_user": 0, "last_message_id": null, "nsfw": false,
                    "icon_emoji": null, "theme_color": null, "topic": null,
                });
                if voice && let Value::Object(fields) = &mut channel {
                    fields.insert("bitrate".to_owned(), 64_000.into());
                    fields.insert("user_limit".to_owned(), 0.into());
                    fields.insert("rtc_region".to_owned(), Value::Null);
                }
                channel
            })
            .collect()
    }

    fn role_objects(&self) -> Vec<Value> {
        let role = |id: u64, name: String, position: u64| {
            json!({
                "id": id.to_string(), "name": name, "color": 0, "hoist": false, "icon": null,
                "colors": {"primary_color": 0, "secondary_color": null, "tertiary_color": null},
                "unicode_emoji": null, "position": position, "permissions": "2222085186637377",
                "managed": false, "mentionable": false, "flags": 0, "tags": {}, "version": id % 4096,
            })
        };
        let everyone = role(self.id, "@everyone".to_owned(), 0);
        let others = (0..u64::from(self.roles))
            .map(|place| role(self.role(place), format!("role {place}"), place + 1));
        std::iter::once(everyone).chain(others).collect()
    }

    fn presence(&self, place: u64) -> Value {
        json!({
            "user": {"id": self.user(place).to_string()}, "status": "online", "game": null,
            "client_status": {"desktop": "online"}, "activities": [],
            "processed_at_timestamp": 0,
        })
    }
}

/// What all guilds have in common.
fn settings() -> Value {
    json!({
        "splash": null, "discovery_splash": null, "region": "deprecated", "afk_channel_id": null,
        "afk_timeout": 300, "verification_level": 1, "default_message_notifications": 1,
        "explicit_content_filter": 2, "emojis": [], "features": ["COMMUNITY", "NEWS"],
        "mfa_level": 0, "application_id": null, "system_channel_flags": 0,
        "rules_channel_id": null, "max_presences": null, "max_members": 500_000,
        "vanity_url_code": null, "description": null, "banner": null, "premium_tier": 1,
        "premium_subscription_count": 3, "preferred_locale": "en-US",
        "public_updates_channel_id": null, "max_video_channel_users": 25,
        "max_stage_video_channel_users": 50, "nsfw_level": 0, "nsfw": false, "stickers": [],
        "premium_progress_bar_enabled": false, "safety_alerts_channel_id": null,
        "incidents_data": null, "hub_type": null, "lazy": true, "home_header": null,
        "latest_onboarding_question_id": null, "inventory_settings": null,
        "version": 1_700_000_000_000_u64,
    })
}

/// A user as Discord describes one to a bot.
pub(crate) fn user_object(id: u64) -> Value {
    let (mut name, mut avatar) = (Vec::new(), Vec::new());
    words::name(id, &mut name);
    words::hash(id, &mut avatar);
    json!({
        "id": id.to_string(), "username": String::from_utf8_lossy(&name),
        "avatar": String::from_utf8_lossy(&avatar), "discriminator": "0", "public_flags": 0,
        "bot": false, "global_name": null, "clan": null, "primary_guild": null,
        "display_name_styles": null, "collectibles": null, "avatar_decoration_data": null,
    })
}

/// The bot's own user.
pub(crate) fn bot_user(config: &Config) -> Value {
    json!({
        "id": config.user_id.to_string(), "username": config.username, "avatar": null,
        "discriminator": "0001", "public_flags": 0, "bot": true, "global_name": null,
        "clan": null, "primary_guild": null, "display_name_styles": null,
        "collectibles": null, "avatar_decoration_data": null,
    })
}

#[cfg(test)]
mod tests {
    use super::{Config, Guild, all, intents, shard_of};

    #[test]
    fn guilds_spread_evenly_over_any_number_of_shards() {
        let guilds = all(&Config {
            guilds: 1000,
            ..Config::default()
        });
        for count in [1_u32, 2, 3, 7, 16] {
            let mut per_shard = vec![0_u32; count as usize];
            for guild in guilds.iter() {
                per_shard[shard_of(guild.id, count) as usize] += 1;
            }
            let fair = 1000 / count;
            assert!(
                per_shard.iter().all(|n| n.abs_diff(fair) <= 1),
                "{count}: {per_shard:?}"
            );
        }
    }

    #[test]
    fn picks_lie_in_the_guild() {
        let guild = Guild::new(0, &Config::default());
        let ids: Vec<u64> = guild.channel_ids().collect();
        for pick in [0, 1, 3, 11, 12, u64::MAX] {
            assert!(ids.contains(&guild.text_channel(pick)));
            assert!(ids.contains(&guild.voice_channel(pick)));
            assert!(guild.member_by_id(guild.user(pick)).is_some());
        }
        assert!(guild.member_by_id(guild.user(39) + 1).is_none());
    }

    #[test]
    fn members_are_listed_only_with_presences() {
        let config = Config::default();
        let guild = Guild::new(0, &config);
        let full = guild.create(intents::ALL, &config);
        assert_eq!(full["members"].as_array().unwrap().len(), 41);
        let sparse = guild.create(intents::ALL & !intents::GUILD_PRESENCES, &config);
        assert_eq!(sparse["members"].as_array().unwrap().len(), 1);
        assert_eq!(sparse["member_count"], 41);
    }
}
