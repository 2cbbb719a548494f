//! A worker's reply: from bytes to what can be sent to Discord.

use broker::Answer;
use bytes::Bytes;
use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use transcode::{Schema, Scratch, Shape, Transcoder};
use wire::{
    discord::v1::{InteractionCallbackDataParams, InteractionCallbackType as Type, MessageParams},
    gateway::v1::{Error as Failure, InteractionResponse},
};

use crate::{
    check::{Wrong, check},
    conversation::{EPHEMERAL, Kind},
};

/// Full name of the message that is a reply.
const RESPONSE: &str = "gateway.v1.InteractionResponse";
/// Full name of the message that says that a worker could not.
const FAILURE: &str = "gateway.v1.Error";
/// Where a callback stands in a response.
const CALLBACK: u32 = 1;
/// Where the files do.
const FILES: u32 = 2;

/// A reply that Discord can be sent.
#[derive(Debug)]
pub struct Reply {
    pub(crate) kind: Type,
    /// The callback, as Discord takes it.
    pub json: String,
    /// What the worker has sent.
    pub response: InteractionResponse,
    /// How it came.
    pub answer: Answer,
}

/// Reads replies; all tasks share it.
#[derive(Debug)]
pub(crate) struct Replies<'a> {
    schema: &'a Schema,
    callback: Shape,
}

/// What a worker has said.
#[derive(Debug)]
pub(crate) enum Said {
    /// That it could not do it, and why.
    Failure(String),
    Reply(Box<Reply>),
    /// Something that is no reply.
    Wrong(Wrong),
}

impl<'a> Replies<'a> {
    pub(crate) fn new(transcoder: &'a Transcoder) -> Self {
        let schema = transcoder.schema();
        let callback = schema.shape("discord.v1.InteractionCallbackParams");
        Self {
            schema,
            callback: callback.expect("the contract has answers to interactions"),
        }
    }

    /// Reads what came in answer to an interaction of this kind.
    pub(crate) fn read(&self, kind: Kind, answer: &Answer) -> Said {
        match answer.type_name.as_str() {
            RESPONSE => match self.response(kind, answer) {
                Ok(reply) => Said::Reply(Box::new(reply)),
                Err(wrong) => Said::Wrong(wrong),
            },
            FAILURE => match Failure::decode(answer.body.clone()) {
                Ok(failure) => Said::Failure(failure.message),
                Err(error) => Said::Wrong(Wrong::new("body", error.to_string())),
            },
            other => {
                let why = format!("it is {other:?}, and should be {RESPONSE} or {FAILURE}");
                Said::Wrong(Wrong::new("type", why))
            }
        }
    }

    fn response(&self, kind: Kind, answer: &Answer) -> Result<Reply, Wrong> {
        let broken =
            |error: DecodeError| Wrong::new("body", format!("it is no {RESPONSE}: {error}"));
        let response = InteractionResponse::decode(answer.body.clone()).map_err(broken)?;
        let callback = callback(&answer.body).map_err(broken)??;
        let mut scratch = Scratch::default();
        let json = self.schema.render(self.callback, &callback, &mut scratch);
        let json = json.map_err(|error| Wrong::new("callback", error.to_string()))?;
        let kind = check(kind, &response)?;
        Ok(Reply {
            kind,
            json: json.to_owned(),
            response,
            answer: answer.clone(),
        })
    }
}

/// The bytes of the callback, and nothing beside it that the contract does not have.
fn callback(body: &Bytes) -> Result<Result<Bytes, Wrong>, DecodeError> {
    let mut rest = body.as_ref();
    let mut found = Bytes::new();
    while !rest.is_empty() {
        let (number, wire) = decode_key(&mut rest)?;
        let mut value = rest;
        skip_field(wire, number, &mut rest, DecodeContext::default())?;
        match (number, wire) {
            (CALLBACK, WireType::LengthDelimited) if found.is_empty() => {
                value = &value[..value.len() - rest.len()];
                decode_varint(&mut value)?;
                found = body.slice_ref(value);
            }
            (CALLBACK, _) => return Ok(Err(Wrong::new("callback", "there is more than one"))),
            (FILES, _) => {}
            _ => {
                let why = format!(
                    "it has a field with the number {number}, which {RESPONSE} does not have"
                );
                return Ok(Err(Wrong::new("body", why)));
            }
        }
    }
    Ok(Ok(found))
}

impl Reply {
    /// Its message, as an edit or a followup takes it.
    pub(crate) fn message(&self, is_edit: bool) -> MessageParams {
        let callback = self.response.callback.clone().unwrap_or_default();
        let InteractionCallbackDataParams {
            content,
            embeds,
            components,
            allowed_mentions,
            flags,
            attachments,
            tts,
            poll,
            unknown_json,
            nulls,
            empties,
            ..
        } = callback.data.unwrap_or_default();
        MessageParams {
            content,
            embeds,
            components,
            allowed_mentions,
            // Who sees a message is settled when it is made.
            flags: match is_edit {
                true => flags
                    .map(|flags| flags & !EPHEMERAL)
                    .filter(|flags| *flags != 0),
                false => flags,
            },
            attachments,
            tts: tts.filter(|_| !is_edit),
            poll,
            unknown_json,
            nulls,
            empties,
            ..MessageParams::default()
        }
    }

    /// How much it takes in memory, about.
    pub(crate) fn size(&self) -> usize {
        self.answer.body.len() * 2 + self.json.len()
    }
}

/// What an answer is known by, and whether another one that is known by it is the same.
pub(crate) fn mark(answer: &Answer) -> (u64, bool) {
    let mut hasher = DefaultHasher::new();
    match &answer.message_id {
        Some(id) => id.hash(&mut hasher),
        None => answer.body.hash(&mut hasher),
    }
    let may_repeat = answer.message_id.is_some() || answer.redelivered;
    (hasher.finish(), may_repeat)
}
