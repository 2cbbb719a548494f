//! Channels and roles.

use fastrand::Rng;
use serde_json::{Value, json};

pub(super) fn update(random: &mut Rng) -> Value {
    let overwrites: Vec<Value> = (0..random.usize(..5))
        .map(|_| json!({"type": 0, "id": "<R>", "deny": "2048", "allow": "1024"}))
        .collect();
    json!({
        "version": "<#L>", "type": 0, "topic": "<W12>", "theme_color": null,
        "rate_limit_per_user": 0, "position": random.u32(..50), "permission_overwrites": overwrites,
        "parent_id": "<F>", "nsfw": false, "name": "<W1>", "last_message_id": "<F>",
        "id": "<C>", "icon_emoji": null, "flags": 0, "guild_id": "<G>",
    })
}

pub(super) fn role_create(random: &mut Rng) -> Value {
    let color = random.u32(..0xff_ffff);
    json!({
        "role": {
            "version": "<#L>", "unicode_emoji": null, "tags": {}, "position": 1,
            "permissions": "2222085186637377", "name": "<W1>", "mentionable": random.bool(),
            "managed": false, "id": "<F>", "icon": null, "hoist": false, "flags": 0,
            "colors": {"tertiary_color": null, "secondary_color": null, "primary_color": color},
            "color": color,
        },
        "guild_id": "<G>",
    })
}
