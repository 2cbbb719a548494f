//! The payloads that workers have sent: what Discord would close the connection for is refused.

use super::{
    failure::{failure, invalid},
    outbox::Class,
};
use prost::{Message as _, Name as _};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use transcode::{Schema, Scratch};
use wire::{
    discord::v1::UpdatePresence,
    gateway::v1::{Code, Error as Failure, UpdateVoiceStateRequest},
    intent,
};

/// The longest payload that Discord takes.
///
/// See [Discord Docs/Sending Events](https://docs.discord.com/developers/events/gateway#sending-events).
const LONGEST: usize = 4096;

/// Opcode of Update Presence.
const PRESENCE: u64 = 3;

/// Opcode of Update Voice State.
const VOICE_STATE: u64 = 4;

/// Opcode of Request Guild Members.
const MEMBERS: u64 = 8;

/// Opcode of Request Soundboard Sounds.
const SOUNDS: u64 = 31;

/// Opcode of Request Channel Info.
const CHANNEL_INFO: u64 = 43;

/// The opcodes that workers may send; Identify, Resume and heartbeats are ours.
const OPCODES: [u64; 5] = [PRESENCE, VOICE_STATE, MEMBERS, SOUNDS, CHANNEL_INFO];

/// The statuses that a bot may have.
///
/// See [Discord Docs/Update Presence](https://docs.discord.com/developers/events/gateway-events#update-presence).
const STATUSES: [&str; 5] = ["online", "dnd", "idle", "invisible", "offline"];

/// What of a worker's own payload matters before it is sent. A member that comes twice is refused: who
/// knows which one Discord reads.
#[derive(Deserialize)]
struct Raw {
    /// The opcode.
    op: u64,
    /// What it is sent with; it has to be there.
    #[serde(rename = "d")]
    data: Map<String, Value>,
}

/// A payload that Discord takes, and what has to be known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Payload {
    /// All of it.
    pub(super) json: String,
    /// What it is about.
    pub(super) class: Class,
    /// The guilds that it names.
    pub(super) guild_ids: Vec<u64>,
    /// The guild all of whose members it asks for on a worker's own account.
    pub(super) all_members_of: Option<u64>,
}

impl Payload {
    /// A payload with this opcode and these data.
    fn new(opcode: u64, data: &Value, guild_ids: Vec<u64>) -> Result<Self, Failure> {
        let class = match opcode {
            VOICE_STATE => Class::Voice,
            PRESENCE => Class::Presence,
            _ => Class::Question,
        };
        Ok(Self {
            json: short(json!({"op": opcode, "d": data}).to_string())?,
            class,
            guild_ids,
            all_members_of: None,
        })
    }

    /// Asks for members; `data` is all but the nonce.
    pub(super) fn members(
        guild_id: u64,
        data: &Map<String, Value>,
        nonce: &str,
    ) -> Result<Self, Failure> {
        let mut data = data.clone();
        data.insert("nonce".to_owned(), nonce.into());
        Self::new(MEMBERS, &data.into(), vec![guild_id])
    }

    /// Asks for the sounds of these guilds.
    pub(super) fn sounds(guild_ids: &[u64]) -> Result<Self, Failure> {
        let texts: Vec<String> = guild_ids.iter().map(ToString::to_string).collect();
        Self::new(SOUNDS, &json!({"guild_ids": texts}), guild_ids.to_vec())
    }

    /// Asks for all that is known of a guild's channels.
    pub(super) fn channel_info(guild_id: u64) -> Result<Self, Failure> {
        let fields = ["status", "voice_start_time"];
        let data = json!({"guild_id": guild_id.to_string(), "fields": fields});
        Self::new(CHANNEL_INFO, &data, vec![guild_id])
    }
}

/// Checks a payload that a worker wrote itself.
pub(super) fn raw(payload: String, intents: u64) -> Result<Payload, Failure> {
    let json = short(payload)?;
    let Raw { op: opcode, data } = serde_json::from_str(&json).map_err(|error| {
        let text =
            format!("the payload is no JSON object with op, a number, and d, an object: {error}");
        invalid(text)
    })?;
    if !OPCODES.contains(&opcode) {
        return Err(invalid(format!(
            "opcode {opcode} is not for workers: use one of {OPCODES:?}"
        )));
    }
    let guild_ids = named(&data);
    let all = opcode == MEMBERS && data.get("query").is_some_and(|it| it == "");
    let all = all && data.get("limit").is_some_and(|it| it == 0);
    let presences = opcode == MEMBERS && data.get("presences").is_some_and(|it| it == true);
    allowed(intents, all, presences)?;
    let all_members_of = guild_ids.first().copied().filter(|_| all);
    let known = Payload::new(opcode, &Value::Null, guild_ids)?;
    Ok(Payload {
        json,
        all_members_of,
        ..known
    })
}

/// The guilds that a payload names in whichever of the forms that Discord takes.
fn named(data: &Map<String, Value>) -> Vec<u64> {
    let id = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let members = ["guild_id", "guild_ids"];
    let values = members.iter().filter_map(|member| data.get(*member));
    values
        .flat_map(|value| match value {
            Value::Array(values) => values.iter().filter_map(id).collect(),
            value => Vec::from_iter(id(value)),
        })
        .collect()
}

/// Refuses what Discord answers to bots with certain intents only.
pub(super) fn allowed(intents: u64, all: bool, presences: bool) -> Result<(), Failure> {
    for (wanted, name, what) in [
        (all, "GUILD_MEMBERS", "all members of a guild"),
        (presences, "GUILD_PRESENCES", "presences of members"),
    ] {
        let bit = intent::parse(name).unwrap_or_default();
        if wanted && intents & bit == 0 {
            let text =
                format!("{what} need the intent {name}, which DISCORD_INTENTS does not have");
            return Err(failure(Code::PermissionDenied, text));
        }
    }
    Ok(())
}

/// The payload of a presence. What is absent is not idle, has no activity, and is online.
pub(super) fn presence(schema: &Schema, presence: &UpdatePresence) -> Result<Payload, Failure> {
    let shape = schema
        .shape(&UpdatePresence::full_name())
        .ok_or_else(|| failure(Code::Internal, "the contract has no presence"))?;
    let mut scratch = Scratch::default();
    let rendered = schema
        .render(shape, &presence.encode_to_vec(), &mut scratch)
        .map_err(|error| invalid(format!("the presence is no JSON: {error}")))?;
    let mut data: Value = serde_json::from_str(rendered)
        .map_err(|error| invalid(format!("the presence is no JSON: {error}")))?;
    for (member, usual) in [
        ("since", Value::Null),
        ("activities", json!([])),
        ("status", json!("online")),
        ("afk", json!(false)),
    ] {
        if data.get(member).is_none() {
            data[member] = usual;
        }
    }
    if !data["status"]
        .as_str()
        .is_some_and(|it| STATUSES.contains(&it))
    {
        let status = &data["status"];
        return Err(invalid(format!(
            "the status is {status}; use one of {STATUSES:?}"
        )));
    }
    for (index, activity) in data["activities"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if !activity["name"].is_string() || !activity["type"].is_u64() {
            return Err(invalid(format!(
                "activities[{index}] lacks its name or its type"
            )));
        }
    }
    Payload::new(PRESENCE, &data, Vec::new())
}

/// The payload of a voice state. Without a channel the bot leaves.
pub(super) fn voice_state(request: &UpdateVoiceStateRequest) -> Result<Payload, Failure> {
    let data = json!({
        "guild_id": request.guild_id.to_string(),
        "channel_id": request.channel_id.map(|id| id.to_string()),
        "self_mute": request.self_mute,
        "self_deaf": request.self_deaf,
    });
    Payload::new(VOICE_STATE, &data, vec![request.guild_id])
}

fn short(payload: String) -> Result<String, Failure> {
    if payload.len() > LONGEST {
        let length = payload.len();
        return Err(invalid(format!(
            "the payload has {length} bytes; Discord takes {LONGEST}"
        )));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests;
