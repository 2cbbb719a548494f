//! What can go wrong between us and Discord's HTTP API.

use std::time::Duration;

/// A request to Discord's HTTP API that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Discord does not accept the token.
    #[error(
        "Discord refused the bot token (401 on {route}): set DISCORD_TOKEN to the token of the \
         developer portal's page \"Bot\", without \"Bot \" in front"
    )]
    Unauthorized {
        /// The route that was asked.
        route: &'static str,
    },
    /// Discord asks to wait.
    #[error("Discord answered {route} with HTTP status 429: its rate limit is used up")]
    RateLimited {
        /// The route that was asked.
        route: &'static str,
        /// How long to wait, if Discord said so.
        retry_after: Option<Duration>,
    },
    /// What stands in front of Discord (Cloudflare) answered in its place.
    #[error(
        "a page of Cloudflare's, not Discord, answered {route} with HTTP status {status}: an outage, \
         or a ban of this machine's address"
    )]
    Page {
        /// The route that was asked.
        route: &'static str,
        /// The status.
        status: u16,
    },
    /// Discord answered with a status that nothing else here covers.
    #[error("Discord answered {route} with HTTP status {status}: {body}")]
    Status {
        /// The route that was asked.
        route: &'static str,
        /// The status.
        status: u16,
        /// The beginning of the answer.
        body: String,
    },
    /// Discord answered something that cannot be read.
    #[error("Discord's answer to {route} cannot be read")]
    Body {
        /// The route that was asked.
        route: &'static str,
        /// What was wrong with it.
        source: serde_json::Error,
    },
    /// No answer came.
    #[error("no answer from Discord to {route}")]
    Transport {
        /// The route that was asked.
        route: &'static str,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client for Discord cannot be made")]
    Client(#[source] reqwest::Error),
}

impl Error {
    /// Whether the same request may succeed later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unauthorized { .. } | Self::Client(_) => false,
            Self::Status { status, .. } => *status >= 500,
            Self::Body { .. }
            | Self::Page { .. }
            | Self::RateLimited { .. }
            | Self::Transport { .. } => true,
        }
    }

    /// How long Discord asks to wait before the next try, if it said so.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
