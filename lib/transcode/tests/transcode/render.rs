//! The way back as a slow and simple program: from a dynamic message to the JSON that it stands for.

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage, Value};

use crate::json::{Json, Member, Text};
use crate::moment::Moment;
use crate::oracle::{own_fields, rendered};

/// The message stands for no JSON.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused(pub(crate) &'static str);

/// Messages, and containers, within each other.
const MESSAGES: usize = 90;
const CONTAINERS: usize = 127;

/// What lies around a value.
#[derive(Clone, Copy)]
struct Level {
    messages: usize,
    containers: usize,
}

impl Level {
    fn deeper(self, messages: usize, containers: usize) -> Result<Self, Refused> {
        let (messages, containers) = (self.messages + messages, self.containers + containers);
        if messages > MESSAGES || containers > CONTAINERS {
            return Err(Refused("deep"));
        }
        Ok(Self {
            messages,
            containers,
        })
    }
}

/// The JSON of a message that stands alone.
pub(crate) fn render(message: &DynamicMessage) -> Result<Json, Refused> {
    object(
        message,
        Level {
            messages: 2,
            containers: 1,
        },
    )
}

fn object(message: &DynamicMessage, level: Level) -> Result<Json, Refused> {
    let descriptor = message.descriptor();
    let own = own_fields(&descriptor);
    let mut members = Vec::new();
    if message.unknown_fields().next().is_some() {
        return Err(Refused("unknown"));
    }
    for (field, value) in message.fields() {
        if !own.contains(&field) {
            members.push(member(field.name(), whole_field(value, level)?));
        }
    }
    let (nulls, empties) = (mentioned(message, &own[1])?, mentioned(message, &own[2])?);
    for field in &nulls {
        if message.has_field(field) || empties.contains(field) {
            return Err(Refused("conflict"));
        }
        members.push(member(field.name(), Json::Null));
    }
    for field in &empties {
        if message.has_field(field) {
            return Err(Refused("conflict"));
        }
        let empty = match (field.is_map(), field.is_list()) {
            (true, _) => Json::Object(vec![]),
            (_, true) => Json::Array(vec![]),
            _ => return Err(Refused("no list")),
        };
        members.push(member(field.name(), empty));
    }
    // What was kept as text comes last, and so it wins.
    let kept = message.get_field(&own[0]);
    if let Some(text) = kept.as_str().filter(|text| !text.is_empty()) {
        match Json::parse(text) {
            Some(Json::Object(kept)) => {
                if level.containers - 1 + depth(&Json::Object(kept.clone())) > CONTAINERS {
                    return Err(Refused("deep"));
                }
                let known = |member: &&Member| {
                    let name = member.key.value.as_deref().unwrap_or_default();
                    let field = descriptor.get_field_by_name(name);
                    field.is_some_and(|field| !own.contains(&field))
                };
                let mut names: Vec<_> = kept
                    .iter()
                    .filter(known)
                    .map(|member| member.key.identity())
                    .collect();
                let count = names.len();
                names.sort_unstable();
                names.dedup();
                if names.len() < count {
                    return Err(Refused("repeated"));
                }
                members.extend(kept);
            }
            _ => return Err(Refused("unknown_json")),
        }
    }
    Ok(Json::Object(members))
}

/// How many containers lie within each other.
fn depth(json: &Json) -> usize {
    match json {
        Json::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Json::Object(members) => {
            let depths = members.iter().map(|member| depth(&member.value));
            1 + depths.max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// The fields that one of our own mentions, each once.
fn mentioned(
    message: &DynamicMessage,
    field: &FieldDescriptor,
) -> Result<Vec<FieldDescriptor>, Refused> {
    let descriptor = message.descriptor();
    let own = own_fields(&descriptor);
    let value = message.get_field(field);
    let found: Vec<_> = match &*value {
        Value::List(numbers) => numbers
            .iter()
            .map(|number| descriptor.get_field(number.as_u32().unwrap()))
            .collect(),
        Value::Message(mask) => {
            let paths = mask.get_field_by_name("paths").unwrap();
            let paths = paths.as_list().unwrap().iter();
            paths
                .map(|path| descriptor.get_field_by_name(path.as_str().unwrap()))
                .collect()
        }
        _ => return Err(Refused("neither numbers nor a mask")),
    };
    let mut fields = Vec::new();
    for field in found {
        let field = field.filter(|field| !own.contains(field));
        let field = field.ok_or(Refused("no field"))?;
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    Ok(fields)
}

fn member(name: &str, value: Json) -> Member {
    let key = Text {
        value: Some(name.to_owned()),
        raw: String::new(),
    };
    Member {
        key,
        value,
        raw: String::new(),
    }
}

fn whole_field(value: &Value, level: Level) -> Result<Json, Refused> {
    match value {
        Value::List(values) => {
            let level = level.deeper(0, 1)?;
            let values = values.iter().map(|value| one(value, level));
            Ok(Json::Array(values.collect::<Result<_, _>>()?))
        }
        Value::Map(map) => {
            let level = level.deeper(1, 1)?;
            let members = map.iter().map(|(key, value)| match key {
                MapKey::U64(id) => Ok(member(&id.to_string(), one(value, level)?)),
                MapKey::String(name) => Ok(member(name, one(value, level)?)),
                _ => Err(Refused("a key of another type")),
            });
            Ok(Json::Object(members.collect::<Result<_, _>>()?))
        }
        value => one(value, level),
    }
}

fn one(value: &Value, level: Level) -> Result<Json, Refused> {
    Ok(match value {
        Value::Bool(bool) => Json::Bool(*bool),
        Value::I32(number) | Value::EnumNumber(number) => Json::Number(number.to_string()),
        Value::I64(number) => Json::Number(number.to_string()),
        Value::U32(number) => Json::Number(number.to_string()),
        Value::U64(id) => Json::text(&id.to_string()),
        Value::F64(number) if number.is_finite() => Json::Number(rendered(*number)),
        Value::F64(_) => return Err(Refused("not finite")),
        Value::String(text) => Json::text(text),
        Value::Message(message) => match message.descriptor().full_name() {
            "google.protobuf.Timestamp" => {
                let moment = moment(message).ok_or(Refused("time"))?;
                Json::text(&moment.render())
            }
            "google.protobuf.Value" => any(message, level.deeper(1, 0)?)?,
            _ => object(message, level.deeper(1, 1)?)?,
        },
        _ => return Err(Refused("a value of another type")),
    })
}

fn moment(message: &DynamicMessage) -> Option<Moment> {
    let get = |name| message.get_field_by_name(name).unwrap();
    Moment::new(
        get("seconds").as_i64().unwrap(),
        get("nanos").as_i32().unwrap(),
    )
}

fn any(message: &DynamicMessage, level: Level) -> Result<Json, Refused> {
    let (field, value) = message.fields().next().ok_or(Refused("no kind"))?;
    Ok(match field.name() {
        "null_value" => Json::Null,
        "list_value" => {
            let level = level.deeper(1, 1)?;
            let list = value
                .as_message()
                .unwrap()
                .get_field_by_name("values")
                .unwrap();
            let values = list.as_list().unwrap().iter();
            let values = values.map(|value| one(value, level));
            Json::Array(values.collect::<Result<_, _>>()?)
        }
        "struct_value" => {
            let fields = value
                .as_message()
                .unwrap()
                .get_field_by_name("fields")
                .unwrap();
            let fields = fields.as_map().unwrap().iter();
            let level = level.deeper(if fields.len() == 0 { 1 } else { 2 }, 1)?;
            let members =
                fields.map(|(key, value)| Ok(member(key.as_str().unwrap(), one(value, level)?)));
            Json::Object(members.collect::<Result<_, _>>()?)
        }
        _ => one(value, level)?,
    })
}
