//! Rules that hold for the whole contract.

use prost::Message as _;
use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Syntax,
};
use prost_types::FieldOptions;
use prost_types::field_options::JsType;
use wire::discord::v1::Message;

/// Messages of `discord.v1` that are neither objects nor params.
const OURS: [&str; 3] = ["EventOptions", "FileUpload", "ParameterOptions"];

/// Objects of Discord's own that are named like what workers write.
const OBJECTS: [&str; 2] = ["GuildJoinRequest", "InstallParams"];

/// The messages that stand for what Discord sends, or takes.
fn messages() -> impl Iterator<Item = MessageDescriptor> {
    wire::rest::descriptors()
        .all_messages()
        .filter(|message| message.package_name() == "discord.v1" && !message.is_map_entry())
        .filter(|message| !OURS.contains(&message.name()))
}

/// Whether a person writes the message for Discord, rather than that Discord sends it.
fn is_params(message: &MessageDescriptor) -> bool {
    let written = ["Params", "Request"];
    let is_written = written.iter().any(|end| message.name().ends_with(end));
    is_written && !OBJECTS.contains(&message.name())
}

/// The messages that stand for what Discord sends.
fn objects() -> Vec<MessageDescriptor> {
    messages().filter(|message| !is_params(message)).collect()
}

/// The messages that a person writes for Discord.
fn params() -> Vec<MessageDescriptor> {
    messages().filter(is_params).collect()
}

/// The members of all messages, without the fields that are ours.
fn members() -> impl Iterator<Item = FieldDescriptor> {
    messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| field.number() < 1000)
}

/// Whether a field holds bytes: a file that goes to Discord, or a body that is no JSON.
fn is_raw(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => message.name() == "FileUpload",
        kind => kind == Kind::Bytes,
    }
}

/// The fields that a message has beside Discord's own members: names, kinds and cardinalities of
/// 1000 to 1002, and nothing behind them.
fn own(message: &MessageDescriptor) -> Vec<(u32, String, Kind, Cardinality)> {
    message
        .fields()
        .filter(|field| field.number() >= 1000)
        .map(|field| {
            let name = field.name().to_owned();
            (field.number(), name, field.kind(), field.cardinality())
        })
        .collect()
}

#[test]
fn every_object_keeps_what_the_schema_does_not_hold() {
    assert!(objects().len() > 140, "{}", objects().len());
    for message in objects() {
        let expected = [
            (1000, "unknown_json", Kind::String, Cardinality::Optional),
            (1001, "nulls", Kind::Uint32, Cardinality::Repeated),
            (1002, "empties", Kind::Uint32, Cardinality::Repeated),
        ]
        .map(|(number, name, kind, cardinality)| (number, name.to_owned(), kind, cardinality));
        assert_eq!(own(&message), expected, "{}", message.full_name());
        let text = message.get_field(1000).unwrap();
        assert!(!text.supports_presence(), "{}", text.full_name());
    }
}

#[test]
fn every_params_message_names_what_is_null_and_what_is_empty() {
    assert!(params().len() > 3, "{}", params().len());
    let mask = wire::rest::descriptors()
        .get_message_by_name("google.protobuf.FieldMask")
        .unwrap();
    for message in params() {
        let expected = [
            (1000, "unknown_json", Kind::String),
            (1001, "nulls", Kind::Message(mask.clone())),
            (1002, "empties", Kind::Message(mask.clone())),
        ]
        .map(|(number, name, kind)| (number, name.to_owned(), kind, Cardinality::Optional));
        assert_eq!(own(&message), expected, "{}", message.full_name());
        let text = message.get_field(1000).unwrap();
        assert!(!text.supports_presence(), "{}", text.full_name());
    }
}

#[test]
fn what_discord_sends_holds_no_params() {
    for field in objects().iter().flat_map(MessageDescriptor::fields) {
        if let Kind::Message(message) = field.kind() {
            assert!(!is_params(&message), "{}", field.full_name());
        }
    }
}

#[test]
fn every_member_can_be_absent() {
    for field in members() {
        let absent = field.is_list() || field.is_map() || field.supports_presence();
        assert!(absent, "{}", field.full_name());
        assert!(
            field
                .containing_oneof()
                .is_none_or(|oneof| oneof.is_synthetic()),
            "{}",
            field.full_name()
        );
    }
}

#[test]
fn every_member_has_a_json_kind() {
    for field in members().filter(|field| !is_raw(field)) {
        let kind = match field.kind() {
            Kind::Message(entry) if entry.is_map_entry() => {
                let key = entry.map_entry_key_field().kind();
                assert!(
                    matches!(key, Kind::Fixed64 | Kind::String),
                    "{}",
                    field.full_name()
                );
                entry.map_entry_value_field().kind()
            }
            kind => kind,
        };
        let known = match &kind {
            Kind::Message(message) => {
                let ours = message.package_name() == "discord.v1";
                let values = ["google.protobuf.Timestamp", "google.protobuf.Value"];
                ours || values.contains(&message.full_name())
            }
            Kind::Enum(_) | Kind::Double | Kind::Bool | Kind::String | Kind::Int32 => true,
            Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Fixed64 => true,
            _ => false,
        };
        assert!(known, "{}: {kind:?}", field.full_name());
    }
}

#[test]
fn names_are_those_of_the_json() {
    let path = |message: &MessageDescriptor| message.parent_file().name().to_owned();
    for message in messages() {
        assert!(
            path(&message).starts_with("discord/v1/"),
            "{}",
            message.full_name()
        );
        for field in message.fields() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(field.name().chars().all(plain), "{}", field.full_name());
        }
    }
    for (message, names) in [
        (
            "Message",
            ["channel_id", "edited_timestamp", "interaction_metadata"],
        ),
        (
            "User",
            ["global_name", "avatar_decoration_data", "primary_guild"],
        ),
        (
            "Guild",
            ["guild_scheduled_events", "nsfw_level", "incidents_data"],
        ),
        (
            "Interaction",
            [
                "app_permissions",
                "authorizing_integration_owners",
                "context",
            ],
        ),
    ] {
        let message = wire::descriptors()
            .get_message_by_name(&format!("discord.v1.{message}"))
            .unwrap();
        for name in names {
            assert!(message.get_field_by_name(name).is_some(), "{name}");
        }
    }
}

#[test]
fn frequent_members_have_tags_of_one_byte() {
    for (message, names) in [
        (
            "Message",
            vec![
                "id",
                "channel_id",
                "guild_id",
                "author",
                "member",
                "content",
            ],
        ),
        (
            "User",
            vec!["id", "username", "avatar", "discriminator", "global_name"],
        ),
        (
            "Member",
            vec!["user", "guild_id", "roles", "nick", "joined_at", "flags"],
        ),
        (
            "PresenceUpdate",
            vec!["user", "guild_id", "status", "activities", "client_status"],
        ),
        (
            "Activity",
            vec!["name", "type", "created_at", "state", "timestamps"],
        ),
        (
            "VoiceState",
            vec!["guild_id", "channel_id", "user_id", "member", "session_id"],
        ),
    ] {
        let message = wire::descriptors()
            .get_message_by_name(&format!("discord.v1.{message}"))
            .unwrap();
        for name in names {
            let number = message.get_field_by_name(name).unwrap().number();
            assert!(number < 16, "{}.{name}", message.full_name());
        }
    }
}

#[test]
fn wide_numbers_say_how_javascript_holds_them() {
    for field in members() {
        // A map's values cannot say it, and are strings in JSON as these are.
        let expected = match field.kind() {
            Kind::Fixed64 | Kind::Uint64 => JsType::JsString,
            Kind::Int64 => JsType::JsNumber,
            _ => JsType::JsNormal,
        };
        let field_proto = field.field_descriptor_proto();
        let jstype = field_proto.options.as_ref().map(FieldOptions::jstype);
        assert_eq!(
            jstype.unwrap_or_default(),
            expected,
            "{}",
            field.full_name()
        );
    }
}

#[test]
fn enums_are_open() {
    let discord = |e: &EnumDescriptor| e.package_name() == "discord.v1";
    for e in wire::rest::descriptors().all_enums().filter(discord) {
        assert_eq!(
            e.parent_file().syntax(),
            Syntax::Proto3,
            "{}",
            e.full_name()
        );
    }
    let message = Message {
        r#type: Some(12_345),
        ..Default::default()
    };
    let decoded = Message::decode(message.encode_to_vec().as_slice()).unwrap();
    assert_eq!(decoded.r#type, Some(12_345));
}
