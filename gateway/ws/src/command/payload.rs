//! The payloads that workers have sent: what Discord would close the connection for is refused.

use super::{failure, invalid};
use prost::{Message as _, Name as _};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use transcode::{Schema, Scratch};
use wire::{
    discord::v1::UpdatePresence,
    gateway::v1::{Code, Error as Failure, UpdateVoiceStateRequest},
};

/// The longest payload that Discord takes.
///
/// See [Discord Docs/Sending Events](https://docs.discord.com/developers/events/gateway#sending-events).
const LONGEST: usize = 4096;

/// Opcode of Update Presence.
const PRESENCE: u32 = 3;

/// Opcode of Update Voice State.
const VOICE_STATE: u32 = 4;

/// The opcodes that workers may send; Identify, Resume and heartbeats are ours.
const OPCODES: [u32; 5] = [PRESENCE, VOICE_STATE, 8, 31, 43];

/// The statuses that a bot may have.
///
/// See [Discord Docs/Update Presence](https://docs.discord.com/developers/events/gateway-events#update-presence).
const STATUSES: [&str; 5] = ["online", "dnd", "idle", "invisible", "offline"];

/// What of a payload matters before it is sent.
#[derive(Deserialize)]
struct Payload<'a> {
    /// The opcode.
    op: u32,
    /// What it is sent with; it has to be there.
    #[serde(borrow, rename = "d")]
    _data: &'a RawValue,
}

/// Checks a payload that a worker wrote itself.
pub(super) fn raw(payload: String) -> Result<String, Failure> {
    let payload = short(payload)?;
    let parsed: Payload<'_> = serde_json::from_str(&payload).map_err(|error| {
        invalid(format!(
            "the payload is no JSON object with op and d: {error}"
        ))
    })?;
    if OPCODES.contains(&parsed.op) {
        Ok(payload)
    } else {
        Err(invalid(format!(
            "opcode {} is not for workers: use one of {OPCODES:?}",
            parsed.op
        )))
    }
}

/// The payload of a presence. What is absent is not idle, has no activity, and is online.
pub(super) fn presence(schema: &Schema, presence: &UpdatePresence) -> Result<String, Failure> {
    let shape = schema
        .shape(&UpdatePresence::full_name())
        .ok_or_else(|| failure(Code::Internal, "the contract has no presence".to_owned()))?;
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
    short(json!({"op": PRESENCE, "d": data}).to_string())
}

/// The payload of a voice state. Without a channel the bot leaves.
pub(super) fn voice_state(request: &UpdateVoiceStateRequest) -> Result<String, Failure> {
    if request.guild_id == 0 {
        return Err(invalid("guild_id is not set".to_owned()));
    }
    let data = json!({
        "guild_id": request.guild_id.to_string(),
        "channel_id": request.channel_id.map(|id| id.to_string()),
        "self_mute": request.self_mute,
        "self_deaf": request.self_deaf,
    });
    Ok(json!({"op": VOICE_STATE, "d": data}).to_string())
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
mod tests {
    use super::*;
    use wire::discord::v1::{Activity, ActivityType};

    fn schema() -> Schema {
        Schema::new(wire::descriptors())
    }

    fn data(payload: &str) -> Value {
        let payload: Value = serde_json::from_str(payload).unwrap();
        payload["d"].clone()
    }

    #[test]
    fn only_payloads_that_discord_would_take_from_a_worker_pass() {
        let good = r#"{"op":4,"d":{"guild_id":"1","channel_id":null}}"#;
        assert_eq!(raw(good.to_owned()).as_deref(), Ok(good));
        let long = format!(r#"{{"op":3,"d":"{}"}}"#, "x".repeat(LONGEST));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"op":4}"#,
            r#"{"op":2,"d":{}}"#,
            r#"{"op":"4","d":1}"#,
            &long,
        ] {
            let failure = raw(bad.to_owned()).unwrap_err();
            assert_eq!(failure.code(), Code::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn a_presence_has_all_that_discord_wants() {
        let payload = presence(&schema(), &UpdatePresence::default()).unwrap();
        let usual = json!({"since": null, "activities": [], "status": "online", "afk": false});
        assert_eq!(data(&payload), usual);
        let busy = UpdatePresence {
            status: Some("dnd".to_owned()),
            activities: vec![Activity {
                name: Some("chess".to_owned()),
                r#type: Some(ActivityType::Playing.into()),
                unknown_json: r#"{"tomorrow":1}"#.to_owned(),
                ..Activity::default()
            }],
            ..UpdatePresence::default()
        };
        let payload = data(&presence(&schema(), &busy).unwrap());
        let chess = json!([{"name": "chess", "type": 0, "tomorrow": 1}]);
        assert_eq!(payload["activities"], chess);
        assert_eq!(payload["status"], "dnd");
    }

    #[test]
    fn a_presence_that_would_end_the_connection_is_refused() {
        let of = |status: &str, activity: Activity, kept: &str| UpdatePresence {
            status: Some(status.to_owned()),
            activities: vec![activity],
            unknown_json: kept.to_owned(),
            ..UpdatePresence::default()
        };
        let chess = Activity {
            name: Some("chess".to_owned()),
            r#type: Some(0),
            ..Activity::default()
        };
        let long = Activity {
            state: Some("x".repeat(LONGEST)),
            ..chess.clone()
        };
        for (bad, words) in [
            (of("busy", chess.clone(), ""), "the status is \"busy\""),
            (of("online", Activity::default(), ""), "activities[0]"),
            (of("online", chess.clone(), "{"), "unknown_json"),
            (of("online", chess, r#"{"status":1}"#), "the status is 1"),
            (of("online", long, ""), "bytes; Discord takes 4096"),
        ] {
            let failure = presence(&schema(), &bad).unwrap_err();
            assert_eq!(failure.code(), Code::InvalidArgument);
            assert!(failure.message.contains(words), "{}", failure.message);
        }
    }

    #[test]
    fn without_a_channel_the_bot_leaves() {
        let mut request = UpdateVoiceStateRequest {
            guild_id: 7,
            channel_id: Some(8),
            self_mute: true,
            self_deaf: false,
        };
        let joined =
            json!({"guild_id": "7", "channel_id": "8", "self_mute": true, "self_deaf": false});
        assert_eq!(data(&voice_state(&request).unwrap()), joined);
        request.channel_id = None;
        let left = data(&voice_state(&request).unwrap());
        assert_eq!(left["channel_id"], Value::Null);
        request.guild_id = 0;
        assert!(voice_state(&request).is_err());
    }
}
