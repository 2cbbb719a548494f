//! `multipart/form-data`, cut at its boundary.

use axum::body::Bytes;

/// One part.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) bytes: Bytes,
}

/// The boundary that a content type names.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty())
}

/// All parts, or nothing when the body is no such form.
pub(crate) fn parts(body: &Bytes, boundary: &str) -> Option<Vec<Part>> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may lack the line break in front.
    let mut at = delimiter.len() - 2;
    if !body.starts_with(&delimiter.as_bytes()[2..]) {
        at = find(body, delimiter.as_bytes(), 0)? + delimiter.len();
    }
    let mut parts = Vec::new();
    loop {
        if body[at..].starts_with(b"--") {
            return Some(parts);
        }
        let start = find(body, b"\r\n", at)? + 2;
        let end = find(body, delimiter.as_bytes(), start)?;
        parts.push(part(&body.slice(start..end))?);
        at = end + delimiter.len();
    }
}

fn part(bytes: &Bytes) -> Option<Part> {
    let head_end = find(bytes, b"\r\n\r\n", 0)?;
    let head = str::from_utf8(&bytes[..head_end]).ok()?;
    let header = |wanted: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        let line = lines.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        line.map(|(_, value)| value.trim())
    };
    let disposition = header("content-disposition")?.strip_prefix("form-data")?;
    Some(Part {
        name: parameter(disposition, "name")?.to_owned(),
        filename: parameter(disposition, "filename").map(ToOwned::to_owned),
        kind: header("content-type").map(ToOwned::to_owned),
        bytes: bytes.slice(head_end + 4..),
    })
}

/// The value of `name=value` or `name="value"` among parameters that are separated by semicolons.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (key, after) = rest.split_once('=')?;
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(';').unwrap_or((after, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = tail;
    }
}

fn find(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let first = *wanted.first()?;
    let mut at = from;
    loop {
        let tail = body.get(at..)?;
        at += tail.iter().position(|byte| *byte == first)?;
        if body[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::{boundary, parts};

    #[test]
    fn parts_have_names_files_and_their_very_bytes() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\
            Content-Type: application/json\r\n\r\n{}\r\n--X\r\n\
            content-disposition: form-data; name=\"files[0]\"; filename=\"a;b.txt\"\r\n\r\n\
            \r\nline\r\n\r\n--X--\r\n";
        let parts = parts(&Bytes::from_static(body.as_bytes()), "X").unwrap();
        assert_eq!(
            (parts[0].name.as_str(), &parts[0].bytes[..]),
            ("payload_json", &b"{}"[..])
        );
        assert_eq!(parts[1].filename.as_deref(), Some("a;b.txt"));
        assert_eq!(&parts[1].bytes[..], b"\r\nline\r\n");
    }

    #[test]
    fn a_form_that_breaks_off_is_none() {
        for body in [
            "",
            "--X",
            "--X\r\n",
            "--X\r\na: b\r\n\r\nx\r\n--X--",
            "--X\r\n\r\n",
        ] {
            assert!(
                parts(&Bytes::from_static(body.as_bytes()), "X").is_none(),
                "{body:?}"
            );
        }
        assert_eq!(
            boundary("multipart/form-data; boundary=\"a b\""),
            Some("a b")
        );
        assert_eq!(boundary("application/json"), None);
    }
}
