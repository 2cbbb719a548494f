//! Webhooks, and the messages of interactions, which go by the same routes.

use serde_json::{Value, json};

use super::{
    Reply, Things,
    form::Form,
    interactions, messages,
    reply::failure,
    routes::{Call, Outcome, id},
    things::Webhook,
};

pub(super) fn route(things: &mut Things, call: &Call<'_>, text: &str, rest: &[&str]) -> Outcome {
    let webhook = id(text)?;
    if webhook == call.config.application_id
        && let [token, rest @ ..] = rest
    {
        return interactions::follow(things, call, token, rest);
    }
    let found = find(things, call, webhook).ok_or_else(|| Reply::unknown("Webhook"))?;
    let (with_token, rest) = match rest {
        [] => (false, rest),
        [token, rest @ ..] if *token == found.token => (true, rest),
        _ => return Err(Reply::error(401, 50_027, "Invalid Webhook Token")),
    };
    match (call.method.as_str(), rest) {
        ("GET", []) => Ok(Reply::ok(object(webhook, &found))),
        ("PATCH", []) => {
            let mut changed = found;
            if let Some(name) = call.form.json["name"].as_str() {
                name.clone_into(&mut changed.name);
            }
            let body = object(webhook, &changed);
            things.webhooks.insert(webhook, Some(changed));
            Ok(Reply::ok(body))
        }
        ("DELETE", []) => {
            things.webhooks.insert(webhook, None);
            Ok(Reply::no_content())
        }
        ("POST", []) if with_token => {
            let channel = channel(things, call, &found)?;
            let message = execute(things, call, (webhook, &found), channel)?;
            Ok(match call.flag("wait") {
                true => Reply::ok(message),
                false => Reply::no_content(),
            })
        }
        ("POST", [shape @ ("slack" | "github")]) if with_token => {
            foreign(things, call, (webhook, &found), shape)
        }
        (_, ["messages", message]) => {
            let message = id(message)?;
            let channel = call.snowflake("thread_id").unwrap_or(found.channel);
            match call.method.as_str() {
                "GET" => messages::get(things, channel, message).map(Reply::ok),
                "PATCH" => messages::edit(things, call, channel, message).map(Reply::ok),
                "DELETE" => messages::delete(things, channel, message),
                _ => Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
            }
        }
        _ => Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
    }
}

/// A webhook as Discord describes it.
pub(super) fn object(id: u64, webhook: &Webhook) -> Value {
    json!({
        "id": id.to_string(), "type": 1, "name": webhook.name, "avatar": null,
        "channel_id": webhook.channel.to_string(), "token": webhook.token,
        "application_id": null,
    })
}

fn find(things: &Things, call: &Call<'_>, id: u64) -> Option<Webhook> {
    if let Some(own) = things.webhooks.get(&id) {
        return own.clone();
    }
    let channel = call.guilds.first().map_or(0, |guild| guild.text_channel(0));
    call.config.rest.webhooks.contains(&id).then(|| Webhook {
        channel,
        token: "token".to_owned(),
        name: "sim".to_owned(),
    })
}

/// Where a message goes: to a thread, a new one if it names one, or to the webhook's channel.
fn channel(things: &mut Things, call: &Call<'_>, webhook: &Webhook) -> Result<u64, Reply> {
    let named = call.form.json["thread_name"].is_string();
    match (call.parameter("thread_id"), named) {
        (Some(_), true) => {
            let message = "Webhooks can only create threads in forum channels";
            Err(Reply::error(400, 220_003, message))
        }
        (Some(thread), false) => id(thread),
        (None, true) => Ok(things.id(call.unix_ms)),
        (None, false) => Ok(webhook.channel),
    }
}

fn execute(
    things: &mut Things,
    call: &Call<'_>,
    (id, webhook): (u64, &Webhook),
    channel: u64,
) -> Result<Value, Reply> {
    let mut message = messages::create(things, call, channel)?;
    message["webhook_id"] = json!(id.to_string());
    if !call.flag("with_components") {
        // No application owns it, so they are left out.
        message["components"] = json!([]);
    }
    let name = call.form.json["username"].as_str();
    message["author"] = json!({
        "id": id.to_string(), "bot": true, "username": name.unwrap_or(&webhook.name),
        "avatar": null, "discriminator": "0000",
    });
    let number = message["id"].as_str().and_then(|id| id.parse().ok());
    things.put_message(channel, number.unwrap_or_default(), message.clone());
    Ok(message)
}

/// Executes a webhook with a body in another's shape.
fn foreign(
    things: &mut Things,
    call: &Call<'_>,
    (id, webhook): (u64, &Webhook),
    shape: &str,
) -> Outcome {
    let text = match shape {
        "slack" => slack(&call.form.json)?,
        _ => github(call)?,
    };
    let channel = channel(things, call, webhook)?;
    let said = Call {
        form: Form::of(json!({"content": text})),
        ..call.clone()
    };
    execute(things, &said, (id, webhook), channel)?;
    Ok(match shape {
        "slack" if call.parameter("wait") != Some("false") => Reply::ok(json!("ok")),
        _ => Reply::no_content(),
    })
}

/// What a body in Slack's shape says.
fn slack(body: &Value) -> Result<String, Reply> {
    let text = body["text"].as_str().map(ToOwned::to_owned);
    let attachment = body["attachments"][0]["text"].as_str();
    let text = text.or_else(|| attachment.map(ToOwned::to_owned));
    text.ok_or_else(|| Reply::error(400, 50_006, "Cannot send an empty message"))
}

/// What a body in GitHub's shape says.
fn github(call: &Call<'_>) -> Result<String, Reply> {
    let missing = || Reply::error(400, 50_035, "Invalid Form Body");
    let event = call.event.as_deref().ok_or_else(missing)?;
    let repository = call.form.json["repository"]["full_name"].as_str();
    Ok(format!("{event} {}", repository.ok_or_else(missing)?))
}
