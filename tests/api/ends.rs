//! Processes end, well or not, and connections break: what is done twice, and what is lost.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use prost::Message as _;
use serde_json::json;
use sim::{Limit, RestConfig, Times};
use tests::{rabbitmq::Rabbit, service::Service};
use wire::gateway::v1::{Code, Error};

use super::stage::{Stage, Worker};

/// Any number of requests: what waits, waits for Discord.
fn free() -> RestConfig {
    RestConfig {
        global_limit: 0,
        default_limit: 0,
        limits: Vec::new(),
        ..RestConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_by_a_dead_process_is_not_done_again() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-redelivered", free()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-redelivered", &stage).await?;
    // Carried out, but nobody is told.
    stage.sim.change_faults(|faults| {
        faults.rest_hang = Times::Always;
        faults.rest_executes = true;
    });
    let enforced = json!({"content": "x", "nonce": "enforced", "enforce_nonce": true});
    for (id, request) in [
        ("plain", stage.post("plain")),
        ("enforced", stage.post_json(&enforced)),
        ("get", stage.get()),
    ] {
        worker
            .send("api.Call", id, &request.encode_to_vec())
            .await?;
    }
    let sent = || Ok(stage.sim.state().rest.executed >= 2);
    service.until("what is carried out", sent).await?;
    service.kill()?;
    stage.sim.change_faults(|faults| {
        faults.rest_hang = Times::Never;
        faults.rest_executes = false;
    });
    let service = stage.start().await?;
    let mut replies = BTreeMap::new();
    for _ in 0..3 {
        let reply = worker.reply().await?;
        replies.insert(reply.id.clone(), reply);
    }
    let error = replies["plain"].error()?;
    ensure!(error.code() == Code::Unknown, "{error:?}");
    ensure!(replies["enforced"].response()?.status == 200);
    ensure!(replies["get"].response()?.status == 200);
    worker.close().await?;
    service.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_under_load_leaves_nobody_without_an_answer_and_does_nothing_twice() -> Result<()> {
    const REQUESTS: usize = 300;
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-killed", free()).await?;
    let mut services = Vec::new();
    for _ in 0..3 {
        services.push(stage.start().await?);
    }
    let mut worker = Worker::connect(rabbit, "api-killed", &stage).await?;
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 20);
    for number in 0..REQUESTS {
        let id = number.to_string();
        let body = stage.post(&id).encode_to_vec();
        worker.send("api.Call", &id, &body).await?;
    }
    killed(&stage, services, &mut worker, REQUESTS).await?;
    worker.close().await
}

/// Kills one of these services in the middle of so many requests: each is answered, carried out once at most, and not called done if
/// it was not. The other services are ended.
pub(crate) async fn killed(
    stage: &Stage,
    mut services: Vec<Service>,
    worker: &mut Worker,
    requests: usize,
) -> Result<()> {
    let some = || Ok(stage.sim.state().rest.executed > 20);
    services[0].until("some of them", some).await?;
    services.remove(0).kill()?;
    let mut done = BTreeMap::new();
    while done.len() < requests {
        let reply = worker.reply().await?;
        let error = reply.error().ok();
        let code = error.as_ref().map(Error::code);
        ensure!(code.is_none_or(|it| it == Code::Unknown), "{error:?}");
        done.insert(reply.id, error.is_none());
    }
    let carried_out = stage.carried_out();
    for (id, is_done) in &done {
        let times = carried_out.get(id).copied().unwrap_or_default();
        ensure!(times <= 1, "{id} was carried out {times} times");
        ensure!(!is_done || times == 1, "{id} was not carried out");
    }
    for service in services {
        service.terminate()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_answers_what_was_sent_and_leaves_the_rest_to_others() -> Result<()> {
    const REQUESTS: usize = 40;
    let rabbit = Rabbit::shared();
    let rest = RestConfig {
        limits: vec![Limit {
            path: "channels/*/messages".to_owned(),
            limit: 2,
            window_ms: 100,
            ..Limit::default()
        }],
        ..RestConfig::default()
    };
    let stage = Stage::over(rabbit, "api-stopped", rest).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-stopped", &stage).await?;
    for number in 0..REQUESTS {
        let id = number.to_string();
        let body = stage.post(&id).encode_to_vec();
        worker.send("api.Call", &id, &body).await?;
    }
    let service = stopped(&stage, service, &mut worker, REQUESTS).await?;
    let order = stage.sim.requests().into_iter().filter_map(|it| it.nonce);
    let expected: Vec<String> = (0..REQUESTS).map(|number| number.to_string()).collect();
    ensure!(order.collect::<Vec<_>>() == expected, "in their order");
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

/// Stops a service in the middle of so many requests, and starts another one: each succeeds and is carried out once. A new message
/// too: nobody has looked at it before.
pub(crate) async fn stopped(
    stage: &Stage,
    service: Service,
    worker: &mut Worker,
    requests: usize,
) -> Result<Service> {
    let begun = || Ok(stage.sim.state().rest.executed > 3);
    service.until("the first", begun).await?;
    let ended = service.terminate()?;
    ensure!(ended.status.success(), "{}", ended.log);
    let executed = stage.sim.state().rest.executed;
    ensure!(executed < requests as u64, "{executed}");
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 0);
    let service = stage.start().await?;
    for _ in 0..requests {
        let reply = worker.reply().await?;
        ensure!(reply.error().is_err(), "{:?}", reply.error());
    }
    let carried_out = stage.carried_out();
    ensure!(carried_out.len() == requests, "{carried_out:?}");
    ensure!(
        carried_out.values().all(|times| *times == 1),
        "{carried_out:?}"
    );
    Ok(service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discord_that_stumbles_is_asked_again_if_that_does_no_harm() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-stumbles", free()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-stumbles", &stage).await?;
    let fail = |status| {
        stage.sim.change_faults(|faults| {
            faults.rest_status = Some(status);
            faults.rest_failures = Some(2);
            faults.rest_html = true;
        });
    };
    fail(502);
    ensure!(worker.call(&stage.get()).await?.status == 200);
    fail(503);
    let post = stage.post("n").encode_to_vec();
    let error = worker.ask("api.Call", &post).await?.error()?;
    ensure!(error.code() == Code::Unavailable, "{error:?}");
    stage.sim.change_faults(|faults| {
        *faults = sim::Faults {
            rest_reset: Times::Next(1),
            ..sim::Faults::default()
        };
    });
    ensure!(worker.call(&stage.get()).await?.status == 200);
    stage
        .sim
        .change_faults(|faults| faults.rest_reset = Times::Next(1));
    let error = worker.ask("api.Call", &post).await?.error()?;
    ensure!(error.code() == Code::Unknown, "{error:?}");
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}
