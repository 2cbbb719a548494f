//! Webhooks, and the messages of interactions, which go by the same routes.

use serde_json::{Value, json};

use super::{
    Content, Reply, Things, interactions, messages,
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
            let message = execute(things, call, (webhook, &found))?;
            let reply = Reply::ok(message);
            Ok(if call.flag("wait") {
                reply
            } else {
                silent(reply)
            })
        }
        ("POST", ["slack" | "github"]) => Ok(Reply::no_content()),
        (_, ["messages", message]) => {
            let message = id(message)?;
            match call.method.as_str() {
                "GET" => messages::get(things, found.channel, message).map(Reply::ok),
                "PATCH" => messages::edit(things, call, found.channel, message).map(Reply::ok),
                "DELETE" => messages::delete(things, found.channel, message),
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

fn execute(
    things: &mut Things,
    call: &Call<'_>,
    (id, webhook): (u64, &Webhook),
) -> Result<Value, Reply> {
    let mut message = messages::create(things, call, webhook.channel)?;
    message["webhook_id"] = json!(id.to_string());
    let name = call.form.json["username"].as_str();
    message["author"] = json!({
        "id": id.to_string(), "bot": true, "username": name.unwrap_or(&webhook.name),
        "avatar": null, "discriminator": "0000",
    });
    let number = message["id"].as_str().and_then(|id| id.parse().ok());
    things.put_message(webhook.channel, number.unwrap_or_default(), message.clone());
    Ok(message)
}

/// Without `wait` nothing is told.
fn silent(reply: Reply) -> Reply {
    match reply.content {
        Content::Json(_) => Reply::no_content(),
        Content::Empty | Content::File { .. } => reply,
    }
}
