//! Messages of the voice gateway in both directions: what clients send, parsed, and how what the server sends is written.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

/// The first version whose messages are numbered.
pub(crate) const NUMBERED: u8 = 8;

/// A message of a client.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A commit of DAVE, and a welcome after it if it adds members.
    Commit(Vec<u8>),
    Heartbeat(Heartbeat),
    Identify(Identify),
    /// A commit or welcome of DAVE could not be followed.
    Invalid(Transition),
    KeyPackage(Vec<u8>),
    /// The client is ready for a transition of DAVE.
    Ready(Transition),
    Resume(Resume),
    Select(Select),
    Speaking(Speaking),
}

/// Op 3.
#[derive(Debug, PartialEq)]
pub(crate) struct Heartbeat {
    pub(crate) nonce: Value,
    /// The newest message that has come, for versions that number them.
    pub(crate) seq_ack: Option<i64>,
    /// Whether it had the form of those versions.
    pub(crate) numbered: bool,
}

/// Op 0.
#[derive(Debug, Deserialize)]
pub(crate) struct Identify {
    pub(crate) server_id: Snowflake,
    pub(crate) user_id: Snowflake,
    pub(crate) session_id: String,
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) max_dave_protocol_version: u16,
}

/// Op 7.
#[derive(Debug, Deserialize)]
pub(crate) struct Resume {
    pub(crate) server_id: Snowflake,
    pub(crate) session_id: String,
    pub(crate) token: String,
    pub(crate) seq_ack: Option<i64>,
}

/// Op 1.
#[derive(Debug, Deserialize)]
pub(crate) struct Select {
    pub(crate) protocol: String,
    pub(crate) data: SelectData,
}

/// Where a client wants its packets, and how encrypted.
#[derive(Debug, Deserialize)]
pub(crate) struct SelectData {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) mode: String,
}

/// Op 5.
#[derive(Debug, Deserialize)]
pub(crate) struct Speaking {
    pub(crate) speaking: u32,
    pub(crate) ssrc: Option<u32>,
}

/// Ops 23 and 31.
#[derive(Debug, Deserialize)]
pub(crate) struct Transition {
    pub(crate) transition_id: u16,
}

/// A snowflake as a string or a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Snowflake(pub u64);

impl Snowflake {
    /// The one in a JSON string or number.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => text.parse().ok().map(Self),
            Value::Number(number) => number.as_u64().map(Self),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Snowflake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::of(&value).ok_or_else(|| D::Error::custom(format!("{value} is no snowflake")))
    }
}

/// Why a message was not understood, with the close code that Discord has for it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Mistake {
    /// No message at all, or one whose data does not fit: 4002.
    Malformed(String),
    /// An opcode that clients may not send: 4001.
    Unknown(String),
}

/// Reads a text message.
pub(crate) fn parse(bytes: &[u8]) -> Result<Incoming, Mistake> {
    #[derive(Deserialize)]
    struct Envelope {
        op: u64,
        #[serde(default)]
        d: Value,
    }
    let Envelope { op, d } =
        serde_json::from_slice(bytes).map_err(|error| Mistake::Malformed(error.to_string()))?;
    match op {
        0 => fits(op, d).map(Incoming::Identify),
        1 => fits(op, d).map(Incoming::Select),
        3 => heartbeat(d).map(Incoming::Heartbeat),
        5 => fits(op, d).map(Incoming::Speaking),
        7 => fits(op, d).map(Incoming::Resume),
        23 => fits(op, d).map(Incoming::Ready),
        31 => fits(op, d).map(Incoming::Invalid),
        _ => Err(Mistake::Unknown(format!(
            "op {op} is not for clients to send"
        ))),
    }
}

/// Reads a binary message: an opcode and what belongs to it.
pub(crate) fn parse_binary(bytes: &[u8]) -> Result<Incoming, Mistake> {
    match bytes.split_first() {
        Some((26, package)) => Ok(Incoming::KeyPackage(package.to_vec())),
        Some((28, commit)) => Ok(Incoming::Commit(commit.to_vec())),
        Some((op, _)) => Err(Mistake::Unknown(format!(
            "binary op {op} is not for clients to send"
        ))),
        None => Err(Mistake::Malformed("an empty message".to_owned())),
    }
}

fn heartbeat(d: Value) -> Result<Heartbeat, Mistake> {
    #[derive(Deserialize)]
    struct Numbered {
        t: Value,
        seq_ack: Option<i64>,
    }
    if d.is_object() {
        let Numbered { t, seq_ack } = fits(3, d)?;
        return Ok(Heartbeat {
            nonce: t,
            seq_ack,
            numbered: true,
        });
    }
    if !d.is_number() {
        return Err(Mistake::Malformed(format!("op 3: {d} is no nonce")));
    }
    Ok(Heartbeat {
        nonce: d,
        seq_ack: None,
        numbered: false,
    })
}

fn fits<T: for<'de> Deserialize<'de>>(op: u64, d: Value) -> Result<T, Mistake> {
    serde_json::from_value(d).map_err(|error| Mistake::Malformed(format!("op {op}: {error}")))
}

/// A message of the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Text { op: u8, d: Value },
    Binary { op: u8, body: Bytes },
}

/// A message as it goes to a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Close { code: u16, reason: &'static str },
}

impl Message {
    /// Whether it has a number: the answers to heartbeats and what begins a connection have none.
    pub(crate) fn is_numbered(&self) -> bool {
        !matches!(self, Self::Text { op: 6 | 8 | 9, .. })
    }

    /// The message with its number, if it has one.
    pub(crate) fn frame(&self, seq: Option<u16>) -> Frame {
        match self {
            Self::Text { op, d } => {
                let mut text = json!({"op": op, "d": d});
                if let Some(seq) = seq {
                    text["seq"] = seq.into();
                }
                Frame::Text(text.to_string())
            }
            Self::Binary { op, body } => {
                let number = seq.map(u16::to_be_bytes);
                let number = number.as_ref().map_or(&[][..], <[u8; 2]>::as_slice);
                Frame::Binary([number, &[*op], body].concat())
            }
        }
    }
}

/// Op 8.
pub(crate) fn hello(version: u8, heartbeat_interval_ms: u64) -> Message {
    Message::Text {
        op: 8,
        d: json!({"v": version, "heartbeat_interval": heartbeat_interval_ms}),
    }
}

/// Op 6, in the form of the heartbeat.
pub(crate) fn heartbeat_ack(heartbeat: &Heartbeat) -> Message {
    let nonce = &heartbeat.nonce;
    Message::Text {
        op: 6,
        d: if heartbeat.numbered {
            json!({"t": nonce})
        } else {
            nonce.clone()
        },
    }
}

/// Op 9.
pub(crate) fn resumed() -> Message {
    Message::Text {
        op: 9,
        d: Value::Null,
    }
}

/// Op 5.
pub(crate) fn speaking(user_id: u64, ssrc: u32, speaking: u32) -> Message {
    Message::Text {
        op: 5,
        d: json!({"user_id": user_id.to_string(), "ssrc": ssrc, "speaking": speaking}),
    }
}

/// Op 11.
pub(crate) fn clients_connect(users: &[u64]) -> Message {
    let users: Vec<String> = users.iter().map(u64::to_string).collect();
    Message::Text {
        op: 11,
        d: json!({"user_ids": users}),
    }
}

/// Op 13.
pub(crate) fn client_disconnect(user_id: u64) -> Message {
    Message::Text {
        op: 13,
        d: json!({"user_id": user_id.to_string()}),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::{Frame, Incoming, Message, Mistake, heartbeat_ack, parse, parse_binary};

    #[test]
    fn heartbeats_have_two_forms_and_are_answered_in_theirs() {
        for (sent, answer) in [
            (
                r#"{"op":3,"d":1501184119561}"#,
                json!(1_501_184_119_561_u64),
            ),
            (r#"{"op":3,"d":{"t":15,"seq_ack":10}}"#, json!({"t": 15})),
        ] {
            let Ok(Incoming::Heartbeat(heartbeat)) = parse(sent.as_bytes()) else {
                panic!("{sent}");
            };
            assert_eq!(heartbeat.numbered, heartbeat.seq_ack.is_some());
            let Message::Text { op: 6, d } = heartbeat_ack(&heartbeat) else {
                panic!("{sent}");
            };
            assert_eq!(d, answer);
        }
    }

    #[test]
    fn mistakes_have_their_code() {
        for bad in [
            "",
            "[]",
            r#"{"op":"0"}"#,
            r#"{"op":0}"#,
            r#"{"op":3,"d":null}"#,
            r#"{"op":1,"d":{}}"#,
        ] {
            assert!(
                matches!(parse(bad.as_bytes()), Err(Mistake::Malformed(_))),
                "{bad}"
            );
        }
        assert!(matches!(
            parse(br#"{"op":4,"d":{}}"#),
            Err(Mistake::Unknown(_))
        ));
        assert!(matches!(parse_binary(&[]), Err(Mistake::Malformed(_))));
        assert!(matches!(parse_binary(&[25, 1]), Err(Mistake::Unknown(_))));
        assert!(
            matches!(parse_binary(&[26, 1, 2]), Ok(Incoming::KeyPackage(body)) if body == [1, 2])
        );
    }

    #[test]
    fn numbers_stand_where_the_version_has_them() {
        let text = Message::Text { op: 2, d: json!(1) };
        assert_eq!(
            text.frame(None),
            Frame::Text(r#"{"d":1,"op":2}"#.to_owned())
        );
        assert_eq!(
            text.frame(Some(7)),
            Frame::Text(r#"{"d":1,"op":2,"seq":7}"#.to_owned())
        );
        let binary = Message::Binary {
            op: 25,
            body: Bytes::from_static(&[9]),
        };
        assert_eq!(binary.frame(None), Frame::Binary(vec![25, 9]));
        assert_eq!(binary.frame(Some(258)), Frame::Binary(vec![1, 2, 25, 9]));
    }
}
