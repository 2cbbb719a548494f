//! Members of a request as text, for paths, queries and headers.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use transcode::{Mistake, RenderError};

/// The members of a JSON object, each with its value as JSON.
pub(crate) type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The members of the object `json`.
pub(crate) fn members(json: &str) -> Result<Members<'_>, RenderError> {
    serde_json::from_str(json).map_err(|error| RenderError {
        path: String::new(),
        mistake: Mistake::Malformed(error.to_string()),
    })
}

/// The text of a string, a number or a boolean. `None` for anything else.
pub(crate) fn scalar(value: &RawValue) -> Option<String> {
    let json = value.get();
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'n' | b'{' | b'[' => None,
        _ => Some(json.to_owned()),
    }
}

/// The same for each value of an array, or for the one value.
pub(crate) fn scalars(value: &RawValue) -> Option<Vec<String>> {
    if !value.get().starts_with('[') {
        return Some(vec![scalar(value)?]);
    }
    let values: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    values.into_iter().map(scalar).collect()
}
