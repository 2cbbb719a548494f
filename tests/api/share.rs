//! Replicas that keep Discord's limits together.

use anyhow::{Result, ensure};
use prost::Message as _;
use sim::{Limit, RestConfig, Scope, Window};
use tests::{rabbitmq::Rabbit, redis::Redis, service::Service};
use tokio::time::{Duration, Instant};
use wire::gateway::v1::{CallRequest, Code};

use super::stage::{Stage, Worker, has, until};

/// How many requests a burst has.
const BURST: usize = 240;
/// Short, so that only the limit of the whole application is felt.
const WINDOW_MS: u64 = 500;

/// Five for each channel in half a second, and fifty for all in a second.
fn limits(window: Window) -> RestConfig {
    RestConfig {
        global_limit: 50,
        global_window_ms: 1000,
        global_window: window,
        limits: vec![Limit {
            path: "channels/*/messages".to_owned(),
            limit: 5,
            window_ms: WINDOW_MS,
            window,
            ..Limit::default()
        }],
        ..RestConfig::default()
    }
}

/// A message to one of twenty channels.
fn message(stage: &Stage, number: usize) -> CallRequest {
    let guilds = stage.sim.guild_ids();
    let channels = guilds.iter().flat_map(|id| stage.sim.channel_ids(*id));
    let channels: Vec<u64> = channels.take(20).collect();
    CallRequest {
        path: format!("/channels/{}/messages", channels[number % channels.len()]),
        ..stage.post(&number.to_string())
    }
}

async fn send(worker: &Worker, stage: &Stage, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        let body = message(stage, number).encode_to_vec();
        worker.send("api.Call", &number.to_string(), &body).await?;
    }
    Ok(())
}

/// Starts three replicas that share a store.
async fn three(stage: &Stage) -> Result<Vec<Service>> {
    let mut services = Vec::new();
    for _ in 0..3 {
        services.push(stage.start().await?);
    }
    // Each knows of the others.
    for service in &services {
        until(service, "/metrics", |text| has(text, "api_replicas", "3")).await?;
    }
    Ok(services)
}

/// A stage whose callers have time.
async fn stage(prefix: &str, redis: &Redis, rest: RestConfig) -> Result<Stage> {
    let mut stage = Stage::over(Rabbit::shared(), prefix, rest).await?;
    stage.set("REDIS_URL", &redis.url());
    stage.set("REDIS_PREFIX", prefix);
    stage.set("API_TIMEOUT", "120s");
    Ok(stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_meet_no_429_whichever_way_discord_counts() -> Result<()> {
    for (prefix, window) in [
        ("api-share-fixed", Window::Fixed),
        ("api-share-sliding", Window::Sliding),
        ("api-share-tokens", Window::TokenBucket),
    ] {
        let stage = stage(prefix, Redis::shared(), limits(window)).await?;
        let services = three(&stage).await?;
        let mut worker = Worker::connect(Rabbit::shared(), prefix, &stage).await?;
        let began = Instant::now();
        send(&worker, &stage, 0..BURST).await?;
        for _ in 0..BURST {
            ensure!(worker.reply().await?.response()?.status == 200);
        }
        let least = Duration::from_millis(1000) * u32::try_from(BURST / 50)?;
        println!("{window:?}: {:?}, ideal {least:?}", began.elapsed());
        let limited = stage.sim.state().rest.limited;
        ensure!(limited.is_empty(), "{window:?}: {limited:?}");
        ensure!(stage.carried_out().values().all(|times| *times == 1));
        stage.rules_kept()?;
        worker.close().await?;
        for service in services {
            service.terminate()?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_permits_of_a_killed_replica_come_back() -> Result<()> {
    let prefix = "api-share-killed";
    let mut stage = stage(prefix, Redis::shared(), limits(Window::Sliding)).await?;
    stage.set("API_REQUEST_TIMEOUT", "1s");
    let mut services = three(&stage).await?;
    let mut worker = Worker::connect(Rabbit::shared(), prefix, &stage).await?;
    send(&worker, &stage, 0..BURST).await?;
    let some = || Ok(stage.sim.state().rest.executed > 60);
    services[0].until("some of them", some).await?;
    services.remove(0).kill()?;
    let mut answered = 0;
    while answered < BURST {
        let reply = worker.reply().await?;
        if reply.response().is_err() {
            let error = reply.error()?;
            ensure!(error.code() == Code::Unknown, "{error:?}");
        }
        answered += 1;
    }
    let limited = stage.sim.state().rest.limited;
    ensure!(limited.is_empty(), "{limited:?}");
    ensure!(stage.carried_out().values().all(|times| *times == 1));
    for service in &services {
        until(service, "/metrics", |text| has(text, "api_replicas", "2")).await?;
    }
    worker.close().await?;
    for service in services {
        service.terminate()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_stops_nobody() -> Result<()> {
    let prefix = "api-share-away";
    let mut redis = Redis::start()?;
    let stage = stage(prefix, &redis, limits(Window::Sliding)).await?;
    let services = three(&stage).await?;
    let mut worker = Worker::connect(Rabbit::shared(), prefix, &stage).await?;
    send(&worker, &stage, 0..BURST).await?;
    let some = || Ok(stage.sim.state().rest.executed > 60);
    services[0].until("some of them", some).await?;
    redis.kill()?;
    for service in &services {
        until(service, "/metrics", |text| has(text, "api_store_up", "0")).await?;
        let url = format!("{}/readyz", service.admin().await?);
        let answer = reqwest::get(&url).await?;
        ensure!(answer.status() == 200, "it goes on");
        let text = answer.text().await?;
        ensure!(text.contains("the store is away"), "{text}");
    }
    let before = stage.sim.state().rest.executed;
    let more = || Ok(stage.sim.state().rest.executed > before + 20);
    services[0].until("more of them", more).await?;
    redis.restart()?;
    for service in &services {
        until(service, "/metrics", |text| has(text, "api_store_up", "1")).await?;
    }
    for _ in 0..BURST {
        ensure!(worker.reply().await?.response()?.status == 200);
    }
    let limited = stage.sim.state().rest.limited;
    ensure!(limited.is_empty(), "{limited:?}");
    worker.close().await?;
    for service in services {
        service.terminate()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_requests_are_counted_together() -> Result<()> {
    let prefix = "api-share-invalid";
    let forbidden = 4_711_000_000;
    let rest = RestConfig {
        forbidden: vec![forbidden],
        ..RestConfig::default()
    };
    let mut stage = stage(prefix, Redis::shared(), rest).await?;
    stage.set("API_EGRESS", prefix);
    stage.set("API_INVALID_LIMIT", "20");
    let first = stage.start().await?;
    let mut worker = Worker::connect(Rabbit::shared(), prefix, &stage).await?;
    for _ in 0..10 {
        let call = CallRequest {
            path: format!("/channels/{forbidden}"),
            ..stage.get()
        };
        let reply = worker.ask("api.Call", &call.encode_to_vec()).await?;
        ensure!(!reply.kind.is_empty(), "it is answered");
    }
    // One that comes later knows it.
    let second = stage.start().await?;
    let warned = |text: &str| has(text, "api_invalid_level", "1");
    until(&second, "/metrics", warned).await?;
    until(&second, "/readyz", |text| text.contains("401, 403 or 429")).await?;
    worker.close().await?;
    first.terminate()?;
    second.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_that_one_replica_meets_is_kept_by_the_other() -> Result<()> {
    let prefix = "api-share-banned";
    let mut stage = stage(prefix, Redis::shared(), RestConfig::default()).await?;
    stage.set("API_EGRESS", prefix);
    let replicas = [stage.start().await?, stage.start().await?];
    let mut worker = Worker::connect(Rabbit::shared(), prefix, &stage).await?;
    stage.sim.change_faults(|faults| {
        faults.rest_limited = Some(Scope::Cloudflare);
        faults.rest_failures = Some(1);
        faults.rest_retry_after_ms = 3_600_000;
    });
    let get = stage.get().encode_to_vec();
    let error = worker.ask("api.Call", &get).await?.error()?;
    ensure!(error.retry_after.is_some(), "{error:?}");
    for replica in &replicas {
        until(replica, "/readyz", |text| text.contains("Cloudflare")).await?;
    }
    // RabbitMQ hands them to both in turn, and the simulator would answer.
    let requests = stage.sim.state().rest.requests;
    for _ in 0..4 {
        let error = worker.ask("api.Call", &get).await?.error()?;
        let seconds = error.retry_after.map_or(0, |time| time.seconds);
        ensure!(seconds > 3_000, "{error:?}");
    }
    ensure!(stage.sim.state().rest.requests == requests);
    worker.close().await?;
    for replica in replicas {
        replica.terminate()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_refused_to_one_replica_is_used_by_none() -> Result<()> {
    let prefix = "api-share-revoked";
    let stage = stage(prefix, Redis::shared(), RestConfig::default()).await?;
    let replicas = [stage.start().await?, stage.start().await?];
    let mut worker = Worker::connect(Rabbit::shared(), prefix, &stage).await?;
    stage.sim.change_faults(|faults| {
        (faults.rest_status, faults.rest_failures) = (Some(401), Some(1));
    });
    let get = stage.get().encode_to_vec();
    let error = worker.ask("api.Call", &get).await?.error()?;
    ensure!(error.code() == Code::Unauthenticated, "{error:?}");
    for replica in &replicas {
        let refused = |text: &str| has(text, "api_token_refused", "1");
        until(replica, "/metrics", refused).await?;
        let told = |text: &str| text.contains("Discord refused the bot token");
        until(replica, "/readyz", told).await?;
    }
    // RabbitMQ hands them to both in turn, and Discord would take the token.
    let requests = stage.sim.state().rest.requests;
    for _ in 0..4 {
        let error = worker.ask("api.Call", &get).await?.error()?;
        ensure!(error.code() == Code::Unauthenticated, "{error:?}");
    }
    ensure!(stage.sim.state().rest.requests == requests);
    worker.close().await?;
    for replica in replicas {
        replica.terminate()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_knows_what_was_sent_before() -> Result<()> {
    let prefix = "api-share-restart";
    let rest = RestConfig {
        limits: vec![Limit {
            path: "channels/*/messages".to_owned(),
            limit: 2,
            window_ms: 3_600_000,
            ..Limit::default()
        }],
        ..RestConfig::default()
    };
    let stage = stage(prefix, Redis::shared(), rest).await?;
    let mut worker = Worker::connect(Rabbit::shared(), prefix, &stage).await?;
    for nonces in [&["1", "2"][..], &[]] {
        let service = stage.start().await?;
        for nonce in nonces {
            ensure!(worker.call(&stage.post(nonce)).await?.status == 200);
        }
        // The whole hour's are used, and there is no need to ask Discord.
        let post = stage.post("late").encode_to_vec();
        let error = worker.ask("api.Call", &post).await?.error()?;
        ensure!(error.code() == Code::DeadlineExceeded, "{error:?}");
        service.terminate()?;
    }
    let rest = stage.sim.state().rest;
    ensure!(rest.executed == 2 && rest.limited.is_empty(), "{rest:?}");
    worker.close().await?;
    stage.rules_kept()
}
