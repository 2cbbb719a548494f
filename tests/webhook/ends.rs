//! Processes that end while requests are in hand.

use anyhow::{Result, ensure};
use sim::Times;
use tests::rabbitmq::Rabbit;
use wire::gateway::v1::Code;

use super::stage::{free, message, over, send};
use crate::api::{
    ends::{killed, stopped},
    stage::Worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_under_load_leaves_no_message_without_an_answer_and_sends_none_twice() -> Result<()>
{
    const REQUESTS: usize = 200;
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-killed");
    let stage = over(rabbit, prefix, free()).await?;
    let services = vec![stage.start().await?, stage.start().await?];
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 20);
    for number in 0..REQUESTS {
        let id = number.to_string();
        send(&worker, "Execute", &id, &message(&id)).await?;
    }
    killed(&stage, services, &mut worker, REQUESTS).await?;
    worker.close().await
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
    let service = stopped(&stage, service, &mut worker, REQUESTS).await?;
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
