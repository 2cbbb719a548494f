//! Where messages travel: exchanges, message types and routing keys.

use std::fmt::Write as _;

use crate::discord::v1::{
    ApplicationCommandOptionType as OptionType, Interaction, InteractionData,
    InteractionDataOption, InteractionType,
};

/// Exchanges by the part of their name that follows the operator's prefix.
pub const EXCHANGES: [&str; 5] = [EVENTS, REQUESTS, REPLIES, DEAD_LETTER, VOICE_AUDIO];

/// Exchange of the events: a topic exchange.
pub const EVENTS: &str = "events";

/// Exchange of requests to the services: a topic exchange.
pub const REQUESTS: &str = "requests";

/// Exchange of answers to events that ask for one: a direct exchange.
pub const REPLIES: &str = "replies";

/// Exchange of messages that were refused: a topic exchange.
pub const DEAD_LETTER: &str = "dead-letter";

/// Exchange of what speakers say: a topic exchange.
pub const VOICE_AUDIO: &str = "voice-audio";

/// Content type of every body.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Type of a message whose body is an event.
pub const TYPE_EVENT: &str = "gateway.v1.Event";

/// Type of a message whose body is several events, with one routing key, in their order.
pub const TYPE_EVENT_BATCH: &str = "gateway.v1.EventBatch";

/// Type of a message with what a speaker says.
pub const TYPE_VOICE_AUDIO: &str = "gateway.v1.VoiceAudio";

/// Type of a reply that says why a request failed.
pub const TYPE_ERROR: &str = "gateway.v1.Error";

/// Longest routing key that AMQP can carry, in bytes.
pub const MAX_KEY: usize = 255;

/// What stands in a routing key for what an event lacks.
const ABSENT: char = '-';

/// Full name of an exchange, for example `discord.events`.
pub fn exchange(prefix: &str, name: &str) -> String {
    format!("{prefix}.{name}")
}

/// Writes the routing key of an event to `out`, in place of what it held:
/// `<application_id>.<name>.<guild_id>.<channel_id>`, and what `route` adds.
///
/// The key never exceeds [`MAX_KEY`] bytes; what is too long loses its tail. Once `out` has grown to
/// the length of the longest key, nothing is allocated.
pub fn event_key(
    out: &mut String,
    application_id: u64,
    name: &str,
    guild_id: Option<u64>,
    channel_id: Option<u64>,
    route: Option<&InteractionRoute<'_>>,
) {
    out.clear();
    push_id(out, Some(application_id));
    out.push('.');
    push_word(out, name);
    for id in [guild_id, channel_id] {
        out.push('.');
        push_id(out, id);
    }
    if let Some(route) = route {
        for word in [route.kind].iter().chain(&route.names) {
            out.push('.');
            push_word(out, word);
        }
    }
    cut(out);
}

/// The routing key of what a speaker says: `<application_id>.<guild_id>.<user_id>`.
pub fn voice_audio_key(application_id: u64, guild_id: u64, user_id: u64) -> String {
    format!("{application_id}.{guild_id}.{user_id}")
}

/// What an interaction adds to the routing key: what was used, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InteractionRoute<'a> {
    kind: &'static str,
    names: Vec<&'a str>,
}

impl<'a> InteractionRoute<'a> {
    /// The route of an interaction. `None` when it is of a kind that has none, such as a ping.
    pub fn of(interaction: &'a Interaction) -> Option<Self> {
        let data = interaction.data.as_ref();
        let (kind, names) = match interaction.r#type() {
            InteractionType::ApplicationCommand => ("command", command(data)),
            InteractionType::ApplicationCommandAutocomplete => ("autocomplete", command(data)),
            InteractionType::MessageComponent => ("component", vec![prefix(data)]),
            InteractionType::ModalSubmit => ("modal", vec![prefix(data)]),
            InteractionType::Unspecified
            | InteractionType::Ping
            | InteractionType::SocialLayerSkuPurchaseEligibility => return None,
        };
        Some(Self { kind, names })
    }
}

/// Name of the command, and of the group and subcommand that were used.
fn command(data: Option<&InteractionData>) -> Vec<&str> {
    let Some(data) = data else {
        return vec![""];
    };
    let mut names = vec![data.name()];
    let group = nested(&data.options, OptionType::SubCommandGroup);
    names.extend(group.map(InteractionDataOption::name));
    let options = group.map_or(&data.options, |group| &group.options);
    names.extend(nested(options, OptionType::SubCommand).map(InteractionDataOption::name));
    names
}

/// The group or subcommand among the options: it stands first, and alone.
fn nested(options: &[InteractionDataOption], kind: OptionType) -> Option<&InteractionDataOption> {
    options.first().filter(|option| option.r#type() == kind)
}

/// The `custom_id` up to its first colon: what follows is the developer's own data.
fn prefix(data: Option<&InteractionData>) -> &str {
    let custom_id = data.map_or("", InteractionData::custom_id);
    custom_id
        .split_once(':')
        .map_or(custom_id, |(prefix, _)| prefix)
}

fn push_id(out: &mut String, id: Option<u64>) {
    match id {
        // Writing to a string cannot fail.
        Some(id) => write!(out, "{id}").unwrap_or_default(),
        None => out.push(ABSENT),
    }
}

/// Appends a word of the key. Nothing in it can look like a pattern or a border between words, or
/// upset a terminal that shows it.
fn push_word(out: &mut String, word: &str) {
    if word.is_empty() {
        out.push(ABSENT);
    }
    // More than this cannot be part of the key, whatever it begins with.
    for character in word.chars().take(MAX_KEY) {
        let special = matches!(character, '.' | '*' | '#')
            || character.is_whitespace()
            || character.is_control();
        out.push(if special { '_' } else { character });
    }
}

/// Shortens the key to what AMQP can carry, and ends it with a word rather than a border.
fn cut(key: &mut String) {
    if key.len() <= MAX_KEY {
        return;
    }
    key.truncate(key.floor_char_boundary(MAX_KEY));
    while key.ends_with('.') {
        key.pop();
    }
}

#[cfg(test)]
mod tests;
