//! Members and their voice states.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{bare_member, maybe, member, user};

pub(super) fn update(random: &mut Rng) -> Value {
    let mut update = bare_member(random);
    if let Value::Object(members) = &mut update {
        members.insert("user".to_owned(), user(random));
        members.insert("unusual_dm_activity_until".to_owned(), Value::Null);
        members.insert("guild_id".to_owned(), json!("<G>"));
    }
    update
}

pub(super) fn voice_state_update(random: &mut Rng) -> Value {
    json!({
        "user_id": "<U>", "suppress": false, "session_id": "<X>", "self_video": random.bool(),
        "self_stream": random.bool(), "self_mute": random.bool(), "self_deaf": random.bool(),
        "request_to_speak_timestamp": null, "mute": false, "member": member(random),
        "deaf": false, "channel_id": maybe(random, "<V>"), "guild_id": "<G>",
    })
}
