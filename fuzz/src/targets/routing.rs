//! Routing keys of events: whatever an interaction is called, AMQP can carry its key, and what the
//! key is matched by stands where it should.

use std::cell::RefCell;

use prost::Message;
use transcode::{Payload, Scratch};
use wire::discord::v1::{Interaction, InteractionData, InteractionDataOption};
use wire::interaction;
use wire::routing::{InteractionRoute, MAX_KEY, event_key};

use super::Outcome;
use crate::catalogue::{Catalogue, split};

/// Tries one input: a line with the event's name, then an interaction as JSON, as protobuf, or as
/// lines with its type, ids, and names.
pub(super) fn run(input: &[u8]) -> Outcome {
    let (line, rest) = split(input);
    let name = String::from_utf8_lossy(line);
    let text = String::from_utf8_lossy(rest);
    let interaction = from_json(&text).or_else(|| whole(rest));
    if let Some(interaction) = &interaction {
        key(&name, interaction);
    }
    key(&name, &from_lines(&text));
    match interaction {
        Some(_) => Outcome::Accepted,
        None => Outcome::Refused,
    }
}

fn from_json(text: &str) -> Option<Interaction> {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    SCRATCH.with_borrow_mut(|scratch| {
        let transcoder = &Catalogue::shared().transcoder;
        let data = transcoder.data("INTERACTION_CREATE", Payload::new(text), scratch)?;
        Some(whole(data).expect("what was encoded can be decoded"))
    })
}

/// Decodes an interaction, and checks that its essence is the same in all that it has.
fn whole(encoded: &[u8]) -> Option<Interaction> {
    let whole = Interaction::decode(encoded).ok()?;
    let essence = interaction::essence(encoded).expect("all of it can be decoded");
    let told = |it: &Interaction| {
        let is_of_message = it.message.is_some();
        (
            it.id,
            it.application_id,
            it.r#type,
            it.token.clone(),
            is_of_message,
        )
    };
    assert_eq!(told(&essence), told(&whole));
    assert_eq!(InteractionRoute::of(&essence), InteractionRoute::of(&whole));
    Some(whole)
}

/// An interaction of a type, with ids, and with names: each option lies within the one before, and
/// all names together are the custom id.
fn from_lines(text: &str) -> Interaction {
    let mut lines = text.splitn(4, '\n');
    let mut number = || lines.next().and_then(|line| line.parse::<u64>().ok());
    let (kind, guild_id, channel_id) = (number(), number(), number());
    let names = lines.next().unwrap_or_default();
    let mut options = Vec::new();
    let mut parts: Vec<_> = names.split('\n').take(8).collect();
    let first = parts.remove(0);
    for (index, part) in parts.iter().enumerate().rev() {
        options = vec![InteractionDataOption {
            name: Some((*part).to_owned()),
            r#type: Some(if index == 0 && parts.len() > 1 { 2 } else { 1 }),
            options,
            ..InteractionDataOption::default()
        }];
    }
    let data = InteractionData {
        name: Some(first.to_owned()),
        custom_id: Some(names.to_owned()),
        options,
        ..InteractionData::default()
    };
    Interaction {
        r#type: kind.and_then(|kind| i32::try_from(kind).ok()),
        guild_id,
        channel_id,
        data: guild_id.is_none_or(|id| id % 8 != 7).then_some(data),
        ..Interaction::default()
    }
}

/// Checks the key of an event, with and without its interaction.
fn key(name: &str, interaction: &Interaction) {
    let ids = (interaction.guild_id, interaction.channel_id);
    let application_id = interaction.application_id.unwrap_or(1);
    let id = |id: Option<u64>| id.map_or("-".to_owned(), |id| id.to_string());
    let mut words = vec![
        application_id.to_string(),
        clean(name),
        id(ids.0),
        id(ids.1),
    ];
    // What the key held before must not show.
    let mut key = "*.#.".repeat(80);
    event_key(&mut key, application_id, name, ids.0, ids.1, None);
    sound(&key);
    assert_eq!(key, cut(words.join(".")));
    let route = InteractionRoute::of(interaction);
    event_key(&mut key, application_id, name, ids.0, ids.1, route.as_ref());
    sound(&key);
    words.extend(more(interaction));
    assert_eq!(key, cut(words.join(".")));
}

/// Checks that AMQP can carry a key, and that nothing in it is read as a pattern.
fn sound(key: &str) {
    assert!(key.len() <= MAX_KEY, "{} bytes", key.len());
    for word in key.split('.') {
        assert!(!word.is_empty(), "{key:?} has an empty word");
        assert!(!word.contains(special), "{key:?} has {word:?}");
    }
}

/// What an interaction adds to the key: the names of a command, or the part of a custom id that is
/// not for the worker alone.
fn more(interaction: &Interaction) -> Vec<String> {
    let data = interaction.data.clone().unwrap_or_default();
    let kind = match interaction.r#type {
        Some(2) => "command",
        Some(3) => "component",
        Some(4) => "autocomplete",
        Some(5) => "modal",
        _ => return Vec::new(),
    };
    let mut words = vec![kind.to_owned()];
    if matches!(kind, "component" | "modal") {
        let custom_id = data.custom_id.unwrap_or_default();
        words.push(clean(custom_id.split(':').next().unwrap_or_default()));
        return words;
    }
    words.push(clean(&data.name.unwrap_or_default()));
    let mut options = data.options;
    for kind in [2, 1] {
        if options
            .first()
            .is_some_and(|option| option.r#type == Some(kind))
        {
            let option = options.swap_remove(0);
            words.push(clean(&option.name.unwrap_or_default()));
            options = option.options;
        }
    }
    words
}

/// A word as it stands in a key.
fn clean(word: &str) -> String {
    if word.is_empty() {
        return "-".to_owned();
    }
    word.replace(special, "_").replace('.', "_")
}

fn special(char: char) -> bool {
    char.is_whitespace() || char.is_control() || matches!(char, '*' | '#')
}

/// As much of a key as AMQP can carry.
fn cut(mut key: String) -> String {
    while key.len() > MAX_KEY || key.ends_with('.') {
        key.pop();
    }
    key
}
