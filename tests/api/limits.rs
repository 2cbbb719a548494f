//! Discord's limits are kept, and nobody waits without end.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use lapin::BasicProperties;
use prost::Message as _;
use sim::{Limit, RestConfig, Scope};
use tests::rabbitmq::Rabbit;
use wire::gateway::v1::Code;

use super::stage::{Stage, Worker, has, until};

/// Messages to one channel: so many in each window.
fn messages(limit: u32, window_ms: u64) -> RestConfig {
    RestConfig {
        limits: vec![Limit {
            path: "channels/*/messages".to_owned(),
            limit,
            window_ms,
            ..Limit::default()
        }],
        ..RestConfig::default()
    }
}

const HOUR: u64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_a_worker_meets_no_429_and_keeps_its_order() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-burst", messages(10, 500)).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-burst", &stage).await?;
    for number in 0..60 {
        let id = number.to_string();
        let body = stage.post(&id).encode_to_vec();
        worker.send("api.Call", &id, &body).await?;
    }
    for _ in 0..60 {
        ensure!(worker.reply().await?.response()?.status == 200);
    }
    let nonces = stage.sim.requests().into_iter().filter_map(|it| it.nonce);
    let expected: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    ensure!(nonces.collect::<Vec<String>>() == expected);
    ensure!(stage.sim.state().rest.limited.is_empty());
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_429_is_waited_out() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-429", RestConfig::default()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-429", &stage).await?;
    for scope in [Scope::User, Scope::Shared, Scope::Global, Scope::Cloudflare] {
        stage.sim.change_faults(|faults| {
            faults.rest_limited = Some(scope);
            faults.rest_failures = Some(1);
            faults.rest_retry_after_ms = 100;
        });
        let answer = worker.call(&stage.post("n")).await?;
        ensure!(answer.status == 200, "{scope:?}: {answer:?}");
    }
    let limited = stage.sim.state().rest.limited;
    ensure!(limited.values().sum::<u64>() == 4, "{limited:?}");
    let metrics = reqwest::get(format!("{}/metrics", service.admin().await?)).await?;
    let metrics = metrics.text().await?;
    for scope in ["user", "shared", "global", "cloudflare"] {
        let line = format!("scope=\"{scope}\"}} 1");
        ensure!(metrics.contains(&line), "{metrics}");
    }
    worker.close().await?;
    service.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_that_wait_for_one_bucket_hold_up_nobody() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-exhausted", messages(1, 300_000)).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-exhausted", &stage).await?;
    let post = stage.post("n").encode_to_vec();
    ensure!(worker.ask("api.Call", &post).await?.response()?.status == 200);
    // Five minutes for each of those before it: that is the caller's to say.
    let patient = || BasicProperties::default().with_expiration("3456000000".into());
    for number in 0..10_010 {
        let id = format!("waits {number}");
        worker.send_with("api.Call", &id, &post, patient()).await?;
    }
    let mut refused = 0;
    while refused < 10 {
        let error = worker.reply().await?.error()?;
        ensure!(error.code() == Code::ResourceExhausted, "{error:?}");
        ensure!(error.retry_after.is_some(), "{error:?}");
        refused += 1;
    }
    for _ in 0..20 {
        ensure!(worker.call(&stage.get()).await?.status == 200);
    }
    let resident = service.resident()? >> 20;
    ensure!(resident < 200, "{resident} MiB");
    worker.close().await?;
    service.kill()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_served_in_time_is_told_so_at_once() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-late", messages(1, HOUR)).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-late", &stage).await?;
    let post = stage.post("n").encode_to_vec();
    ensure!(worker.ask("api.Call", &post).await?.response()?.status == 200);
    // A minute is not enough, and that is known.
    let error = worker.ask("api.Call", &post).await?.error()?;
    ensure!(error.code() == Code::DeadlineExceeded, "{error:?}");
    let seconds = error.retry_after.map_or(0, |time| time.seconds);
    ensure!(seconds > 3000, "{error:?}");
    let requests = stage.sim.state().rest.requests;
    let past: BTreeMap<_, _> = [(
        "deadline".into(),
        lapin::types::AMQPValue::LongLongInt(1_000),
    )]
    .into();
    let past = BasicProperties::default().with_headers(past.into());
    let get = stage.get().encode_to_vec();
    worker.send_with("api.Call", "late", &get, past).await?;
    let error = worker.reply().await?.error()?;
    ensure!(error.code() == Code::DeadlineExceeded, "{error:?}");
    ensure!(stage.sim.state().rest.requests == requests);
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_shared_between_callers_and_what_is_urgent_goes_first() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-turns", messages(100, 60_000)).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-turns", &stage).await?;
    let of = |caller: &str| {
        let properties = BasicProperties::default().with_expiration("60000".into());
        properties.with_app_id(caller.into())
    };
    let ask = async |id: &str, properties| {
        let body = stage.post(id).encode_to_vec();
        worker.send_with("api.Call", id, &body, properties).await
    };
    // As long as nothing is known of a bucket, all wait for the first answer.
    stage.sim.change_faults(|faults| faults.rest_hold = true);
    ask("first", of("busy")).await?;
    until(&service, "/metrics", |text| has(text, "api_in_flight", "1")).await?;
    for number in 0..5 {
        ask(&format!("busy {number}"), of("busy")).await?;
    }
    ask("other", of("other")).await?;
    ask("urgent", of("busy").with_priority(9)).await?;
    until(&service, "/metrics", |text| has(text, "api_waiting", "7")).await?;
    stage.sim.change_faults(|faults| faults.rest_hold = false);
    for _ in 0..8 {
        ensure!(worker.reply().await?.response()?.status == 200);
    }
    let nonces = stage.sim.requests().into_iter().filter_map(|it| it.nonce);
    let nonces: Vec<String> = nonces.collect();
    let expected = [
        "first", "other", "urgent", "busy 0", "busy 1", "busy 2", "busy 3", "busy 4",
    ];
    ensure!(nonces == expected, "{nonces:?}");
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}
