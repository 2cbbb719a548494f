//! Who is in the voice channels of guilds, bots left out: as the gateway tells it, for calls that nobody listens to.
//!
//! GUILD_CREATE says who is there; what was not heard of a guild before that is not known, and then nobody is said to be missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Deserialize;
use wire::{
    discord::v1,
    gateway::v1::{Event, event::Data},
};

use crate::heard::{STATE, Snowflake, parse};

/// The event that says who is there.
pub(crate) const GUILD: &str = "GUILD_CREATE";
/// How many guilds are known.
const GUILDS: usize = 250_000;

/// The guilds that are known; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    user_id: NonZeroU64,
    guilds: Arc<Mutex<BTreeMap<u64, Places>>>,
}

/// In which channel each is who is in one.
type Places = BTreeMap<u64, u64>;

impl Crowd {
    /// Nobody is known yet; `user_id` is the bot's.
    pub(crate) fn new(user_id: NonZeroU64) -> Self {
        Self {
            user_id,
            guilds: Arc::default(),
        }
    }

    /// Takes an event; the guild that it says something new of.
    pub(crate) fn hear(&self, event: &Event) -> Option<u64> {
        let guild_id = event.guild_id?;
        match (event.name.as_str(), &event.data) {
            (GUILD, Some(Data::GuildCreate(guild))) => self.learn(guild_id, (&**guild).into()),
            (GUILD, None) => self.learn(guild_id, parse(&event.json)?),
            (STATE, Some(Data::VoiceStateUpdate(state))) => {
                self.put(guild_id, &(&**state).into())?
            }
            (STATE, None) => self.put(guild_id, &parse(&event.json)?)?,
            _ => return None,
        }
        Some(guild_id)
    }

    /// Somebody is heard in a channel.
    pub(crate) fn meet(&self, guild_id: u64, user_id: u64, channel_id: u64) {
        if let Some(places) = self.lock().get_mut(&guild_id) {
            places.insert(user_id, channel_id);
        }
    }

    /// Whether it is known that nobody is in this channel.
    pub(crate) fn is_empty(&self, guild_id: u64, channel_id: u64) -> bool {
        let guilds = self.lock();
        let places = guilds.get(&guild_id);
        places.is_some_and(|places| places.values().all(|place| *place != channel_id))
    }

    fn learn(&self, guild_id: u64, guild: Guild) {
        let members = guild.members.iter().filter_map(Member::bot);
        let bots: BTreeSet<u64> = members.collect();
        let states = guild.voice_states.iter();
        let places = states
            .filter(|state| !self.is_bot(state))
            .filter_map(|state| Some((state.user_id?.0, state.channel_id?.0)))
            .filter(|(user_id, _)| !bots.contains(user_id));
        let places = places.collect();
        let mut guilds = self.lock();
        if guilds.len() < GUILDS || guilds.contains_key(&guild_id) {
            guilds.insert(guild_id, places);
        }
    }

    fn put(&self, guild_id: u64, state: &State) -> Option<()> {
        if self.is_bot(state) {
            return None;
        }
        let mut guilds = self.lock();
        let (places, user_id) = (guilds.get_mut(&guild_id)?, state.user_id?.0);
        match state.channel_id {
            Some(channel_id) => places.insert(user_id, channel_id.0),
            None => places.remove(&user_id),
        };
        Some(())
    }

    fn is_bot(&self, state: &State) -> bool {
        let is_ours = state.user_id.is_some_and(|id| id.0 == self.user_id.get());
        is_ours || state.member.as_ref().and_then(Member::bot).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Places>> {
        self.guilds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a guild matters. The operator may have events travel as JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Guild {
    members: Vec<Member>,
    voice_states: Vec<State>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    user_id: Option<Snowflake>,
    channel_id: Option<Snowflake>,
    member: Option<Member>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Member {
    user: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: Option<Snowflake>,
    bot: bool,
}

impl Member {
    /// Its id, if it is a bot.
    fn bot(&self) -> Option<u64> {
        let user = self.user.as_ref().filter(|user| user.bot)?;
        Some(user.id?.0)
    }
}

impl From<&v1::Guild> for Guild {
    fn from(guild: &v1::Guild) -> Self {
        Self {
            members: guild.members.iter().map(Member::from).collect(),
            voice_states: guild.voice_states.iter().map(State::from).collect(),
        }
    }
}

impl From<&v1::VoiceState> for State {
    fn from(state: &v1::VoiceState) -> Self {
        Self {
            user_id: state.user_id.map(Snowflake),
            channel_id: state.channel_id.map(Snowflake),
            member: state.member.as_ref().map(Member::from),
        }
    }
}

impl From<&v1::Member> for Member {
    fn from(member: &v1::Member) -> Self {
        let user = member.user.as_ref().map(|user| User {
            id: user.id.map(Snowflake),
            bot: user.bot.unwrap_or_default(),
        });
        Self { user }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOT: u64 = 1;

    fn crowd() -> Crowd {
        Crowd::new(NonZeroU64::new(BOT).unwrap())
    }

    fn tell(crowd: &Crowd, name: &str, json: &str) -> Option<u64> {
        crowd.hear(&Event {
            name: name.to_owned(),
            guild_id: Some(10),
            json: json.to_owned(),
            ..Event::default()
        })
    }

    #[test]
    fn nobody_is_missing_before_it_is_known_who_is_there() {
        let crowd = crowd();
        assert!(!crowd.is_empty(10, 20));
        assert_eq!(
            tell(&crowd, STATE, r#"{"user_id":"5","channel_id":null}"#),
            None
        );
        assert!(!crowd.is_empty(10, 20));
        assert_eq!(tell(&crowd, GUILD, r#"{"voice_states":[]}"#), Some(10));
        assert!(crowd.is_empty(10, 20));
        assert!(!crowd.is_empty(11, 20));
    }

    #[test]
    fn people_come_and_go_and_bots_are_none() {
        let crowd = crowd();
        let guild = r#"{"members":[{"user":{"id":"6","bot":true}},{"user":{"id":"5"}}],
            "voice_states":[{"user_id":"1","channel_id":"20"},{"user_id":"6","channel_id":"20"},
            {"user_id":"5","channel_id":"21"}]}"#;
        tell(&crowd, GUILD, guild);
        assert!(crowd.is_empty(10, 20) && !crowd.is_empty(10, 21));
        let state = |user: u64, channel: &str, bot: bool| {
            format!(
                r#"{{"user_id":"{user}","channel_id":{channel},"member":{{"user":{{"id":"{user}","bot":{bot}}}}}}}"#
            )
        };
        assert_eq!(tell(&crowd, STATE, &state(7, "\"20\"", true)), None);
        assert!(crowd.is_empty(10, 20));
        assert_eq!(tell(&crowd, STATE, &state(5, "\"20\"", false)), Some(10));
        assert!(!crowd.is_empty(10, 20) && crowd.is_empty(10, 21));
        tell(&crowd, STATE, &state(5, "null", false));
        assert!(crowd.is_empty(10, 20));
        crowd.meet(10, 8, 20);
        assert!(!crowd.is_empty(10, 20));
    }

    #[test]
    fn typed_events_say_the_same() {
        let crowd = crowd();
        let state = v1::VoiceState {
            user_id: Some(5),
            channel_id: Some(20),
            ..v1::VoiceState::default()
        };
        let guild = v1::Guild {
            voice_states: vec![state.clone()],
            ..v1::Guild::default()
        };
        let event = |name: &str, data| Event {
            name: name.to_owned(),
            guild_id: Some(10),
            data: Some(data),
            ..Event::default()
        };
        crowd.hear(&event(GUILD, Data::GuildCreate(Box::new(guild))));
        assert!(!crowd.is_empty(10, 20));
        let gone = v1::VoiceState {
            channel_id: None,
            ..state
        };
        crowd.hear(&event(STATE, Data::VoiceStateUpdate(Box::new(gone))));
        assert!(crowd.is_empty(10, 20));
    }
}
