//! The REST routes that a gateway client needs, with Discord's answers to everything else.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{AUTHORIZATION, USER_AGENT},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    config::Config,
    guilds, intents, state,
    violations::{Breach, Culprit, Kind},
    world::World,
};

/// Answers any request outside of the control interface.
pub(super) async fn answer(
    State(world): State<Arc<World>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let delay_ms = world.faults.borrow().rest_delay_ms;
    if delay_ms > 0 {
        sleep(Duration::from_millis(delay_ms)).await;
    }
    check_user_agent(&world, &method, &uri, &headers);
    if let Some((status, html)) = failing(&world) {
        return if html { page(status) } else { fault(status) };
    }
    let (status, body) = route(&world, &method, &uri, &headers);
    (status, Json(body)).into_response()
}

/// Whether this request is to fail, and whether with a page.
fn failing(world: &World) -> Option<(StatusCode, bool)> {
    let mut failure = None;
    world.faults.send_if_modified(|faults| {
        failure = faults.take_rest_failure();
        // Nobody waits for a count to go down.
        false
    });
    let (status, html) = failure?;
    Some((StatusCode::from_u16(status).ok()?, html))
}

type Answer = (StatusCode, Value);

fn route(world: &World, method: &Method, uri: &Uri, headers: &HeaderMap) -> Answer {
    let Some(path) = uri.path().strip_prefix("/api/") else {
        return failure(StatusCode::NOT_FOUND);
    };
    let path = match path.split_once('/') {
        Some((version, rest)) if is_version(version) => {
            if !["v9", "v10"].contains(&version) {
                let body = json!({"message": "Invalid API version", "code": 50041});
                return (StatusCode::BAD_REQUEST, body);
            }
            rest
        }
        _ => path,
    };
    let path = path.trim_end_matches('/');
    let known = [
        "gateway",
        "gateway/bot",
        "users/@me",
        "applications/@me",
        "oauth2/applications/@me",
    ];
    if !known.contains(&path) {
        return failure(StatusCode::NOT_FOUND);
    }
    if method != Method::GET {
        return failure(StatusCode::METHOD_NOT_ALLOWED);
    }
    let config = world.config();
    if path == "gateway" {
        return (StatusCode::OK, json!({"url": world.urls.gateway}));
    }
    if !authorized(world, &config, headers) {
        let text = format!("{path} was asked for without the bot's token");
        world
            .violations
            .record(Culprit::default(), Breach::new(Kind::Authorization, text));
        return failure(StatusCode::UNAUTHORIZED);
    }
    let body = match path {
        "gateway/bot" => json!({
            "url": world.urls.gateway, "shards": config.shards,
            "session_start_limit": state::session_start_limit(world),
        }),
        "users/@me" => user(&config),
        _ => application(&config),
    };
    (StatusCode::OK, body)
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn authorized(world: &World, config: &Config, headers: &HeaderMap) -> bool {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bot "));
    token == Some(config.token.as_str()) && !world.identify_ledger().token_reset()
}

/// Discord wants `DiscordBot (url, version)`, with anything behind it.
fn check_user_agent(world: &World, method: &Method, uri: &Uri, headers: &HeaderMap) {
    let agent = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let inner = agent.and_then(|agent| agent.strip_prefix("DiscordBot ("));
    let inner = inner
        .and_then(|rest| rest.split_once(')'))
        .map(|(inner, _)| inner);
    let parts = inner.and_then(|inner| inner.split_once(','));
    if !parts.is_some_and(|(url, version)| !url.trim().is_empty() && !version.trim().is_empty()) {
        let text = format!("{method} {} with the User-Agent {agent:?}", uri.path());
        world
            .violations
            .record(Culprit::default(), Breach::new(Kind::UserAgent, text));
    }
}

/// Discord's body for a status: its text again.
fn failure(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or_default();
    let message = format!("{}: {reason}", status.as_u16());
    (status, json!({"message": message, "code": 0}))
}

fn fault(status: StatusCode) -> Response {
    if status == StatusCode::TOO_MANY_REQUESTS {
        let body = json!({
            "message": "You are being rate limited.", "retry_after": 0.5, "global": true,
        });
        let headers = [
            ("retry-after", "1"),
            ("x-ratelimit-global", "true"),
            ("x-ratelimit-scope", "global"),
        ];
        return (status, headers, Json(body)).into_response();
    }
    let (status, body) = failure(status);
    (status, Json(body)).into_response()
}

/// What Cloudflare, in front of Discord, answers in its own name: error 1015 for too many requests, else one of
/// its pages about a server that does not answer.
fn page(status: StatusCode) -> Response {
    let limited = status == StatusCode::TOO_MANY_REQUESTS;
    let title = if limited {
        "Access denied | discord.com used Cloudflare to restrict access".to_owned()
    } else {
        let reason = status
            .canonical_reason()
            .unwrap_or("Web server is returning an unknown error");
        format!("discord.com | {}: {reason}", status.as_u16())
    };
    let code = if limited { 1015 } else { status.as_u16() };
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head><title>{title}</title></head>\n<body>\n\
         <h1>Error {code}</h1>\n<p>Cloudflare Ray ID: 0123456789abcdef</p>\n</body>\n</html>\n"
    );
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "text/html; charset=UTF-8"),
        ("server", "cloudflare"),
        ("cf-ray", "0123456789abcdef-FRA"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if limited {
        headers.insert("retry-after", HeaderValue::from_static("1"));
    }
    (status, headers, body).into_response()
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

fn application(config: &Config) -> Value {
    let flags = intents::application_flags(config.allowed_intents);
    json!({
        "id": config.application_id.to_string(), "name": config.username, "icon": null,
        "description": "A simulated application.", "summary": "", "type": null,
        "bot": guilds::bot_user(config), "bot_public": true, "bot_require_code_grant": false,
        "is_monetized": false, "is_verified": false, "is_discoverable": false, "hook": true,
        "verify_key": "0".repeat(64), "flags": flags, "flags_new": flags.to_string(),
        "approximate_guild_count": config.guilds, "approximate_user_install_count": 0,
        "redirect_uris": [], "interactions_endpoint_url": null, "team": null,
        "role_connections_verification_url": null, "event_webhooks_url": null,
        "event_webhooks_status": 1, "event_webhooks_types": [], "tags": [],
        "integration_types_config": {"0": {}},
        "owner": {
            "id": "1", "username": "owner", "avatar": null, "discriminator": "0",
            "public_flags": 0, "flags": 0, "global_name": null,
        },
    })
}
