//! What becomes of a request that meets no fault: its token, its limits, its route.

use axum::{
    extract::Query,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tokio::time::Instant;

use super::{Answered, Incoming, breach, known, too_many};
use crate::{
    clock,
    config::Config,
    rest::{Asked, Call, Content, Form, Path, Reply, Rest, Scope, failure, limited, route},
    violations::Kind,
    world::World,
};

/// The path below `/api`, without the version.
pub(super) fn below(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/api/")?.trim_end_matches('/');
    Some(match path.split_once('/') {
        Some((version, rest)) if is_version(version) => rest,
        _ => path,
    })
}

/// Lets the request through all checks and does what it asks for.
pub(super) fn carry_out(world: &World, incoming: &Incoming) -> Answered {
    let config = world.config();
    let raw = incoming.uri.path();
    if raw.starts_with("/attachments/") {
        return file(&world.rest(), &raw[1..]).into();
    }
    let Some(path) = below(raw) else {
        return failure(StatusCode::NOT_FOUND).into();
    };
    let version = raw
        .strip_prefix("/api/")
        .and_then(|path| path.split('/').next());
    if version.is_some_and(|version| is_version(version) && !["v9", "v10"].contains(&version)) {
        return Reply::error(400, 50_041, "Invalid API version").into();
    }
    let banned = world.rest().limits.banned(Instant::now());
    if let Some(retry_after) = banned {
        return too_many(Scope::Cloudflare, retry_after);
    }
    let path = Path::new(path);
    let authorized = authorized(world, &config, &incoming.headers);
    if path.is_plausible() && !path.needs_no_token() && !authorized {
        let text = format!("{raw} was asked for without the bot's token");
        breach(world, Kind::Authorization, text);
        return failure(StatusCode::UNAUTHORIZED).into();
    }
    if let Some(reply) = known::answer(world, &config, &incoming.method, &path) {
        return reply.into();
    }
    limit_and_route(world, &config, incoming, (&path, authorized))
}

/// Reads the body, counts the request against the limits, and does what it asks for.
fn limit_and_route(
    world: &World,
    config: &Config,
    incoming: &Incoming,
    (path, authorized): (&Path, bool),
) -> Answered {
    let (now, unix_ms) = (Instant::now(), clock::unix_micros() / 1000);
    let kind = incoming.headers.get(CONTENT_TYPE);
    let form = Form::read(kind.and_then(|kind| kind.to_str().ok()), &incoming.body);
    let members = form.as_ref().map(Form::members).unwrap_or_default();
    let asked = Asked {
        method: &incoming.method,
        path,
        members: &members,
        authorized,
        exempt: path.is_exempt(config.application_id),
    };
    let verdict = world.rest().limits.take(now, unix_ms, &config.rest, asked);
    let nonce = form.as_ref().ok().and_then(Form::nonce);
    let mut response = if let Some(over) = &verdict.limited {
        limited(over)
    } else if incoming.body.len() > config.rest.request_bytes {
        Reply::error(413, 40_005, "Request entity too large").into_response()
    } else {
        let outcome = form.map(|form| answer(world, config, incoming, (path, form)));
        outcome.unwrap_or_else(IntoResponse::into_response)
    };
    if !world.faults.borrow().rest_without_limits {
        verdict.write(unix_ms, response.headers_mut());
    }
    if let Some(kind) = verdict.breach {
        let text = format!("{} {}", incoming.method, incoming.uri.path());
        breach(world, kind, text);
    }
    Answered {
        response,
        scope: verdict.limited.map(|over| over.scope),
        bucket: verdict.quota.map(|(bucket, _)| bucket),
        nonce,
    }
}

/// Does what the request asks for, and notes what should not have been asked.
fn answer(
    world: &World,
    config: &Config,
    incoming: &Incoming,
    (path, form): (&Path, Form),
) -> Response {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&incoming.uri);
    let header = |name: &str| {
        let value = incoming.headers.get(name)?.to_str().ok();
        value.map(ToOwned::to_owned)
    };
    let nonce = form.nonce();
    let call = Call {
        config,
        guilds: &world.guilds(),
        base: world.urls.control.trim_end_matches("/sim"),
        method: &incoming.method,
        path,
        query: query.map(|Query(pairs)| pairs).unwrap_or_default(),
        form,
        reason: header("x-audit-log-reason"),
        event: header("x-github-event"),
        now: Instant::now(),
        unix_ms: clock::unix_micros() / 1000,
    };
    let mut guard = world.rest();
    let rest = &mut *guard;
    let former = rest.things.deduplicated;
    let outcome = route(&mut rest.things, &call);
    let again = rest.things.deduplicated != former;
    let done = outcome.is_ok() && !again;
    rest.tally.state.executed += u64::from(done);
    rest.tally.state.deduplicated += u64::from(again);
    let key = |nonce| format!("{} {} {nonce}", call.method, path.segments().join("/"));
    let twice = done && nonce.is_some_and(|nonce| rest.things.made(key(nonce)));
    let reply = outcome.unwrap_or_else(|refusal| refusal);
    let gone = reply.code() == Some(10_015) && rest.things.gone(path.top_level());
    drop(guard);
    for (broken, kind) in [(twice, Kind::RestTwice), (gone, Kind::RestWebhookGone)] {
        if broken {
            breach(
                world,
                kind,
                format!("{} {}", incoming.method, incoming.uri.path()),
            );
        }
    }
    reply.into_response()
}

/// A file that came with a message.
fn file(rest: &Rest, path: &str) -> Reply {
    let Some(bytes) = rest.things.file(path) else {
        return failure(StatusCode::NOT_FOUND);
    };
    Reply {
        status: StatusCode::OK,
        content: Content::File {
            bytes,
            kind: "application/octet-stream".to_owned(),
        },
    }
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

pub(super) fn authorized(world: &World, config: &Config, headers: &HeaderMap) -> bool {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bot "));
    token == Some(config.token.as_str()) && !world.identify_ledger().token_reset()
}
