//! Rules that hold for the whole contract.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::{Cardinality, EnumDescriptor, Kind, MessageDescriptor, Syntax};
use wire::discord::v1::{Intent, Message};
use wire::event::events;

/// Messages of `discord.v1` that are no objects of Discord's.
const OURS: [&str; 1] = ["discord.v1.EventOptions"];

/// The fields that every object has beside Discord's own members.
const OWN: [(u32, &str, Kind, Cardinality); 3] = [
    (1000, "unknown_json", Kind::String, Cardinality::Optional),
    (1001, "nulls", Kind::Uint32, Cardinality::Repeated),
    (1002, "empties", Kind::Uint32, Cardinality::Repeated),
];

/// The messages that stand for an object of Discord's.
fn objects() -> Vec<MessageDescriptor> {
    wire::descriptors()
        .all_messages()
        .filter(|message| message.package_name() == "discord.v1" && !message.is_map_entry())
        .filter(|message| !OURS.contains(&message.full_name()))
        .collect()
}

#[test]
fn every_object_keeps_what_the_schema_does_not_hold() {
    assert!(objects().len() > 80, "{}", objects().len());
    for message in objects() {
        for (number, name, kind, cardinality) in OWN {
            let field = message.get_field(number).unwrap();
            assert_eq!(field.name(), name, "{}", field.full_name());
            assert_eq!(field.kind(), kind, "{}", field.full_name());
            assert_eq!(field.cardinality(), cardinality, "{}", field.full_name());
            assert!(!field.supports_presence(), "{}", field.full_name());
        }
    }
}

#[test]
fn every_member_can_be_absent() {
    for field in objects().iter().flat_map(MessageDescriptor::fields) {
        assert!(field.number() < 1003, "{}", field.full_name());
        let absent = field.is_list() || field.is_map() || field.supports_presence();
        assert!(field.number() >= 1000 || absent, "{}", field.full_name());
        assert!(
            field
                .containing_oneof()
                .is_none_or(|oneof| oneof.is_synthetic())
        );
    }
}

#[test]
fn every_member_has_a_json_kind() {
    for field in objects().iter().flat_map(MessageDescriptor::fields) {
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
    for message in objects() {
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
fn enums_are_open() {
    let discord = |e: &EnumDescriptor| e.package_name() == "discord.v1";
    for e in wire::descriptors().all_enums().filter(discord) {
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

#[test]
fn every_event_of_the_envelope_is_described() {
    let envelope = wire::descriptors()
        .get_message_by_name("gateway.v1.Event")
        .unwrap();
    let data = envelope
        .oneofs()
        .find(|oneof| oneof.name() == "data")
        .unwrap();
    let mut numbers: Vec<u32> = events().iter().map(|event| event.number).collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        data.fields()
            .map(|field| field.number())
            .collect::<Vec<_>>()
    );
    assert!(numbers.iter().all(|number| *number >= 20));

    for event in events() {
        let field = envelope.get_field(event.number).unwrap();
        assert_eq!(field.name(), event.name.to_lowercase(), "{}", event.name);
        assert!(
            !event.intents.contains(&Intent::Unspecified),
            "{}",
            event.name
        );
    }
    let names: BTreeSet<String> = events().into_iter().map(|event| event.name).collect();
    assert_eq!(names.len(), events().len());
    assert!(
        names.iter().eq(events().iter().map(|event| &event.name)),
        "sorted"
    );
}

#[test]
fn paths_lead_to_ids() {
    for event in events() {
        for path in event
            .guild_id
            .iter()
            .chain(&event.channel_id)
            .chain(&event.user_id)
        {
            let (last, folders) = path.split_last().unwrap();
            let mut message = event.message.clone();
            for name in folders {
                let field = message.get_field_by_name(name).expect(name);
                message = field.kind().as_message().expect(name).clone();
            }
            let field = message.get_field_by_name(last).expect(last);
            assert_eq!(field.kind(), Kind::Fixed64, "{} {path:?}", event.name);
            assert!(!field.is_list(), "{} {path:?}", event.name);
        }
    }
}

#[test]
fn paths_are_those_of_the_options_or_the_usual_ones() {
    let path = |names: &str| names.split('.').map(str::to_owned).collect::<Vec<_>>();
    for (name, guild_id, channel_id, user_id) in [
        ("READY", vec![], vec![], vec!["user.id"]),
        ("RESUMED", vec![], vec![], vec![]),
        ("GUILD_DELETE", vec!["id"], vec![], vec![]),
        (
            "MESSAGE_CREATE",
            vec!["guild_id"],
            vec!["channel_id"],
            vec!["author.id"],
        ),
        (
            "TYPING_START",
            vec!["guild_id"],
            vec!["channel_id"],
            vec!["user_id"],
        ),
        ("PRESENCE_UPDATE", vec!["guild_id"], vec![], vec!["user.id"]),
        (
            "INTERACTION_CREATE",
            vec!["guild_id"],
            vec!["channel_id"],
            vec!["member.user.id", "user.id"],
        ),
    ] {
        let event = events()
            .into_iter()
            .find(|event| event.name == name)
            .unwrap();
        assert_eq!(
            event.guild_id,
            guild_id.into_iter().map(path).collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(
            event.channel_id,
            channel_id.into_iter().map(path).collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(
            event.user_id,
            user_id.into_iter().map(path).collect::<Vec<_>>(),
            "{name}"
        );
    }
}
