//! The page about events: what Discord tells, under which intents, and where it travels.

use prost_reflect::{FieldDescriptor, MessageDescriptor};
use wire::event::{EventKind, events, own};
use wire::{descriptors, intent};

use crate::comments::{Comment, Comments};
use crate::keys;
use crate::markdown::{anchor, link, table, text};
use crate::objects::prose;
use crate::pages::{GATEWAY, link_to};

const PAGE: &str = "events.md";

/// Where Discord describes the events of its gateway, each under its name.
const DISCORD: &str = "https://docs.discord.com/developers/events/gateway-events";

const HEAD: &str = "# Events

What Discord tells of what happens, and what this system tells of itself. Each event is one message on
the topic exchange `discord.events` (`<prefix>.events`), and its body is ";

const INTENTS: &str = "
## Intents

Discord sends an event when the bot has asked for any one of its intents (`DISCORD_INTENTS`); events
that have none come without. A **privileged** intent must be switched on in Discord's Developer Portal
first.

";

/// The page.
pub(super) fn page(comments: &Comments) -> String {
    let events: Vec<EventKind> = events().into_iter().chain(own()).collect();
    let envelope = descriptors()
        .get_message_by_name("gateway.v1.Event")
        .expect("the envelope is part of the contract");
    let to = |name| {
        link(
            &format!("`gateway.v1.{name}`"),
            &format!("{GATEWAY}#{}", anchor(name)),
        )
    };
    let mut page = format!(
        "{HEAD}{}, with the payload in the field that is given below. Events that the contract does not \
         know come too, as JSON.\n\nEvents whose names the operator lists in `EVENT_BATCH` can come several \
         to a message: its body is {} then, and its `type` says so.\n",
        to("Event"),
        to("EventBatch"),
    );
    page += &keys::section();
    page += INTENTS;
    page += &table(["intent", "bit", "events"], &intents(&events));
    page += "\n## All events\n\n";
    page += &table(
        ["event", "payload", "meaning"],
        &overview(&events, &envelope, comments),
    );
    let mut fields: Vec<FieldDescriptor> = envelope.fields().collect();
    fields.sort_by_key(|field| comments.of(field.full_name()).line_number);
    page += &heading(comments.of("gateway.v1.Event.data"));
    for field in fields {
        let Some(kind) = events.iter().find(|kind| kind.number == field.number()) else {
            continue;
        };
        let comment = comments.of(field.full_name());
        page += &heading(comment);
        page += &section(kind, &field, comment);
    }
    page
}

/// Each intent with its events.
fn intents(events: &[EventKind]) -> Vec<[String; 3]> {
    intent::names(intent::all())
        .into_iter()
        .map(|name| {
            let bits = intent::parse(name).unwrap_or_default();
            let of: Vec<String> = events
                .iter()
                .filter(|kind| kind.intents.iter().any(|it| intent::bits(*it) == bits))
                .map(event_link)
                .collect();
            let bit = format!("1 << {}", bits.trailing_zeros());
            [intent_name(name), bit, of.join(", ")]
        })
        .collect()
}

/// An intent's name, with what must be known of it.
fn intent_name(name: &str) -> String {
    let bits = intent::parse(name).unwrap_or_default();
    match bits & intent::privileged() == 0 {
        true => format!("`{name}`"),
        false => format!("`{name}` (**privileged**)"),
    }
}

fn event_link(kind: &EventKind) -> String {
    link(
        &format!("`{}`", kind.name),
        &format!("#{}", anchor(&kind.name)),
    )
}

fn overview(
    events: &[EventKind],
    envelope: &MessageDescriptor,
    comments: &Comments,
) -> Vec<[String; 3]> {
    events
        .iter()
        .map(|kind| {
            let field = envelope.get_field(kind.number);
            let meaning = field.map(|field| text(&comments.of(field.full_name()).line()));
            let payload = link_to(PAGE, &kind.message.parent_file(), kind.message.name());
            [event_link(kind), payload, meaning.unwrap_or_default()]
        })
        .collect()
}

/// The heading of the events that follow, if they are about something else than those before.
fn heading(comment: &Comment) -> String {
    let Some(sentences) = &comment.heading else {
        return String::new();
    };
    let (title, rest) = sentences.split_once(". ").unwrap_or((sentences, ""));
    let mut heading = format!("\n## {}\n", text(title.trim_end_matches('.')));
    if !rest.is_empty() {
        heading += &format!("\n{}\n", text(rest));
    }
    heading
}

fn section(kind: &EventKind, field: &FieldDescriptor, comment: &Comment) -> String {
    let row = |name: &str, value: String| [name.to_owned(), value];
    let payload = link_to(PAGE, &kind.message.parent_file(), kind.message.name());
    let mut rows = vec![
        row(
            "payload",
            format!(
                "{payload} in the field `{}` ({})",
                field.name(),
                kind.number
            ),
        ),
        row("intents", needed(kind)),
        row("routing key", format!("`{}`", keys::pattern(kind))),
        row("for example", format!("`{}`", keys::example(kind))),
    ];
    let ids = [
        ("guild", &kind.guild_id),
        ("channel", &kind.channel_id),
        ("user", &kind.user_id),
    ];
    let ids: Vec<String> = ids
        .iter()
        .filter(|(_, paths)| !paths.is_empty())
        .map(|(name, paths)| {
            let paths: Vec<String> = paths
                .iter()
                .map(|it| format!("`{}`", it.join(".")))
                .collect();
            format!("{name} from {}", paths.join(" or "))
        })
        .collect();
    rows.push(row(
        "ids",
        if ids.is_empty() {
            "none".to_owned()
        } else {
            ids.join(", ")
        },
    ));
    let mut section = format!("\n### {}\n\n{}", kind.name, prose(comment));
    if comment.see.is_none() && kind.message.package_name() == "discord.v1" {
        let name = kind.name.to_lowercase().replace('_', "-");
        section += &format!(
            "\n{}\n",
            link("Discord's page", &format!("{DISCORD}#{name}"))
        );
    }
    section + "\n" + &table(["", ""], &rows)
}

/// The intents that an event comes under.
fn needed(kind: &EventKind) -> String {
    if kind.intents.is_empty() {
        return "none needed".to_owned();
    }
    let names: Vec<String> = kind
        .intents
        .iter()
        .flat_map(|it| intent::names(intent::bits(*it)))
        .map(intent_name)
        .collect();
    names.join(" or ")
}
