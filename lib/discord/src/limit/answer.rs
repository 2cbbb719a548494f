//! What an answer of Discord's says about limits.

use std::{sync::Arc, time::Duration};

/// The longest time that is believed.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The largest limit that is believed: more would only be more to remember.
const LARGEST: u32 = 10_000;
/// How long to stay away when a 429 does not say it.
const GENERAL: Duration = Duration::from_secs(5);

/// What a 429 covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The address, everywhere: Cloudflare answered, not Discord.
    Cloudflare,
    /// The application, everywhere.
    Global,
    /// One resource, for all who use it; it does not count as an invalid request.
    Shared,
    /// The application, on one bucket or on a limit that no header shows.
    User,
}

/// The bucket's headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quota {
    /// `X-RateLimit-Bucket`
    pub bucket: Arc<str>,
    /// `X-RateLimit-Limit`
    pub limit: u32,
    /// `X-RateLimit-Remaining`
    pub remaining: u32,
    /// `X-RateLimit-Reset-After`
    pub reset_after: Duration,
}

/// An answer, as far as limits go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Discord's error code, from the body.
    pub code: Option<u32>,
    /// The bucket's headers.
    pub quota: Option<Quota>,
    /// For a 429: what it covers, and for how long.
    pub limited: Option<(Scope, Duration)>,
}

impl Answer {
    /// Reads an answer. `code` and `retry_after` are the members of its body, if that is JSON.
    pub fn read<'a>(
        status: u16,
        header: impl Fn(&str) -> Option<&'a str>,
        code: Option<u32>,
        retry_after: Option<f64>,
    ) -> Self {
        let number = |name: &str| header(name).and_then(|text| text.trim().parse::<u32>().ok());
        let quota = || {
            Some(Quota {
                bucket: header("x-ratelimit-bucket")?.into(),
                limit: number("x-ratelimit-limit")
                    .filter(|limit| *limit > 0)?
                    .min(LARGEST),
                remaining: number("x-ratelimit-remaining")?,
                reset_after: seconds(header("x-ratelimit-reset-after")?.trim().parse().ok()?)?,
            })
        };
        let limited = (status == 429).then(|| {
            let named = header("retry-after").and_then(|text| text.trim().parse().ok());
            // Both are believed; the header is rounded up.
            let wait = retry_after
                .and_then(seconds)
                .or_else(|| named.and_then(seconds));
            let global = header("x-ratelimit-global").is_some_and(|text| text == "true");
            let scope = match header("x-ratelimit-scope") {
                Some("shared") => Scope::Shared,
                Some("global") => Scope::Global,
                _ if global => Scope::Global,
                Some(_) => Scope::User,
                None if header("x-ratelimit-bucket").is_some() => Scope::User,
                // Discord's own answers have a body that says how long to wait.
                None if retry_after.is_some() => Scope::User,
                None => Scope::Cloudflare,
            };
            (scope, wait.unwrap_or(GENERAL))
        });
        Self {
            status,
            code,
            quota: quota(),
            limited,
        }
    }

    /// Whether it counts towards the ban of the address.
    pub fn is_invalid(&self) -> bool {
        let shared = matches!(self.limited, Some((Scope::Shared, _)));
        matches!(self.status, 401 | 403 | 429) && !shared
    }
}

/// Seconds as a duration; nothing for what cannot be one.
fn seconds(seconds: f64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    Some(duration.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Scope};

    fn limited(headers: &[(&str, &'static str)], body: Option<f64>) -> (Scope, Duration) {
        let find = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, text)| *text)
        };
        Answer::read(429, find, None, body).limited.unwrap()
    }

    #[test]
    fn each_429_says_what_it_covers() {
        let second = Duration::from_secs(1);
        let retry = ("retry-after", "1");
        for (headers, body, scope) in [
            (
                vec![retry, ("x-ratelimit-scope", "user")],
                Some(1.0),
                Scope::User,
            ),
            (
                vec![retry, ("x-ratelimit-scope", "shared")],
                Some(1.0),
                Scope::Shared,
            ),
            (
                vec![retry, ("x-ratelimit-scope", "global")],
                Some(1.0),
                Scope::Global,
            ),
            (
                vec![retry, ("x-ratelimit-global", "true")],
                Some(1.0),
                Scope::Global,
            ),
            (vec![retry, ("x-ratelimit-bucket", "b")], None, Scope::User),
            (vec![retry], None, Scope::Cloudflare),
        ] {
            assert_eq!(limited(&headers, body), (scope, second), "{headers:?}");
        }
        assert_eq!(limited(&[], None).1, super::GENERAL);
    }

    #[test]
    fn odd_numbers_are_not_believed() {
        for (text, seconds) in [
            ("NaN", 0),
            ("-3", 0),
            ("1e300", 5),
            ("999999999", 86_400),
            ("x", 5),
        ] {
            let (_, wait) = limited(&[("retry-after", text)], None);
            assert_eq!(wait, Duration::from_secs(seconds), "{text}");
        }
        let quota = Answer::read(200, |_| Some("0"), None, None).quota;
        assert_eq!(quota, None, "a limit of 0 is no limit");
    }
}
