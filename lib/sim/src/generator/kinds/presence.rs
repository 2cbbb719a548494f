//! Presences and typing.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{member, one_of};

pub(super) fn update(random: &mut Rng) -> Value {
    let status = one_of(random, &["online", "idle", "dnd", "offline"]);
    let activities = match random.u32(..10) {
        0..4 => vec![],
        4..7 => vec![custom()],
        7..9 => vec![game(random)],
        _ => vec![music(), custom()],
    };
    let device = one_of(random, &["desktop", "mobile", "web"]);
    let client_status = if status == "offline" {
        json!({})
    } else {
        json!({device: status})
    };
    json!({
        "user": {"id": "<U>"}, "status": status, "processed_at_timestamp": "<#L>",
        "game": activities.first(), "client_status": client_status, "activities": activities,
        "guild_id": "<G>",
    })
}

pub(super) fn typing_start(random: &mut Rng) -> Value {
    json!({
        "user_id": "<U>", "timestamp": "<#S>", "member": member(random), "channel_id": "<C>",
        "guild_id": "<G>",
    })
}

fn custom() -> Value {
    json!({
        "type": 4, "state": "<W4>", "name": "Custom Status", "id": "custom", "created_at": "<#L>",
    })
}

fn game(random: &mut Rng) -> Value {
    let name = one_of(
        random,
        &[
            "Factorio",
            "Rocket League",
            "Minecraft",
            "League of Legends",
        ],
    );
    json!({
        "type": 0, "timestamps": {"start": "<#L>"}, "session_id": "<X>", "name": name,
        "id": "<X>", "created_at": "<#L>", "application_id": "<F>", "details": "<W3>",
    })
}

fn music() -> Value {
    json!({
        "type": 2, "timestamps": {"start": "<#L>", "end": "<#L>"}, "sync_id": "<X>",
        "state": "<W2>", "session_id": "<X>", "party": {"id": "spotify:<U>"}, "name": "Spotify",
        "id": "spotify:1", "flags": 48, "details": "<W3>", "created_at": "<#L>",
        "assets": {"large_text": "<W3>", "large_image": "spotify:<X>"},
    })
}
