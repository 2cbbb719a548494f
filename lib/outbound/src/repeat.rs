//! Whether a request may be sent a second time when nobody knows what became of the first.

use crate::Call;
use discord::route::Method;
use http::{HeaderMap, header::CONTENT_TYPE};
use serde::Deserialize;

/// The members by which Discord recognises a message that was sent before.
#[derive(Deserialize)]
struct Nonce<'a> {
    #[serde(borrow)]
    nonce: Option<&'a serde_json::value::RawValue>,
    #[serde(default)]
    enforce_nonce: bool,
}

/// Whether sending it with these headers twice does no more than sending it once.
pub(crate) fn may_repeat(call: &Call, headers: &HeaderMap) -> bool {
    match call.method {
        Method::Delete | Method::Get | Method::Put => true,
        Method::Patch => false,
        Method::Post if is_deletion(&call.path) => true,
        Method::Post => {
            is_new_message(&call.path) && json(&call.body, headers).is_some_and(has_nonce)
        }
    }
}

/// Whether it deletes several messages: of those that are gone Discord does not complain.
fn is_deletion(path: &str) -> bool {
    path.starts_with("/channels/") && path.ends_with("/messages/bulk-delete")
}

/// Whether Discord honours `enforce_nonce` there.
fn is_new_message(path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    segments.next() == Some("channels")
        && segments.nth(1) == Some("messages")
        && segments.next().is_none()
}

fn has_nonce(json: &[u8]) -> bool {
    let read = serde_json::from_slice::<Nonce<'_>>(json);
    read.is_ok_and(|it| {
        let nonce = it.nonce.map(serde_json::value::RawValue::get);
        it.enforce_nonce && nonce.is_some_and(|nonce| !matches!(nonce, "null" | "\"\""))
    })
}

/// The JSON of a body, also of one that has files beside it.
pub(crate) fn json<'a>(body: &'a [u8], headers: &HeaderMap) -> Option<&'a [u8]> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/json" => Some(body),
        "multipart/form-data" => payload(body, boundary(parameters)?),
        _ => None,
    }
}

fn boundary(parameters: &str) -> Option<&str> {
    let mut parameters = parameters.split(';').filter_map(|it| it.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    Some(value.trim().trim_matches('"')).filter(|value| !value.is_empty())
}

/// The part `payload_json` of a form.
fn payload<'a>(body: &'a [u8], boundary: &str) -> Option<&'a [u8]> {
    let delimiter = format!("\r\n--{boundary}");
    let delimiter = delimiter.as_bytes();
    let mut rest = body.strip_prefix(&delimiter[2..])?;
    loop {
        let head_end = find(rest, b"\r\n\r\n")?;
        let part_end = find(rest, delimiter)?;
        let head = rest[..head_end].to_ascii_lowercase();
        if head_end < part_end && find(&head, b"name=\"payload_json\"").is_some() {
            return Some(&rest[head_end + 4..part_end]);
        }
        rest = &rest[part_end + delimiter.len()..];
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

#[cfg(test)]
mod tests {
    use super::may_repeat;
    use crate::{Call, Token};
    use discord::route::Method;
    use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
    use tokio::time::Instant;

    fn call(method: &str, path: &str, kind: &'static str, body: &str) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Call {
            method: Method::parse(method).unwrap(),
            path: path.to_owned(),
            query: None,
            headers,
            body: body.to_owned().into(),
            token: Token::Application,
            caller: "".into(),
            priority: 0,
            deadline: Instant::now(),
            once: false,
        }
    }

    #[test]
    fn only_what_changes_nothing_the_second_time_may_be_repeated() {
        let json = "application/json";
        let nonce = r#"{"content":"x","nonce":"n1","enforce_nonce":true}"#;
        for (method, path, body, expected) in [
            ("GET", "/channels/1", "", true),
            ("PUT", "/channels/1/messages/2/reactions/x/@me", "", true),
            ("DELETE", "/channels/1", "", true),
            ("PATCH", "/channels/1", nonce, false),
            ("POST", "/channels/1/messages/bulk-delete", "{}", true),
            ("POST", "/guilds/1/bulk-ban", "{}", false),
            ("POST", "/channels/1/messages", "{}", false),
            ("POST", "/channels/1/messages", "{", false),
            ("POST", "/channels/1/messages", nonce, true),
            ("POST", "/channels/1/messages/2/threads", nonce, false),
            ("POST", "/webhooks/1/t", nonce, false),
            ("POST", "/channels/1/messages", r#"{"nonce":"n1"}"#, false),
            (
                "POST",
                "/channels/1/messages",
                r#"{"nonce":null,"enforce_nonce":true}"#,
                false,
            ),
            (
                "POST",
                "/channels/1/messages",
                r#"{"nonce":7,"enforce_nonce":true}"#,
                true,
            ),
        ] {
            let call = call(method, path, json, body);
            assert_eq!(
                may_repeat(&call, &call.headers),
                expected,
                "{method} {path} {body}"
            );
        }
    }

    #[test]
    fn a_nonce_beside_files_counts_and_one_inside_a_file_does_not() {
        let kind = "multipart/form-data; boundary=\"cut\"";
        let nonce = r#"{"nonce":"n1","enforce_nonce":true}"#;
        let part = |name: &str, text: &str| {
            format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let path = "/channels/1/messages";
        let good = part("files[0]", "x") + &part("payload_json", nonce) + "--cut--\r\n";
        let repeats = |body: &str| {
            let call = call("POST", path, kind, body);
            may_repeat(&call, &call.headers)
        };
        assert!(repeats(&good));
        let hidden = part("payload_json", nonce).replace("--cut", "--other");
        let bad = part("files[0]", &hidden) + "--cut--\r\n";
        assert!(!repeats(&bad));
        for odd in ["", "--cut", "--cut--", "x", "--cut\r\n\r\n"] {
            assert!(!repeats(odd), "{odd:?}");
        }
    }
}
