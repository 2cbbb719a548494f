//! Telling Discord an address, and looking whether it is right.

use anyhow::{Result, ensure};
use tests::{
    interactions::stage::{Stage, ready},
    rabbitmq::Rabbit,
    service::Ended,
};
use tokio::task::spawn_blocking;

/// Of RFC 8032.
const ANOTHER: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// What a flag of `gateway-http` says, and how that ends.
async fn order(stage: &Stage, flag: &str, url: &str, key: Option<&str>) -> Result<Ended> {
    let own: Vec<_> = key
        .map(|key| ("DISCORD_PUBLIC_KEY", key))
        .into_iter()
        .collect();
    let service = stage.order("gateway-http", &own, &[flag, url])?;
    spawn_blocking(move || service.finish()).await?
}

fn says(ended: &Ended, words: &[&str]) -> Result<()> {
    let said = format!("{}\n{}", ended.output.join("\n"), ended.log);
    for words in words {
        ensure!(said.contains(words), "{words:?} is not in\n{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_is_told_the_interactions_endpoint_and_its_verdict_is_explained() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "register-http").await?;
    let (http, url) = stage.http().await?;
    let alone = order(&stage, "--register", &url, None).await?;
    ensure!(!alone.status.success());
    says(&alone, &["no gateway-api serves application"])?;

    let api = stage.api().await?;
    let done = order(&stage, "--register", &url, None).await?;
    ensure!(done.status.success(), "{}", done.log);
    says(
        &done,
        &[
            "Discord has tested",
            "takes it as the interactions endpoint URL",
        ],
    )?;
    let right = order(&stage, "--verify-self", &url, None).await?;
    ensure!(right.status.success(), "{}", right.log);
    says(
        &right,
        &["right  it is Discord's interactions endpoint URL"],
    )?;

    let elsewhere = format!("{url}/elsewhere/else");
    let wrong = order(&stage, "--register", &elsewhere, None).await?;
    ensure!(!wrong.status.success());
    says(
        &wrong,
        &[
            "could not be verified",
            "right  DISCORD_PUBLIC_KEY is the application's",
            "is answered 404, and should be 401: is the path right",
            "right  Discord has another interactions endpoint URL",
        ],
    )?;
    let key = order(&stage, "--verify-self", &url, Some(ANOTHER)).await?;
    ensure!(!key.status.success());
    let own = format!("the application's is {}", stage.sim.public_key());
    says(&key, &["WRONG  DISCORD_PUBLIC_KEY is another one's", &own])?;
    let nowhere = order(
        &stage,
        "--verify-self",
        "http://127.0.0.1:1/interactions",
        None,
    )
    .await?;
    ensure!(!nowhere.status.success());
    says(&nowhere, &["WRONG  it cannot be reached"])?;
    let no_url = order(&stage, "--register", "example.com", None).await?;
    says(&no_url, &["is no URL"])?;
    http.terminate()?;
    api.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_is_told_the_webhook_events_url() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "register-webhook").await?;
    let api = stage.api().await?;
    let address = [("HTTP_ADDRESS", "127.0.0.1:0")];
    let webhook = stage.order("gateway-webhook", &address, &[])?;
    ready(&webhook).await?;
    let url = format!("{}/events", webhook.http().await?);
    for (flag, said) in [
        ("--register", "takes it as the webhook events URL"),
        ("--verify-self", "right  it is Discord's webhook events URL"),
    ] {
        let service = stage.order("gateway-webhook", &address, &[flag, &url])?;
        let ended = spawn_blocking(move || service.finish()).await??;
        ensure!(ended.status.success(), "{}", ended.log);
        says(&ended, &[said])?;
    }
    webhook.terminate()?;
    api.terminate()?;
    stage.rules_kept()
}
