//! Answers to interactions: the first by the callback, the others as a webhook.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Reply, Things, messages,
    reply::failure,
    routes::{Call, Outcome, id},
    things::Interaction,
};

/// How long Discord waits for the first answer.
const TIME: Duration = Duration::from_secs(3);
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
    let Some(kind @ 1..=13) = kind else {
        let message = "This field is required";
        return Err(Reply::invalid("type", "BASE_TYPE_REQUIRED", message));
    };
    if let Some(sent) = things.sent.one(token) {
        if sent.id != interaction || call.now > sent.at + TIME {
            return Err(Reply::unknown("interaction"));
        }
        sent.callback = Some(kind);
        sent.said = Some((call.form.json.clone(), call.now));
    }
    let files = call.form.files.len();
    let (original, message) = acknowledge(things, token, &call.form.json, files, call.unix_ms);
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

/// Takes the first answer in: the id and the message of what is `@original` from now on.
pub(crate) fn acknowledge(
    things: &mut Things,
    token: &str,
    answer: &Value,
    files: usize,
    unix_ms: u64,
) -> (Option<u64>, Option<Value>) {
    let kind = answer["type"].as_u64();
    let of_component = things.sent.one(token).and_then(|sent| sent.message);
    let mut channel = things.id(unix_ms);
    let mut original = None;
    let mut message = None;
    if let Some(4 | 5) = kind {
        let data = &answer["data"];
        let id = things.id(unix_ms);
        let made = json!({
            "id": id.to_string(), "channel_id": channel.to_string(), "type": 20,
            "content": data["content"].as_str().unwrap_or_default(), "attachments": [],
            "embeds": data["embeds"].as_array().cloned().unwrap_or_default(),
            "flags": data["flags"].as_u64().unwrap_or(0) | if kind == Some(5) { 128 } else { 0 },
            "files": files,
        });
        things.put_message(channel, id, made.clone());
        (original, message) = (Some(id), Some(made));
    } else if let (Some(6 | 7), Some((place, id))) = (kind, of_component) {
        (channel, original) = (place, Some(id));
        if let (Some(7), Some(shown)) = (kind, things.message(place, id)) {
            for member in ["content", "embeds", "components"] {
                if let Some(value) = answer["data"].get(member) {
                    shown[member] = value.clone();
                }
            }
        }
    }
    let answered = Interaction {
        answered: Instant::now(),
        channel,
        original,
    };
    things.put_interaction(token, answered);
    (original, message)
}

/// `/webhooks/{application_id}/{token}…`.
pub(super) fn follow(things: &mut Things, call: &Call<'_>, token: &str, rest: &[&str]) -> Outcome {
    let known = things.interaction(token).cloned();
    let known = known.filter(|known| call.now < known.answered + LIFE);
    let known = known.ok_or_else(|| Reply::unknown("Webhook"))?;
    match (call.method.as_str(), rest) {
        ("POST", []) => {
            let made = messages::create(things, call, known.channel)?;
            things.sent.followed(token);
            Ok(Reply::ok(made))
        }
        (method, ["messages", message]) => {
            let message = match *message {
                "@original" => known.original.ok_or_else(|| Reply::unknown("Message"))?,
                message => id(message)?,
            };
            match method {
                "GET" => messages::get(things, known.channel, message).map(Reply::ok),
                "PATCH" => {
                    let edited = messages::edit(things, call, known.channel, message)?;
                    things.sent.edited(token);
                    Ok(Reply::ok(edited))
                }
                "DELETE" => messages::delete(things, known.channel, message),
                _ => Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
            }
        }
        _ => Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
    }
}
