//! Guilds: their members and bans, page by page.

use serde_json::{Value, json};

use super::{
    Reply, Things, echo,
    routes::{Call, Outcome, id},
};
use crate::guilds::{self, Guild};

pub(super) fn route(things: &mut Things, call: &Call<'_>, guild: &str, rest: &[&str]) -> Outcome {
    let guild = id(guild)?;
    let place = call.guilds.binary_search_by_key(&guild, |guild| guild.id);
    let guild = place.map(|place| &call.guilds[place]);
    let guild = guild.map_err(|_| Reply::unknown("Guild"))?;
    match (call.method.as_str(), rest) {
        ("GET", []) => Ok(Reply::ok(guild.rest_object())),
        ("GET", ["channels"]) => Ok(Reply::ok(guild.channels().into())),
        ("GET", ["members"]) => members(call, guild),
        ("GET", ["members", user]) => {
            let member = guild.member_by_id(id(user)?);
            member
                .map(Reply::ok)
                .ok_or_else(|| Reply::unknown("Member"))
        }
        ("GET", ["audit-logs"]) => audit_log(call, guild),
        ("GET", ["bans"]) => bans(things, call, guild.id),
        (_, ["bans", user]) => ban(things, call, guild.id, id(user)?),
        _ => Ok(echo::answer(call)),
    }
}

fn members(call: &Call<'_>, guild: &Guild) -> Outcome {
    let (limit, after) = (call.limit(1, 1000)?, call.snowflake("after").unwrap_or(0));
    let first = guild.user(0);
    let skipped = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(usize::MAX);
    let page: Vec<Value> = guild.members().skip(skipped).take(limit).collect();
    Ok(Reply::ok(page.into()))
}

/// Every second entry is by the first member, every third one is a kick, the others are bans.
fn audit_log(call: &Call<'_>, guild: &Guild) -> Outcome {
    let limit = call.limit(50, 100)?;
    let (before, after) = (call.snowflake("before"), call.snowflake("after"));
    let (user, action) = (call.snowflake("user_id"), call.snowflake("action_type"));
    let entries = (1..=u64::from(call.config.rest.audit_log_entries)).map(|number| Entry {
        id: guild.id + (number << 22),
        user: guild.user(number % 2),
        action: if number % 3 == 0 { 20 } else { 22 },
    });
    let mut found: Vec<Entry> = entries
        .filter(|entry| user.is_none_or(|user| entry.user == user))
        .filter(|entry| action.is_none_or(|action| entry.action == action))
        .filter(|entry| before.is_none_or(|before| entry.id < before))
        .filter(|entry| after.is_none_or(|after| entry.id > after))
        .collect();
    if before.is_some() || after.is_none() {
        found.reverse();
    }
    found.truncate(limit);
    let object = |entry: &Entry| {
        json!({
            "id": entry.id.to_string(), "user_id": entry.user.to_string(),
            "target_id": guild.user(5).to_string(), "action_type": entry.action,
        })
    };
    let entries: Vec<Value> = found.iter().map(object).collect();
    let users = [0, 1].map(|place| guilds::user_object(guild.user(place)));
    Ok(Reply::ok(json!({
        "audit_log_entries": entries, "users": users, "webhooks": [], "threads": [],
        "integrations": [], "guild_scheduled_events": [], "application_commands": [],
        "auto_moderation_rules": [],
    })))
}

/// One entry of an audit log.
struct Entry {
    id: u64,
    user: u64,
    action: u64,
}

fn bans(things: &mut Things, call: &Call<'_>, guild: u64) -> Outcome {
    let limit = call.limit(1000, 1000)?;
    let all = things.bans.entry(guild).or_default();
    let object = |(user, reason): (&u64, &Option<String>)| json!({"reason": reason, "user": guilds::user_object(*user)});
    let page: Vec<Value> = match (call.snowflake("before"), call.snowflake("after")) {
        (Some(before), _) => {
            let mut page: Vec<Value> = all.range(..before).rev().take(limit).map(object).collect();
            page.reverse();
            page
        }
        (None, after) => {
            let from = after.map_or(0, |after| after + 1);
            all.range(from..).take(limit).map(object).collect()
        }
    };
    Ok(Reply::ok(page.into()))
}

fn ban(things: &mut Things, call: &Call<'_>, guild: u64, user: u64) -> Outcome {
    let all = things.bans.entry(guild).or_default();
    match call.method.as_str() {
        "PUT" => {
            all.insert(user, call.reason.clone());
            Ok(Reply::no_content())
        }
        "DELETE" if all.remove(&user).is_some() => Ok(Reply::no_content()),
        "GET" if let Some(reason) = all.get(&user) => {
            let user = guilds::user_object(user);
            Ok(Reply::ok(json!({"reason": reason, "user": user})))
        }
        _ => Err(Reply::unknown("Ban")),
    }
}
