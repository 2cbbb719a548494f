//! Requests as they were checked: what is to be done, and by which shards.

use super::{
    failure::{failure, invalid},
    payload::{self, Payload},
    question::{Question, set},
};
use crate::session::shard_of;
use broker::{Call, Request};
use std::collections::{BTreeMap, BTreeSet};
use store::Shard;
use transcode::Schema;
use wire::gateway::v1::{
    Code, Error as Failure, RequestChannelInfoRequest, SendRequest, UpdatePresenceRequest,
    UpdateVoiceStateRequest, send_request::Connection,
};

/// The first word of routing keys to the service.
pub(super) const SERVICE: &str = "ws";

/// The same of those to the one replica that holds a shard.
const SHARD: &str = "ws-shard";

/// The methods of the service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Method {
    RequestChannelInfo,
    RequestGuildMembers,
    RequestSoundboardSounds,
    Send,
    UpdatePresence,
    UpdateVoiceState,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Job {
    /// Ask one shard's connection, and answer with what Discord answers.
    Ask(u32, Question),
    /// Tell what is known of channels, but no more than these fields.
    Info(u32, Question, Vec<String>),
    /// Send one payload over one connection.
    One(u32, Payload),
    /// Send a presence over these connections.
    Presence(BTreeSet<u32>, Payload, Box<UpdatePresenceRequest>),
    /// Ask several shards for the soundboards of guilds.
    Sounds(BTreeMap<u32, Vec<u64>>),
}

/// Where a request was sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum To {
    /// To whoever takes it.
    Anyone,
    /// To the one who holds a shard.
    Owner(Shard),
}

impl Method {
    /// The method with this full name.
    pub(super) fn parse(name: &str) -> Result<Self, Failure> {
        Ok(match name.strip_prefix("gateway.v1.Ws/") {
            Some("RequestChannelInfo") => Self::RequestChannelInfo,
            Some("RequestGuildMembers") => Self::RequestGuildMembers,
            Some("RequestSoundboardSounds") => Self::RequestSoundboardSounds,
            Some("Send") => Self::Send,
            Some("UpdatePresence") => Self::UpdatePresence,
            Some("UpdateVoiceState") => Self::UpdateVoiceState,
            _ => {
                let text = format!("the service {SERVICE} has no method {name}");
                return Err(failure(Code::Unimplemented, text));
            }
        })
    }

    /// Its name without the service.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RequestChannelInfo => "RequestChannelInfo",
            Self::RequestGuildMembers => "RequestGuildMembers",
            Self::RequestSoundboardSounds => "RequestSoundboardSounds",
            Self::Send => "Send",
            Self::UpdatePresence => "UpdatePresence",
            Self::UpdateVoiceState => "UpdateVoiceState",
        }
    }

    /// Whether Discord's answer is waited for.
    pub(super) const fn waits(self) -> bool {
        match self {
            Self::RequestChannelInfo
            | Self::RequestGuildMembers
            | Self::RequestSoundboardSounds => true,
            Self::Send | Self::UpdatePresence | Self::UpdateVoiceState => false,
        }
    }

    /// The routing key of a request to the one who holds a shard.
    pub(super) fn key(self, application_id: u64, shard: Shard) -> String {
        let Shard { count, id } = shard;
        format!("{SHARD}.{}.{application_id}.{count}.{id}", self.name())
    }
}

/// By what the one who holds a shard binds its queue: requests with any method.
pub(super) fn binding(application_id: u64, shard: Shard) -> String {
    let Shard { count, id } = shard;
    format!("{SHARD}.*.{application_id}.{count}.{id}")
}

impl To {
    /// Reads it from the routing key, which has to be of this application.
    pub(super) fn read(call: &Call, application_id: u64) -> Result<Self, Failure> {
        let mut words = call.routing_key.split('.');
        let (service, _method) = (words.next(), words.next());
        let application = words.next().unwrap_or_default();
        if application != application_id.to_string() {
            return Err(failure(
                Code::NotFound,
                format!("this is the application {application_id}, not {application:?}"),
            ));
        }
        match service {
            Some(SERVICE) => Ok(Self::Anyone),
            Some(SHARD) => {
                let mut number = || words.next()?.parse().ok();
                let (count, id) = (number(), number());
                let shard = count.zip(id).map(|(count, id)| Shard { count, id });
                shard.map(Self::Owner).ok_or_else(|| {
                    invalid(format!(
                        "{:?} is no routing key of a shard",
                        call.routing_key
                    ))
                })
            }
            _ => Err(invalid(format!(
                "the routing key {:?} should begin with {SERVICE}.",
                call.routing_key
            ))),
        }
    }
}

impl Job {
    /// Checks a request; `count` is how many shards there are.
    pub(super) fn read(
        method: Method,
        request: &Request,
        count: u32,
        intents: u64,
        schema: &Schema,
    ) -> Result<Self, Failure> {
        let job = match method {
            Method::RequestChannelInfo => Self::info(request.decode()?, count)?,
            Method::RequestGuildMembers => {
                let question = Question::members(&request.decode()?, intents)?;
                Self::Ask(home(&question, count), question)
            }
            Method::RequestSoundboardSounds => {
                Self::sounds(Question::sounds(&request.decode()?)?, count)
            }
            Method::Send => Self::send(request.decode()?, count, intents)?,
            Method::UpdatePresence => Self::presence(request.decode()?, count, schema)?,
            Method::UpdateVoiceState => {
                let request: UpdateVoiceStateRequest = request.decode()?;
                set(request.guild_id, "guild_id")?;
                if let Some(id) = request.channel_id {
                    set(id, "channel_id")?;
                }
                let payload = payload::voice_state(&request)?;
                Self::One(shard_of(request.guild_id, count), payload)
            }
        };
        match job.shard_ids().into_iter().find(|id| *id >= count) {
            Some(id) => Err(failure(
                Code::NotFound,
                format!("there is no shard {id}: there are {count}, counted from 0"),
            )),
            None => Ok(job),
        }
    }

    fn info(request: RequestChannelInfoRequest, count: u32) -> Result<Self, Failure> {
        const FIELDS: [&str; 2] = ["status", "voice_start_time"];
        if let Some(odd) = request
            .fields
            .iter()
            .find(|it| !FIELDS.contains(&it.as_str()))
        {
            return Err(invalid(format!(
                "fields holds {odd:?}; use any of {FIELDS:?}"
            )));
        }
        let question = Question::channel_info(&request)?;
        Ok(Self::Info(home(&question, count), question, request.fields))
    }

    fn sounds(question: Question, count: u32) -> Self {
        let mut shards: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for id in question.guild_ids() {
            shards.entry(shard_of(*id, count)).or_default().push(*id);
        }
        match shards.first_key_value() {
            Some((id, _)) if shards.len() == 1 => Self::Ask(*id, question),
            _ => Self::Sounds(shards),
        }
    }

    fn send(request: SendRequest, count: u32, intents: u64) -> Result<Self, Failure> {
        let mut payload = payload::raw(request.payload, intents)?;
        let shard_id = match request.connection {
            Some(Connection::GuildId(guild_id)) => {
                payload.guild_ids.push(set(guild_id, "guild_id")?);
                shard_of(guild_id, count)
            }
            Some(Connection::ShardId(id)) => id,
            None => return Err(invalid("neither guild_id nor shard_id is set")),
        };
        let guild_ids = payload.guild_ids.iter();
        let mut homes = guild_ids.map(|id| (*id, shard_of(*id, count)));
        match homes.find(|(_, home)| *home != shard_id) {
            Some((guild_id, home)) => Err(invalid(format!(
                "the guild {guild_id} belongs to shard {home}, not to shard {shard_id}"
            ))),
            None => Ok(Self::One(shard_id, payload)),
        }
    }

    fn presence(
        request: UpdatePresenceRequest,
        count: u32,
        schema: &Schema,
    ) -> Result<Self, Failure> {
        let presence = request.presence.clone().unwrap_or_default();
        let payload = payload::presence(schema, &presence)?;
        let shard_ids = if request.shard_ids.is_empty() {
            (0..count).collect()
        } else {
            request.shard_ids.iter().copied().collect()
        };
        Ok(Self::Presence(shard_ids, payload, Box::new(request)))
    }

    /// The shards that it takes.
    pub(super) fn shard_ids(&self) -> Vec<u32> {
        match self {
            Self::Ask(id, _) | Self::Info(id, ..) | Self::One(id, _) => vec![*id],
            Self::Presence(ids, ..) => ids.iter().copied().collect(),
            Self::Sounds(shards) => shards.keys().copied().collect(),
        }
    }
}

/// The shard of a question about one guild.
fn home(question: &Question, count: u32) -> u32 {
    let guild_id = question.guild_ids().first();
    guild_id.map_or(0, |id| shard_of(*id, count))
}

#[cfg(test)]
mod tests;
