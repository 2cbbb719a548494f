//! The edge of the REST half: faults before a request is carried out, the record after it.

mod application;
mod carry_out;
mod known;

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{CONTENT_LENGTH, USER_AGENT},
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    faults::RestFailure,
    rest::{Limited, Reply, Request, Scope, cloudflare, failure, limited},
    violations::{Breach, Culprit, Kind},
    world::World,
};

/// How long half an answer stands before its connection ends.
const HALFWAY: Duration = Duration::from_millis(20);

/// One request, as it came.
struct Incoming {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    number: u64,
}

/// What becomes of a request, before it is written down.
struct Answered {
    response: Response,
    scope: Option<Scope>,
    bucket: Option<String>,
    nonce: Option<String>,
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        Self {
            response,
            scope: None,
            bucket: None,
            nonce: None,
        }
    }
}

impl From<Reply> for Answered {
    fn from(reply: Reply) -> Self {
        reply.into_response().into()
    }
}

/// Answers any request outside of the control interface.
pub(super) async fn answer(
    State(world): State<Arc<World>>,
    Extension(shutdown): Extension<CancellationToken>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let number = world.rest().tally.arrived();
    let incoming = Incoming {
        method,
        uri,
        headers,
        body,
        number,
    };
    let delay_ms = world.faults.borrow().rest_delay_ms;
    if delay_ms > 0 {
        let delay = sleep(Duration::from_millis(delay_ms));
        shutdown.run_until_cancelled(delay).await;
    }
    let mut faults = world.faults.subscribe();
    let released = faults.wait_for(|faults| !faults.rest_hold);
    // At the end all are let go.
    shutdown.run_until_cancelled(released).await;
    check_user_agent(&world, &incoming);
    let failing = failing(&world, incoming.uri.path());
    let Some(failing) = failing else {
        if let Some(answered) = application::change(&world, &incoming).await {
            return written(&world, &incoming, answered);
        }
        let answered = carry_out::carry_out(&world, &incoming);
        return written(&world, &incoming, answered);
    };
    let executes = world.faults.borrow().rest_executes;
    let executed = executes.then(|| carry_out::carry_out(&world, &incoming));
    if failing == RestFailure::Hang {
        shutdown.cancelled().await;
    }
    let response = failed(&world, failing, executed);
    written(&world, &incoming, response)
}

/// How this request is to fail, if it is.
fn failing(world: &World, path: &str) -> Option<RestFailure> {
    let mut failure = None;
    world.faults.send_if_modified(|faults| {
        failure = faults.take_rest_failure(path);
        // Nobody waits for a count to go down.
        false
    });
    failure
}

/// The answer of a request that fails.
fn failed(world: &World, failing: RestFailure, executed: Option<Answered>) -> Answered {
    let milliseconds = match world.faults.borrow().rest_retry_after_ms {
        0 => 1000,
        milliseconds => milliseconds,
    };
    let retry_after = Duration::from_millis(milliseconds);
    match failing {
        RestFailure::Hang => failure(StatusCode::SERVICE_UNAVAILABLE).into(),
        RestFailure::Reset => {
            let former = executed.map(|executed| executed.response);
            cut(former.unwrap_or_else(|| Reply::ok(json!({"cut": true})).into_response())).into()
        }
        RestFailure::Limited(scope) => too_many(scope, retry_after),
        RestFailure::Status(429, false) => too_many(Scope::Global, retry_after),
        RestFailure::Status(status, page) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            if page {
                cloudflare(status, retry_after).into()
            } else {
                failure(status).into()
            }
        }
    }
}

fn too_many(scope: Scope, retry_after: Duration) -> Answered {
    Answered {
        response: limited(&Limited { scope, retry_after }),
        scope: Some(scope),
        bucket: None,
        nonce: None,
    }
}

/// The same answer, whose connection ends in the middle of the body. One without a body has nothing that could be
/// cut off, so it is given one.
fn cut(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    if parts.status == StatusCode::NO_CONTENT {
        parts.status = StatusCode::OK;
    }
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(4096_u16));
    let half = Bytes::from_static(b"{\"id\":\"");
    let broken = async {
        // The first half goes out while the second is waited for.
        sleep(HALFWAY).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    let body = Body::from_stream(stream::once(async { Ok(half) }).chain(stream::once(broken)));
    Response::from_parts(parts, body)
}

/// Counts the request and its answer.
fn written(world: &World, incoming: &Incoming, answered: Answered) -> Response {
    let status = answered.response.status().as_u16();
    let now = Instant::now();
    let config = world.config();
    let raw = incoming.uri.path();
    let request = Request {
        number: incoming.number,
        at_ms: u64::try_from(now.duration_since(world.started).as_millis()).unwrap_or(u64::MAX),
        method: incoming.method.to_string(),
        path: carry_out::below(raw).unwrap_or(raw).to_owned(),
        status,
        scope: answered.scope,
        bucket: answered.bucket,
        nonce: answered.nonce,
    };
    let innocent = matches!(answered.scope, Some(Scope::Shared | Scope::Cloudflare));
    let over = {
        let mut rest = world.rest();
        rest.tally.answered(request, config.rest.kept_requests);
        let invalid = matches!(status, 401 | 403 | 429) && !innocent;
        invalid && rest.limits.count_invalid(now, &config.rest)
    };
    if over {
        let text = format!("{} invalid requests", config.rest.invalid_limit);
        breach(world, Kind::RestInvalid, text);
    }
    answered.response
}

fn breach(world: &World, kind: Kind, text: String) {
    let breach = Breach::new(kind, text);
    world.violations.record(Culprit::default(), breach);
}

/// Discord wants `DiscordBot (url, version)`, with anything behind it.
fn check_user_agent(world: &World, incoming: &Incoming) {
    let agent = incoming.headers.get(USER_AGENT);
    let agent = agent.and_then(|value| value.to_str().ok());
    let inner = agent.and_then(|agent| agent.strip_prefix("DiscordBot ("));
    let inner = inner.and_then(|rest| rest.split_once(')'));
    let parts = inner.and_then(|(inner, _)| inner.split_once(','));
    if !parts.is_some_and(|(url, version)| !url.trim().is_empty() && !version.trim().is_empty()) {
        let (method, path) = (&incoming.method, incoming.uri.path());
        let text = format!("{method} {path} with the User-Agent {agent:?}");
        breach(world, Kind::UserAgent, text);
    }
}
