//! The application's own settings: Discord tests an address before it takes it.

use axum::response::IntoResponse as _;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{Answered, Incoming, carry_out};
use crate::{
    events, interactions,
    rest::{Reply, failure},
    world::World,
};

/// Carries out `PATCH /applications/@me`, if it is that.
///
/// See [Discord Docs/Edit Current
/// Application](https://docs.discord.com/developers/resources/application#edit-current-application).
pub(super) async fn change(world: &World, incoming: &Incoming) -> Option<Answered> {
    let path = carry_out::below(incoming.uri.path());
    if incoming.method != Method::PATCH || path != Some("applications/@me") {
        return None;
    }
    if !carry_out::authorized(world, &world.config(), &incoming.headers) {
        return Some(failure(StatusCode::UNAUTHORIZED).into());
    }
    let Ok(change) = serde_json::from_slice::<Map<String, Value>>(&incoming.body) else {
        return Some(Reply::error(400, 50_109, "The request body contains invalid JSON.").into());
    };
    for (member, is_events) in [
        ("interactions_endpoint_url", false),
        ("event_webhooks_url", true),
    ] {
        let Some(url) = change.get(member).and_then(Value::as_str) else {
            continue;
        };
        let is_right = match is_events {
            true => events::is_there(world, url).await,
            false => interactions::is_there(world, url).await,
        };
        if !is_right {
            return Some(refusal(member).into());
        }
    }
    world.rest().things.application.extend(change);
    let application = super::known::application(world, &world.config());
    Some(Reply::ok(application).into_response().into())
}

fn refusal(member: &str) -> Reply {
    let code = format!("APPLICATION_{}_INVALID", member.to_uppercase());
    let name = member.replace('_', " ");
    let message = format!("The specified {name} could not be verified.");
    Reply::json(
        400,
        json!({
            "code": 50_035, "message": "Invalid Form Body",
            "errors": {member: {"_errors": [{"code": code, "message": message}]}},
        }),
    )
}
