//! Answers, in Discord's words.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use super::{Scope, limits::Limited};

/// An answer without the headers of rate limits.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content: Content,
}

/// What an answer carries.
#[derive(Debug)]
pub(crate) enum Content {
    Empty,
    File { bytes: Bytes, kind: String },
    Json(Value),
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            content: Content::Json(body),
        }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            content: Content::Empty,
        }
    }

    /// An error with one of Discord's codes.
    pub(crate) fn error(status: u16, code: u32, message: &str) -> Self {
        Self::json(status, json!({"message": message, "code": code}))
    }

    /// 404 for the thing of this kind.
    pub(crate) fn unknown(kind: &str) -> Self {
        let code = match kind {
            "Application" => 10_002,
            "Channel" => 10_003,
            "Guild" => 10_004,
            "Invite" => 10_006,
            "Member" => 10_007,
            "Message" => 10_008,
            "Role" => 10_011,
            "User" => 10_013,
            "Emoji" => 10_014,
            "Webhook" => 10_015,
            "Ban" => 10_026,
            "Sticker" => 10_060,
            "interaction" => 10_062,
            _ => 0,
        };
        Self::error(404, code, &format!("Unknown {kind}"))
    }

    /// 400 with the tree of what is wrong: one mistake at `place`, whose parts are separated by dots.
    pub(crate) fn invalid(place: &str, code: &str, message: &str) -> Self {
        let mut tree = json!({"_errors": [{"code": code, "message": message}]});
        for part in place.rsplit('.').filter(|part| !part.is_empty()) {
            tree = Value::Object(Map::from_iter([(part.to_owned(), tree)]));
        }
        let body = json!({"message": "Invalid Form Body", "code": 50_035, "errors": tree});
        Self::json(400, body)
    }

    /// Discord's code, if it is an error that has one.
    pub(crate) fn code(&self) -> Option<u64> {
        match &self.content {
            Content::Json(body) if !self.status.is_success() => body["code"].as_u64(),
            Content::Empty | Content::File { .. } | Content::Json(_) => None,
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self.content {
            Content::Empty => self.status.into_response(),
            Content::File { bytes, kind } => {
                (self.status, [("content-type", kind)], bytes).into_response()
            }
            Content::Json(body) => (self.status, Json(body)).into_response(),
        }
    }
}

/// Discord's body for a status: its text again.
pub(crate) fn failure(status: StatusCode) -> Reply {
    let reason = status.canonical_reason().unwrap_or_default();
    let message = format!("{}: {reason}", status.as_u16());
    Reply::error(status.as_u16(), 0, &message)
}

/// The answer 429.
pub(crate) fn limited(limited: &Limited) -> Response {
    if limited.scope == Scope::Cloudflare {
        return cloudflare(StatusCode::TOO_MANY_REQUESTS, limited.retry_after);
    }
    let global = limited.scope == Scope::Global;
    let body = json!({
        "message": if limited.scope == Scope::Shared {
            "The resource is being rate limited."
        } else {
            "You are being rate limited."
        },
        "retry_after": round_up(limited.retry_after), "global": global,
    });
    let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    let headers = response.headers_mut();
    // Whole seconds, never too few.
    let seconds = limited.retry_after.as_secs_f64().ceil();
    put(headers, "retry-after", &seconds.to_string());
    put(headers, "x-ratelimit-scope", limited.scope.name());
    put(headers, "via", "1.1 google");
    if global {
        put(headers, "x-ratelimit-global", "true");
    }
    response
}

/// What Cloudflare, in front of Discord, answers in its own name: error 1015 for too many requests, else one of
/// its pages about a server that does not answer.
pub(crate) fn cloudflare(status: StatusCode, retry_after: Duration) -> Response {
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
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-type", "text/html; charset=UTF-8"),
        ("server", "cloudflare"),
        ("cf-ray", "0123456789abcdef-FRA"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if limited {
        let seconds = retry_after.as_secs_f64().ceil().max(1.0);
        put(headers, "retry-after", &seconds.to_string());
    }
    response
}

/// Sets a header.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// In seconds, to the millisecond, never too short.
pub(super) fn round_up(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).ceil() / 1000.0
}
