//! Messages and reactions.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{bare_member, emoji, member, one_of, other_user, user};

/// 14 small ones for 6 big ones.
pub(super) fn create(random: &mut Rng) -> Value {
    if random.u32(..20) < 14 {
        small(random)
    } else {
        big(random)
    }
}

pub(super) fn update(random: &mut Rng) -> Value {
    let mut message = create(random);
    if let Value::Object(members) = &mut message {
        members.insert("edited_timestamp".to_owned(), json!("<T>"));
        members.remove("nonce");
    }
    message
}

pub(super) fn delete(_random: &mut Rng) -> Value {
    json!({"id": "<F>", "channel_id": "<C>", "guild_id": "<G>"})
}

pub(super) fn reaction_add(random: &mut Rng) -> Value {
    json!({
        "user_id": "<U>", "type": 0, "message_id": "<F>", "message_author_id": "<O>",
        "member": member(random), "emoji": emoji(random), "channel_id": "<C>",
        "burst_colors": [], "burst": false, "guild_id": "<G>",
    })
}

fn small(random: &mut Rng) -> Value {
    let words = random.u32(1..25);
    json!({
        "type": 0, "tts": false, "timestamp": "<T>", "pinned": false, "nonce": "<F>",
        "mentions": [], "mention_roles": [], "mention_everyone": false,
        "member": bare_member(random), "id": "<F>", "flags": 0, "embeds": [],
        "edited_timestamp": null, "content": format!("<W{words}>"), "components": [],
        "channel_type": 0, "channel_id": "<C>", "author": user(random), "attachments": [],
        "guild_id": "<G>",
    })
}

fn big(random: &mut Rng) -> Value {
    let mut message = small(random);
    let mentions: Vec<Value> = (0..random.usize(1..3)).map(|_| mention(random)).collect();
    let attachments: Vec<Value> = (0..random.usize(1..3))
        .map(|_| attachment(random))
        .collect();
    if let Value::Object(members) = &mut message {
        members.insert("type".to_owned(), json!(19));
        members.insert(
            "content".to_owned(),
            json!("<@<O>> <W40> https://example.com/<X> <W9>"),
        );
        members.insert("mentions".to_owned(), mentions.into());
        members.insert("mention_roles".to_owned(), json!(["<R>", "<R>"]));
        members.insert("attachments".to_owned(), attachments.into());
        members.insert("embeds".to_owned(), json!([embed(random)]));
        members.insert("components".to_owned(), json!([buttons()]));
        members.insert("referenced_message".to_owned(), small(random));
        members.insert(
            "message_reference".to_owned(),
            json!({"type": 0, "message_id": "<F>", "channel_id": "<C>", "guild_id": "<G>"}),
        );
    }
    message
}

fn mention(random: &mut Rng) -> Value {
    let mut mention = other_user(random);
    if let Value::Object(members) = &mut mention {
        members.insert("member".to_owned(), bare_member(random));
    }
    mention
}

fn attachment(random: &mut Rng) -> Value {
    let name = one_of(random, &["image.png", "unknown.jpg", "clip.webp"]);
    let link = format!("attachments/<C>/<F>/{name}?ex=66a1b2c3&is=66a06143&hm=<X><X>&");
    json!({
        "width": 1280, "url": format!("https://cdn.discordapp.com/{link}"), "size": "<#D>",
        "proxy_url": format!("https://media.discordapp.net/{link}"), "placeholder_version": 1,
        "placeholder": "2vcFDYJ3eHiHeHeAiHd3eIiHeA==", "id": "<F>", "height": 720,
        "filename": name, "original_content_type": "image/png", "content_type": "image/png",
        "content_scan_version": 4, "flags": 0,
    })
}

fn embed(random: &mut Rng) -> Value {
    let fields: Vec<Value> = (0..random.usize(1..5))
        .map(|_| json!({"value": "<W8>", "name": "<W2>", "inline": random.bool()}))
        .collect();
    json!({
        "type": "rich", "title": "<W5>", "url": "https://example.com/<X>", "timestamp": "<T>",
        "color": random.u32(..0xff_ffff), "description": "<W35>", "fields": fields,
        "footer": {"text": "<W4>", "icon_url": "https://cdn.example.com/<X>.png"},
        "thumbnail": {
            "width": 128, "height": 128, "flags": 0, "url": "https://cdn.example.com/<X>.png",
            "proxy_url": "https://images-ext-1.discordapp.net/external/<X>/https/cdn.example.com/<X>.png",
            "placeholder_version": 1, "placeholder": "2vcFDYJ3eHiHeHeAiHd3eIiHeA==",
            "content_type": "image/png", "content_scan_version": 4,
        },
        "author": {"name": "<Q>", "icon_url": "https://cdn.discordapp.com/avatars/<O>/<P>.png"},
        "content_scan_version": 4,
    })
}

fn buttons() -> Value {
    let button = |id: u32, label: &str| json!({"type": 2, "style": 1, "label": label, "id": id, "custom_id": format!("page:{id}")});
    json!({"type": 1, "id": 1, "components": [button(2, "Back"), button(3, "Next")]})
}
