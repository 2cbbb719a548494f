//! Messages and requests as JSON objects.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;

use crate::{
    Message, Value,
    requests::{Call, Reply, short_name, split},
};

/// A message as it stands on stdout.
#[derive(Serialize)]
struct Line<'a> {
    exchange: &'a str,
    routing_key: &'a str,
    #[serde(rename = "type")]
    type_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    headers: Headers<'a>,
    body: Body<'a>,
}

/// Appends a message and a line feed.
pub(super) fn write_message(message: &Message, prefix: &str, buffer: &mut Vec<u8>) {
    let line = Line {
        exchange: &message.exchange.name(prefix),
        routing_key: &message.routing_key,
        type_name: message.type_name,
        message_id: Some(&message.message_id),
        correlation_id: None,
        timestamp: Some(message.timestamp),
        app_id: Some(&message.app_id),
        headers: Headers(&message.headers),
        body: Body {
            type_name: message.type_name,
            bytes: &message.body,
        },
    };
    write(&line, buffer);
}

/// A reply with its line feed.
pub(super) fn reply(reply: &Reply, reply_to: &str, correlation_id: Option<&str>) -> Vec<u8> {
    let end = [("end", Value::Flag(true))];
    let line = Line {
        exchange: "",
        routing_key: reply_to,
        type_name: &reply.type_name,
        message_id: None,
        correlation_id,
        timestamp: None,
        app_id: None,
        headers: Headers(if reply.end { &end } else { &[] }),
        body: Body {
            type_name: &reply.type_name,
            bytes: &reply.body,
        },
    };
    let mut buffer = Vec::new();
    write(&line, &mut buffer);
    buffer
}

fn write(line: &Line<'_>, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    if let Err(error) = serde_json::to_writer(&mut *buffer, line) {
        // Only a message that contradicts its own descriptor could get here; half a line must
        // not be seen.
        tracing::error!(%error, "a message cannot be written as JSON");
        buffer.truncate(start);
        return;
    }
    buffer.push(b'\n');
}

struct Headers<'a>(&'a [(&'static str, Value)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            match value {
                Value::Flag(flag) => map.serialize_entry(name, flag)?,
                Value::Number(number) => map.serialize_entry(name, number)?,
                Value::Text(text) => map.serialize_entry(name, text)?,
            }
        }
        map.end()
    }
}

/// An encoded message: ProtoJSON if its type is known, else base64.
struct Body<'a> {
    type_name: &'a str,
    bytes: &'a Bytes,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(descriptor) = message(self.type_name) else {
            return serializer.serialize_str(&BASE64.encode(self.bytes));
        };
        match DynamicMessage::decode(descriptor, self.bytes.clone()) {
            Ok(message) => {
                let options = SerializeOptions::new().use_proto_field_name(true);
                message.serialize_with_options(serializer, &options)
            }
            Err(_) => serializer.serialize_str(&BASE64.encode(self.bytes)),
        }
    }
}

/// A request as it stands on stdin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(rename = "type")]
    method: String,
    routing_key: Option<String>,
    reply_to: Option<String>,
    correlation_id: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Whom to answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Caller {
    /// Where the answer goes.
    pub(super) reply_to: Option<String>,
    /// What the caller knows the answer by.
    pub(super) correlation_id: Option<String>,
}

/// Whom to answer, as far as the line can be read at all.
pub(super) fn caller(line: &[u8]) -> Caller {
    serde_json::from_slice(line).unwrap_or_default()
}

/// Reads a request to a service of an application, or says why it cannot be read.
pub(super) fn call<'d>(
    line: &[u8],
    services: &[impl AsRef<str>],
    application_id: u64,
    descriptors: impl FnOnce(&str) -> &'d DescriptorPool,
) -> Result<Call, String> {
    let asked: Asked<'_> =
        serde_json::from_slice(line).map_err(|error| format!("this is no request: {error}"))?;
    let method = asked.method;
    let Some((full_name, name)) = split(&method) else {
        return Err(format!(
            "the type {method:?} is no method such as gateway.v1.Ws/Send"
        ));
    };
    let service = short_name(full_name);
    if !services.iter().any(|it| it.as_ref() == service) {
        let services: Vec<&str> = services.iter().map(AsRef::as_ref).collect();
        let services = services.join(" and ");
        return Err(format!(
            "this is the service {services:?}, which has no method {method}"
        ));
    }
    let input = descriptors(full_name)
        .get_service_by_name(full_name)
        .and_then(|found| found.methods().find(|candidate| candidate.name() == name))
        .map(|found| found.input())
        .ok_or_else(|| format!("there is no method {method}"))?;
    let body = asked.body.map_or("{}", RawValue::get);
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let body = DynamicMessage::deserialize(input, &mut deserializer)
        .map_err(|error| format!("the body of {method} cannot be read: {error}"))?;
    let routing_key = asked.routing_key;
    Ok(Call {
        routing_key: routing_key.unwrap_or_else(|| format!("{service}.{name}.{application_id}")),
        body: body.encode_to_vec().into(),
        reply_to: asked.reply_to,
        correlation_id: asked.correlation_id,
        method,
        ..Call::default()
    })
}

/// The descriptors that have what is called so. Those of Discord's HTTP API are only read when they are asked for.
pub(super) fn pool(full_name: &str) -> &'static DescriptorPool {
    match full_name.starts_with("discord.v1.") {
        true => wire::rest::descriptors(),
        false => wire::descriptors(),
    }
}

fn message(name: &str) -> Option<MessageDescriptor> {
    let known = wire::descriptors().get_message_by_name(name);
    known.or_else(|| pool(name).get_message_by_name(name))
}

#[cfg(test)]
mod tests;
