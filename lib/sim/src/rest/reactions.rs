//! Reactions to messages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Reply, Things, channels,
    reply::failure,
    routes::{Call, Outcome, id},
};
use crate::guilds;

pub(super) fn route(
    things: &mut Things,
    call: &Call<'_>,
    (channel, message): (u64, &str),
    rest: &[&str],
) -> Outcome {
    let message = id(message)?;
    super::messages::get(things, channel, message)?;
    if let Some(emoji) = rest.first()
        && !is_emoji(emoji)
    {
        return Err(Reply::unknown("Emoji"));
    }
    let all = things.reactions.entry(message).or_default();
    let user = |text: &str| match text {
        "@me" => Ok(call.config.user_id),
        text => id(text),
    };
    match (call.method.as_str(), rest) {
        ("PUT", [emoji, "@me"]) => {
            let users = all.entry((*emoji).to_owned()).or_default();
            users.insert(call.config.user_id);
        }
        ("DELETE", [emoji, who]) => {
            let who = user(who)?;
            if let Some(users) = all.get_mut(*emoji) {
                users.remove(&who);
            }
        }
        ("DELETE", [emoji]) => drop(all.remove(*emoji)),
        ("DELETE", []) => all.clear(),
        ("GET", [emoji]) => {
            let (limit, after) = (call.limit(25, 100)?, call.snowflake("after").unwrap_or(0));
            let mut users = reactors(call, channel);
            users.extend(all.get(*emoji).into_iter().flatten());
            let users = users.iter().filter(|user| **user > after).take(limit);
            let users: Vec<Value> = users.map(|user| guilds::user_object(*user)).collect();
            return Ok(Reply::ok(json!(users)));
        }
        _ => return Err(failure(http::StatusCode::METHOD_NOT_ALLOWED)),
    }
    Ok(Reply::no_content())
}

/// Those who react to everything.
fn reactors(call: &Call<'_>, channel: u64) -> BTreeSet<u64> {
    let guild = channels::guild_of(call, channel);
    let guild = call.guilds.iter().find(|it| Some(it.id) == guild);
    let members = 0..u64::from(call.config.rest.reactors);
    members
        .filter_map(|place| guild.map(|guild| guild.user(place)))
        .collect()
}

/// A character that is no plain text, or `name:id`.
fn is_emoji(text: &str) -> bool {
    match text.split_once(':') {
        Some((name, id)) => !name.is_empty() && id.parse::<u64>().is_ok(),
        None => !text.is_empty() && !text.is_ascii(),
    }
}
