//! From a request's method and path to what Discord counts it for.
//!
//! See [Discord Docs/Rate Limits](https://docs.discord.com/developers/topics/rate-limits).

use std::sync::Arc;

/// Milliseconds since 1970 of the first snowflake.
const EPOCH_MS: u64 = 1_420_070_400_000;
/// Up to this age, in milliseconds, the deletion of a message counts for a bucket of its own.
const YOUNG_MS: u64 = 10_000;
/// From this age on, in milliseconds, for another one.
const OLD_MS: u64 = 14 * 86_400_000;
/// The longest path.
const LONGEST: usize = 2048;

/// An HTTP method that Discord has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `DELETE`
    Delete,
    /// `GET`
    Get,
    /// `PATCH`
    Patch,
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

impl Method {
    /// Reads a method.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Delete, Self::Get, Self::Patch, Self::Post, Self::Put];
        all.into_iter().find(|method| method.name() == text)
    }

    /// As it is written in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// Who has to have permits left for a request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Permit {
    /// The address: it needs no token, and counts per IP.
    Address,
    /// The application: its bot token goes along.
    Application,
    /// Nobody: answers to interactions are exempt from the global limit.
    Exempt,
}

/// Why a path is none of Discord's API.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("the path must begin with \"/\", as in /channels/123/messages")]
    Relative,
    /// Two slashes follow each other, or it ends with one.
    #[error("the path has an empty segment: a parameter is missing")]
    Empty,
    /// A segment leads out of the API.
    #[error("the path has a segment \".\" or \"..\"")]
    Dots,
    /// A character that has to be percent-encoded.
    #[error("the path has a character that must be percent-encoded; the query is not part of it")]
    Character,
    /// No route is so long.
    #[error("the path is longer than 2048 bytes")]
    Long,
}

/// What Discord counts a request for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// Method and path without what identifies one thing: all requests with the same key share a bucket.
    pub key: Arc<str>,
    /// The channel, guild or webhook; buckets are counted for each one alone. Empty for routes without one.
    pub major: Arc<str>,
    /// Whose global limit counts it.
    pub permit: Permit,
    /// Whether one is sent only after the one before it has been answered, so that their order holds.
    pub ordered: bool,
    /// The members of the body that are known to have limits of their own.
    pub members: Vec<&'static str>,
}

impl Route {
    /// Reads a path without version and query, such as `/channels/123/messages`. The time is Unix time; it tells how
    /// old the message is that a DELETE is for.
    ///
    /// # Errors
    ///
    /// When the path could not be one of Discord's API.
    pub fn new(
        method: Method,
        path: &str,
        application_id: u64,
        unix_ms: u64,
    ) -> Result<Self, PathError> {
        let segments = segments(path)?;
        let shape = shape(method, &segments, unix_ms);
        let guild_emoji = matches!(segments.as_slice(), ["guilds", _, "emojis", ..]);
        Ok(Self {
            key: shape.into(),
            major: major(path, &segments).into(),
            permit: permit(&segments, application_id),
            // The quota that emoji routes return may be wrong: the next answer is waited for.
            ordered: method != Method::Get || guild_emoji,
            members: Vec::new(),
        })
    }

    /// Says which members the body has: renaming a channel and changing its topic have limits of their own.
    #[must_use]
    pub fn with_members<'a>(mut self, members: impl IntoIterator<Item = &'a str>) -> Self {
        if &*self.key == "PATCH channels/*" {
            let limited = |member| ["name", "topic"].into_iter().find(|known| *known == member);
            self.members = members.into_iter().filter_map(limited).collect();
        }
        self
    }

    /// Whether the path is about a channel itself, so that 10003 means that one.
    pub(crate) fn is_of_channel(&self) -> bool {
        self.major.starts_with("channels/") && !self.key.ends_with("/followers")
    }
}

fn segments(path: &str) -> Result<Vec<&str>, PathError> {
    if path.len() > LONGEST {
        return Err(PathError::Long);
    }
    let path = path.strip_prefix('/').ok_or(PathError::Relative)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte);
    if !path.bytes().all(allowed) {
        return Err(PathError::Character);
    }
    let segments: Vec<&str> = path.split('/').collect();
    for segment in &segments {
        if segment.is_empty() {
            return Err(PathError::Empty);
        }
        if !segment.starts_with(['.', '%']) {
            continue;
        }
        // URL libraries take %2e for a dot.
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        if plain == "." || plain == ".." {
            return Err(PathError::Dots);
        }
    }
    Ok(segments)
}

/// The top-level resource: each has counters of its own. Of interactions each one, as its answer must not wait.
fn major<'a>(path: &'a str, segments: &[&str]) -> &'a str {
    let count = match segments {
        ["guilds", "templates", ..] => 0,
        ["channels" | "guilds", _, ..] => 2,
        ["webhooks" | "interactions", _, _, ..] => 3,
        ["webhooks", _] => 2,
        _ => 0,
    };
    let parts = segments[..count].iter();
    let length: usize = parts.map(|part| part.len() + 1).sum();
    // Each with its slash, of which the first one is left out.
    path.get(1..length).unwrap_or_default()
}

fn permit(segments: &[&str], application_id: u64) -> Permit {
    match segments {
        ["interactions", _, _, "callback"] => Permit::Exempt,
        ["webhooks", id, _, ..] if id.parse() == Ok(application_id) => Permit::Exempt,
        ["webhooks", _, _, ..] | ["gateway"] => Permit::Address,
        _ => Permit::Application,
    }
}

fn shape(method: Method, segments: &[&str], unix_ms: u64) -> String {
    let writes = matches!(method, Method::Put | Method::Delete);
    // They share one bucket, whichever emoji and user.
    let reacts = writes && segments.get(4) == Some(&"reactions");
    let length: usize = segments.iter().map(|segment| segment.len() + 1).sum();
    let mut shape = String::with_capacity(length + 16);
    shape.push_str(if reacts { "REACT" } else { method.name() });
    let places = if reacts { 5 } else { segments.len() };
    for (place, segment) in segments.iter().enumerate().take(places) {
        let before = place.checked_sub(1).map(|before| segments[before]);
        let token = place == 2 && matches!(segments[0], "webhooks" | "interactions");
        let named = matches!(before, Some("reactions" | "invites" | "templates"));
        let number = segment.bytes().all(|byte| byte.is_ascii_digit());
        shape.push(if place == 0 { ' ' } else { '/' });
        shape.push_str(if number || token || named {
            "*"
        } else {
            segment
        });
    }
    if reacts {
        shape.push_str("/**");
    } else if shape == "DELETE channels/*/messages/*" {
        shape.push_str(age(segments[3], unix_ms));
    }
    shape
}

/// Which of the three buckets the deletion of a message counts for.
fn age(message: &str, unix_ms: u64) -> &'static str {
    let id: u64 = message.parse().unwrap_or_default();
    match unix_ms.saturating_sub((id >> 22) + EPOCH_MS) {
        ..YOUNG_MS => " young",
        YOUNG_MS..OLD_MS => "",
        OLD_MS.. => " old",
    }
}

#[cfg(test)]
mod tests {
    use super::{Method, PathError, Permit, Route};

    const NOW_MS: u64 = 1_790_000_000_000;

    fn route(method: &str, path: &str) -> Route {
        Route::new(Method::parse(method).unwrap(), path, 77, NOW_MS).unwrap()
    }

    #[test]
    fn requests_of_one_route_share_a_key_and_each_resource_counts_alone() {
        let app = Permit::Application;
        for (method, path, key, major, permit) in [
            ("GET", "/gateway/bot", "GET gateway/bot", "", app),
            (
                "POST",
                "/channels/1/messages",
                "POST channels/*/messages",
                "channels/1",
                app,
            ),
            (
                "GET",
                "/channels/1/messages/pins",
                "GET channels/*/messages/pins",
                "channels/1",
                app,
            ),
            (
                "PUT",
                "/channels/1/messages/2/reactions/a%3A1/@me",
                "REACT channels/*/messages/*/reactions/**",
                "channels/1",
                app,
            ),
            (
                "DELETE",
                "/channels/1/messages/2/reactions",
                "REACT channels/*/messages/*/reactions/**",
                "channels/1",
                app,
            ),
            (
                "GET",
                "/channels/1/messages/2/reactions/%F0%9F",
                "GET channels/*/messages/*/reactions/*",
                "channels/1",
                app,
            ),
            (
                "PATCH",
                "/guilds/5/members/@me",
                "PATCH guilds/*/members/@me",
                "guilds/5",
                app,
            ),
            (
                "GET",
                "/guilds/templates/abc",
                "GET guilds/templates/*",
                "",
                app,
            ),
            ("GET", "/invites/abc", "GET invites/*", "", app),
            ("GET", "/webhooks/5", "GET webhooks/*", "webhooks/5", app),
            (
                "POST",
                "/webhooks/5/tok",
                "POST webhooks/*/*",
                "webhooks/5/tok",
                Permit::Address,
            ),
            (
                "PATCH",
                "/webhooks/77/tok/messages/@original",
                "PATCH webhooks/*/*/messages/@original",
                "webhooks/77/tok",
                Permit::Exempt,
            ),
            (
                "POST",
                "/interactions/5/tok/callback",
                "POST interactions/*/*/callback",
                "interactions/5/tok",
                Permit::Exempt,
            ),
            (
                "POST",
                "/never/heard/5/of",
                "POST never/heard/*/of",
                "",
                app,
            ),
        ] {
            let route = route(method, path);
            let got = (&*route.key, &*route.major, route.permit);
            assert_eq!(got, (key, major, permit), "{method} {path}");
        }
    }

    #[test]
    fn messages_of_different_age_are_deleted_by_different_buckets() {
        for (age_ms, suffix) in [
            (0, " young"),
            (9_999, " young"),
            (10_000, ""),
            (1_209_600_000, " old"),
        ] {
            let id = (NOW_MS - age_ms - super::EPOCH_MS) << 22;
            let route = route("DELETE", &format!("/channels/1/messages/{id}"));
            assert_eq!(&*route.key, format!("DELETE channels/*/messages/*{suffix}"));
        }
    }

    #[test]
    fn a_path_cannot_lead_out_of_the_api() {
        for (path, error) in [
            ("channels/1", PathError::Relative),
            ("/channels//messages", PathError::Empty),
            ("/channels/1/", PathError::Empty),
            ("/channels/../oauth2", PathError::Dots),
            ("/channels/%2E%2e/oauth2", PathError::Dots),
            ("/channels/.%2e/oauth2", PathError::Dots),
            ("/channels/1?limit=5", PathError::Character),
            ("/channels/1#x", PathError::Character),
            ("/channels\\..\\x", PathError::Character),
            ("/channels/1 HTTP/1.1\r\nx: y", PathError::Character),
        ] {
            assert_eq!(
                Route::new(Method::Get, path, 77, NOW_MS),
                Err(error),
                "{path}"
            );
        }
        let long = format!("/{}", "x".repeat(2048));
        assert_eq!(
            Route::new(Method::Get, &long, 77, NOW_MS),
            Err(PathError::Long)
        );
    }

    #[test]
    fn members_with_limits_of_their_own_are_known() {
        let members = ["nsfw", "topic", "name"];
        assert_eq!(
            route("PATCH", "/channels/1").with_members(members).members,
            ["topic", "name"]
        );
        assert!(
            route("PATCH", "/guilds/1")
                .with_members(members)
                .members
                .is_empty()
        );
    }
}
