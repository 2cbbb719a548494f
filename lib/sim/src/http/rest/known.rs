//! The routes that a gateway client needs.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    config::Config,
    guilds, intents,
    rest::{Path, Reply, failure},
    state,
    world::World,
};

/// The answer, if it is one of these routes.
pub(super) fn answer(
    world: &World,
    config: &Config,
    method: &Method,
    path: &Path,
) -> Option<Reply> {
    let body = match path.segments().as_slice() {
        ["gateway"] => json!({"url": world.urls.gateway}),
        ["gateway", "bot"] => json!({
            "url": world.urls.gateway, "shards": config.shards,
            "session_start_limit": state::session_start_limit(world),
        }),
        ["users", "@me"] => user(config),
        ["applications", "@me"] | ["oauth2", "applications", "@me"] => application(world, config),
        _ => return None,
    };
    if method != Method::GET {
        return Some(failure(StatusCode::METHOD_NOT_ALLOWED));
    }
    Some(Reply::ok(body))
}

fn user(config: &Config) -> Value {
    let mut user = guilds::bot_user(config);
    if let Value::Object(fields) = &mut user {
        for (key, value) in [
            ("verified", json!(true)),
            ("mfa_enabled", json!(true)),
            ("locale", json!("en-US")),
            ("flags", json!(0)),
            ("email", Value::Null),
            ("bio", json!("")),
            ("banner", Value::Null),
            ("accent_color", Value::Null),
        ] {
            fields.insert(key.to_owned(), value);
        }
    }
    user
}

pub(super) fn application(world: &World, config: &Config) -> Value {
    let flags = intents::application_flags(config.allowed_intents);
    let mut application = json!({
        "id": config.application_id.to_string(), "name": config.username, "icon": null,
        "description": "A simulated application.", "summary": "", "type": null,
        "bot": guilds::bot_user(config), "bot_public": true, "bot_require_code_grant": false,
        "is_monetized": false, "is_verified": false, "is_discoverable": false, "hook": true,
        "verify_key": world.signer().public_key(), "flags": flags, "flags_new": flags.to_string(),
        "approximate_guild_count": config.guilds, "approximate_user_install_count": 0,
        "redirect_uris": [], "interactions_endpoint_url": null, "team": null,
        "role_connections_verification_url": null, "event_webhooks_url": null,
        "event_webhooks_status": 1, "event_webhooks_types": [], "tags": [],
        "integration_types_config": {"0": {}},
        "owner": {
            "id": "1", "username": "owner", "avatar": null, "discriminator": "0",
            "public_flags": 0, "flags": 0, "global_name": null,
        },
    });
    if let Value::Object(members) = &mut application {
        members.extend(world.rest().things.application.clone());
    }
    application
}
