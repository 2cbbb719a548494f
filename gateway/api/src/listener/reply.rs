//! Errors of ours, in the shape of Discord's: libraries know that one.
//!
//! See [Discord Docs/Error Messages](https://docs.discord.com/developers/reference#error-messages).

use std::time::Duration;

use bytes::Bytes;
use discord::limit::Refusal;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, VIA},
};
use http_body_util::Full;
use listener::BodyError;
use serde_json::{Value, json};
use wire::gateway::v1::Code;

use crate::Failure;

/// The header that tells an error of ours from one of Discord's; it has the code that `gateway.v1.Error` would have.
const CAUSE: HeaderName = HeaderName::from_static("x-gateway-error");
const SCOPE: HeaderName = HeaderName::from_static("x-ratelimit-scope");
const GLOBAL: HeaderName = HeaderName::from_static("x-ratelimit-global");
/// Some libraries take a 429 for a ban of Cloudflare's unless it came by way of a proxy of Discord's.
const WAY: HeaderValue = HeaderValue::from_static("1.1 discord-gateway");

/// When there may be room again for a body.
const SOON: Duration = Duration::from_secs(1);

/// Discord's code for an application that it does not know.
const UNKNOWN_APPLICATION: u32 = 10_002;
const UNKNOWN_CHANNEL: u32 = 10_003;
const UNKNOWN_WEBHOOK: u32 = 10_015;
const WRONG_TOKEN: u32 = 50_027;
const TOO_LARGE: u32 = 40_005;
const INVALID_FORM: u32 = 50_035;
const INVALID_VERSION: u32 = 50_041;

/// What a caller is told, when it is not Discord that tells it.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    /// Discord's code, 0 for none.
    code: u32,
    message: String,
    cause: Code,
    /// For how long, and on what, a caller has to wait.
    limited: Option<(Duration, Scope)>,
    /// The tree of what is wrong with the body.
    errors: Option<Value>,
}

/// What a 429 is about, in Discord's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    /// All that the caller sends.
    Global,
    /// What others have sent.
    Shared,
    /// This route.
    User,
}

impl Reply {
    fn new(status: StatusCode, code: u32, cause: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            cause,
            limited: None,
            errors: None,
        }
    }

    /// Discord's own text for a status.
    fn plain(status: StatusCode, cause: Code) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Self::new(status, 0, cause, format!("{}: {reason}", status.as_u16()))
    }

    fn limited(
        scope: Scope,
        retry_after: Duration,
        cause: Code,
        message: impl Into<String>,
    ) -> Self {
        Self {
            limited: Some((retry_after, scope)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, 0, cause, message)
        }
    }

    /// The secret is missing or wrong.
    pub(super) fn stranger() -> Self {
        Self::plain(StatusCode::UNAUTHORIZED, Code::Unauthenticated)
    }

    /// A page in a browser asks.
    pub(super) fn from_a_page() -> Self {
        let message = "requests of web pages (with the header Origin) are refused";
        Self::new(StatusCode::FORBIDDEN, 0, Code::PermissionDenied, message)
    }

    /// There is nothing at this path.
    pub(super) fn no_route() -> Self {
        Self::plain(StatusCode::NOT_FOUND, Code::NotFound)
    }

    /// Discord has no such method.
    pub(super) fn no_method() -> Self {
        Self::plain(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented)
    }

    /// The whole URL stands in the request, as for a proxy of another kind.
    pub(super) fn no_proxy() -> Self {
        let message = "this is a base URL for Discord's API, and no proxy for others";
        Self::new(StatusCode::BAD_REQUEST, 0, Code::InvalidArgument, message)
    }

    /// Another version of Discord's API is spoken here.
    pub(super) fn version() -> Self {
        let message = "Invalid API version";
        Self::new(
            StatusCode::BAD_REQUEST,
            INVALID_VERSION,
            Code::InvalidArgument,
            message,
        )
    }

    /// The base URL has to name one of several applications.
    pub(super) fn unnamed() -> Self {
        let message = "several applications are served here: the base URL has to name one, as in \
                       http://host:port/<application id>/api";
        Self::new(
            StatusCode::NOT_FOUND,
            UNKNOWN_APPLICATION,
            Code::InvalidArgument,
            message,
        )
    }

    /// The application's id is not known yet.
    pub(super) fn starting() -> Self {
        let message = "Discord has not said yet which application this is: try again";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            0,
            Code::Unavailable,
            message,
        )
    }

    /// A header of ours has a value that is none.
    pub(super) fn header(name: &str, expected: &str) -> Self {
        let message = format!("the header {name} is not {expected}");
        Self::new(StatusCode::BAD_REQUEST, 0, Code::InvalidArgument, message)
    }

    /// The body is longer than it may be.
    fn too_large(longest: usize) -> Self {
        let message = format!("Request entity too large: at most {longest} bytes (API_MAX_BODY)");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            TOO_LARGE,
            Code::OutOfRange,
            message,
        )
    }

    /// All memory for bodies is taken.
    fn no_room() -> Self {
        let message = "too many large requests wait already (API_WAITING_SIZE): try again";
        Self::limited(Scope::Shared, SOON, Code::ResourceExhausted, message)
    }

    /// The body ended too early.
    fn broken() -> Self {
        let message = "the body of the request broke off";
        Self::new(StatusCode::BAD_REQUEST, 0, Code::InvalidArgument, message)
    }

    /// The body did not come in time.
    fn slow() -> Self {
        let message = "the body of the request did not come in time";
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            0,
            Code::DeadlineExceeded,
            message,
        )
    }

    /// What it is, for the metrics.
    pub(super) fn cause(&self) -> Code {
        self.cause
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// As it travels.
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut body = json!({"message": self.message, "code": self.code});
        let mut headers = HeaderMap::new();
        if let Some((retry_after, scope)) = self.limited {
            // Never too short, and not longer than can be read.
            body["retry_after"] = ((retry_after.as_secs_f64() * 1000.0).ceil() / 1000.0).into();
            body["global"] = (scope == Scope::Global).into();
            headers.insert(VIA, WAY);
            headers.insert(SCOPE, HeaderValue::from_static(scope.name()));
            if scope == Scope::Global {
                headers.insert(GLOBAL, HeaderValue::from_static("true"));
            }
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(errors) = self.errors {
            body["errors"] = errors;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let cause = self.cause.as_str_name();
        let cause = cause.strip_prefix("CODE_").unwrap_or(cause);
        headers.insert(CAUSE, HeaderValue::from_static(cause));
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

impl Scope {
    const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Shared => "shared",
            Self::User => "user",
        }
    }
}

impl From<BodyError> for Reply {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken => Self::broken(),
            BodyError::NoRoom => Self::no_room(),
            BodyError::Slow => Self::slow(),
            BodyError::TooLarge(longest) => Self::too_large(longest),
        }
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        let (cause, message) = (failure.code(), failure.to_string());
        let failed = |status| Self::new(status, 0, cause, message.as_str());
        match failure {
            Failure::Application(_) => {
                Self::new(StatusCode::NOT_FOUND, UNKNOWN_APPLICATION, cause, message)
            }
            Failure::Invalid { field, why } if field == "path" => {
                let not_found = Self::no_route();
                Self::new(
                    not_found.status,
                    0,
                    cause,
                    format!("{} ({why})", not_found.message),
                )
            }
            Failure::Invalid { field, why } => Self {
                errors: Some(json!({field: {"_errors": [{"code": "INVALID", "message": why}]}})),
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    INVALID_FORM,
                    cause,
                    "Invalid Form Body",
                )
            },
            // These are told to callers over the bus alone.
            Failure::Acknowledged(answer) | Failure::Discord(answer) => failed(answer.status),
            Failure::File { .. } => failed(StatusCode::BAD_REQUEST),
            Failure::Refused(refusal) => Self::refused(&refusal, cause, message),
            Failure::Stopping => failed(StatusCode::SERVICE_UNAVAILABLE),
            Failure::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE, cause, message)
            }
            Failure::Unimplemented(..) => failed(StatusCode::NOT_FOUND),
            Failure::Odd(_) | Failure::Reply(_) | Failure::Unreachable(_) => {
                failed(StatusCode::BAD_GATEWAY)
            }
            Failure::Late | Failure::Repeated | Failure::Unknown(_) => {
                failed(StatusCode::GATEWAY_TIMEOUT)
            }
        }
    }
}

impl Reply {
    fn refused(refusal: &Refusal, cause: Code, message: String) -> Self {
        let (scope, retry_after) = match refusal {
            Refusal::Banned { retry_after } | Refusal::Invalid { retry_after } => {
                (Scope::Global, *retry_after)
            }
            Refusal::Deadline { retry_after } => (Scope::User, *retry_after),
            Refusal::Full { retry_after } => (Scope::Shared, *retry_after),
            Refusal::Gone { status, code, .. } => {
                let message = match *code {
                    UNKNOWN_CHANNEL => "Unknown Channel".to_owned(),
                    UNKNOWN_WEBHOOK => "Unknown Webhook".to_owned(),
                    WRONG_TOKEN => "Invalid Webhook Token".to_owned(),
                    _ => message,
                };
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::NOT_FOUND);
                return Self::new(status, *code, cause, message);
            }
            Refusal::Unauthorized => return Self::new(StatusCode::UNAUTHORIZED, 0, cause, message),
        };
        Self::limited(scope, retry_after, cause, message)
    }
}

#[cfg(test)]
mod tests;
