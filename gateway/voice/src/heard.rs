//! What the gateway says about voice: events of `gateway-ws`, for the calls that are here.

use serde::{Deserialize, de::DeserializeOwned};
use wire::{
    discord::v1::{VoiceServerUpdate, VoiceState},
    gateway::v1::{Event, event::Data},
};

use crate::{call::News, handshake::Heard};

/// The events that are listened to.
pub(crate) const NAMES: [&str; 2] = [STATE, SERVER];

/// Where somebody is.
pub(crate) const STATE: &str = "VOICE_STATE_UPDATE";
const SERVER: &str = "VOICE_SERVER_UPDATE";

/// What an event says to the call of its guild; `user_id` is the bot's.
pub(crate) fn read(event: Event, user_id: u64) -> Option<(u64, News)> {
    let guild_id = event.guild_id?;
    let Event {
        name, data, json, ..
    } = event;
    let news = match (name.as_str(), data) {
        (STATE, Some(Data::VoiceStateUpdate(state))) => State::from(*state).news(user_id),
        (STATE, None) => parse::<State>(&json)?.news(user_id),
        (SERVER, Some(Data::VoiceServerUpdate(server))) => Server::from(*server).news(),
        (SERVER, None) => parse::<Server>(&json)?.news(),
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
pub(crate) struct Snowflake(pub(crate) u64);

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
        }
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
        let who = self.user_id?.0;
        let channel_id = self.channel_id.map(|id| id.0);
        if who != user_id {
            return Some(News::Member(who, channel_id));
        }
        let heard = Heard::State {
            channel_id,
            session_id: self.session_id,
        };
        Some(News::Own(heard, self.mute, self.deaf))
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

/// The data of an event that travels as JSON.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
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
            ..VoiceState::default()
        }))
    }

    #[test]
    fn the_bots_own_state_is_told_from_those_of_others() {
        for (typed, json) in [
            (Some(state(BOT, Some(5))), ""),
            (
                None,
                r#"{"user_id":"1","channel_id":"5","session_id":"session","mute":true,"guild_id":"10"}"#,
            ),
        ] {
            let (guild_id, news) = read(event(STATE, typed, json), BOT).unwrap();
            assert_eq!(guild_id, GUILD);
            let News::Own(heard, true, false) = news else {
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
        assert!(matches!(news, News::Member(2, None)), "{news:?}");
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
    fn what_is_none_of_these_says_nothing() {
        assert!(read(event("MESSAGE_CREATE", None, "{}"), BOT).is_none());
        assert!(read(event(STATE, None, "[]"), BOT).is_none());
        assert!(read(event(STATE, None, r#"{"user_id":5}"#), BOT).is_none());
        let mut nowhere = event(STATE, Some(state(BOT, None)), "");
        nowhere.guild_id = None;
        assert!(read(nowhere, BOT).is_none());
    }
}
