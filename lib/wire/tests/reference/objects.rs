//! The pages about messages and enums: one for each area of Discord's, one for what this system adds.

use std::collections::BTreeMap;

use prost_reflect::{
    Cardinality, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor,
};

use crate::Pages;
use crate::comments::{Comment, Comments};
use crate::markdown::{link, table, text};
use crate::pages::{GATEWAY, files, link_to, page_of, relative};

/// The first number of the fields that are no members of Discord's; the index describes them.
const OWN: u32 = 1000;

const OBJECTS: &str = "
Every field can be absent. [The index](../README.md#how-discords-objects-are-written) says what that
means, and which three fields the messages have beside these.
";

/// All pages about messages and enums.
pub(super) fn pages(comments: &Comments) -> Pages {
    let payloads = payloads();
    let mut pages = Pages::new();
    for file in files("discord.v1") {
        let body = file_body(&file, comments, &payloads);
        let head = format!("# {}\n\n{}", file.name(), prose(comments.of(file.name())));
        let objects = file.messages().any(|it| is_object(&it));
        let about = if objects { OBJECTS } else { "" };
        pages.insert(page_of(&file).into(), head + about + &body);
    }
    let mut gateway = String::from(
        "# What this system adds\n\nThe envelope of events, the messages of the services, and errors: \
         package `gateway.v1`.\n",
    );
    for file in files("gateway.v1") {
        gateway += &file_body(&file, comments, &payloads);
    }
    pages.insert(GATEWAY.into(), gateway);
    pages
}

/// The events that have a message as their payload, by the message's full name.
fn payloads() -> BTreeMap<String, Vec<String>> {
    let mut payloads: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kind in wire::event::events().into_iter().chain(wire::event::own()) {
        let message = kind.message.full_name().to_owned();
        payloads.entry(message).or_default().push(kind.name);
    }
    payloads
}

fn file_body(
    file: &FileDescriptor,
    comments: &Comments,
    payloads: &BTreeMap<String, Vec<String>>,
) -> String {
    let page = page_of(file);
    let mut body = String::new();
    for message in file.messages() {
        let of = payloads.get(message.full_name()).map_or(&[][..], |it| it);
        body += &message_section(&message, comments, &page, of);
    }
    for kind in file.enums() {
        body += &enum_section(&kind, comments);
    }
    body
}

fn message_section(
    message: &MessageDescriptor,
    comments: &Comments,
    page: &str,
    payload_of: &[String],
) -> String {
    let mut section = format!(
        "\n## {}\n\n{}",
        message.name(),
        prose(comments.of(message.full_name()))
    );
    if !payload_of.is_empty() {
        let events: Vec<String> = payload_of
            .iter()
            .map(|name| {
                let target = format!("{}#{}", relative(page, "events.md"), name.to_lowercase());
                link(&format!("`{name}`"), &target)
            })
            .collect();
        section += &format!("\nPayload of {}.\n", events.join(", "));
    }
    section + "\n" + &fields(message, comments, page)
}

/// The table of a message's fields.
fn fields(message: &MessageDescriptor, comments: &Comments, page: &str) -> String {
    let mut fields: Vec<FieldDescriptor> =
        message.fields().filter(|it| it.number() < OWN).collect();
    fields.sort_by_key(FieldDescriptor::number);
    let rows: Vec<[String; 6]> = fields
        .iter()
        .map(|field| field_row(field, comments, page))
        .collect();
    if rows.is_empty() {
        return "It has no fields.\n".to_owned();
    }
    if is_object(message) {
        let head = ["number", "field", "type", "JSON", "presence", "meaning"];
        return table(head, &rows);
    }
    // It travels as protobuf only.
    let head = ["number", "field", "type", "presence", "meaning"];
    let rows: Vec<[String; 5]> = rows
        .into_iter()
        .map(|[number, field, kind, _, presence, meaning]| [number, field, kind, presence, meaning])
        .collect();
    table(head, &rows)
}

/// Whether a message stands for JSON of Discord's.
fn is_object(message: &MessageDescriptor) -> bool {
    message.get_field(OWN).is_some()
}

fn field_row(field: &FieldDescriptor, comments: &Comments, page: &str) -> [String; 6] {
    let value = value(field);
    let (name, json) = (type_name(&value, page), json(&value));
    let (name, json) = match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let key = type_name(&entry.map_entry_key_field(), page);
            (
                format!("map of {key} to {name}"),
                format!("object of {json}"),
            )
        }
        _ if field.is_list() => (name, format!("array of {json}")),
        _ => (name, json.to_owned()),
    };
    let comment = comments.of(field.full_name());
    let see = comment
        .see
        .iter()
        .map(|see| format!(" {}", link("Discord's page", see)));
    [
        field.number().to_string(),
        format!("`{}`", field.name()),
        name,
        json,
        presence(field),
        text(&comment.line()) + &see.collect::<String>(),
    ]
}

/// The field itself, or that of a map's values.
fn value(field: &FieldDescriptor) -> FieldDescriptor {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field(),
        _ => field.clone(),
    }
}

/// The type of one value, with a link if it is one of ours.
fn type_name(field: &FieldDescriptor, page: &str) -> String {
    let (file, name, full) = match field.kind() {
        Kind::Message(it) => (
            it.parent_file(),
            it.name().to_owned(),
            it.full_name().to_owned(),
        ),
        Kind::Enum(it) => (
            it.parent_file(),
            it.name().to_owned(),
            it.full_name().to_owned(),
        ),
        plain => return format!("`{plain:?}`"),
    };
    match full.starts_with("google.protobuf.") {
        true => format!("`{}`", full.trim_start_matches("google.protobuf.")),
        false => link_to(page, &file, &name),
    }
}

/// What one value is in JSON.
fn json(field: &FieldDescriptor) -> &'static str {
    match field.kind() {
        Kind::Fixed64 => "snowflake",
        Kind::Uint64 => "digits in a string",
        Kind::Double | Kind::Float => "number",
        Kind::Bool => "boolean",
        Kind::String => "string",
        Kind::Bytes => "Base64 in a string",
        Kind::Message(it) => match it.full_name() {
            "google.protobuf.Timestamp" => "ISO 8601 in a string",
            "google.protobuf.Duration" => "seconds in a string",
            "google.protobuf.Value" => "anything",
            _ => "object",
        },
        _ => "integer",
    }
}

fn presence(field: &FieldDescriptor) -> String {
    let choice = field.containing_oneof().filter(|it| !it.is_synthetic());
    match (choice, field.cardinality()) {
        (Some(choice), _) => format!("one of `{}`", choice.name()),
        (None, Cardinality::Repeated) if field.is_map() => "map".to_owned(),
        (None, Cardinality::Repeated) => "repeated".to_owned(),
        (None, _) if field.supports_presence() => "optional".to_owned(),
        (None, _) => "always".to_owned(),
    }
}

fn enum_section(kind: &EnumDescriptor, comments: &Comments) -> String {
    let mut values: Vec<EnumValueDescriptor> = kind.values().collect();
    values.sort_by_key(EnumValueDescriptor::number);
    let rows: Vec<[String; 3]> = values
        .iter()
        .map(|value| {
            let comment = comments.of(value.full_name());
            let name = format!("`{}`", value.name());
            [value.number().to_string(), name, text(&comment.line())]
        })
        .collect();
    format!(
        "\n## {}\n\n{}\n{}",
        kind.name(),
        prose(comments.of(kind.full_name())),
        table(["number", "value", "meaning"], &rows)
    )
}

/// A comment as paragraphs, each with its line break.
pub(super) fn prose(comment: &Comment) -> String {
    let mut prose: Vec<String> = comment
        .paragraphs
        .iter()
        .map(|paragraph| text(paragraph) + "\n")
        .collect();
    if let Some(see) = &comment.see {
        prose.push(link("Discord's page", see) + "\n");
    }
    prose.join("\n")
}
