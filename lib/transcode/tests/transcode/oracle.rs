//! The mapping as a slow and simple program: from parsed JSON to a dynamic message and back. It
//! shares nothing with the crate but the descriptors.

use std::collections::{BTreeSet, HashMap};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::json::{Json, Member};
use crate::moment::Moment;

/// Messages within each other; what would need more is kept as text.
const MESSAGES: usize = 90;

/// A payload with a repeated member is refused.
#[derive(Debug, PartialEq)]
pub(crate) struct Repeated;

/// What becomes of a value.
enum Fit {
    /// It is held so that it renders as it came.
    Exact(Value),
    /// It is held, but renders otherwise.
    Loose(Value),
    No,
}

impl Fit {
    fn new(value: Value, exact: bool) -> Self {
        if exact {
            Self::Exact(value)
        } else {
            Self::Loose(value)
        }
    }
}

/// The message of a payload. `None` in place of it if the payload is no object.
pub(crate) fn encode(
    message: &MessageDescriptor,
    payload: &Json,
) -> Result<Option<DynamicMessage>, Repeated> {
    match payload {
        Json::Object(members) => object(message, members, 2).map(Some),
        _ => Ok(None),
    }
}

pub(crate) fn own_fields(message: &MessageDescriptor) -> [FieldDescriptor; 3] {
    ["unknown_json", "nulls", "empties"].map(|name| message.get_field_by_name(name).unwrap())
}

fn object(
    message: &MessageDescriptor,
    members: &[Member],
    level: usize,
) -> Result<DynamicMessage, Repeated> {
    let mut encoded = DynamicMessage::new(message.clone());
    let own = own_fields(message);
    let mut seen = BTreeSet::new();
    let (mut kept, mut nulls, mut empties) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        let name = member.key.value.as_deref().unwrap_or_default();
        let field = message
            .get_field_by_name(name)
            .filter(|field| !own.contains(field));
        let Some(field) = field else {
            kept.push(member.raw.as_str());
            continue;
        };
        if !seen.insert(field.number()) {
            return Err(Repeated);
        }
        let empty = match &member.value {
            Json::Array(values) => field.is_list() && values.is_empty(),
            Json::Object(members) => field.is_map() && members.is_empty(),
            _ => false,
        };
        if matches!(member.value, Json::Null) {
            nulls.push(field);
        } else if empty {
            empties.push(field);
        } else {
            match whole_field(&field, &member.value, level)? {
                Fit::Exact(value) => encoded.set_field(&field, value),
                Fit::Loose(value) => {
                    encoded.set_field(&field, value);
                    kept.push(&member.raw);
                }
                Fit::No => kept.push(&member.raw),
            }
        }
    }
    if !kept.is_empty() {
        encoded.set_field(&own[0], Value::String(format!("{{{}}}", kept.join(","))));
    }
    for (field, mentioned) in [(&own[1], nulls), (&own[2], empties)] {
        if !mentioned.is_empty() {
            encoded.set_field(field, mention(field, &mentioned));
        }
    }
    Ok(encoded)
}

/// Some fields, as one of our own mentions them: by numbers, or by names in what people write.
pub(crate) fn mention(own: &FieldDescriptor, fields: &[FieldDescriptor]) -> Value {
    let Kind::Message(mask) = own.kind() else {
        let numbers = fields.iter().map(|field| Value::U32(field.number()));
        return Value::List(numbers.collect());
    };
    let names = fields
        .iter()
        .map(|field| Value::String(field.name().to_owned()));
    let mut mention = DynamicMessage::new(mask);
    mention.set_field_by_name("paths", Value::List(names.collect()));
    Value::Message(mention)
}

fn whole_field(field: &FieldDescriptor, value: &Json, level: usize) -> Result<Fit, Repeated> {
    if field.is_map() {
        return map(field, value, level);
    }
    if !field.is_list() {
        return one(&field.kind(), value, level);
    }
    let Json::Array(elements) = value else {
        return Ok(Fit::No);
    };
    let (mut list, mut exact, mut fits) = (Vec::new(), true, true);
    for element in elements {
        match one(&field.kind(), element, level)? {
            Fit::Exact(value) => list.push(value),
            Fit::Loose(value) => {
                list.push(value);
                exact = false;
            }
            Fit::No => {
                fits = false;
                break;
            }
        }
    }
    Ok(if fits {
        Fit::new(Value::List(list), exact)
    } else {
        Fit::No
    })
}

fn map(field: &FieldDescriptor, value: &Json, level: usize) -> Result<Fit, Repeated> {
    let (Json::Object(members), Kind::Message(entry)) = (value, field.kind()) else {
        return Ok(Fit::No);
    };
    let (mut map, mut exact) = (HashMap::new(), true);
    for member in members {
        let Some(text) = member.key.value.as_deref() else {
            return Ok(Fit::No);
        };
        let key = match entry.map_entry_key_field().kind() {
            Kind::String => MapKey::String(text.to_owned()),
            _ => match digits(text) {
                Some((value, canonical)) => {
                    exact &= canonical;
                    MapKey::U64(value)
                }
                None => return Ok(Fit::No),
            },
        };
        if level + 1 > MESSAGES {
            return Ok(Fit::No);
        }
        match one(
            &entry.map_entry_value_field().kind(),
            &member.value,
            level + 1,
        )? {
            Fit::Exact(value) => map.insert(key, value),
            Fit::Loose(value) => {
                exact = false;
                map.insert(key, value)
            }
            Fit::No => return Ok(Fit::No),
        };
    }
    Ok(Fit::new(Value::Map(map), exact))
}

/// One value; `level` messages are around it.
fn one(kind: &Kind, value: &Json, level: usize) -> Result<Fit, Repeated> {
    Ok(match (kind, value) {
        (Kind::Message(message), value) => return nested(message, value, level),
        (Kind::Bool, Json::Bool(bool)) => Fit::Exact(Value::Bool(*bool)),
        (Kind::Double, Json::Number(token)) => match token.parse::<f64>() {
            Ok(number) if number.is_finite() => Fit::new(
                Value::F64(number),
                rendered(number) == *token && token.len() <= 32,
            ),
            _ => Fit::No,
        },
        (Kind::Int32, Json::Number(token)) => {
            ranged(token, |whole| whole.try_into().ok().map(Value::I32))
        }
        (Kind::Enum(_), Json::Number(token)) => {
            ranged(token, |whole| whole.try_into().ok().map(Value::EnumNumber))
        }
        (Kind::Int64, Json::Number(token)) => {
            ranged(token, |whole| whole.try_into().ok().map(Value::I64))
        }
        (Kind::Uint32, Json::Number(token)) => {
            ranged(token, |whole| whole.try_into().ok().map(Value::U32))
        }
        (Kind::Fixed64 | Kind::Uint64, Json::Number(token)) => match token.parse() {
            Ok(number) if !token.starts_with('-') => Fit::Loose(Value::U64(number)),
            _ => Fit::No,
        },
        (Kind::Fixed64 | Kind::Uint64, Json::Text(text)) => {
            match text.value.as_deref().and_then(digits) {
                Some((number, canonical)) => Fit::new(Value::U64(number), canonical),
                None => Fit::No,
            }
        }
        (Kind::String, Json::Text(text)) => match &text.value {
            Some(value) => Fit::Exact(Value::String(value.clone())),
            None => Fit::No,
        },
        _ => Fit::No,
    })
}

/// A whole number in a range. Other spellings than plain digits are loose.
fn ranged(token: &str, narrow: impl Fn(i128) -> Option<Value>) -> Fit {
    if let Ok(whole) = token.parse::<i128>() {
        return match narrow(whole) {
            Some(value) => Fit::new(value, token != "-0"),
            None => Fit::No,
        };
    }
    match token.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() <= 2_f64.powi(53) => {
            narrow(number as i128).map_or(Fit::No, Fit::Loose)
        }
        _ => Fit::No,
    }
}

/// The value of at most 20 digits, and whether they have no needless zeros.
fn digits(text: &str) -> Option<(u64, bool)> {
    let plain = (1..=20).contains(&text.len()) && text.chars().all(|char| char.is_ascii_digit());
    let value: u64 = if plain {
        text.parse().ok()?
    } else {
        return None;
    };
    Some((value, value.to_string() == text))
}

fn nested(message: &MessageDescriptor, value: &Json, level: usize) -> Result<Fit, Repeated> {
    match (message.full_name(), value) {
        ("google.protobuf.Timestamp", Json::Text(text)) => {
            let moment = text
                .value
                .as_deref()
                .and_then(|text| Some((Moment::parse(text)?, text)));
            Ok(moment.map_or(Fit::No, |(moment, text)| {
                let mut encoded = DynamicMessage::new(message.clone());
                encoded.set_field_by_name("seconds", Value::I64(moment.seconds));
                encoded.set_field_by_name("nanos", Value::I32(moment.nanos));
                Fit::new(Value::Message(encoded), moment.render() == text)
            }))
        }
        ("google.protobuf.Timestamp", _) => Ok(Fit::No),
        ("google.protobuf.Value", value) => Ok(any(message, value, level + 1)),
        (_, Json::Object(members)) if level < MESSAGES => {
            object(message, members, level + 1).map(|message| Fit::Exact(Value::Message(message)))
        }
        _ => Ok(Fit::No),
    }
}

/// A `google.protobuf.Value`, which is itself the message number `level`.
fn any(message: &MessageDescriptor, value: &Json, level: usize) -> Fit {
    if level > MESSAGES {
        return Fit::No;
    }
    let (name, inner, exact) = match value {
        Json::Null => ("null_value", Value::EnumNumber(0), true),
        Json::Bool(bool) => ("bool_value", Value::Bool(*bool), true),
        Json::Number(token) => match one(&Kind::Double, &Json::Number(token.clone()), level) {
            Ok(Fit::Exact(number)) => ("number_value", number, true),
            Ok(Fit::Loose(number)) => ("number_value", number, false),
            _ => return Fit::No,
        },
        Json::Text(text) => match &text.value {
            Some(text) => ("string_value", Value::String(text.clone()), true),
            None => return Fit::No,
        },
        Json::Array(values) => {
            let Some((list, exact)) = any_list(message, values, level + 1) else {
                return Fit::No;
            };
            ("list_value", Value::Message(list), exact)
        }
        Json::Object(members) => {
            let Some((object, exact)) = any_object(message, members, level + 2) else {
                return Fit::No;
            };
            ("struct_value", Value::Message(object), exact)
        }
    };
    let mut encoded = DynamicMessage::new(message.clone());
    encoded.set_field_by_name(name, inner);
    Fit::new(Value::Message(encoded), exact)
}

fn any_list(
    any_message: &MessageDescriptor,
    values: &[Json],
    level: usize,
) -> Option<(DynamicMessage, bool)> {
    let (mut list, mut exact) = (Vec::new(), true);
    for value in values {
        match any(any_message, value, level + 1) {
            Fit::Exact(value) => list.push(value),
            Fit::Loose(value) => {
                list.push(value);
                exact = false;
            }
            Fit::No => return None,
        }
    }
    let mut encoded = inner_message(any_message, "list_value");
    encoded.set_field_by_name("values", Value::List(list));
    (level <= MESSAGES).then_some((encoded, exact))
}

fn any_object(
    any_message: &MessageDescriptor,
    members: &[Member],
    level: usize,
) -> Option<(DynamicMessage, bool)> {
    let (mut map, mut exact) = (HashMap::new(), true);
    for member in members {
        let key = MapKey::String(member.key.value.clone()?);
        match any(any_message, &member.value, level + 1) {
            Fit::Exact(value) => map.insert(key, value),
            Fit::Loose(value) => {
                exact = false;
                map.insert(key, value)
            }
            Fit::No => return None,
        };
    }
    let mut encoded = inner_message(any_message, "struct_value");
    encoded.set_field_by_name("fields", Value::Map(map));
    (level <= MESSAGES).then_some((encoded, exact))
}

fn inner_message(message: &MessageDescriptor, field: &str) -> DynamicMessage {
    match message.get_field_by_name(field).unwrap().kind() {
        Kind::Message(inner) => DynamicMessage::new(inner),
        kind => panic!("{field} is {kind:?}"),
    }
}

/// The shortest form of a number that has no exponent.
pub(crate) fn rendered(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else {
        format!("{number}")
    }
}
