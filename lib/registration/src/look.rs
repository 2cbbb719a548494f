//! What shows of an address from here: what Discord has not signed has to be refused, and that is all that can be tested
//! without Discord's own key.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use discord::signature::{SIGNATURE, TIMESTAMP};
use reqwest::{Client, redirect::Policy};

use crate::Error;

/// How long Discord waits.
const PATIENCE: Duration = Duration::from_secs(3);
/// What Discord sends to see whether somebody is there.
const PING: &str = r#"{"type":1}"#;

/// Something that is right, or wrong.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) is_right: bool,
    text: String,
}

impl Finding {
    fn new(is_right: bool, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { is_right, text }
    }
}

/// All of it, one a line.
pub(crate) fn text(seen: &[Finding]) -> String {
    let mut text = String::new();
    for Finding {
        is_right,
        text: what,
    } in seen
    {
        let word = if *is_right { "right" } else { "WRONG" };
        // A string takes all.
        writeln!(text, "  {word}  {what}").ok();
    }
    text.truncate(text.trim_end().len());
    text
}

/// Whether what Discord signs with is known here.
pub(crate) fn key(is_known: bool, key: &str) -> Finding {
    match is_known {
        true => Finding::new(true, "DISCORD_PUBLIC_KEY is the application's"),
        false => Finding::new(
            false,
            format!("DISCORD_PUBLIC_KEY is another one's: the application's is {key}"),
        ),
    }
}

/// Whether Discord has the address. It is no mistake when it has none yet.
pub(crate) fn registered(name: &str, registered: Option<&str>, url: &str) -> Finding {
    match registered {
        Some(there) if there == url => Finding::new(true, format!("it is Discord's {name}")),
        Some(there) => Finding::new(true, format!("Discord has another {name}: {there}")),
        None => Finding::new(
            true,
            format!("Discord has no {name} yet: --register sets it"),
        ),
    }
}

/// Whether the address refuses what is not signed, and what is signed by somebody else.
pub(crate) async fn at(url: &str) -> Result<Vec<Finding>, Error> {
    let client = Client::builder()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .http1_only()
        .build()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs().to_string();
    let mut seen = Vec::new();
    for (what, signature) in [
        ("without a signature", None),
        ("with a wrong signature", Some("0f".repeat(64))),
    ] {
        let mut request = client.post(url).header("Content-Type", "application/json");
        if let Some(signature) = signature {
            request = request
                .header(SIGNATURE, signature)
                .header(TIMESTAMP, now.as_str());
        }
        let finding = match request.body(PING).send().await {
            Ok(answer) => answered(what, answer.status().as_u16()),
            Err(error) => {
                let why = boot::chain(&error.without_url());
                seen.push(Finding::new(false, format!("it cannot be reached: {why}")));
                break;
            }
        };
        seen.push(finding);
    }
    Ok(seen)
}

fn answered(what: &str, status: u16) -> Finding {
    let hint = match status {
        401 => return Finding::new(true, format!("a request {what} is refused")),
        200..=299 => "whoever answers there does not look at signatures",
        300..=399 => "Discord follows no redirects: register where it leads to",
        404 => "is the path right, and the application's id in it?",
        502..=504 => "the proxy in front does not reach the service",
        _ => "is it the service that answers there?",
    };
    let text = format!("a request {what} is answered {status}, and should be 401: {hint}");
    Finding::new(false, text)
}

#[cfg(test)]
mod tests {
    use super::{Finding, answered, text};

    #[test]
    fn what_is_wrong_says_what_to_look_at() {
        assert!(answered("x", 401).is_right);
        for status in [200, 302, 404, 500, 502] {
            assert!(!answered("x", status).is_right, "{status}");
        }
        let seen = [Finding::new(true, "one"), answered("x", 404)];
        let text = text(&seen);
        assert!(text.starts_with("  right  one\n  WRONG  a request x is answered 404"));
        assert!(!text.ends_with('\n'));
    }
}
