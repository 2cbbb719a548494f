//! What is wrong with a request is said by its name, and nothing is sent.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::stage::{HOOK, free, hook, stage};
use crate::api::stage::tell;

/// A method, a request, and what the answer names.
fn mistakes() -> Vec<(&'static str, Value, &'static str)> {
    let sound = json!({"content": "x"});
    let url = |url: &str| json!({"webhook": {"url": url}, "message": {"content": "x"}});
    let with = |more: Value| {
        let mut asked = json!({"webhook": hook()});
        if let (Some(asked), Value::Object(more)) = (asked.as_object_mut(), more) {
            asked.extend(more);
        }
        asked
    };
    let github = |event: &str, json: &str| with(json!({"github": {"event": event, "json": json}}));
    vec![
        ("Execute", json!({"message": sound}), "`webhook`"),
        ("Get", json!({"message_id": "5"}), "`webhook`"),
        (
            "Execute",
            json!({"webhook": {"id": "5"}, "message": sound}),
            "`webhook.token`",
        ),
        (
            "Execute",
            json!({"webhook": {"token": "t"}, "message": sound}),
            "`webhook.id`",
        ),
        (
            "Delete",
            json!({"webhook": {"id": "5", "token": "a/../b"}, "message_id": "5"}),
            "`webhook.token`",
        ),
        (
            "Execute",
            json!({"webhook": {"id": "5", "token": "t", "url": "https://discord.com/api/webhooks/5/t"}, "message": sound}),
            "`webhook.url`",
        ),
        (
            "Execute",
            url("https://evil.example/api/webhooks/55/token"),
            "its host",
        ),
        (
            "Execute",
            url("http://discord.com/api/webhooks/55/token"),
            "its host",
        ),
        (
            "Execute",
            url("https://discord.com/api/webhooks/55/token?wait=true"),
            "`webhook.url`",
        ),
        (
            "Execute",
            url("https://discord.com/api/webhooks/55"),
            "`webhook.url`",
        ),
        (
            "Execute",
            url("http://169.254.169.254/latest"),
            "`webhook.url`",
        ),
        ("Execute", with(json!({})), "`message`"),
        (
            "Execute",
            with(json!({"message": {"nulls": "nope"}})),
            "nope",
        ),
        ("Execute", with(json!({"slack": "{"})), "`slack`"),
        ("Execute", with(json!({"slack": "[]"})), "`slack`"),
        (
            "Execute",
            with(json!({"slack": "{}", "files": [{"filename": "a", "data": "eA=="}]})),
            "`files`",
        ),
        (
            "Execute",
            with(json!({"slack": "{}", "with_components": true})),
            "`with_components`",
        ),
        ("Execute", github("", "{}"), "`github.event`"),
        ("Execute", github("push\r\nx: y", "{}"), "`github.event`"),
        ("Execute", github("push", "3"), "`github.json`"),
        (
            "Execute",
            with(json!({"message": sound, "files": [{"data": "eA=="}]})),
            "files[0]: filename",
        ),
        (
            "Execute",
            with(json!({"message": sound, "files": [{"url": "ftp://x/y"}]})),
            "`files[0].url`",
        ),
        (
            "Execute",
            with(json!({"message": sound, "files": [{"url": "http://127.0.0.1:9/y"}]})),
            "`files[0].url`",
        ),
        ("Get", with(json!({})), "`message_id`"),
        ("Edit", with(json!({"message": sound})), "`message_id`"),
        ("Delete", with(json!({})), "`message_id`"),
        ("Nothing", json!({}), "there is no method"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_named_and_nothing_is_sent() -> Result<()> {
    let stage = stage(free()).await?;
    let mut service = stage.start().await?;
    for (number, (method, asked, named)) in mistakes().into_iter().enumerate() {
        let method = format!("gateway.v1.Webhook/{method}");
        let answer = tell(&mut service, &method, &format!("b{number}"), &asked).await?;
        ensure!(answer["type"] == "gateway.v1.Error", "{asked}: {answer}");
        let message = answer["body"]["message"].as_str().unwrap_or_default();
        ensure!(message.contains(named), "{asked}: {answer}");
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
