//! Interactions and what else concerns the application itself.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{member, one_of};

pub(super) fn create(random: &mut Rng) -> Value {
    let (kind, data) = if random.u32(..3) > 0 {
        (2, command(random))
    } else {
        (3, button(random))
    };
    let mut member = member(random);
    if let Value::Object(members) = &mut member {
        members.insert("permissions".to_owned(), json!("2248473465835073"));
        members.insert("unusual_dm_activity_until".to_owned(), Value::Null);
    }
    json!({
        "version": 1, "type": kind, "token": "aW50ZXJhY3Rpb246<X><X><X>", "member": member,
        "locale": "en-US", "id": "<F>", "guild_locale": "en-US",
        "guild": {"locale": "en-US", "id": "<G>", "features": ["COMMUNITY", "NEWS", "TEXT_IN_VOICE_ENABLED"]},
        "entitlements": [], "entitlement_sku_ids": [], "data": data, "context": 0,
        "channel_id": "<C>", "channel": channel(), "authorizing_integration_owners": {"0": "<G>"},
        "attachment_size_limit": 10_485_760, "application_id": "1100000000000000001",
        "app_permissions": "2251799813685247", "guild_id": "<G>",
    })
}

pub(super) fn entitlement(_random: &mut Rng) -> Value {
    json!({
        "user_id": "<U>", "type": 8, "starts_at": "<T>", "sku_id": "<F>", "promotion_id": null,
        "id": "<F>", "gift_code_flags": 0, "ends_at": null, "deleted": false, "consumed": false,
        "application_id": "1100000000000000001",
    })
}

fn command(random: &mut Rng) -> Value {
    let name = one_of(random, &["play", "ban", "help", "rank"]);
    json!({
        "type": 1, "name": name, "id": "<F>",
        "options": [
            {"value": "<W6>", "type": 3, "name": "query"},
            {"value": random.u32(..100), "type": 4, "name": "volume"},
            {"value": "<U>", "type": 6, "name": "user"},
        ],
        "resolved": {
            "users": {"<U>": super::other_user(random)},
            "members": {"<U>": super::bare_member(random)},
        },
    })
}

fn button(random: &mut Rng) -> Value {
    let page = random.u32(..100);
    json!({"id": 2, "custom_id": format!("page:{page}"), "component_type": 2})
}

fn channel() -> Value {
    json!({
        "type": 0, "topic": null, "theme_color": null, "rate_limit_per_user": 0, "position": 3,
        "permissions": "2251799813685247", "parent_id": "<F>", "nsfw": false, "name": "<W1>",
        "last_message_id": "<F>", "id": "<C>", "icon_emoji": null, "flags": 0, "guild_id": "<G>",
    })
}
