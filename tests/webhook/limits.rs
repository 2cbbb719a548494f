//! Each webhook's limits are kept, by all replicas together, and what is gone is left alone.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use lapin::BasicProperties;
use serde_json::json;
use sim::{Limit, RestConfig, Window};
use tests::{rabbitmq::Rabbit, redis::Redis};
use wire::gateway::v1::Code;

use super::stage::{HOOK, ask, encoded, free, hooked, message, over, send};
use crate::api::stage::{Stage, Worker, has, until};

/// How many messages a burst has.
const BURST: usize = 60;

/// So many messages of each webhook in each window.
fn executes(limit: u32, window_ms: u64) -> RestConfig {
    RestConfig {
        webhooks: vec![HOOK, HOOK + 1],
        limits: vec![Limit {
            path: "webhooks/*/*".to_owned(),
            limit,
            window_ms,
            window: Window::Sliding,
            ..Limit::default()
        }],
        ..hooked()
    }
}

/// Sends a burst to two webhooks; each message is there once.
async fn burst(stage: &Stage, worker: &mut Worker) -> Result<()> {
    for number in 0..BURST {
        let id = number.to_string();
        let mut asked = message(&id);
        asked["webhook"]["id"] = json!((HOOK + number as u64 % 2).to_string());
        send(worker, "Execute", &id, &asked).await?;
    }
    for _ in 0..BURST {
        let reply = worker.reply().await?;
        ensure!(reply.kind.ends_with("Response"), "{:?}", reply.error());
    }
    let carried_out = stage.carried_out();
    ensure!(carried_out.len() == BURST, "{carried_out:?}");
    ensure!(carried_out.values().all(|times| *times == 1));
    let limited = stage.sim.state().rest.limited;
    ensure!(limited.is_empty(), "{limited:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_meets_no_429_and_keeps_each_webhooks_order() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-burst");
    let stage = over(rabbit, prefix, executes(5, 300)).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    burst(&stage, &mut worker).await?;
    let mut orders: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for request in stage.sim.requests() {
        let nonce = request.nonce.context("each has one")?;
        orders.entry(request.path).or_default().push(nonce.parse()?);
    }
    ensure!(orders.len() == 2 && orders.values().all(|order| order.is_sorted()));
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_meet_no_429_together() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-replicas");
    let redis = Redis::start()?;
    let mut stage = over(rabbit, prefix, executes(5, 300)).await?;
    stage.set("REDIS_URL", &redis.url());
    let services = [stage.start().await?, stage.start().await?];
    for service in &services {
        until(service, "/metrics", |text| has(text, "api_replicas", "2")).await?;
    }
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    burst(&stage, &mut worker).await?;
    worker.close().await?;
    for service in services {
        service.terminate()?;
    }
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_asked_for_once() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-gone");
    let stage = over(rabbit, prefix, free()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    for (id, token, code, kind) in [
        (HOOK + 7, "token", 10_015, Code::NotFound),
        (HOOK, "wrong", 50_027, Code::Unauthenticated),
    ] {
        let before = stage.sim.requests().len();
        for _ in 0..3 {
            let mut asked = message("n");
            asked["webhook"] = json!({"id": id.to_string(), "token": token});
            let error = ask(&mut worker, "Execute", &asked).await?.error()?;
            ensure!(error.code() == kind, "{error:?}");
            let discord = error.discord.context("Discord said it")?;
            ensure!(discord.code == code, "{discord:?}");
        }
        ensure!(
            stage.sim.requests().len() == before + 1,
            "Discord was asked again"
        );
    }
    // Nobody else is the worse for it.
    let reply = ask(&mut worker, "Execute", &message("fine")).await?;
    ensure!(reply.kind.ends_with("Response"), "{:?}", reply.error());
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_served_in_time_is_told_so_and_holds_up_no_other_webhook() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-late");
    let stage = over(rabbit, prefix, executes(1, 3_600_000)).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    let sent = ask(&mut worker, "Execute", &message("first")).await?;
    ensure!(sent.kind.ends_with("Response"), "{:?}", sent.error());
    let body = encoded("Execute", &message("late"))?;
    let hurry = BasicProperties::default().with_expiration("5000".into());
    worker
        .send_with("webhook.Execute", "late", &body, hurry)
        .await?;
    let error = worker.reply().await?.error()?;
    ensure!(error.code() == Code::DeadlineExceeded, "{error:?}");
    ensure!(error.retry_after.context("it is known")?.seconds > 3000);
    let mut other = message("other");
    other["webhook"]["id"] = json!((HOOK + 1).to_string());
    let sent = ask(&mut worker, "Execute", &other).await?;
    ensure!(sent.kind.ends_with("Response"), "{:?}", sent.error());
    ensure!(!stage.carried_out().contains_key("late"));
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}
