//! Interactions as Discord sends them.
//!
//! See [Discord Docs/Interaction
//! Object](https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object).

use serde_json::{Value, json};

use super::{Interact, InteractionKind};

/// Whose and where an interaction is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) application: u64,
    pub(super) guild: u64,
    pub(super) channel: u64,
    pub(super) user: u64,
}

/// The body of one.
pub(super) fn interaction(
    order: &Interact,
    place: Place,
    id: u64,
    token: &str,
    message: Option<&Value>,
) -> Value {
    let application = place.application.to_string();
    if order.kind == InteractionKind::Ping {
        return json!({
            "id": id.to_string(), "application_id": application, "type": 1, "token": token,
            "version": 1, "entitlements": [], "authorizing_integration_owners": {},
        });
    }
    let guild = place.guild.to_string();
    let mut body = json!({
        "id": id.to_string(), "application_id": application, "type": number(order.kind),
        "token": token, "version": 1, "guild_id": guild,
        "channel_id": place.channel.to_string(),
        "channel": {"id": place.channel.to_string(), "type": 0, "name": "general"},
        "guild": {"id": guild, "locale": "en-US", "features": []},
        "member": {
            "user": {
                "id": place.user.to_string(), "username": "somebody", "discriminator": "0",
                "avatar": null, "global_name": "Somebody",
            },
            "roles": [], "permissions": "2248473465835073", "deaf": false, "mute": false,
            "joined_at": "2020-01-02T03:04:05.678000+00:00", "flags": 0, "nick": null,
        },
        "locale": "de", "guild_locale": "en-US", "app_permissions": "2251799813685247",
        "entitlements": [], "authorizing_integration_owners": {"0": guild}, "context": 0,
        "attachment_size_limit": 10_485_760, "data": data(order),
    });
    if let Some(message) = message {
        body["message"] = message.clone();
    }
    for (name, value) in &order.json {
        body[name.as_str()] = value.clone();
    }
    body
}

fn number(kind: InteractionKind) -> u64 {
    match kind {
        InteractionKind::Ping => 1,
        InteractionKind::Command => 2,
        InteractionKind::Component => 3,
        InteractionKind::Autocomplete => 4,
        InteractionKind::ComponentModal | InteractionKind::Modal => 5,
        InteractionKind::Purchase => 6,
    }
}

fn data(order: &Interact) -> Value {
    let name = order.name.as_str();
    match order.kind {
        InteractionKind::Ping => Value::Null,
        InteractionKind::Command => json!({
            "id": "1100000000000000101", "name": name, "type": 1,
            "options": [
                {"name": "query", "type": 3, "value": "a song"},
                {"name": "volume", "type": 4, "value": 80},
            ],
        }),
        InteractionKind::Autocomplete => json!({
            "id": "1100000000000000101", "name": name, "type": 1,
            "options": [{"name": "query", "type": 3, "value": "a so", "focused": true}],
        }),
        InteractionKind::Component => json!({"id": 2, "custom_id": name, "component_type": 2}),
        InteractionKind::ComponentModal | InteractionKind::Modal => json!({
            "custom_id": name,
            "components": [{"type": 18, "id": 1, "component": {
                "type": 4, "id": 2, "custom_id": "why", "value": "because",
            }}],
        }),
        InteractionKind::Purchase => json!({"sku_id": "1100000000000000102"}),
    }
}
