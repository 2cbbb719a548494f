//! Reads what Discord says that callers may wait for, or that tells which guilds a connection serves.

use super::flights::Heard;
use bytes::{BufMut as _, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::Deserialize;
use std::{borrow::Cow, time::Duration};

/// Opcode of Request Guild Members.
const MEMBERS: u32 = 8;

/// The events that may answer a request.
pub(super) const ANSWERS: [&str; 4] = [
    "CHANNEL_INFO",
    "GUILD_MEMBERS_CHUNK",
    "RATE_LIMITED",
    "SOUNDBOARD_SOUNDS",
];

#[derive(Deserialize)]
struct OfGuild<'a> {
    #[serde(borrow)]
    guild_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    guild_id: Cow<'a, str>,
    chunk_index: u32,
    chunk_count: u32,
    #[serde(borrow)]
    nonce: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Limited<'a> {
    opcode: u32,
    retry_after: f64,
    #[serde(borrow)]
    meta: LimitedMembers<'a>,
}

#[derive(Deserialize)]
struct LimitedMembers<'a> {
    #[serde(borrow)]
    guild_id: Cow<'a, str>,
    #[serde(borrow)]
    nonce: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Guild<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default)]
    unavailable: bool,
}

#[derive(Deserialize)]
struct Ready<'a> {
    #[serde(borrow)]
    guilds: Vec<Guild<'a>>,
}

/// What an event with this name says; `data` is its payload as the contract has it. `None` when it is
/// nothing that anybody can wait for.
pub(super) fn read(name: &str, json: &str, data: impl FnOnce() -> Option<Bytes>) -> Option<Heard> {
    match name {
        "RATE_LIMITED" => {
            let limited: Limited<'_> = serde_json::from_str(json).ok()?;
            Some(Heard::Limited {
                guild_id: limited.meta.guild_id.parse().ok()?,
                nonce: limited.meta.nonce.map(Cow::into_owned),
                retry_after: Duration::try_from_secs_f64(limited.retry_after).ok()?,
            })
            .filter(|_| limited.opcode == MEMBERS)
        }
        "GUILD_MEMBERS_CHUNK" => {
            let chunk: Chunk<'_> = serde_json::from_str(json).ok()?;
            Some(Heard::Chunk {
                guild_id: chunk.guild_id.parse().ok()?,
                nonce: chunk.nonce?.into_owned(),
                index: chunk.chunk_index,
                count: chunk.chunk_count,
                body: response(&data()?),
            })
        }
        "CHANNEL_INFO" | "SOUNDBOARD_SOUNDS" => {
            let of: OfGuild<'_> = serde_json::from_str(json).ok()?;
            let guild_id = of.guild_id.parse().ok()?;
            let body = response(&data()?);
            Some(if name == "CHANNEL_INFO" {
                Heard::ChannelInfo { guild_id, body }
            } else {
                Heard::Sounds { guild_id, body }
            })
        }
        _ => None,
    }
}

/// The response message with this payload in its field 1, as all of those responses have it.
fn response(data: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(data.len() + 10);
    encode_key(1, WireType::LengthDelimited, &mut body);
    encode_varint(data.len() as u64, &mut body);
    body.put_slice(data);
    body.freeze()
}

/// The guilds that READY lists.
pub(crate) fn guilds(ready: &str) -> Option<Vec<u64>> {
    let ready: Ready<'_> = serde_json::from_str(ready).ok()?;
    ready
        .guilds
        .iter()
        .map(|guild| guild.id.parse().ok())
        .collect()
}

/// The guild of a GUILD_CREATE or GUILD_DELETE, and whether it is merely away.
pub(crate) fn guild(json: &str) -> Option<(u64, bool)> {
    let guild: Guild<'_> = serde_json::from_str(json).ok()?;
    Some((guild.id.parse().ok()?, guild.unavailable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use wire::{discord::v1::SoundboardSounds, gateway::v1::RequestSoundboardSoundsResponse};

    #[test]
    fn events_that_answer_are_read() {
        let data = || Some(Bytes::from_static(b"data"));
        let json = r#"{"members":[{}],"guild_id":"7","chunk_index":1,"chunk_count":2,"nonce":"n"}"#;
        let heard = read("GUILD_MEMBERS_CHUNK", json, data);
        let Some(Heard::Chunk {
            nonce,
            index,
            count,
            ..
        }) = heard
        else {
            panic!("a chunk");
        };
        assert_eq!((nonce.as_str(), index, count), ("n", 1, 2));
        let json = r#"{"opcode":8,"retry_after":2.5,"meta":{"guild_id":"7","nonce":"n"}}"#;
        let heard = read("RATE_LIMITED", json, || None);
        let Some(Heard::Limited { retry_after, .. }) = heard else {
            panic!("a limit");
        };
        assert_eq!(retry_after, Duration::from_millis(2_500));
    }

    #[test]
    fn the_response_holds_the_payload() {
        let sounds = SoundboardSounds {
            guild_id: Some(7),
            ..SoundboardSounds::default()
        };
        let data = Bytes::from(sounds.encode_to_vec());
        let heard = read("SOUNDBOARD_SOUNDS", r#"{"guild_id":"7"}"#, || Some(data));
        let Some(Heard::Sounds { guild_id: 7, body }) = heard else {
            panic!("sounds of guild 7");
        };
        let response = RequestSoundboardSoundsResponse::decode(body).unwrap();
        assert_eq!(response.sounds, Some(sounds));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for (name, json) in [
            ("GUILD_MEMBERS_CHUNK", "{"),
            (
                "GUILD_MEMBERS_CHUNK",
                r#"{"guild_id":"7","chunk_index":0,"chunk_count":1}"#,
            ),
            (
                "GUILD_MEMBERS_CHUNK",
                r#"{"guild_id":"x","chunk_index":-1,"chunk_count":1}"#,
            ),
            (
                "RATE_LIMITED",
                r#"{"opcode":8,"retry_after":-1,"meta":{"guild_id":"7"}}"#,
            ),
            (
                "RATE_LIMITED",
                r#"{"opcode":3,"retry_after":1,"meta":{"guild_id":"7"}}"#,
            ),
            (
                "RATE_LIMITED",
                r#"{"opcode":8,"retry_after":1e300,"meta":{"guild_id":"7"}}"#,
            ),
            ("SOUNDBOARD_SOUNDS", "[]"),
            ("MESSAGE_CREATE", r#"{"guild_id":"7"}"#),
        ] {
            assert!(read(name, json, || None).is_none(), "{name} {json}");
        }
    }

    #[test]
    fn guilds_are_read() {
        let ready = r#"{"v":10,"guilds":[{"id":"1","unavailable":true},{"id":"2"}]}"#;
        assert_eq!(guilds(ready), Some(vec![1, 2]));
        assert_eq!(guilds("{}"), None);
        assert_eq!(guild(r#"{"id":"3","unavailable":true}"#), Some((3, true)));
        assert_eq!(guild(r#"{"id":"3","name":"x"}"#), Some((3, false)));
    }
}
