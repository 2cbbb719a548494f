//! The answer to every route that nothing else answers: what was asked.

use serde_json::{Value, json};

use super::{Reply, routes::Call};

/// Tells the caller what arrived.
pub(super) fn answer(call: &Call<'_>) -> Reply {
    let files = call.form.files.iter().map(|file| {
        json!({
            "name": file.name, "filename": file.filename, "size": file.bytes.len(),
            "content_type": file.kind,
        })
    });
    let query = call.query.iter().map(|(key, value)| json!([key, value]));
    Reply::ok(json!({
        "method": call.method.as_str(), "path": call.path.segments().join("/"),
        "query": query.collect::<Vec<Value>>(), "body": call.form.json,
        "files": files.collect::<Vec<Value>>(), "reason": call.reason,
    }))
}
