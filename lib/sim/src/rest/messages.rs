//! Messages of channels.

use serde_json::{Value, json};

use super::{
    Reply, Things,
    reply::failure,
    routes::{Call, Outcome, id},
};
use crate::{clock, guilds};

/// How old a message may be that is deleted with others.
const BULK_AGE_MS: u64 = 14 * 86_400_000;
/// The most attachments of a message.
const ATTACHMENTS: usize = 10;

pub(super) fn route(things: &mut Things, call: &Call<'_>, channel: u64, rest: &[&str]) -> Outcome {
    match (call.method.as_str(), rest) {
        ("GET", []) => list(things, call, channel),
        ("POST", []) => create(things, call, channel).map(Reply::ok),
        ("POST", ["bulk-delete"]) => bulk_delete(things, call, channel),
        ("GET", [message]) => get(things, channel, id(message)?).map(Reply::ok),
        ("PATCH", [message]) => edit(things, call, channel, id(message)?).map(Reply::ok),
        ("DELETE", [message]) => delete(things, channel, id(message)?),
        (_, [] | [_]) => Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
        _ => Ok(super::echo::answer(call)),
    }
}

/// Makes a message, or finds the one that its nonce has made.
pub(super) fn create(things: &mut Things, call: &Call<'_>, channel: u64) -> Result<Value, Reply> {
    check(call)?;
    let nonce = call.form.nonce();
    let enforced = call.form.json["enforce_nonce"] == true;
    if let Some(nonce) = &nonce
        && enforced
        && let Some(former) = things.by_nonce(channel, nonce, call.nonce_since())
        && let Some(message) = things.message(channel, former).cloned()
    {
        things.deduplicated += 1;
        return Ok(message);
    }
    let id = things.id(call.unix_ms);
    let message = object(things, call, (channel, id))?;
    things.put_message(channel, id, message.clone());
    if let Some(nonce) = nonce {
        things.put_nonce(channel, nonce, call.now, id);
    }
    Ok(message)
}

pub(super) fn get(things: &mut Things, channel: u64, id: u64) -> Result<Value, Reply> {
    let message = things.message(channel, id);
    message.cloned().ok_or_else(|| Reply::unknown("Message"))
}

pub(super) fn edit(
    things: &mut Things,
    call: &Call<'_>,
    channel: u64,
    id: u64,
) -> Result<Value, Reply> {
    let former = get(things, channel, id)?;
    length(&call.form.json)?;
    let mut edited = former;
    for member in [
        "content",
        "embeds",
        "components",
        "flags",
        "allowed_mentions",
    ] {
        if let Some(value) = call.form.json.get(member) {
            edited[member] = value.clone();
        }
    }
    // The list says what stays; without it all stay, and the new ones come behind.
    let mut kept = edited["attachments"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(named) = call.form.json["attachments"].as_array() {
        kept.retain(|old| named.iter().any(|new| new["id"] == old["id"]));
    }
    kept.extend(attachments(things, call, channel)?);
    edited["attachments"] = kept.into();
    edited["edited_timestamp"] = timestamp(call.unix_ms);
    things.put_message(channel, id, edited.clone());
    Ok(edited)
}

pub(super) fn delete(things: &mut Things, channel: u64, id: u64) -> Outcome {
    let message = things.take_message(channel, id);
    message
        .map(|_| Reply::no_content())
        .ok_or_else(|| Reply::unknown("Message"))
}

fn list(things: &Things, call: &Call<'_>, channel: u64) -> Outcome {
    let limit = call.limit(50, 100)?;
    let (before, after) = (call.snowflake("before"), call.snowflake("after"));
    let mut found: Vec<&Value> = Vec::new();
    if let Some(after) = after {
        let newer = things.messages(channel).filter(|(id, _)| *id > after);
        found.extend(newer.take(limit).map(|(_, message)| message));
        found.reverse();
    } else {
        let older = things.messages(channel).rev();
        let older = older.filter(|(id, _)| before.is_none_or(|before| *id < before));
        found.extend(older.take(limit).map(|(_, message)| message));
    }
    Ok(Reply::ok(json!(found)))
}

fn bulk_delete(things: &mut Things, call: &Call<'_>, channel: u64) -> Outcome {
    let ids = call.form.json["messages"].as_array();
    let ids = ids.ok_or_else(|| {
        Reply::invalid("messages", "BASE_TYPE_REQUIRED", "This field is required")
    })?;
    if !(2..=100).contains(&ids.len()) {
        let message = "You can only bulk delete messages 2 to 100.";
        return Err(Reply::error(400, 50_016, message));
    }
    let parsed = ids
        .iter()
        .map(|id| id.as_str().and_then(|id| id.parse::<u64>().ok()));
    let mut parsed: Vec<u64> = parsed.collect::<Option<_>>().ok_or_else(|| {
        Reply::invalid(
            "messages.0",
            "NUMBER_TYPE_COERCE",
            "Value is not snowflake.",
        )
    })?;
    parsed.sort_unstable();
    parsed.dedup();
    if parsed.len() != ids.len() {
        let message = "The set already contains this value.";
        return Err(Reply::invalid(
            "messages",
            "SET_TYPE_ALREADY_CONTAINS_VALUE",
            message,
        ));
    }
    let oldest = clock::created_ms(parsed[0]);
    if call.unix_ms.saturating_sub(oldest) >= BULK_AGE_MS {
        let message = "A message provided was too old to bulk delete";
        return Err(Reply::error(400, 50_034, message));
    }
    for id in parsed {
        things.take_message(channel, id);
    }
    Ok(Reply::no_content())
}

/// Refuses what Discord would not send.
fn check(call: &Call<'_>) -> Result<(), Reply> {
    let body = &call.form.json;
    length(body)?;
    let filled = |member: &str| body[member].as_array().is_some_and(|list| !list.is_empty());
    let said = body["content"]
        .as_str()
        .is_some_and(|content| !content.is_empty());
    let more = ["embeds", "components", "sticker_ids"]
        .into_iter()
        .any(filled);
    if said || more || body["poll"].is_object() || !call.form.files.is_empty() {
        return Ok(());
    }
    Err(Reply::error(400, 50_006, "Cannot send an empty message"))
}

fn length(body: &Value) -> Result<(), Reply> {
    let too_long = |place: &str, most: usize| {
        let message = format!("Must be {most} or fewer in length.");
        Err(Reply::invalid(place, "BASE_TYPE_MAX_LENGTH", &message))
    };
    match &body["content"] {
        Value::Null => {}
        Value::String(content) if content.chars().count() <= 2000 => {}
        Value::String(_) => return too_long("content", 2000),
        _ => {
            return Err(Reply::invalid(
                "content",
                "BASE_TYPE_CHOICES",
                "Not a string.",
            ));
        }
    }
    let embeds = body["embeds"].as_array().map_or(&[][..], Vec::as_slice);
    if embeds.len() > 10 {
        return too_long("embeds", 10);
    }
    for (place, embed) in embeds.iter().enumerate() {
        let text = embed["description"].as_str().unwrap_or_default();
        if text.chars().count() > 4096 {
            return too_long(&format!("embeds.{place}.description"), 4096);
        }
    }
    if body["nonce"]
        .as_str()
        .is_some_and(|nonce| nonce.chars().count() > 25)
    {
        return too_long("nonce", 25);
    }
    Ok(())
}

fn object(things: &mut Things, call: &Call<'_>, (channel, id): (u64, u64)) -> Result<Value, Reply> {
    let body = &call.form.json;
    let or = |member: &str, general: Value| match &body[member] {
        Value::Null => general,
        value => value.clone(),
    };
    let attachments = attachments(things, call, channel)?;
    let mut message = json!({
        "id": id.to_string(), "channel_id": channel.to_string(), "type": 0,
        "author": guilds::bot_user(call.config), "content": or("content", json!("")),
        "timestamp": timestamp(call.unix_ms), "edited_timestamp": null, "tts": or("tts", json!(false)),
        "mention_everyone": false, "mentions": [], "mention_roles": [], "pinned": false,
        "attachments": attachments, "embeds": or("embeds", json!([])),
        "components": or("components", json!([])), "flags": or("flags", json!(0)),
    });
    for member in ["nonce", "poll"] {
        if !body[member].is_null() {
            message[member] = body[member].clone();
        }
    }
    Ok(message)
}

/// Keeps the files; they are described by `attachments` under their number.
fn attachments(things: &mut Things, call: &Call<'_>, channel: u64) -> Result<Vec<Value>, Reply> {
    let files = &call.form.files;
    if files.len() > ATTACHMENTS {
        return Err(Reply::error(
            400,
            30_015,
            "Maximum number of attachments in a message reached (10)",
        ));
    }
    let described = call.form.json["attachments"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut made = Vec::new();
    for file in files {
        if file.bytes.len() > call.config.rest.file_bytes {
            let message = "File uploaded exceeds the maximum size";
            return Err(Reply::error(400, 50_045, message));
        }
        let number = file.name.trim_start_matches("files[").trim_end_matches(']');
        let about = described.iter().find(|one| match &one["id"] {
            Value::String(id) => id == number,
            Value::Number(id) => id.to_string().as_str() == number,
            _ => false,
        });
        let id = things.id(call.unix_ms);
        let general = file.filename.as_deref().unwrap_or("file");
        let filename = about
            .and_then(|about| about["filename"].as_str())
            .unwrap_or(general);
        let path = format!("attachments/{channel}/{id}/{filename}");
        let url = format!("{}/{path}", call.base);
        things.put_file(path, file.bytes.clone());
        made.push(json!({
            "id": id.to_string(), "filename": filename, "size": file.bytes.len(), "url": url,
            "proxy_url": url, "content_type": file.kind,
            "description": about.map(|about| about["description"].clone()),
        }));
    }
    Ok(made)
}

fn timestamp(unix_ms: u64) -> Value {
    let mut text = Vec::new();
    clock::write_iso(unix_ms * 1000, &mut text);
    json!(String::from_utf8_lossy(&text))
}
