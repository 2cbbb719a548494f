//! The kinds of events that the generator knows.

mod channel;
mod interaction;
mod member;
mod message;
mod presence;

use fastrand::Rng;
use serde_json::{Value, json};

/// One kind of event.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Discord's name.
    pub(crate) name: &'static str,
    /// Whether it belongs to a guild; without one it goes to shard 0.
    pub(crate) in_guild: bool,
    /// Whether the intent `MESSAGE_CONTENT` decides over its content.
    pub(crate) has_content: bool,
    /// How many different templates are made of it.
    pub(crate) variants: usize,
    /// Makes one template.
    pub(crate) build: fn(&mut Rng) -> Value,
}

/// All kinds, in the order of their names.
pub(crate) const ALL: [Kind; 12] = [
    guild_kind("CHANNEL_UPDATE", channel::update),
    Kind {
        in_guild: false,
        ..guild_kind("ENTITLEMENT_CREATE", interaction::entitlement)
    },
    guild_kind("GUILD_MEMBER_UPDATE", member::update),
    guild_kind("GUILD_ROLE_CREATE", channel::role_create),
    guild_kind("INTERACTION_CREATE", interaction::create),
    Kind {
        has_content: true,
        variants: 60,
        ..guild_kind("MESSAGE_CREATE", message::create)
    },
    guild_kind("MESSAGE_DELETE", message::delete),
    guild_kind("MESSAGE_REACTION_ADD", message::reaction_add),
    Kind {
        has_content: true,
        ..guild_kind("MESSAGE_UPDATE", message::update)
    },
    guild_kind("PRESENCE_UPDATE", presence::update),
    guild_kind("TYPING_START", presence::typing_start),
    guild_kind("VOICE_STATE_UPDATE", member::voice_state_update),
];

const fn guild_kind(name: &'static str, build: fn(&mut Rng) -> Value) -> Kind {
    Kind {
        name,
        in_guild: true,
        has_content: false,
        variants: 24,
        build,
    }
}

/// What a session without `MESSAGE_CONTENT` sees of a message.
pub(crate) fn without_content(mut message: Value) -> Value {
    if let Value::Object(members) = &mut message {
        for list in ["embeds", "attachments", "components"] {
            members.insert(list.to_owned(), json!([]));
        }
        members.insert("content".to_owned(), json!(""));
        members.remove("poll");
    }
    message
}

/// The event's user, with the fields that bots see.
fn user(random: &mut Rng) -> Value {
    json!({
        "username": "<N>", "public_flags": random.u32(..8) * 64, "primary_guild": clan(random),
        "id": "<U>", "global_name": maybe(random, "<W1>"), "display_name_styles": null,
        "discriminator": "0", "collectibles": null, "clan": clan(random), "bot": false,
        "avatar_decoration_data": decoration(random), "avatar": "<A>",
    })
}

/// Another user, as in mentions.
fn other_user(random: &mut Rng) -> Value {
    json!({
        "username": "<Q>", "public_flags": 0, "primary_guild": null, "id": "<O>",
        "global_name": maybe(random, "<W1>"), "display_name_styles": null,
        "discriminator": "0", "collectibles": null, "clan": null,
        "avatar_decoration_data": decoration(random), "avatar": "<P>",
    })
}

/// A member without its user.
fn bare_member(random: &mut Rng) -> Value {
    let roles: Vec<&str> = (0..random.usize(1..6)).map(|_| "<R>").collect();
    json!({
        "roles": roles, "premium_since": maybe(random, "<J>"), "pending": false,
        "nick": maybe(random, "<W2>"), "mute": false, "joined_at": "<J>", "flags": 0,
        "deaf": false, "communication_disabled_until": null, "banner": null, "avatar": null,
    })
}

/// The event's member with its user.
fn member(random: &mut Rng) -> Value {
    let mut member = bare_member(random);
    if let Value::Object(members) = &mut member {
        members.insert("user".to_owned(), user(random));
    }
    member
}

fn clan(random: &mut Rng) -> Value {
    if random.u32(..4) > 0 {
        return Value::Null;
    }
    json!({
        "tag": "SIM", "identity_guild_id": "<F>", "identity_enabled": true, "badge": "<X>",
    })
}

fn decoration(random: &mut Rng) -> Value {
    if random.u32(..4) > 0 {
        return Value::Null;
    }
    json!({"sku_id": "<F>", "expires_at": null, "asset": "a_<X>"})
}

/// The slot in one of two cases.
fn maybe(random: &mut Rng, slot: &str) -> Value {
    if random.bool() {
        Value::from(slot)
    } else {
        Value::Null
    }
}

/// One of the given values.
fn one_of<'a>(random: &mut Rng, values: &[&'a str]) -> &'a str {
    values
        .get(random.usize(..values.len().max(1)))
        .copied()
        .unwrap_or_default()
}

fn emoji(random: &mut Rng) -> Value {
    if random.bool() {
        json!({"name": one_of(random, &["👍", "❤️", "😂", "🎉", "🔥"]), "id": null})
    } else {
        json!({"name": one_of(random, &["pepega", "blob", "sim_wave"]), "id": "<F>", "animated": random.bool()})
    }
}
