//! Requests over HTTP: a library that takes the gateway for Discord, and what nobody may see.

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use prost::Message as _;
use reqwest::Client;
use serde_json::{Value, json};
use serenity::all::{
    ChannelId, CreateAttachment, CreateMessage, EditMessage, Http, HttpBuilder, HttpError,
};
use sim::RestConfig;
use tests::rabbitmq::Rabbit;

use super::stage::{Stage, Worker};

const SECRET: &str = "correct-horse-battery";

/// The library with its own waiting switched off.
fn library(base: &str) -> Http {
    HttpBuilder::new("any")
        .proxy(base)
        .ratelimiter_disabled(true)
        .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn serenity_takes_the_gateway_for_discord() -> Result<()> {
    let mut stage = Stage::new(RestConfig::default()).await?;
    stage.set("HTTP_ADDRESS", "127.0.0.1:0");
    stage.set("HTTP_SECRET", SECRET);
    let service = stage.start().await?;
    let base = service.http().await?;
    let http = library(&format!("{base}/{SECRET}"));
    let channel = ChannelId::new(stage.channel);

    let made = CreateMessage::new().content("made by serenity");
    let mut message = channel.send_message(&http, made).await?;
    let edit = EditMessage::new().content("edited by serenity");
    message.edit(&http, edit).await?;
    let found = channel.message(&http, message.id).await?;
    ensure!(found.content == "edited by serenity", "{}", found.content);

    let file = CreateAttachment::bytes(&b"a file, \x00\xff and all"[..], "data.bin");
    let with_file = channel
        .send_files(&http, [file], CreateMessage::new().content("a file"))
        .await?;
    let bytes = reqwest::get(&with_file.attachments[0].url).await?;
    ensure!(bytes.bytes().await?.as_ref() == b"a file, \x00\xff and all");

    message.delete(&http).await?;
    with_file.delete(&http).await?;
    let gone = channel.message(&http, message.id).await;
    let Err(serenity::Error::Http(HttpError::UnsuccessfulRequest(answer))) = gone else {
        anyhow::bail!("the message is still there: {gone:?}");
    };
    ensure!(answer.error.code == 10_008, "{answer:?}");
    service.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_kept_by_http_and_the_bus_together() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut stage = Stage::over(rabbit, "api-http", RestConfig::default()).await?;
    stage.set("HTTP_ADDRESS", "127.0.0.1:0");
    let service = stage.start().await?;
    let http = library(&service.http().await?);
    let channel = ChannelId::new(stage.channel);
    let mut worker = Worker::connect(rabbit, "api-http", &stage).await?;
    for number in 0..6 {
        let id = number.to_string();
        let body = stage.post(&id).encode_to_vec();
        worker.send("api.Call", &id, &body).await?;
    }
    let sent = (0..6).map(|number| {
        let made = CreateMessage::new().content(format!("http {number}"));
        channel.send_message(&http, made)
    });
    try_join_all(sent).await?;
    for _ in 0..6 {
        ensure!(worker.reply().await?.response()?.status == 200);
    }
    worker.close().await?;
    let state = stage.sim.state();
    ensure!(state.rest.limited.is_empty(), "{:?}", state.rest.limited);
    stage.rules_kept()?;
    service.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_callers_are_seen_by_nobody() -> Result<()> {
    let mut stage = Stage::new(RestConfig::default()).await?;
    stage.set("HTTP_ADDRESS", "127.0.0.1:0");
    stage.set("HTTP_SECRET", SECRET);
    stage.set("HTTP_TOKENS", "own");
    stage.set("LOG", "trace");
    let service = stage.start().await?;
    let base = service.http().await?;
    let client = Client::new();
    let hook = "/api/v10/webhooks/5/hook-secret?thread_id=6";
    for path in [
        format!("/{SECRET}/api/v10/users/@me"),
        format!("/{SECRET}{hook}"),
        "/wrong-horse-battery/api/v10/users/@me".to_owned(),
        format!("/{SECRET}/api/v10/%2e%2e/x"),
    ] {
        let request = client.post(format!("{base}{path}"));
        let request = request.header("authorization", "Bot own-secret.token");
        let answer = request.json(&json!({"content": "a private text"})).send();
        let body: Value = answer.await?.json().await?;
        let body = body.to_string();
        ensure!(
            !body.contains("horse") && !body.contains("secret"),
            "{body}"
        );
    }
    let metrics = format!("{}/metrics", service.admin().await?);
    let metrics = reqwest::get(metrics).await?.text().await?;
    ensure!(
        metrics.contains("gateway_api_http_errors_total"),
        "{metrics}"
    );
    let ended = service.terminate()?;
    for secret in [
        "horse",
        "hook-secret",
        "own-secret",
        "private text",
        "sim.token",
    ] {
        ensure!(!metrics.contains(secret), "{secret} in {metrics}");
        let line = ended.log.lines().find(|line| line.contains(secret));
        ensure!(line.is_none(), "{secret} in the log: {line:?}");
    }
    Ok(())
}
