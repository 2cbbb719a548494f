//! The path of a request, cut into what limits and routes look at.

use crate::clock;

/// A path below `/api`, without the version.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    segments: Vec<String>,
}

/// First segments of the routes that Discord has.
const RESOURCES: [&str; 17] = [
    "applications",
    "channels",
    "gateway",
    "guilds",
    "interactions",
    "invites",
    "lobbies",
    "oauth2",
    "partner-sdk",
    "skus",
    "soundboard-default-sounds",
    "stage-instances",
    "sticker-packs",
    "stickers",
    "users",
    "voice",
    "webhooks",
];

impl Path {
    pub(crate) fn new(text: &str) -> Self {
        let segments = text.split('/').map(decoded);
        Self {
            segments: segments.collect(),
        }
    }

    /// The segments, percent-decoded.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// Whether Discord could have such a route.
    pub(crate) fn is_plausible(&self) -> bool {
        RESOURCES.contains(&self.segments[0].as_str())
            && self.segments.iter().all(|segment| !segment.is_empty())
    }

    /// Whether limits for `pattern` are for this path.
    pub(crate) fn fits(&self, pattern: &str) -> bool {
        let mut wanted = pattern.split('/');
        for segment in &self.segments {
            match wanted.next() {
                Some("**") => return true,
                Some("*") => {}
                Some(literal) if literal == segment => {}
                _ => return false,
            }
        }
        matches!(wanted.next(), None | Some("**"))
    }

    /// What limits are counted for separately: the channel, guild or webhook.
    pub(crate) fn top_level(&self) -> String {
        let count = match (self.segments[0].as_str(), self.segments.len()) {
            ("channels" | "guilds", 2..) => 2,
            ("webhooks", 2) => 2,
            ("webhooks", 3..) => 3,
            _ => 0,
        };
        self.segments[..count].join("/")
    }

    /// The path with `*` for all that identifies one thing.
    pub(crate) fn shape(&self) -> String {
        let mut shape = Vec::new();
        for (place, segment) in self.segments.iter().enumerate() {
            let before = place
                .checked_sub(1)
                .map(|before| self.segments[before].as_str());
            let token = place == 2 && ["webhooks", "interactions"].contains(&shape[0]);
            let named = matches!(before, Some("reactions" | "invites" | "templates"));
            let is_id = segment.parse::<u64>().is_ok() || token || named;
            shape.push(if is_id { "*" } else { segment.as_str() });
        }
        shape.join("/")
    }

    /// How old the thing is whose id comes last, in milliseconds; 0 for what is no snowflake.
    pub(crate) fn age_ms(&self, unix_ms: u64) -> u64 {
        let last = self.segments.last().and_then(|last| last.parse().ok());
        last.map_or(0, |id| unix_ms.saturating_sub(clock::created_ms(id)))
    }

    /// Whether the bot's global limit does not count it.
    pub(crate) fn is_exempt(&self, application_id: u64) -> bool {
        match self.segments().as_slice() {
            ["interactions", _, _, "callback"] => true,
            ["webhooks", id, _, ..] => id.parse() == Ok(application_id),
            _ => false,
        }
    }

    /// Whether the path itself, with its token, is the permission.
    pub(crate) fn needs_no_token(&self) -> bool {
        matches!(
            self.segments().as_slice(),
            ["interactions", _, _, "callback"] | ["webhooks", _, _, ..] | ["gateway"]
        )
    }
}

/// With `%41` as `A`; what is no UTF-8 then becomes U+FFFD.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        (rest, _) = match (first, byte) {
            (b'%', Some(byte)) => (&tail[2..], bytes.push(byte)),
            _ => (tail, bytes.push(*first)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn patterns_fit_segment_by_segment() {
        for (path, pattern, fits) in [
            ("channels/1/messages", "channels/*/messages", true),
            ("channels/1/messages/2", "channels/*/messages", false),
            ("channels/1", "channels/*/messages", false),
            ("channels/1/messages/2", "channels/**", true),
            ("channels/1", "channels/*/**", true),
            ("guilds/1", "**", true),
        ] {
            assert_eq!(Path::new(path).fits(pattern), fits, "{path} {pattern}");
        }
    }

    #[test]
    fn paths_have_a_shape_and_a_top_level_resource() {
        for (path, shape, top) in [
            (
                "channels/1/messages/2",
                "channels/*/messages/*",
                "channels/1",
            ),
            (
                "webhooks/1/abc/messages/@original",
                "webhooks/*/*/messages/@original",
                "webhooks/1/abc",
            ),
            ("webhooks/1", "webhooks/*", "webhooks/1"),
            (
                "guilds/templates/abc",
                "guilds/templates/*",
                "guilds/templates",
            ),
            (
                "channels/1/messages/2/reactions/%F0%9F%91%8D/@me",
                "channels/*/messages/*/reactions/*/@me",
                "channels/1",
            ),
            ("users/@me/channels", "users/@me/channels", ""),
        ] {
            let path = Path::new(path);
            assert_eq!(
                (path.shape().as_str(), path.top_level().as_str()),
                (shape, top)
            );
        }
        assert_eq!(Path::new("a/%F0%9F%91%8D%2").segments()[1], "👍%2");
    }
}
