//! Payloads in both directions: what clients send, parsed, and what the simulator sends besides dispatches.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use sim_voice::Snowflake;

/// The largest payload that a client may send.
pub(crate) const LARGEST: usize = 4096;

/// A payload of a client.
#[derive(Debug)]
pub(crate) enum Incoming {
    Heartbeat(Option<u64>),
    Identify(Box<Identify>),
    Resume(Resume),
    Request(Request),
}

/// What clients ask of an identified session.
#[derive(Debug)]
pub(crate) enum Request {
    ChannelInfo(ChannelInfo),
    Members(Members),
    Presence,
    Sounds(Sounds),
    Voice(Voice),
}

/// Op 2.
#[derive(Debug, Deserialize)]
pub(crate) struct Identify {
    pub(crate) token: String,
    pub(crate) properties: Option<Value>,
    #[serde(default)]
    pub(crate) compress: bool,
    pub(crate) large_threshold: Option<u64>,
    pub(crate) shard: Option<Value>,
    pub(crate) intents: Option<Value>,
    pub(crate) presence: Option<Value>,
}

/// Op 6.
#[derive(Debug, Deserialize)]
pub(crate) struct Resume {
    pub(crate) token: String,
    pub(crate) session_id: String,
    pub(crate) seq: u64,
}

/// Op 4.
#[derive(Debug, Deserialize)]
pub(crate) struct Voice {
    pub(crate) guild_id: Snowflake,
    pub(crate) channel_id: Option<Snowflake>,
    #[serde(default)]
    pub(crate) self_mute: bool,
    #[serde(default)]
    pub(crate) self_deaf: bool,
}

/// Op 8.
#[derive(Debug, Deserialize)]
pub(crate) struct Members {
    pub(crate) guild_id: OneOrMany,
    pub(crate) query: Option<String>,
    pub(crate) limit: Option<u64>,
    #[serde(default)]
    pub(crate) presences: bool,
    pub(crate) user_ids: Option<OneOrMany>,
    pub(crate) nonce: Option<Value>,
}

/// Op 31.
#[derive(Debug, Deserialize)]
pub(crate) struct Sounds {
    pub(crate) guild_ids: Vec<Snowflake>,
}

/// Op 43.
#[derive(Debug, Deserialize)]
pub(crate) struct ChannelInfo {
    pub(crate) guild_id: Snowflake,
    #[serde(default)]
    pub(crate) fields: Vec<String>,
}

/// What some clients send as a list and some alone; not necessarily snowflakes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

impl OneOrMany {
    pub(crate) fn list(&self) -> &[Value] {
        match self {
            Self::Many(values) => values,
            Self::One(value) => std::slice::from_ref(value),
        }
    }
}

/// Why a payload was not understood, with the close code that Discord has for it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Mistake {
    /// Not a JSON payload: 4002.
    Malformed(String),
    /// An opcode that clients may not send, or a `d` that does not fit it: 4001.
    Unknown(String),
}

/// Reads a client's payload.
pub(crate) fn parse(bytes: &[u8]) -> Result<Incoming, Mistake> {
    #[derive(Deserialize)]
    struct Envelope {
        op: u64,
        #[serde(default)]
        d: Value,
    }
    let Envelope { op, d } =
        serde_json::from_slice(bytes).map_err(|error| Mistake::Malformed(error.to_string()))?;
    let request = match op {
        1 => return fits(op, d).map(Incoming::Heartbeat),
        2 => return fits(op, d).map(|identify| Incoming::Identify(Box::new(identify))),
        3 if d.get("status").is_some_and(Value::is_string) => Request::Presence,
        3 => return Err(Mistake::Unknown("op 3: no status".to_owned())),
        4 => Request::Voice(fits(op, d)?),
        6 => return fits(op, d).map(Incoming::Resume),
        8 => Request::Members(fits(op, d)?),
        31 => Request::Sounds(fits(op, d)?),
        43 => Request::ChannelInfo(fits(op, d)?),
        _ => {
            return Err(Mistake::Unknown(format!(
                "op {op} is not for clients to send"
            )));
        }
    };
    Ok(Incoming::Request(request))
}

fn fits<T: for<'de> Deserialize<'de>>(op: u64, d: Value) -> Result<T, Mistake> {
    serde_json::from_value(d).map_err(|error| Mistake::Unknown(format!("op {op}: {error}")))
}

/// Op 10.
pub(crate) fn hello(heartbeat_interval_ms: u64) -> Bytes {
    let trace = r#"["[\"gateway-prd-sim-1\",{\"micros\":0.0}]"]"#;
    format!(
        r#"{{"t":null,"s":null,"op":10,"d":{{"heartbeat_interval":{heartbeat_interval_ms},"_trace":{trace}}}}}"#
    )
    .into()
}

/// Op 11.
pub(crate) fn heartbeat_ack() -> Bytes {
    Bytes::from_static(br#"{"t":null,"s":null,"op":11,"d":null}"#)
}

/// Op 1, which demands a heartbeat.
pub(crate) fn heartbeat_request() -> Bytes {
    Bytes::from_static(br#"{"t":null,"s":null,"op":1,"d":null}"#)
}

/// Op 7.
pub(crate) fn reconnect() -> Bytes {
    Bytes::from_static(br#"{"t":null,"s":null,"op":7,"d":null}"#)
}

/// Op 9.
pub(crate) fn invalid_session(resumable: bool) -> Bytes {
    format!(r#"{{"t":null,"s":null,"op":9,"d":{resumable}}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::{Incoming, Mistake, Request, parse};

    #[test]
    fn payloads_are_told_apart() {
        let heartbeat = parse(br#"{"op":1,"d":5}"#).unwrap();
        assert!(matches!(heartbeat, Incoming::Heartbeat(Some(5))));
        assert!(matches!(
            parse(br#"{"op":1,"d":null}"#),
            Ok(Incoming::Heartbeat(None))
        ));
        let resume = br#"{"op":6,"d":{"token":"t","session_id":"s","seq":3}}"#;
        assert!(matches!(parse(resume), Ok(Incoming::Resume(_))));
        let voice = br#"{"op":4,"d":{"guild_id":"5","channel_id":null}}"#;
        assert!(matches!(
            parse(voice),
            Ok(Incoming::Request(Request::Voice(_)))
        ));
    }

    #[test]
    fn mistakes_have_their_code() {
        for bad in ["", "{", "[]", r#"{"d":1}"#, r#"{"op":"1"}"#, r#"{"op":-1}"#] {
            assert!(
                matches!(parse(bad.as_bytes()), Err(Mistake::Malformed(_))),
                "{bad}"
            );
        }
        for bad in [
            r#"{"op":0}"#,
            r#"{"op":99}"#,
            r#"{"op":2,"d":5}"#,
            r#"{"op":1,"d":"x"}"#,
        ] {
            assert!(
                matches!(parse(bad.as_bytes()), Err(Mistake::Unknown(_))),
                "{bad}"
            );
        }
    }
}
