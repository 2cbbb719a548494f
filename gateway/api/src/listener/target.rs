//! From the path of a URL to the application and to the path below Discord's API.
//!
//! Libraries let their users set a base URL and little else, so what the listener has to know stands in it:
//! `[/<application id>][/<secret>]/api[/v<version>]/<path>`.

/// What the path of a request says. It is as the caller sent it, percent-encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Target<'a> {
    /// The application that the caller speaks for; one alone need not be named.
    pub(super) application: Option<u64>,
    /// The shared secret.
    pub(super) secret: Option<&'a str>,
    /// The version of Discord's API, with its `v`.
    pub(super) version: Option<&'a str>,
    /// The path below that, beginning with a slash.
    pub(super) path: &'a str,
}

impl<'a> Target<'a> {
    /// Reads a path; `None` for one that has no `/api` where it should be.
    pub(super) fn read(path: &'a str) -> Option<Self> {
        let (mut application, mut secret) = (None, None);
        let mut rest = path;
        loop {
            let (segment, after) = first(rest)?;
            rest = after;
            match segment {
                "api" => break,
                id if application.is_none() && is_number(id) => {
                    application = Some(id.parse().ok()?)
                }
                word if secret.is_none() && !word.is_empty() => secret = Some(word),
                _ => return None,
            }
        }
        let version = first(rest).filter(|(segment, _)| is_version(segment));
        let (version, path) = match version {
            Some((version, path)) => (Some(version), path),
            None => (None, rest),
        };
        (path.len() > 1).then_some(Self {
            application,
            secret,
            version,
            path,
        })
    }
}

/// The first segment, and what follows with its slash.
fn first(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    Some(path.split_at(path.find('/').unwrap_or(path.len())))
}

pub(super) fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::Target;

    const PLAIN: Target<'_> = Target {
        application: None,
        secret: None,
        version: None,
        path: "/users/@me",
    };

    #[test]
    fn the_base_may_name_application_secret_and_version() {
        let application = Some(77);
        let (secret, version) = (Some("s-3"), Some("v10"));
        for (path, target) in [
            ("/api/users/@me", PLAIN),
            ("/api/v10/users/@me", Target { version, ..PLAIN }),
            (
                "/77/api/users/@me",
                Target {
                    application,
                    ..PLAIN
                },
            ),
            ("/s-3/api/users/@me", Target { secret, ..PLAIN }),
            (
                "/77/s-3/api/v10/users/@me",
                Target {
                    application,
                    secret,
                    version,
                    ..PLAIN
                },
            ),
            (
                "/s-3/77/api/users/@me",
                Target {
                    application,
                    secret,
                    ..PLAIN
                },
            ),
            // What follows is for Discord's routes to judge.
            (
                "/api/v10//x/%2e%2e/",
                Target {
                    version,
                    path: "//x/%2e%2e/",
                    ..PLAIN
                },
            ),
            (
                "/api/v1x/api",
                Target {
                    path: "/v1x/api",
                    ..PLAIN
                },
            ),
        ] {
            assert_eq!(Target::read(path), Some(target), "{path}");
        }
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "",
            "/",
            "*",
            "/api",
            "/api/",
            "/api/v10",
            "/api/v10/",
            "api/v10/x",
            "//api/x",
            "/v10/x",
            "/%61pi/x",
            "/1/2/3/api/x",
            "/a/b/api/x",
            "/1/a/b/api/x",
            "/99999999999999999999/api/x",
            "/./../api",
        ] {
            assert_eq!(Target::read(path), None, "{path}");
        }
    }
}
