//! What every way in speaks: a request to Discord, and what Discord answered.

use crate::failure::Refused;
use boot::SecretString;
use bytes::Bytes;
use discord::route::Method;
use http::{HeaderMap, StatusCode};
use std::{fmt, sync::Arc};
use tokio::time::Instant;

/// A request to Discord's HTTP API.
///
/// Path, query, headers and body can have secrets in them, so nothing of them is shown.
#[derive(Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path below the API's base, without version and query, percent-encoded: `/channels/1/messages`.
    pub path: String,
    /// The query, encoded, without the question mark.
    pub query: Option<String>,
    /// Headers, with that of the body's type, and without `Authorization`. Those that concern a connection, and
    /// those that this service sets itself, are left out when it is sent.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// In whose name it is sent.
    pub token: Token,
    /// Who asks: turns are shared between callers.
    pub caller: Arc<str>,
    /// 0 to 9, the higher the more urgent.
    pub priority: u8,
    /// Until when the caller waits.
    pub deadline: Instant,
    /// Whether it may have been sent already, by a process that then died: only what may be repeated is sent.
    pub once: bool,
}

/// In whose name a request is sent.
#[derive(Clone, Debug)]
pub enum Token {
    /// The application's.
    Application,
    /// A user's, by this access token of OAuth2.
    Bearer(SecretString),
    /// The caller's, by this value of the header `Authorization`.
    Own(SecretString),
    /// Nobody's: the path has a token in it, or the route needs none.
    None,
}

/// What Discord answered, whatever the status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those that concern the connection to Discord.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Discord's own code of an error; 0 is none.
    pub fn code(&self) -> u32 {
        Refused::read(&self.body).code.unwrap_or_default()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
