//! What is published arrives: once when all goes well, at least once when it doesn't.

use std::time::Duration;

use anyhow::{Result, ensure};
use lapin::types::AMQPValue;
use tests::rabbitmq::Rabbit;
use tokio::time::Instant;

use super::service::{Service, Worker, event, publish};

const WINDOW: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_confirmed_and_arrives_in_order() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "ordinary", 16 * WINDOW);
    service.ready().await?;
    let worker = Worker::connect(rabbit, "ordinary").await?;
    worker.bind("ordinary.events", "1.MESSAGE_CREATE.#").await?;

    let mut lane = service.broker.lane();
    let began = Instant::now();
    publish(&mut lane, 1..=20_000, 500).await?;
    lane.confirmed_past(20_000).await;
    eprintln!("20,000 messages confirmed in {:?}", began.elapsed());
    ensure!(lane.confirmed() == 20_000);
    ensure!(worker.take_all(20_000).await? == 0);

    ensure!(service.metric("gateway_broker_published_total") == 20_000.0);
    ensure!(service.metric("gateway_broker_confirmed_total") == 20_000.0);
    ensure!(service.metric("gateway_broker_republished_total") == 0.0);
    ensure!(service.metric("gateway_broker_window_used_bytes") == 0.0);
    drop(lane);
    service.stop().await?;
    worker.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_carries_the_properties_of_the_contract() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "properties", WINDOW);
    service.ready().await?;
    let worker = Worker::connect(rabbit, "properties").await?;
    worker.bind("properties.events", "#").await?;

    let mut lane = service.broker.lane();
    let mut message = event(1, 100);
    message.routing_key = format!("1.{}", "é".repeat(200));
    lane.publish(1, message).await?;
    let taken = worker.take_until(|_| true).await?;
    let (delivery, properties) = (&taken[0], &taken[0].properties);
    ensure!(delivery.exchange.as_str() == "properties.events");
    ensure!(
        delivery.routing_key.as_str().len() == 254,
        "cut between two characters"
    );
    let text = |value: &Option<lapin::types::ShortString>| value.as_ref().unwrap().to_string();
    ensure!(text(properties.content_type()) == "application/x-protobuf");
    ensure!(text(properties.kind()) == "gateway.v1.Event");
    ensure!(text(properties.app_id()) == "1");
    ensure!(text(properties.message_id()) == "session:1");
    ensure!(*properties.delivery_mode() == Some(2));
    ensure!(*properties.timestamp() == Some(1_700_000_000));
    let headers = properties.headers().as_ref().unwrap().inner();
    ensure!(headers["shard"] == AMQPValue::LongLongInt(0));
    ensure!(headers["event"] == AMQPValue::LongString("MESSAGE_CREATE".into()));
    drop(lane);
    service.stop().await?;
    worker.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_is_killed() -> Result<()> {
    restarted(|rabbit| rabbit.kill()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_is_restarted() -> Result<()> {
    restarted(|rabbit| rabbit.stop()).await
}

/// Ends the broker while messages flow, and starts it again.
async fn restarted(end: impl FnOnce(&mut Rabbit) -> Result<()>) -> Result<()> {
    const LAST: u64 = 20_000;
    let mut rabbit = Rabbit::start()?;
    let service = Service::start(rabbit.url(), "restarted", WINDOW);
    service.ready().await?;
    let worker = Worker::connect(&rabbit, "restarted").await?;
    worker.bind("restarted.events", "#").await?;
    worker.close().await?;
    rabbit.settle()?;

    let mut lane = service.broker.lane();
    tokio::try_join!(publish(&mut lane, 1..=LAST, 500), async {
        service
            .metric_is("gateway_broker_confirmed_total", |count| count > 5_000.0)
            .await?;
        end(&mut rabbit)?;
        service
            .metric_is("gateway_broker_connected", |connected| connected == 0.0)
            .await?;
        service.not_ready().await?;
        rabbit.restart()
    })?;
    lane.confirmed_past(LAST).await;
    ensure!(lane.confirmed() == LAST);
    service.ready().await?;

    let worker = Worker::connect(&rabbit, "restarted").await?;
    let repeated = worker.take_all(LAST).await?;
    eprintln!("{repeated} messages came twice");
    ensure!(service.metric("gateway_broker_reconnects_total") >= 1.0);
    drop(lane);
    service.stop().await?;
    worker.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_fills_the_window_and_costs_no_messages() -> Result<()> {
    const LAST: u64 = 40_000;
    let rabbit = Rabbit::start()?;
    let service = Service::start(rabbit.url(), "paused", 4 * WINDOW);
    service.ready().await?;
    let worker = Worker::connect(&rabbit, "paused").await?;
    worker.bind("paused.events", "#").await?;
    worker.close().await?;

    let mut lane = service.broker.lane();
    let used = "gateway_broker_window_used_bytes";
    tokio::try_join!(publish(&mut lane, 1..=LAST, 1_000), async {
        service
            .metric_is("gateway_broker_confirmed_total", |count| count > 2_000.0)
            .await?;
        rabbit.pause()?;
        service
            .metric_is(used, |used| used >= 4.0 * WINDOW as f64)
            .await?;
        // It is noticed by the missing heartbeats. Then connecting fails, as nothing answers.
        service
            .metric_is("gateway_broker_connected", |connected| connected == 0.0)
            .await?;
        service.not_ready().await?;
        tokio::time::sleep(Duration::from_secs(12)).await;
        ensure!(service.metric(used) <= 5.0 * WINDOW as f64);
        rabbit.resume()
    })?;
    lane.confirmed_past(LAST).await;
    ensure!(service.metric("gateway_broker_connected") == 1.0);

    let worker = Worker::connect(&rabbit, "paused").await?;
    worker.take_all(LAST).await?;
    drop(lane);
    service.stop().await?;
    worker.close().await
}
