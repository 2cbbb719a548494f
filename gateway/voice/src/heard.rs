//! What the gateway says about voice: events of `gateway-ws` and of other nodes, for the calls that are here.

use std::collections::BTreeSet;

use serde::{Deserialize, de::DeserializeOwned};
use wire::{
    discord::v1::{self, VoiceServerUpdate, VoiceState},
    gateway::v1::{Event, event::Data},
};

use crate::{
    call::{News, Own},
    handshake::Heard,
    present::Someone,
};

/// The events that are listened to.
pub(crate) const NAMES: [&str; 2] = [STATE, SERVER];

/// The event that says who is in which channel; it is listened to where that has to be known.
pub(crate) const GUILD: &str = "GUILD_CREATE";
/// The event of a node whose call is connected; it is listened to where there are several.
pub(crate) const CONNECTED: &str = "VOICE_CONNECTED";
const STATE: &str = "VOICE_STATE_UPDATE";
const SERVER: &str = "VOICE_SERVER_UPDATE";

/// What an event says to the call of its guild; `user_id` is the bot's.
pub(crate) fn read(event: Event, user_id: u64) -> Option<(u64, News)> {
    let guild_id = event.guild_id?;
    let Event {
        name, data, json, ..
    } = event;
    let news = match (name.as_str(), data) {
        (GUILD, Some(Data::GuildCreate(guild))) => Some(Guild::from(*guild).news(user_id)),
        (GUILD, None) => Some(parse::<Guild>(&json)?.news(user_id)),
        (STATE, Some(Data::VoiceStateUpdate(state))) => State::from(*state).news(user_id),
        (STATE, None) => parse::<State>(&json)?.news(user_id),
        (SERVER, Some(Data::VoiceServerUpdate(server))) => Server::from(*server).news(),
        (SERVER, None) => parse::<Server>(&json)?.news(),
        (CONNECTED, Some(Data::VoiceConnected(told))) => Some(News::Connected(told.node)),
        _ => return None,
    };
    Some((guild_id, news?))
}

/// A user's state. The operator may have events travel as JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    user_id: Option<Snowflake>,
    channel_id: Option<Snowflake>,
    session_id: String,
    mute: bool,
    self_mute: bool,
    deaf: bool,
    self_deaf: bool,
    suppress: bool,
    member: Option<Member>,
}

/// A guild's members, not all of them, and the states of those who are in a channel.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Guild {
    members: Vec<Member>,
    voice_states: Vec<State>,
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

/// A guild's voice server.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Server {
    token: String,
    endpoint: Option<String>,
}

/// An id as Discord writes it.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "&str")]
struct Snowflake(u64);

impl TryFrom<&str> for Snowflake {
    type Error = std::num::ParseIntError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<VoiceState> for State {
    fn from(state: VoiceState) -> Self {
        Self {
            user_id: state.user_id.map(Snowflake),
            channel_id: state.channel_id.map(Snowflake),
            session_id: state.session_id.unwrap_or_default(),
            mute: state.mute.unwrap_or_default(),
            self_mute: state.self_mute.unwrap_or_default(),
            deaf: state.deaf.unwrap_or_default(),
            self_deaf: state.self_deaf.unwrap_or_default(),
            suppress: state.suppress.unwrap_or_default(),
            member: state.member.map(Member::from),
        }
    }
}

impl From<v1::Guild> for Guild {
    fn from(guild: v1::Guild) -> Self {
        Self {
            members: guild.members.into_iter().map(Member::from).collect(),
            voice_states: guild.voice_states.into_iter().map(State::from).collect(),
        }
    }
}

impl From<v1::Member> for Member {
    fn from(member: v1::Member) -> Self {
        let user = member.user.map(|user| User {
            id: user.id.map(Snowflake),
            bot: user.bot.unwrap_or_default(),
        });
        Self { user }
    }
}

impl From<VoiceServerUpdate> for Server {
    fn from(server: VoiceServerUpdate) -> Self {
        Self {
            token: server.token.unwrap_or_default(),
            endpoint: server.endpoint,
        }
    }
}

impl State {
    fn news(self, user_id: u64) -> Option<News> {
        let someone = self.someone()?;
        if someone.user_id != user_id {
            return Some(News::Member(someone));
        }
        let heard = Heard::State {
            channel_id: someone.channel_id,
            session_id: self.session_id,
        };
        Some(News::Own(Own {
            heard,
            mute: self.mute,
            deaf: self.deaf,
            suppressed: self.suppress,
        }))
    }

    fn someone(&self) -> Option<Someone> {
        Some(Someone {
            user_id: self.user_id?.0,
            channel_id: self.channel_id.map(|id| id.0),
            is_bot: self.member.as_ref().and_then(Member::bot).is_some(),
        })
    }
}

impl Guild {
    fn news(&self, user_id: u64) -> News {
        let bots: BTreeSet<u64> = self.members.iter().filter_map(Member::bot).collect();
        let there = self.voice_states.iter().filter_map(State::someone);
        let others = there.filter(|it| it.user_id != user_id);
        let others = others.map(|it| Someone {
            is_bot: it.is_bot || bots.contains(&it.user_id),
            ..it
        });
        News::Members(others.collect())
    }
}

impl Member {
    /// Its id, if it is a bot.
    fn bot(&self) -> Option<u64> {
        let user = self.user.as_ref().filter(|user| user.bot)?;
        Some(user.id?.0)
    }
}

impl Server {
    fn news(self) -> Option<News> {
        Some(News::Server(Heard::Server {
            endpoint: self.endpoint.filter(|endpoint| !endpoint.is_empty()),
            token: self.token,
        }))
    }
}

fn parse<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use wire::gateway::v1::VoiceConnected;

    use super::*;

    const GUILD: u64 = 10;
    const BOT: u64 = 1;

    fn event(name: &str, data: Option<Data>, json: &str) -> Event {
        Event {
            name: name.to_owned(),
            guild_id: Some(GUILD),
            data,
            json: json.to_owned(),
            ..Event::default()
        }
    }

    fn state(user_id: u64, channel_id: Option<u64>) -> Data {
        Data::VoiceStateUpdate(Box::new(VoiceState {
            guild_id: Some(GUILD),
            channel_id,
            user_id: Some(user_id),
            session_id: Some("session".to_owned()),
            mute: Some(true),
            suppress: Some(true),
            ..VoiceState::default()
        }))
    }

    #[test]
    fn the_bots_own_state_is_told_from_those_of_others() {
        for (typed, json) in [
            (Some(state(BOT, Some(5))), ""),
            (
                None,
                r#"{"user_id":"1","channel_id":"5","session_id":"session","mute":true,"suppress":true,"guild_id":"10"}"#,
            ),
        ] {
            let (guild_id, news) = read(event(STATE, typed, json), BOT).unwrap();
            assert_eq!(guild_id, GUILD);
            let News::Own(Own {
                heard,
                mute: true,
                deaf: false,
                suppressed: true,
            }) = news
            else {
                panic!("{news:?}")
            };
            let Heard::State {
                channel_id: Some(5),
                session_id,
            } = heard
            else {
                panic!("{heard:?}")
            };
            assert_eq!(session_id, "session");
        }
        let (_, news) = read(event(STATE, Some(state(2, None)), ""), BOT).unwrap();
        let News::Member(someone) = news else {
            panic!("{news:?}")
        };
        let expected = Someone {
            user_id: 2,
            channel_id: None,
            is_bot: false,
        };
        assert_eq!(someone, expected);
    }

    #[test]
    fn a_guild_says_where_the_others_are_and_who_of_them_is_a_bot() {
        let json = r#"{"members":[{"user":{"id":"6","bot":true}},{"user":{"id":"5"}}],
            "voice_states":[{"user_id":"1","channel_id":"20"},{"user_id":"6","channel_id":"20"},
            {"user_id":"5","channel_id":"21"},
            {"user_id":"7","channel_id":"20","member":{"user":{"id":"7","bot":true}}}]}"#;
        let member = |id, bot| v1::Member {
            user: Some(Box::new(v1::User {
                id: Some(id),
                bot,
                ..v1::User::default()
            })),
            ..v1::Member::default()
        };
        let state = |user_id, channel_id, member| VoiceState {
            user_id: Some(user_id),
            channel_id: Some(channel_id),
            member,
            ..VoiceState::default()
        };
        let guild = v1::Guild {
            members: vec![member(6, Some(true)), member(5, None)],
            voice_states: vec![
                state(BOT, 20, None),
                state(6, 20, None),
                state(5, 21, None),
                state(7, 20, Some(member(7, Some(true)))),
            ],
            ..v1::Guild::default()
        };
        let typed = Some(Data::GuildCreate(Box::new(guild)));
        for (typed, json) in [(None, json), (typed, "")] {
            let (_, news) = read(event(super::GUILD, typed, json), BOT).unwrap();
            let News::Members(others) = news else {
                panic!("{news:?}")
            };
            let others = others.iter();
            let others: Vec<_> = others
                .map(|it| (it.user_id, it.channel_id, it.is_bot))
                .collect();
            let expected = [
                (6, Some(20), true),
                (5, Some(21), false),
                (7, Some(20), true),
            ];
            assert_eq!(others, expected);
        }
    }

    #[test]
    fn a_server_may_be_gone() {
        for json in [
            r#"{"token":"t","guild_id":"10","endpoint":null}"#,
            r#"{"token":"t","guild_id":"10"}"#,
        ] {
            let (_, news) = read(event(SERVER, None, json), BOT).unwrap();
            let News::Server(Heard::Server { endpoint, token }) = news else {
                panic!("{news:?}")
            };
            assert_eq!((endpoint, token.as_str()), (None, "t"));
        }
    }

    #[test]
    fn a_node_says_that_it_has_connected_a_call() {
        let told = VoiceConnected {
            node: "8c1f2a".to_owned(),
            ..VoiceConnected::default()
        };
        let typed = Some(Data::VoiceConnected(Box::new(told)));
        let (_, news) = read(event(CONNECTED, typed, ""), BOT).unwrap();
        assert!(
            matches!(&news, News::Connected(node) if node == "8c1f2a"),
            "{news:?}"
        );
    }

    #[test]
    fn what_is_none_of_these_says_nothing() {
        assert!(read(event("MESSAGE_CREATE", None, "{}"), BOT).is_none());
        assert!(read(event(STATE, None, "[]"), BOT).is_none());
        assert!(read(event(STATE, None, r#"{"user_id":5}"#), BOT).is_none());
        let mut nowhere = event(STATE, Some(state(BOT, None)), "");
        nowhere.guild_id = None;
        assert!(read(nowhere, BOT).is_none());
    }
}
