//! One request: from HTTP to a call, and back.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use boot::{CancellationToken, Parse};
use bytes::Bytes;
use discord::route::Method;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header::USER_AGENT, request::Parts,
};
use http_body_util::Full;
use hyper::body::Incoming;
use listener::{Answer as Answering, Bodies};
use tokio::time::Instant;

use super::{door::Door, headers, reply::Reply, target::Target};
use crate::{Answer, Call, Failure, Gateway, Token, http_errors::HttpErrors};

/// How long a caller waits, if it says so.
const TIMEOUT: &str = "x-gateway-timeout";
/// How urgent a request is, if the caller says so.
const PRIORITY: &str = "x-gateway-priority";
/// How long a caller may wait at the most.
const LONGEST: Duration = Duration::from_secs(600);
/// As much of a caller's name as is looked at.
const NAME: usize = 64;

/// What answers requests; all connections share it.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) gateway: Gateway,
    /// Whether there is one application, which need not be named.
    pub(super) is_alone: bool,
    /// Its id, once it is known.
    pub(super) only: OnceLock<u64>,
    pub(super) door: Door,
    pub(super) bodies: Bodies,
    /// The version of Discord's API that the gateway speaks, such as `v10`, if its URL names one.
    pub(super) version: Option<String>,
    /// How long a caller waits that does not say it.
    pub(super) timeout: Duration,
    pub(super) errors: HttpErrors,
    pub(super) shutdown: CancellationToken,
}

impl Answering for Front {
    async fn answer(&self, request: Request<Incoming>, _: SocketAddr) -> Response<Full<Bytes>> {
        let reply = match self.call(request).await {
            Ok(answer) => return respond(answer),
            Err(reply) => reply,
        };
        let label = [("code", reply.cause().as_str_name())];
        self.errors.get_or_create(&label).inc();
        reply.into_response()
    }
}

impl Front {
    async fn call(&self, request: Request<Incoming>) -> Result<Answer, Reply> {
        let arrived = Instant::now();
        let (head, body) = request.into_parts();
        let target = target(&head.uri)?;
        self.door.admit(&head.headers, target.secret)?;
        if self.shutdown.is_cancelled() {
            return Err(Failure::Stopping.into());
        }
        let method = Method::parse(head.method.as_str()).ok_or_else(Reply::no_method)?;
        if let (Some(said), Some(spoken)) = (target.version, &self.version)
            && said != spoken
        {
            return Err(Reply::version());
        }
        let application = self.application(target.application)?;
        let deadline = arrived + self.timeout(&head.headers)?;
        let priority = priority(&head.headers)?;
        let body = self.bodies.read(body, deadline);
        let body = self.shutdown.run_until_cancelled(body).await;
        let body = body.ok_or(Failure::Stopping)??;
        let call = Call {
            method,
            path: target.path.to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: headers::of_call(&head.headers),
            // Another owner of the same bytes: the room is given back when all is over.
            body: body.bytes.clone(),
            token: self
                .door
                .own(&head.headers)
                .map_or(Token::Application, Token::Own),
            caller: caller(&head),
            priority,
            deadline,
            once: false,
        };
        Ok(self.gateway.call(application, call).await?)
    }

    /// The application that the URL names, or the only one.
    fn application(&self, named: Option<u64>) -> Result<u64, Reply> {
        if let Some(id) = named {
            return Ok(id);
        }
        if !self.is_alone {
            return Err(Reply::unnamed());
        }
        if let Some(id) = self.only.get() {
            return Ok(*id);
        }
        let id = self.gateway.only().ok_or_else(Reply::starting)?;
        Ok(*self.only.get_or_init(|| id))
    }

    fn timeout(&self, headers: &HeaderMap) -> Result<Duration, Reply> {
        let Some(said) = headers.get(TIMEOUT) else {
            return Ok(self.timeout);
        };
        let said = said
            .to_str()
            .ok()
            .and_then(|said| Duration::parse(said).ok());
        let said = said.filter(|said| !said.is_zero() && *said <= LONGEST);
        said.ok_or_else(|| {
            Reply::header(TIMEOUT, "a duration such as 500ms or 20s, of at most 10m")
        })
    }
}

/// What the URL asks for; it has to be a path, as for a server.
fn target(uri: &Uri) -> Result<Target<'_>, Reply> {
    if uri.authority().is_some() {
        return Err(Reply::no_proxy());
    }
    Target::read(uri.path()).ok_or_else(Reply::no_route)
}

fn priority(headers: &HeaderMap) -> Result<u8, Reply> {
    let Some(said) = headers.get(PRIORITY) else {
        return Ok(0);
    };
    match said.as_bytes() {
        [digit @ b'0'..=b'9'] => Ok(digit - b'0'),
        _ => Err(Reply::header(PRIORITY, "a digit")),
    }
}

/// Turns are shared between programs, and a program is known by how it calls itself.
fn caller(head: &Parts) -> Arc<str> {
    let name = head
        .headers
        .get(USER_AGENT)
        .map_or(&b""[..], HeaderValue::as_bytes);
    let name = &name[..name.len().min(NAME)];
    String::from_utf8_lossy(name).into()
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let Answer {
        status,
        mut headers,
        body,
    } = answer;
    headers::of_answer(status == StatusCode::TOO_MANY_REQUESTS, &mut headers);
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
