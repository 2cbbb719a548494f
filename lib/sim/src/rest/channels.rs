//! Channels: those of the guilds, and direct messages.

use serde_json::{Map, Value, json};

use super::{
    Reply, Things, echo,
    reply::failure,
    routes::{Call, Outcome, id},
    things::Webhook,
};
use crate::guilds;

/// The channel's id, if there is such a channel.
pub(super) fn known(things: &Things, call: &Call<'_>, text: &str) -> Result<u64, Reply> {
    let channel = id(text)?;
    let exists = match things.channels.get(&channel) {
        Some(own) => own.is_some(),
        None => guild_of(call, channel).is_some(),
    };
    exists
        .then_some(channel)
        .ok_or_else(|| Reply::unknown("Channel"))
}

pub(super) fn route(things: &mut Things, call: &Call<'_>, channel: u64, rest: &[&str]) -> Outcome {
    match (call.method.as_str(), rest) {
        ("GET", []) => Ok(Reply::ok(object(things, call, channel))),
        ("PATCH", []) => edit(things, call, channel),
        ("DELETE", []) => {
            let gone = object(things, call, channel);
            things.channels.insert(channel, None);
            Ok(Reply::ok(gone))
        }
        ("POST", ["typing"]) => Ok(Reply::no_content()),
        ("POST", ["webhooks"]) => create_webhook(things, call, channel),
        (_, []) => Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
        _ => Ok(echo::answer(call)),
    }
}

/// Opens a direct message, the same one each time.
pub(super) fn open_dm(things: &mut Things, call: &Call<'_>) -> Outcome {
    let recipient = call.form.json["recipient_id"].as_str();
    let Some(recipient) = recipient.and_then(|id| id.parse::<u64>().ok()) else {
        let message = "This field is required";
        return Err(Reply::invalid(
            "recipient_id",
            "BASE_TYPE_REQUIRED",
            message,
        ));
    };
    let channel = recipient ^ 1 << 63;
    let own = Map::from_iter([
        ("type".to_owned(), json!(1)),
        (
            "recipients".to_owned(),
            json!([guilds::user_object(recipient)]),
        ),
    ]);
    things.channels.entry(channel).or_insert(Some(own));
    Ok(Reply::ok(object(things, call, channel)))
}

/// The guild of a channel.
pub(super) fn guild_of(call: &Call<'_>, channel: u64) -> Option<u64> {
    let after = call.guilds.partition_point(|guild| guild.id < channel);
    let guild = call.guilds.get(after.checked_sub(1)?)?;
    guild.has_channel(channel).then_some(guild.id)
}

fn object(things: &Things, call: &Call<'_>, channel: u64) -> Value {
    let guild = guild_of(call, channel);
    let mut members = Map::from_iter([
        ("id".to_owned(), json!(channel.to_string())),
        ("type".to_owned(), json!(0)),
        ("last_message_id".to_owned(), Value::Null),
        ("flags".to_owned(), json!(0)),
    ]);
    if let Some(guild) = guild {
        let place = channel - guild - 1;
        for (name, value) in [
            ("guild_id", json!(guild.to_string())),
            ("name", json!(format!("channel-{place}"))),
            ("position", json!(place)),
            ("topic", Value::Null),
            ("nsfw", json!(false)),
            ("permission_overwrites", json!([])),
            ("rate_limit_per_user", json!(0)),
            ("parent_id", Value::Null),
        ] {
            members.insert(name.to_owned(), value);
        }
    }
    if let Some(Some(own)) = things.channels.get(&channel) {
        members.extend(own.clone());
    }
    Value::Object(members)
}

fn edit(things: &mut Things, call: &Call<'_>, channel: u64) -> Outcome {
    let Some(changes) = call.form.json.as_object() else {
        return Err(Reply::invalid(
            "",
            "DICT_TYPE_CONVERT",
            "Only dictionaries may be used",
        ));
    };
    if let Some(name) = changes.get("name")
        && !name
            .as_str()
            .is_some_and(|name| (1..=100).contains(&name.chars().count()))
    {
        let message = "Must be between 1 and 100 in length.";
        return Err(Reply::invalid("name", "BASE_TYPE_BAD_LENGTH", message));
    }
    let own = things.channels.entry(channel).or_insert(Some(Map::new()));
    own.get_or_insert_default().extend(changes.clone());
    Ok(Reply::ok(object(things, call, channel)))
}

fn create_webhook(things: &mut Things, call: &Call<'_>, channel: u64) -> Outcome {
    let Some(name) = call.form.json["name"].as_str() else {
        return Err(Reply::invalid(
            "name",
            "BASE_TYPE_REQUIRED",
            "This field is required",
        ));
    };
    let id = things.id(call.unix_ms);
    let webhook = Webhook {
        channel,
        token: format!("token-{id}"),
        name: name.to_owned(),
    };
    let body = super::webhooks::object(id, &webhook);
    things.webhooks.insert(id, Some(webhook));
    Ok(Reply::ok(body))
}
