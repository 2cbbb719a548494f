//! What those have in common who send things out over HTTP: traces, and the log of the webhook.

use std::time::Duration;

use reqwest::{
    Client, ClientBuilder, Response,
    header::{HeaderMap, RETRY_AFTER},
    redirect,
};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A client that sends these headers, by HTTP/1, and nothing to where it is redirected.
pub(crate) fn client(headers: HeaderMap) -> ClientBuilder {
    Client::builder()
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .http1_only()
}

/// How long the server wants to be left alone.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    Some(wait.min(LONGEST_WAIT))
}

/// The body, if it is there and no longer than this.
pub(crate) async fn body(mut response: Response, limit: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > limit {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::{LONGEST_WAIT, retry_after};

    #[test]
    fn a_wait_is_a_number_of_seconds_within_reason() {
        for (value, expected) in [
            ("2", Some(Duration::from_secs(2))),
            ("0.5", Some(Duration::from_millis(500))),
            ("1e30", None),
            ("100000", Some(LONGEST_WAIT)),
            ("-1", None),
            ("NaN", None),
            ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
