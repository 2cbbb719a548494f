//! Processes that end while requests are in hand.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use sim::Times;
use tests::rabbitmq::Rabbit;
use wire::gateway::v1::Code;

use super::stage::{free, message, over, send};
use crate::api::stage::Worker;

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_under_load_leaves_no_message_without_an_answer_and_sends_none_twice() -> Result<()>
{
    const REQUESTS: usize = 200;
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-killed");
    let stage = over(rabbit, prefix, free()).await?;
    let mut services = vec![stage.start().await?, stage.start().await?];
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 20);
    for number in 0..REQUESTS {
        let id = number.to_string();
        send(&worker, "Execute", &id, &message(&id)).await?;
    }
    let some = || Ok(stage.sim.state().rest.executed > 20);
    services[0].until("some of them", some).await?;
    services.remove(0).kill()?;
    let mut done = BTreeMap::new();
    while done.len() < REQUESTS {
        let reply = worker.reply().await?;
        let is_sent = reply.kind.ends_with("Response");
        if !is_sent {
            let error = reply.error()?;
            ensure!(error.code() == Code::Unknown, "{error:?}");
        }
        done.insert(reply.id, is_sent);
    }
    let carried_out = stage.carried_out();
    for (id, is_sent) in &done {
        let times = carried_out.get(id).copied().unwrap_or_default();
        ensure!(times <= 1, "{id} was sent {times} times");
        ensure!(!is_sent || times == 1, "{id} was not sent");
    }
    worker.close().await?;
    for service in services {
        service.terminate()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_answers_what_was_sent_and_leaves_the_rest_to_others() -> Result<()> {
    const REQUESTS: usize = 40;
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-stopped");
    let stage = over(rabbit, prefix, free()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    // One after the other, as their order holds.
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 30);
    for number in 0..REQUESTS {
        let id = number.to_string();
        send(&worker, "Execute", &id, &message(&id)).await?;
    }
    let begun = || Ok(stage.sim.state().rest.executed > 3);
    service.until("the first", begun).await?;
    let ended = service.terminate()?;
    ensure!(ended.status.success(), "{}", ended.log);
    let executed = stage.sim.state().rest.executed;
    ensure!(executed < REQUESTS as u64, "{executed}");
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 0);
    let service = stage.start().await?;
    for _ in 0..REQUESTS {
        let reply = worker.reply().await?;
        ensure!(reply.kind.ends_with("Response"), "{:?}", reply.error());
    }
    let carried_out = stage.carried_out();
    ensure!(carried_out.len() == REQUESTS, "{carried_out:?}");
    ensure!(carried_out.values().all(|times| *times == 1));
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_told_and_the_message_not_sent_again() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-lost");
    let stage = over(rabbit, prefix, free()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    stage.sim.change_faults(|faults| {
        faults.rest_reset = Times::Next(1);
        faults.rest_executes = true;
    });
    send(&worker, "Execute", "n", &message("n")).await?;
    let error = worker.reply().await?.error()?;
    ensure!(error.code() == Code::Unknown, "{error:?}");
    ensure!(stage.sim.state().rest.executed == 1);
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}
