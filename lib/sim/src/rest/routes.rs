//! From a request to what answers it.

use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use super::{
    Reply, Things, channels, echo, form::Form, guilds, interactions, messages, path::Path,
    reactions, webhooks,
};
use crate::{config::Config, guilds::Guilds};

/// One request, read.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) config: &'a Config,
    pub(crate) guilds: &'a Guilds,
    /// Where the listener is, for the addresses of files.
    pub(crate) base: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a Path,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Form,
    pub(crate) reason: Option<String>,
    /// GitHub's name of the event, in a body of its shape.
    pub(crate) event: Option<String>,
    pub(crate) now: Instant,
    pub(crate) unix_ms: u64,
}

/// What a route does, or why not.
pub(crate) type Outcome = Result<Reply, Reply>;

impl Call<'_> {
    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter().rev();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A snowflake in the query.
    pub(crate) fn snowflake(&self, name: &str) -> Option<u64> {
        self.parameter(name)?.parse().ok()
    }

    /// The parameter `limit`, within its bounds.
    pub(crate) fn limit(&self, general: usize, most: usize) -> Result<usize, Reply> {
        let Some(text) = self.parameter("limit") else {
            return Ok(general);
        };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| {
            let message = format!("int value should be between 1 and {most}.");
            Reply::invalid("limit", "NUMBER_TYPE_RANGE", &message)
        })
    }

    /// Whether a parameter of the query is true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), Some("true" | "True" | "1"))
    }

    /// Moments before this one are too long ago for the nonce.
    pub(crate) fn nonce_since(&self) -> Option<Instant> {
        let window = Duration::from_millis(self.config.rest.nonce_window_ms);
        self.now.checked_sub(window)
    }
}

/// Does what the request asks for.
pub(crate) fn route(things: &mut Things, call: &Call<'_>) -> Outcome {
    refused(call)?;
    let segments = call.path.segments();
    match (call.method.as_str(), segments.as_slice()) {
        (_, ["channels", channel, rest @ ..]) => {
            let channel = channels::known(things, call, channel)?;
            match rest {
                ["messages", "pins", ..] => Ok(echo::answer(call)),
                ["messages", message, "reactions", rest @ ..] => {
                    reactions::route(things, call, (channel, message), rest)
                }
                ["messages", rest @ ..] => messages::route(things, call, channel, rest),
                _ => channels::route(things, call, channel, rest),
            }
        }
        (_, ["guilds", "templates", _]) => Ok(echo::answer(call)),
        (_, ["guilds", guild, rest @ ..]) => guilds::route(things, call, guild, rest),
        (_, ["webhooks", id, rest @ ..]) => webhooks::route(things, call, id, rest),
        ("POST", ["interactions", id, token, "callback"]) => {
            interactions::callback(things, call, id, token)
        }
        ("POST", ["users", "@me", "channels"]) => channels::open_dm(things, call),
        _ if call.path.is_plausible() => Ok(echo::answer(call)),
        _ => Err(super::failure(http::StatusCode::NOT_FOUND)),
    }
}

/// The ids that the settings name as forbidden or unknown.
fn refused(call: &Call<'_>) -> Result<(), Reply> {
    let segments = call.path.segments();
    let settings = &call.config.rest;
    for (place, id) in segments.iter().enumerate() {
        let Ok(id) = id.parse::<u64>() else { continue };
        if settings.unknown.contains(&id) {
            let before = place.checked_sub(1).map(|before| segments[before]);
            return Err(Reply::unknown(kind(before.unwrap_or_default())));
        }
        if settings.forbidden.contains(&id) {
            return Err(Reply::error(403, 50_001, "Missing Access"));
        }
    }
    Ok(())
}

/// What comes after this segment.
fn kind(segment: &str) -> &'static str {
    match segment {
        "applications" => "Application",
        "bans" => "Ban",
        "channels" => "Channel",
        "emojis" | "reactions" => "Emoji",
        "guilds" => "Guild",
        "interactions" => "interaction",
        "invites" => "Invite",
        "members" => "Member",
        "messages" => "Message",
        "roles" => "Role",
        "stickers" => "Sticker",
        "webhooks" => "Webhook",
        _ => "User",
    }
}

/// An id of the path.
pub(super) fn id(text: &str) -> Result<u64, Reply> {
    text.parse().map_err(|_| {
        let message = format!("Value \"{text}\" is not snowflake.");
        Reply::invalid("", "NUMBER_TYPE_COERCE", &message)
    })
}
