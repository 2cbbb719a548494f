//! From a dynamic message back to the JSON that it came from.

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage, Value};

use crate::json::{Json, Member, Text};
use crate::moment::Moment;
use crate::oracle::{own_fields, rendered};

/// The JSON of a message of Discord's.
pub(crate) fn render(message: &DynamicMessage) -> Json {
    let descriptor = message.descriptor();
    let own = own_fields(&descriptor);
    let mut members = Vec::new();
    for (field, value) in message.fields() {
        if !own.contains(&field) {
            members.push(member(field.name(), whole_field(&field, value)));
        }
    }
    for number in numbers(message, &own[1]) {
        members.push(member(
            descriptor.get_field(number).unwrap().name(),
            Json::Null,
        ));
    }
    for number in numbers(message, &own[2]) {
        let field = descriptor.get_field(number).unwrap();
        let empty = if field.is_map() {
            Json::Object(vec![])
        } else {
            Json::Array(vec![])
        };
        members.push(member(field.name(), empty));
    }
    // What was kept as text comes last, and so it wins.
    let kept = message.get_field(&own[0]);
    if let Some(text) = kept.as_str().filter(|text| !text.is_empty()) {
        match Json::parse(text) {
            Some(Json::Object(kept)) => members.extend(kept),
            other => panic!("unknown_json is {other:?}"),
        }
    }
    Json::Object(members)
}

fn numbers(message: &DynamicMessage, field: &FieldDescriptor) -> Vec<u32> {
    message
        .get_field(field)
        .as_list()
        .unwrap()
        .iter()
        .map(|value| value.as_u32().unwrap())
        .collect()
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

fn whole_field(field: &FieldDescriptor, value: &Value) -> Json {
    match value {
        Value::List(values) => Json::Array(values.iter().map(one).collect()),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(key, value)| match key {
                    MapKey::U64(id) => member(&id.to_string(), one(value)),
                    MapKey::String(name) => member(name, one(value)),
                    key => panic!("{} has the key {key:?}", field.full_name()),
                })
                .collect(),
        ),
        value => one(value),
    }
}

fn one(value: &Value) -> Json {
    match value {
        Value::Bool(bool) => Json::Bool(*bool),
        Value::I32(number) | Value::EnumNumber(number) => Json::Number(number.to_string()),
        Value::I64(number) => Json::Number(number.to_string()),
        Value::U32(number) => Json::Number(number.to_string()),
        Value::U64(id) => Json::text(&id.to_string()),
        Value::F64(number) => Json::Number(rendered(*number)),
        Value::String(text) => Json::text(text),
        Value::Message(message) => match message.descriptor().full_name() {
            "google.protobuf.Timestamp" => Json::text(&moment(message).render()),
            "google.protobuf.Value" => any(message),
            _ => render(message),
        },
        value => panic!("{value:?} has no JSON"),
    }
}

fn moment(message: &DynamicMessage) -> Moment {
    Moment {
        seconds: message
            .get_field_by_name("seconds")
            .unwrap()
            .as_i64()
            .unwrap(),
        nanos: message
            .get_field_by_name("nanos")
            .unwrap()
            .as_i32()
            .unwrap(),
    }
}

fn any(message: &DynamicMessage) -> Json {
    let (field, value) = message.fields().next().expect("a value has a kind");
    match field.name() {
        "null_value" => Json::Null,
        "list_value" => {
            let list = value
                .as_message()
                .unwrap()
                .get_field_by_name("values")
                .unwrap();
            Json::Array(list.as_list().unwrap().iter().map(one).collect())
        }
        "struct_value" => {
            let fields = value
                .as_message()
                .unwrap()
                .get_field_by_name("fields")
                .unwrap();
            let fields = fields.as_map().unwrap().iter();
            Json::Object(
                fields
                    .map(|(key, value)| member(key.as_str().unwrap(), one(value)))
                    .collect(),
            )
        }
        _ => one(value),
    }
}
