//! Requests that Discord signs: which application they are for, and whether they are Discord's.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use discord::signature::{Forged, PublicKeys, Stamp};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{Bodies, Body, BodyError};

/// Where signed requests are taken: at a path, or below it by an application's id.
#[derive(Debug)]
pub struct Signed {
    path: &'static str,
    applications: BTreeMap<u64, PublicKeys>,
    bodies: Bodies,
    tolerance: Duration,
    time: Duration,
}

/// A request of Discord's.
#[derive(Debug)]
pub struct Verified {
    /// Whose.
    pub application_id: u64,
    /// What it says.
    pub body: Body,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Its body cannot be had.
    Body(BodyError),
    /// It is not Discord's.
    Forged(Forged),
    /// It is no POST.
    Method,
    /// There is nothing at this path, or no such application.
    Path,
}

impl Signed {
    /// Requests to `path`, such as `/interactions`, for these applications. Moments may be as far from ours as `tolerance`, and a
    /// body has to be there in `time`.
    #[must_use]
    pub fn new(
        path: &'static str,
        applications: BTreeMap<u64, PublicKeys>,
        bodies: Bodies,
        tolerance: Duration,
        time: Duration,
    ) -> Self {
        Self {
            path,
            applications,
            bodies,
            tolerance,
            time,
        }
    }

    /// Reads a request, and looks whether it is Discord's.
    ///
    /// # Errors
    ///
    /// What it is instead.
    pub async fn take(&self, request: Request<Incoming>) -> Result<Verified, Refusal> {
        let deadline = Instant::now() + self.time;
        let (head, body) = request.into_parts();
        let application = self.application(head.uri.path());
        let (application_id, keys) = application.ok_or(Refusal::Path)?;
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let stamp = Stamp::read(&head.headers, now.unwrap_or_default(), self.tolerance);
        let stamp = stamp.map_err(Refusal::Forged)?;
        let body = self.bodies.read(body, deadline).await;
        let body = body.map_err(Refusal::Body)?;
        let verified = keys.verify(&stamp, &body.bytes);
        verified.map_err(Refusal::Forged)?;
        Ok(Verified {
            application_id,
            body,
        })
    }

    /// The application that the path names, or the only one.
    fn application(&self, path: &str) -> Option<(u64, &PublicKeys)> {
        let rest = path.strip_prefix(self.path)?;
        let found = match rest.strip_prefix('/').filter(|id| !id.is_empty()) {
            Some(id) if id.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.applications.get_key_value(&id.parse().ok()?)
            }
            Some(_) => None,
            None if matches!(rest, "" | "/") && self.applications.len() == 1 => {
                self.applications.first_key_value()
            }
            None => None,
        };
        found.map(|(id, keys)| (*id, keys))
    }
}

impl Refusal {
    /// A word for it, for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Body(BodyError::Broken) => "broken",
            Self::Body(BodyError::NoRoom) => "no_room",
            Self::Body(BodyError::Slow) => "slow",
            Self::Body(BodyError::TooLarge(_)) => "too_large",
            Self::Forged(forged) => forged.word(),
            Self::Method => "method",
            Self::Path => "path",
        }
    }

    /// What is answered.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Body(BodyError::Broken) => StatusCode::BAD_REQUEST,
            Self::Body(BodyError::NoRoom) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Body(BodyError::Slow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Forged(_) => StatusCode::UNAUTHORIZED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path => StatusCode::NOT_FOUND,
        }
    }

    /// The answer. To a stranger it says no more than its status.
    #[must_use]
    pub fn response(self) -> Response<Full<Bytes>> {
        let status = self.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let mut response = Response::new(Full::from(reason));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain");
        headers.insert(header::CONTENT_TYPE, plain);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}
