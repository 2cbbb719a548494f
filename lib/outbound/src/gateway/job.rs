//! One request: what it counts for, and how often it is sent.

use super::{Application, Inner};
use crate::{
    Answer, Call, Failure,
    client::{self, Lost, Parcel},
    desk::{Left, Place},
    failure::Refused,
    repeat::{json, may_repeat},
};
use boot::{Backoff, Span};
use discord::{
    limit::{self, Request, Verdict},
    route::{Method, Permit, Route},
};
use http::StatusCode;
use serde::de::IgnoredAny;
use std::{
    collections::BTreeMap,
    mem,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{self, Instant};

/// The waits before a request is sent again.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A request that was looked at, and can be sent.
pub(super) struct Job<'a> {
    gateway: &'a Inner,
    application: &'a Application,
    call: &'a Call,
    route: Route,
    parcel: Parcel,
    span: Option<Span>,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        gateway: &'a Inner,
        application: &'a Application,
        call: &'a mut Call,
    ) -> Result<Self, Failure> {
        let mut route = Route::new(call.method, &call.path, application.id, unix_ms())?;
        if &*route.key == "PATCH channels/*" {
            let members =
                json(&call.body, &call.headers).and_then(|json| serde_json::from_slice(json).ok());
            let members: BTreeMap<String, IgnoredAny> = members.unwrap_or_default();
            route = route.with_members(members.keys().map(String::as_str));
        }
        let authorization = application.authorize(&call.token, &mut route)?;
        let query = call.query.as_deref();
        let uri = gateway.client.uri(&call.path, query);
        let uri = uri.ok_or_else(|| {
            Failure::invalid("query", "it has a character that must be percent-encoded")
        })?;
        let span = gateway.span(call);
        let headers = client::headers(mem::take(&mut call.headers), authorization);
        Ok(Self {
            gateway,
            application,
            call,
            route,
            parcel: Parcel {
                method: method(call.method),
                uri,
                headers,
                body: call.body.clone(),
            },
            span,
        })
    }

    /// Sends it as often as it takes.
    pub(super) async fn run(&self) -> Result<Answer, Failure> {
        let mut backoff = Backoff::new(AGAIN.0, AGAIN.1);
        loop {
            let sent = self.once().await?;
            let last = match sent {
                Ok(answer) if answer.status.is_server_error() && self.may_repeat() => Ok(answer),
                Ok(answer) => return Ok(answer),
                Err(Lost::Unknown(why)) if !self.may_repeat() => {
                    return Err(Failure::Unknown(why));
                }
                Err(Lost::TooLarge(limit)) => {
                    let (what, bytes) = ("Discord's answer", limit);
                    return Err(Failure::TooLarge { what, bytes, limit });
                }
                Err(Lost::Unknown(_)) => Err(Failure::Late),
                Err(Lost::Unreachable(why)) => Err(Failure::Unreachable(why)),
            };
            let wait = backoff.next();
            if Instant::now() + wait >= self.call.deadline {
                return last;
            }
            self.application.metrics.retried();
            time::sleep(wait).await;
        }
    }

    /// Sends it once, and again only after a 429.
    async fn once(&self) -> Result<Result<Answer, Lost>, Failure> {
        let mut place = self.enter()?;
        loop {
            let since = Instant::now();
            place.turn().await.map_err(|left| self.left(left))?;
            self.application.metrics.queued(since.elapsed());
            if let Some(span) = &self.span {
                span.moment("sent");
            }
            let since = Instant::now();
            let sending = self.gateway.client.send(&self.parcel, self.call.deadline);
            let answer = match Box::pin(sending).await {
                Ok(answer) => answer,
                Err(lost) => {
                    place.answered(None);
                    return Ok(Err(lost));
                }
            };
            let limits = self.limits(&answer);
            self.count(&answer, &limits, since.elapsed());
            match place.answered(Some(&limits)) {
                Verdict::Again => {}
                Verdict::Done => return Ok(Ok(answer)),
            }
        }
    }

    fn may_repeat(&self) -> bool {
        may_repeat(self.call, &self.parcel.headers)
    }

    fn enter(&self) -> Result<Place, Failure> {
        let request = Request {
            route: self.route.clone(),
            priority: self.call.priority,
            caller: Arc::clone(&self.call.caller),
            deadline: Duration::ZERO,
            since: Duration::ZERO,
        };
        let desk = &self.gateway.desk;
        desk.enter(self.application.id, request, self.call.deadline)
            .map_err(|left| self.left(left))
    }

    fn left(&self, left: Left) -> Failure {
        match left {
            Left::Nobody => Failure::Application(self.application.id),
            Left::Refused(refusal) => refusal.into(),
            Left::Stopping => Failure::Stopping,
        }
    }

    /// What an answer says of limits.
    fn limits(&self, answer: &Answer) -> limit::Answer {
        let status = answer.status;
        let is_told = matches!(
            status,
            StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED
        );
        let read = is_told.then(|| Refused::read(&answer.body));
        let read = read.unwrap_or_default();
        let header = |name: &str| answer.header(name);
        let mut limits = limit::Answer::read(status.as_u16(), header, read.code, read.retry_after);
        if status == StatusCode::UNAUTHORIZED && is_for_users(&self.call.path) {
            // It counts as invalid all the same, but says nothing of the bot's token.
            limits.status = StatusCode::FORBIDDEN.as_u16();
        }
        limits
    }

    fn count(&self, answer: &Answer, limits: &limit::Answer, took: Duration) {
        let name = self.gateway.names.find(self.call.method, &self.call.path);
        let status = answer.status.as_u16();
        if let Some(span) = &self.span {
            span.number("http.response.status_code", status.into());
        }
        self.application.metrics.answered(name, status, took);
        if let Some((scope, _)) = limits.limited {
            self.application.metrics.limited(scope);
        }
        if limits.status == 401 && self.route.permit == Permit::Application {
            self.application.revoke();
        }
    }
}

impl Inner {
    /// A step of the caller's trace, or of a new one.
    fn span(&self, call: &Call) -> Option<Span> {
        let parent = call.headers.get("traceparent");
        let parent = parent.and_then(|value| value.to_str().ok());
        self.traces.follow(parent, SystemTime::now(), || {
            let name = self.names.find(call.method, &call.path);
            format!("{} {name}", call.method.name())
        })
    }
}

/// Whether the route is for users alone: a bot's token is refused there, and is none the worse for it.
fn is_for_users(path: &str) -> bool {
    let own = [
        "/oauth2/",
        "/users/@me/connections",
        "/users/@me/applications/",
    ];
    own.iter().any(|start| path.starts_with(start)) || path.ends_with("/permissions")
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Delete => http::Method::DELETE,
        Method::Get => http::Method::GET,
        Method::Patch => http::Method::PATCH,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    }
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
