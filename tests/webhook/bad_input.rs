//! What is wrong with a request is said by its name, and nothing is sent.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::stage::{HOOK, free, hook, stage};
use crate::api::stage::tell;

/// Ways to name a webhook, and what the answer to a message says.
const WEBHOOKS: &[(&str, &str)] = &[
    ("{}", "`webhook`"),
    (r#"{"id": "5"}"#, "`webhook.token`"),
    (r#"{"token": "t"}"#, "`webhook.id`"),
    (r#"{"id": "5", "token": "a/../b"}"#, "`webhook.token`"),
    (
        r#"{"id": "5", "url": "https://discord.com/api/webhooks/5/t"}"#,
        "`webhook.url`",
    ),
    (
        r#"{"url": "https://evil.example/api/webhooks/55/token"}"#,
        "its host",
    ),
    (
        r#"{"url": "http://discord.com/api/webhooks/55/token"}"#,
        "its host",
    ),
    (
        r#"{"url": "https://discord.com/api/webhooks/55/token?wait=true"}"#,
        "`webhook.url`",
    ),
    (
        r#"{"url": "https://discord.com/api/webhooks/55"}"#,
        "`webhook.url`",
    ),
    (
        r#"{"url": "http://169.254.169.254/latest"}"#,
        "`webhook.url`",
    ),
];

/// Methods, their requests without the webhook, and what the answer says.
const REQUESTS: &[(&str, &str, &str)] = &[
    ("Execute", "{}", "`message`"),
    ("Execute", r#"{"message": {"nulls": "nope"}}"#, "nope"),
    ("Execute", r#"{"slack": "{"}"#, "`slack`"),
    ("Execute", r#"{"slack": "[]"}"#, "`slack`"),
    (
        "Execute",
        r#"{"slack": "{}", "files": [{"filename": "a", "data": "eA=="}]}"#,
        "`files`",
    ),
    (
        "Execute",
        r#"{"slack": "{}", "with_components": true}"#,
        "`with_components`",
    ),
    ("Execute", r#"{"github": {"json": "{}"}}"#, "`github.event`"),
    (
        "Execute",
        r#"{"github": {"event": "push\r\nx: y", "json": "{}"}}"#,
        "`github.event`",
    ),
    (
        "Execute",
        r#"{"github": {"event": "push", "json": "3"}}"#,
        "`github.json`",
    ),
    (
        "Execute",
        r#"{"message": {}, "files": [{"data": "eA=="}]}"#,
        "files[0]: filename",
    ),
    (
        "Execute",
        r#"{"files": [{"url": "ftp://x/y"}]}"#,
        "`files[0].url`",
    ),
    (
        "Execute",
        r#"{"files": [{"url": "http://127.0.0.1:9/y"}]}"#,
        "`files[0].url`",
    ),
    ("Get", "{}", "`message_id`"),
    ("Edit", r#"{"message": {"content": "x"}}"#, "`message_id`"),
    ("Delete", "{}", "`message_id`"),
    ("Nothing", "{}", "there is no method"),
];

/// All of them as requests.
fn mistakes() -> Result<Vec<(&'static str, Value, &'static str)>> {
    let mut all = Vec::new();
    for (webhook, said) in WEBHOOKS {
        let webhook: Value = serde_json::from_str(webhook)?;
        let message = json!({"webhook": webhook, "message": {"content": "x"}});
        all.push(("Execute", message, *said));
        for method in ["Get", "Edit", "Delete"] {
            let other = json!({"webhook": webhook, "message_id": "5"});
            all.push((method, other, *said));
        }
    }
    for (method, asked, said) in REQUESTS {
        let mut asked: Value = serde_json::from_str(asked)?;
        let members = asked.as_object_mut().context("it is an object")?;
        if *method != "Nothing" {
            members.insert("webhook".to_owned(), hook());
        }
        all.push((method, asked, said));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_named_and_nothing_is_sent() -> Result<()> {
    let stage = stage(free()).await?;
    let mut service = stage.start().await?;
    for (number, (method, asked, said)) in mistakes()?.into_iter().enumerate() {
        let method = format!("gateway.v1.Webhook/{method}");
        let answer = tell(&mut service, &method, &format!("b{number}"), &asked).await?;
        ensure!(answer["type"] == "gateway.v1.Error", "{asked}: {answer}");
        let message = answer["body"]["message"].as_str().unwrap_or_default();
        ensure!(message.contains(said), "{asked}: {answer}");
    }
    ensure!(stage.sim.state().rest.requests == 0, "something was sent");
    // It is none the worse for it.
    let asked = json!({"webhook": hook(), "wait": true, "message": {"content": "x"}});
    let answer = tell(&mut service, "gateway.v1.Webhook/Execute", "good", &asked).await?;
    ensure!(
        answer["body"]["message"]["webhook_id"] == HOOK.to_string(),
        "{answer}"
    );
    service.terminate()?;
    stage.rules_kept()
}
