//! What workers ask Discord for over the gateway, and the payloads that ask.

use super::{
    failure::invalid,
    flights::Topic,
    payload::{Payload, allowed},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use wire::gateway::v1::{
    Error as Failure, RequestChannelInfoRequest, RequestGuildMembersRequest,
    RequestSoundboardSoundsRequest,
};

/// How many members can be asked for by id, or by the beginning of their names.
///
/// See [Discord Docs/Request Guild Members](https://docs.discord.com/developers/events/gateway-events#request-guild-members).
const LISTED: usize = 100;

/// As long as any nonce of ours: the payload must not become too long by it.
const LONGEST_NONCE: &str = "01234567890123456789012345678901";

/// A question that Discord would answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    /// What is known of a guild's channels.
    ChannelInfo(u64),
    /// Members of a guild.
    Members {
        /// The guild.
        guild_id: u64,
        /// Whether all of its members are asked for.
        all: bool,
        /// The payload's data but for the nonce.
        data: Map<String, Value>,
    },
    /// The soundboards of guilds, each once.
    Sounds(Vec<u64>),
}

impl Question {
    /// Members, by id or by the beginning of their names.
    pub(super) fn members(
        request: &RequestGuildMembersRequest,
        intents: u64,
    ) -> Result<Self, Failure> {
        let guild_id = set(request.guild_id, "guild_id")?;
        let user_ids: BTreeSet<u64> = request.user_ids.iter().copied().collect();
        let by_name = !request.query.is_empty() || request.limit > 0;
        if !user_ids.is_empty() && by_name {
            return Err(invalid(
                "user_ids exclude query and limit: set one or the others",
            ));
        }
        if user_ids.contains(&0) || user_ids.len() > LISTED {
            return Err(invalid(format!(
                "user_ids has to hold at most {LISTED} ids, none of them 0"
            )));
        }
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        if limit > LISTED || (limit == 0 && !request.query.is_empty()) {
            return Err(invalid(format!(
                "limit is {limit}: with a query it has to be from 1 to {LISTED}; it may be 0, for all \
                 members, without one"
            )));
        }
        let all = user_ids.is_empty() && !by_name;
        allowed(intents, all, request.presences)?;
        let mut data = Map::new();
        data.insert("guild_id".to_owned(), guild_id.to_string().into());
        if user_ids.is_empty() {
            data.insert("query".to_owned(), request.query.as_str().into());
            data.insert("limit".to_owned(), limit.into());
        } else {
            let texts: Vec<String> = user_ids.iter().map(ToString::to_string).collect();
            data.insert("user_ids".to_owned(), json!(texts));
        }
        data.insert("presences".to_owned(), request.presences.into());
        Payload::members(guild_id, &data, LONGEST_NONCE)?;
        Ok(Self::Members {
            guild_id,
            all,
            data,
        })
    }

    /// What is known of a guild's channels. All is asked for, whatever the caller wants: so one answer
    /// serves all who wait.
    pub(super) fn channel_info(request: &RequestChannelInfoRequest) -> Result<Self, Failure> {
        Ok(Self::ChannelInfo(set(request.guild_id, "guild_id")?))
    }

    /// The soundboards of guilds.
    pub(super) fn sounds(request: &RequestSoundboardSoundsRequest) -> Result<Self, Failure> {
        let guild_ids: BTreeSet<u64> = request.guild_ids.iter().copied().collect();
        if guild_ids.is_empty() || guild_ids.contains(&0) {
            return Err(invalid(
                "guild_ids has to hold ids of guilds, none of them 0",
            ));
        }
        let guild_ids = Vec::from_iter(guild_ids);
        Payload::sounds(&guild_ids)?;
        Ok(Self::Sounds(guild_ids))
    }

    /// The guilds that it is about.
    pub(super) fn guild_ids(&self) -> &[u64] {
        match self {
            Self::ChannelInfo(guild_id) | Self::Members { guild_id, .. } => {
                std::slice::from_ref(guild_id)
            }
            Self::Sounds(guild_ids) => guild_ids,
        }
    }

    /// What is answered one by one, with its guild.
    pub(super) fn topics(&self) -> impl Iterator<Item = (u64, Topic)> {
        let topic = |guild_id: u64| match self {
            Self::ChannelInfo(_) => Topic::ChannelInfo(guild_id),
            Self::Members { all, data, .. } => Topic::Members {
                guild_id,
                all: *all,
                payload: Value::from(data.clone()).to_string(),
            },
            Self::Sounds(_) => Topic::Sounds(guild_id),
        };
        self.guild_ids().iter().map(move |id| (*id, topic(*id)))
    }

    /// The payload that asks, of these guilds of it.
    ///
    /// # Errors
    /// None: its length was checked.
    pub(super) fn payload(&self, guild_ids: &[u64], nonce: &str) -> Result<Payload, Failure> {
        match self {
            Self::ChannelInfo(guild_id) => Payload::channel_info(*guild_id),
            Self::Members { guild_id, data, .. } => Payload::members(*guild_id, data, nonce),
            Self::Sounds(_) => Payload::sounds(guild_ids),
        }
    }
}

/// An id that has to be there.
pub(super) fn set(id: u64, name: &str) -> Result<u64, Failure> {
    if id == 0 {
        return Err(invalid(format!("{name} is not set")));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::gateway::v1::Code;

    fn request(user_ids: &[u64], query: &str, limit: u32) -> RequestGuildMembersRequest {
        RequestGuildMembersRequest {
            guild_id: 7,
            user_ids: user_ids.to_vec(),
            query: query.to_owned(),
            limit,
            presences: false,
        }
    }

    #[test]
    fn members_are_asked_for_by_id_by_name_or_all() {
        for (request, all, data) in [
            (request(&[], "", 0), true, json!({"query": "", "limit": 0})),
            (request(&[], "", 5), false, json!({"query": "", "limit": 5})),
            (
                request(&[], "a", 1),
                false,
                json!({"query": "a", "limit": 1}),
            ),
            (
                request(&[9, 8, 9], "", 0),
                false,
                json!({"user_ids": ["8", "9"]}),
            ),
        ] {
            let question = Question::members(&request, u64::MAX).unwrap();
            let payload = question.payload(&[], "nonce").unwrap().json;
            let payload: Value = serde_json::from_str(&payload).unwrap();
            assert_eq!(
                (&payload["op"], &payload["d"]["nonce"]),
                (&json!(8), &json!("nonce"))
            );
            for (member, value) in data.as_object().unwrap() {
                assert_eq!(&payload["d"][member], value);
            }
            assert_eq!(
                payload["d"].as_object().unwrap().len(),
                data.as_object().unwrap().len() + 3
            );
            let Question::Members { all: is_all, .. } = question else {
                panic!("members");
            };
            assert_eq!(is_all, all);
        }
    }

    #[test]
    fn what_discord_would_not_answer_is_refused() {
        let ids: Vec<u64> = (1..=101).collect();
        for bad in [
            request(&[1], "a", 0),
            request(&[1], "", 1),
            request(&[0], "", 0),
            request(&ids, "", 0),
            request(&[], "a", 0),
            request(&[], "a", 101),
            request(&[], &"x".repeat(4_000), 1),
            RequestGuildMembersRequest::default(),
        ] {
            let failure = Question::members(&bad, u64::MAX).unwrap_err();
            assert_eq!(failure.code(), Code::InvalidArgument, "{bad:?}");
        }
        let mut presences = request(&[1], "", 0);
        presences.presences = true;
        for denied in [presences, request(&[], "", 0)] {
            let failure = Question::members(&denied, 0).unwrap_err();
            assert_eq!(failure.code(), Code::PermissionDenied, "{denied:?}");
        }
        for guild_ids in [vec![], vec![0], (1 << 60..(1 << 60) + 200).collect()] {
            let bad = RequestSoundboardSoundsRequest { guild_ids };
            assert!(Question::sounds(&bad).is_err());
        }
        assert!(Question::channel_info(&RequestChannelInfoRequest::default()).is_err());
    }
}
