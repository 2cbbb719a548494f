//! What is wrong with a request is said by its name, and nothing is sent.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sim::RestConfig;

use super::stage::{Stage, tell};

/// Members of an `api.Call` that is sound without them, and what the answer says.
const CALLS: &[(&str, &str)] = &[
    (r#"{"method": "TRACE"}"#, "`method`"),
    (r#"{"method": ""}"#, "`method`"),
    (r#"{"path": "channels/1"}"#, "`path`"),
    (
        r#"{"path": "/channels//messages"}"#,
        "a parameter is missing",
    ),
    (r#"{"path": "/channels/../oauth2"}"#, "`path`"),
    (r#"{"path": "/channels/%2e%2E/oauth2"}"#, "`path`"),
    (r#"{"path": "/channels/1?limit=5"}"#, "`path`"),
    (r#"{"path": "/a\r\nHost: x"}"#, "`path`"),
    (r#"{"query": [{"value": "x"}]}"#, "`query[0].name`"),
    (
        r#"{"headers": {"Authorization": "x"}}"#,
        r#"`headers["Authorization"]`"#,
    ),
    (r#"{"headers": {"host": "x"}}"#, r#"`headers["host"]`"#),
    (
        r#"{"headers": {"Content-Type": "x"}}"#,
        "not the caller's to set",
    ),
    (
        r#"{"headers": {"transfer-encoding": "x"}}"#,
        "not the caller's to set",
    ),
    (r#"{"headers": {"a b": "x"}}"#, r#"`headers["a b"]`"#),
    (r#"{"headers": {"x": "a\r\nb: c"}}"#, r#"`headers["x"]`"#),
    (
        r#"{"audit_log_reason": "x", "headers": {"X-Audit-Log-Reason": "y"}}"#,
        "set only one",
    ),
    (r#"{"bearer_token": "a b"}"#, "`bearer_token`"),
    (r#"{"json": "{"}"#, "`json`"),
    (r#"{"files": [{"data": "AAAA"}]}"#, "files[0]: filename"),
    (
        r#"{"files": [{"filename": "a", "content_type": "a\nb"}]}"#,
        "files[0]: content_type",
    ),
    (
        r#"{"raw": {"content_type": "a/b"}, "files": [{"filename": "a"}]}"#,
        "`files`",
    ),
    (r#"{"raw": {"data": "AAAA"}}"#, "`raw.content_type`"),
    (
        r#"{"form": {"fields": [{"value": "x"}]}}"#,
        "`form.fields[0].name`",
    ),
    (r#"{"form": {"file_parts": ["a"]}}"#, "`form.file_parts`"),
];

/// Other methods, with their bodies.
const OTHERS: &[(&str, &str, &str)] = &[
    ("discord.v1.Rest/GetChannel", "{}", "`channel_id`"),
    (
        "discord.v1.Rest/BulkSetApplicationCommands",
        "{}",
        "`commands`",
    ),
    (
        "discord.v1.Rest/CreateGuildSticker",
        r#"{"guild_id": "1"}"#,
        "`file`",
    ),
    (
        "discord.v1.Rest/CreateMessage",
        r#"{"channel_id": "1", "message": {"nulls": "nope"}}"#,
        "nope",
    ),
    ("discord.v1.Rest/NoSuchThing", "{}", "there is no method"),
    ("gateway.v1.Api/NoSuchThing", "{}", "there is no method"),
    ("gateway.v1.Ws/Send", "{}", "which has no method"),
];

/// An `api.Call` with these members.
fn call(members: Value) -> Value {
    let mut body = json!({"method": "POST", "path": "/channels/1/messages"});
    if let (Some(body), Value::Object(members)) = (body.as_object_mut(), members) {
        body.extend(members);
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_named_and_nothing_is_sent() -> Result<()> {
    let mut stage = Stage::new(RestConfig::default()).await?;
    stage.set("API_MAX_BODY", "2KiB");
    let mut service = stage.start().await?;
    let invalid = "CODE_INVALID_ARGUMENT";
    let mut asked = Vec::new();
    for (members, words) in CALLS {
        let body = call(serde_json::from_str(members)?);
        asked.push(("gateway.v1.Api/Call", body, invalid, *words));
    }
    for (method, body, words) in OTHERS {
        asked.push((method, serde_json::from_str(body)?, invalid, words));
    }
    let reason = call(json!({"audit_log_reason": "x".repeat(513)}));
    asked.push(("gateway.v1.Api/Call", reason, invalid, "`audit_log_reason`"));
    let large = call(json!({"json": format!("\"{}\"", "x".repeat(3000))}));
    let range = "CODE_OUT_OF_RANGE";
    asked.push(("gateway.v1.Api/Call", large, range, "more than the 2048"));
    for (number, (method, body, code, words)) in asked.into_iter().enumerate() {
        let answer = tell(&mut service, method, &number.to_string(), &body).await?;
        ensure!(answer["type"] == "gateway.v1.Error", "{body}: {answer}");
        ensure!(answer["body"]["code"] == code, "{body}: {answer}");
        let message = answer["body"]["message"].as_str().context("a message")?;
        ensure!(message.contains(words), "{body}: {message}");
    }
    let requests = stage.sim.state().rest.requests;
    ensure!(requests == 1, "who we are, and nothing else: {requests}");
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_application_is_refused() -> Result<()> {
    let stage = Stage::new(RestConfig::default()).await?;
    let mut service = stage.start().await?;
    let request = json!({
        "type": "gateway.v1.Api/Call", "routing_key": "api.Call.1", "reply_to": "me",
        "correlation_id": "other", "body": {"method": "GET", "path": "/gateway"},
    });
    service.tell(&request.to_string())?;
    let answered = || Ok(!service.messages()?.is_empty());
    service.until("an answer", answered).await?;
    let answer = &service.messages()?[0];
    ensure!(
        answer["body"]["code"] == "CODE_INVALID_ARGUMENT",
        "{answer}"
    );
    let message = answer["body"]["message"].as_str().context("a message")?;
    ensure!(message.contains("application \"1\""), "{message}");
    service.terminate()?;
    Ok(())
}
