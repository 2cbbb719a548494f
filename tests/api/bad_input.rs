//! What is wrong with a request is said by its name, and nothing is sent.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sim::RestConfig;

use super::stage::{Stage, tell};

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_named_and_nothing_is_sent() -> Result<()> {
    let mut stage = Stage::new(RestConfig::default()).await?;
    stage.set("API_MAX_BODY", "2KiB");
    let mut service = stage.start().await?;
    let large = "x".repeat(3000);
    let file = json!({"filename": "a", "data": "AAAA"});
    let call = |members: Value| {
        let mut body = json!({"method": "POST", "path": "/channels/1/messages"});
        if let (Some(body), Some(members)) = (body.as_object_mut(), members.as_object()) {
            body.extend(members.clone());
        }
        ("gateway.v1.Api/Call", body)
    };
    let rest = |name: &'static str, body: Value| (name, body);
    let invalid = "CODE_INVALID_ARGUMENT";
    for (number, ((method, body), code, words)) in [
        (call(json!({"method": "TRACE"})), invalid, "`method`"),
        (call(json!({"method": ""})), invalid, "`method`"),
        (call(json!({"path": "channels/1"})), invalid, "`path`"),
        (
            call(json!({"path": "/channels//messages"})),
            invalid,
            "parameter is missing",
        ),
        (
            call(json!({"path": "/channels/../oauth2"})),
            invalid,
            "`path`",
        ),
        (
            call(json!({"path": "/channels/%2e%2E/oauth2"})),
            invalid,
            "`path`",
        ),
        (
            call(json!({"path": "/channels/1?limit=5"})),
            invalid,
            "`path`",
        ),
        (call(json!({"path": "/a\r\nHost: x"})), invalid, "`path`"),
        (
            call(json!({"query": [{"value": "x"}]})),
            invalid,
            "`query[0].name`",
        ),
        (
            call(json!({"headers": {"Authorization": "x"}})),
            invalid,
            "`headers[\"Authorization\"]`",
        ),
        (
            call(json!({"headers": {"host": "x"}})),
            invalid,
            "`headers[\"host\"]`",
        ),
        (
            call(json!({"headers": {"Content-Type": "x"}})),
            invalid,
            "not the caller's",
        ),
        (
            call(json!({"headers": {"transfer-encoding": "x"}})),
            invalid,
            "not the caller's",
        ),
        (
            call(json!({"headers": {"a b": "x"}})),
            invalid,
            "`headers[\"a b\"]`",
        ),
        (
            call(json!({"headers": {"x": "a\r\nb: c"}})),
            invalid,
            "`headers[\"x\"]`",
        ),
        (
            call(json!({"audit_log_reason": "x".repeat(513)})),
            invalid,
            "`audit_log_reason`",
        ),
        (
            call(json!({"audit_log_reason": "x", "headers": {"X-Audit-Log-Reason": "y"}})),
            invalid,
            "set only one",
        ),
        (
            call(json!({"bearer_token": "a b"})),
            invalid,
            "`bearer_token`",
        ),
        (call(json!({"json": "{"})), invalid, "`json`"),
        (
            call(json!({"json": format!("\"{large}\"")})),
            "CODE_OUT_OF_RANGE",
            "API_MAX_BODY",
        ),
        (
            call(json!({"files": [{"data": "AAAA"}]})),
            invalid,
            "filename",
        ),
        (
            call(json!({"files": [{"filename": "a", "content_type": "a\nb"}]})),
            invalid,
            "content_type",
        ),
        (
            call(json!({"raw": {"content_type": "a/b"}, "files": [file]})),
            invalid,
            "`files`",
        ),
        (
            call(json!({"raw": {"data": "AAAA"}})),
            invalid,
            "`raw.content_type`",
        ),
        (
            call(json!({"form": {"fields": [{"value": "x"}]}})),
            invalid,
            "`form.fields[0].name`",
        ),
        (
            call(json!({"form": {"file_parts": ["a"]}})),
            invalid,
            "`form.file_parts`",
        ),
        (
            rest("discord.v1.Rest/GetChannel", json!({})),
            invalid,
            "`channel_id`",
        ),
        (
            rest("discord.v1.Rest/BulkSetApplicationCommands", json!({})),
            invalid,
            "`commands`",
        ),
        (
            rest(
                "discord.v1.Rest/CreateGuildSticker",
                json!({"guild_id": "1"}),
            ),
            invalid,
            "`file`",
        ),
        (
            rest(
                "discord.v1.Rest/CreateMessage",
                json!({"channel_id": "1", "message": {"nulls": "nope"}}),
            ),
            invalid,
            "nope",
        ),
        (
            rest("discord.v1.Rest/NoSuchThing", json!({})),
            invalid,
            "there is no method",
        ),
        (
            rest("gateway.v1.Api/NoSuchThing", json!({})),
            invalid,
            "there is no method",
        ),
        (
            rest("gateway.v1.Ws/Send", json!({})),
            invalid,
            "api and rest",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = tell(&mut service, method, &number.to_string(), &body).await?;
        ensure!(answer["type"] == "gateway.v1.Error", "{body}: {answer}");
        ensure!(answer["body"]["code"] == code, "{body}: {answer}");
        let message = answer["body"]["message"].as_str().context("a message")?;
        ensure!(message.contains(words), "{body}: {message}");
    }
    ensure!(stage.sim.state().rest.requests == 1, "but for who we are");
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
