//! The events that the contract knows, read from its options.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::descriptors;
use crate::discord::v1::Intent;

/// Package of the payloads that are Discord's.
const DISCORD: &str = "discord.v1";

/// Package of the payloads that are this system's own.
const OWN: &str = "gateway.v1";

/// One kind of event: a field of `gateway.v1.Event` that carries the option `discord.v1.event`.
///
/// Each of the three lists of paths holds alternatives: the first path that a payload has is meant.
/// A path is the names of the members from the payload inwards, and is never empty.
#[derive(Debug, Clone)]
pub struct EventKind {
    /// Discord's name, for example `MESSAGE_CREATE`.
    pub name: String,
    /// The number of the event's field in `gateway.v1.Event`.
    pub number: u32,
    /// The payload's type. Several kinds may share one.
    pub message: MessageDescriptor,
    /// The intents under which Discord sends it; any one is enough. Empty: it needs none.
    pub intents: Vec<Intent>,
    /// Where the payload has the id of the guild. Empty: nowhere.
    pub guild_id: Vec<Vec<String>>,
    /// Where the payload has the id of the channel. Empty: nowhere.
    pub channel_id: Vec<Vec<String>>,
    /// Where the payload has the id of the user. Empty: nowhere.
    pub user_id: Vec<Vec<String>>,
}

/// All kinds of Discord's events that the contract knows, sorted by name.
pub fn events() -> Vec<EventKind> {
    kinds(DISCORD)
}

/// The kinds of events that are this system's own, sorted by name. Their payloads are no objects of
/// Discord's, and no intent stands for them.
pub fn own() -> Vec<EventKind> {
    kinds(OWN)
}

/// The kinds of events whose payloads are in this package, sorted by name.
fn kinds(package: &str) -> Vec<EventKind> {
    let envelope = descriptors()
        .get_message_by_name("gateway.v1.Event")
        .expect("the envelope is part of the contract");
    let option = descriptors()
        .get_extension_by_name("discord.v1.event")
        .expect("the option is part of the contract");
    let mut events: Vec<EventKind> = envelope
        .fields()
        .filter_map(|field| {
            let options = field.options();
            let value = options
                .has_extension(&option)
                .then(|| options.get_extension(&option))?;
            kind(&field, value.as_message()?)
        })
        .filter(|kind| kind.message.package_name() == package)
        .collect();
    events.sort_by(|a, b| a.name.cmp(&b.name));
    events
}

/// The kind that `field` of the envelope stands for. `None` when its payload is no message.
fn kind(field: &FieldDescriptor, options: &DynamicMessage) -> Option<EventKind> {
    let Kind::Message(message) = field.kind() else {
        return None;
    };
    let name = options.get_field_by_name("name")?.as_str()?.to_owned();
    let intents = list(options, "intents")
        .iter()
        .filter_map(|value| Intent::try_from(value.as_enum_number()?).ok())
        .collect();
    Some(EventKind {
        name,
        number: field.number(),
        intents,
        guild_id: paths(options, "guild_id", &message),
        channel_id: paths(options, "channel_id", &message),
        user_id: paths(options, "user_id", &message),
        message,
    })
}

/// The paths that the option's member `name` gives; failing that, the payload's field of that name.
fn paths(options: &DynamicMessage, name: &str, message: &MessageDescriptor) -> Vec<Vec<String>> {
    let given: Vec<Vec<String>> = list(options, name)
        .iter()
        .filter_map(Value::as_str)
        .map(|path| path.split('.').map(str::to_owned).collect())
        .collect();
    if given.is_empty() && message.get_field_by_name(name).is_some() {
        return vec![vec![name.to_owned()]];
    }
    given
}

/// The values of a repeated member of the option.
fn list(options: &DynamicMessage, name: &str) -> Vec<Value> {
    options
        .get_field_by_name(name)
        .and_then(|value| value.as_list().map(<[Value]>::to_vec))
        .unwrap_or_default()
}
