//! Which headers go to Discord, and which come back.

use http::{
    HeaderMap, HeaderName,
    header::{ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_TYPE},
};
use outbound::leave_out;

/// Headers with `x-` that are about the way to us, and not for Discord.
const OF_THE_WAY: [&str; 4] = ["x-forwarded-", "x-gateway-", "x-real-ip", "x-request-id"];

/// What Discord says of its limits: they are kept here, for all callers together, and a library that reads these would
/// wait once more.
const LIMITS: [&str; 6] = [
    "retry-after",
    "x-ratelimit-bucket",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-reset-after",
];

/// The trace that a request is a step of; it ends here.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// The headers of a caller that are for a call: the body's, the language, those with `x-`, such as the reason for the audit log,
/// and the trace.
pub(super) fn of_call(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        if is_for_call(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

fn is_for_call(name: &HeaderName) -> bool {
    if [ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_TYPE].contains(name) {
        return true;
    }
    let name = name.as_str();
    TRACE.contains(&name)
        || name.starts_with("x-") && !OF_THE_WAY.iter().any(|start| name.starts_with(start))
}

/// Takes Discord's limits out of an answer's headers, except for those of a 429, which the caller has to keep.
pub(super) fn of_answer(limited: bool, headers: &mut HeaderMap) {
    if limited {
        return;
    }
    leave_out(headers, |name| LIMITS.contains(&name));
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{of_answer, of_call};

    fn map(names: &[&'static str]) -> HeaderMap {
        names
            .iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")))
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_call_has_what_is_meant_for_discord() {
        let sent = map(&[
            "accept",
            "accept-encoding",
            "accept-language",
            "authorization",
            "connection",
            "content-length",
            "content-type",
            "cookie",
            "expect",
            "forwarded",
            "host",
            "origin",
            "referer",
            "traceparent",
            "transfer-encoding",
            "user-agent",
            "via",
            "x-audit-log-reason",
            "x-discord-locale",
            "x-forwarded-for",
            "x-gateway-secret",
            "x-real-ip",
        ]);
        let expected = [
            "accept-language",
            "content-type",
            "traceparent",
            "x-audit-log-reason",
            "x-discord-locale",
        ];
        assert_eq!(names(&of_call(&sent)), expected);
    }

    #[test]
    fn limits_come_back_only_with_a_429() {
        let all = [
            "content-type",
            "retry-after",
            "x-ratelimit-bucket",
            "x-ratelimit-remaining",
            "x-ratelimit-scope",
        ];
        let mut headers = map(&all);
        of_answer(false, &mut headers);
        assert_eq!(names(&headers), ["content-type", "x-ratelimit-scope"]);
        let mut headers = map(&all);
        of_answer(true, &mut headers);
        let expected = [
            "content-type",
            "retry-after",
            "x-ratelimit-bucket",
            "x-ratelimit-remaining",
            "x-ratelimit-scope",
        ];
        assert_eq!(names(&headers), expected);
    }
}
