//! The body of a request: members and files, whichever way they were sent.

use axum::body::Bytes;
use serde_json::{Map, Value};

use super::{
    multipart::{self, Part},
    reply::Reply,
};

/// What a body says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    /// The JSON, or the simple parts of a form.
    pub(crate) json: Value,
    /// Parts with a file name.
    pub(crate) files: Vec<Part>,
}

impl Form {
    /// Reads a body.
    pub(crate) fn read(content_type: Option<&str>, body: &Bytes) -> Result<Self, Reply> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let kind = content_type.unwrap_or_default();
        if let Some(boundary) = multipart::boundary(kind) {
            return Self::multipart(body, boundary);
        }
        let plain = kind.split(';').next().unwrap_or_default().trim();
        if plain.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok(Self::default());
        }
        if !plain.eq_ignore_ascii_case("application/json") {
            let message = "Expected \"Content-Type\" header to be one of {'application/json', \
                           'application/x-www-form-urlencoded', 'multipart/form-data'}.";
            return Err(Reply::invalid("", "CONTENT_TYPE_INVALID", message));
        }
        Ok(Self {
            json: parsed(body)?,
            files: Vec::new(),
        })
    }

    /// A body of JSON.
    pub(crate) fn of(json: Value) -> Self {
        Self {
            json,
            files: Vec::new(),
        }
    }

    /// Names of the members.
    pub(crate) fn members(&self) -> Vec<String> {
        let members = self.json.as_object().into_iter().flat_map(Map::keys);
        members.cloned().collect()
    }

    /// The nonce, which may be a number.
    pub(crate) fn nonce(&self) -> Option<String> {
        match &self.json["nonce"] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn multipart(body: &Bytes, boundary: &str) -> Result<Self, Reply> {
        let broken = || Reply::error(400, 50_035, "Invalid multipart form body");
        let mut form = Self::default();
        let mut members = Map::new();
        for part in multipart::parts(body, boundary).ok_or_else(broken)? {
            if part.name == "payload_json" {
                if let Value::Object(payload) = parsed(&part.bytes)? {
                    members.extend(payload);
                }
            } else if part.filename.is_some() {
                if form.files.iter().any(|file| file.name == part.name) {
                    return Err(broken());
                }
                form.files.push(part);
            } else {
                let text = String::from_utf8_lossy(&part.bytes).into_owned();
                members.insert(part.name, Value::String(text));
            }
        }
        form.json = Value::Object(members);
        Ok(form)
    }
}

fn parsed(bytes: &[u8]) -> Result<Value, Reply> {
    let broken = |_| Reply::error(400, 50_109, "The request body contains invalid JSON.");
    serde_json::from_slice(bytes).map_err(broken)
}
