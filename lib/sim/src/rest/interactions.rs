//! Answers to interactions: the first by the callback, the others as a webhook.

use std::time::Duration;

use serde_json::json;

use super::{
    Reply, Things, messages,
    reply::failure,
    routes::{Call, Outcome, id},
    things::Interaction,
};

/// How long a token lives.
const LIFE: Duration = Duration::from_secs(15 * 60);

/// `POST /interactions/{id}/{token}/callback`. Every token is taken for one of Discord's, except those that begin
/// with `expired`.
pub(super) fn callback(
    things: &mut Things,
    call: &Call<'_>,
    interaction: &str,
    token: &str,
) -> Outcome {
    let interaction = id(interaction)?;
    if token.starts_with("expired") {
        return Err(Reply::unknown("interaction"));
    }
    if things.interaction(token).is_some() {
        let message = "Interaction has already been acknowledged.";
        return Err(Reply::error(400, 40_060, message));
    }
    let kind = call.form.json["type"].as_u64();
    let Some(kind @ 1..=12) = kind else {
        let message = "This field is required";
        return Err(Reply::invalid("type", "BASE_TYPE_REQUIRED", message));
    };
    let channel = things.id(call.unix_ms);
    let mut original = None;
    let mut message = None;
    if matches!(kind, 4 | 5) {
        let data = call.form.json["data"].clone();
        let id = things.id(call.unix_ms);
        let made = json!({
            "id": id.to_string(), "channel_id": channel.to_string(), "type": 20,
            "content": data["content"].as_str().unwrap_or_default(), "attachments": [],
            "embeds": data["embeds"].as_array().cloned().unwrap_or_default(),
            "flags": data["flags"].as_u64().unwrap_or(0) | if kind == 5 { 128 } else { 0 },
            "files": call.form.files.len(),
        });
        things.put_message(channel, id, made.clone());
        (original, message) = (Some(id), Some(made));
    }
    let answered = Interaction {
        answered: call.now,
        channel,
        original,
    };
    things.put_interaction(token, answered);
    if !call.flag("with_response") {
        return Ok(Reply::no_content());
    }
    let about = json!({
        "id": interaction.to_string(), "type": 2,
        "response_message_id": original.map(|id| id.to_string()),
    });
    let resource = json!({"type": kind, "message": message});
    Ok(Reply::ok(
        json!({"interaction": about, "resource": resource}),
    ))
}

/// `/webhooks/{application_id}/{token}…`.
pub(super) fn follow(things: &mut Things, call: &Call<'_>, token: &str, rest: &[&str]) -> Outcome {
    let known = things.interaction(token).cloned();
    let known = known.filter(|known| call.now < known.answered + LIFE);
    let known = known.ok_or_else(|| Reply::unknown("Webhook"))?;
    match (call.method.as_str(), rest) {
        ("POST", []) => messages::create(things, call, known.channel).map(Reply::ok),
        (method, ["messages", message]) => {
            let message = match *message {
                "@original" => known.original.ok_or_else(|| Reply::unknown("Message"))?,
                message => id(message)?,
            };
            match method {
                "GET" => messages::get(things, known.channel, message).map(Reply::ok),
                "PATCH" => messages::edit(things, call, known.channel, message).map(Reply::ok),
                "DELETE" => messages::delete(things, known.channel, message),
                _ => Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
            }
        }
        _ => Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
    }
}
