//! The broker is away, events keep coming, and wait on disk.

use anyhow::{Context as _, Result, ensure};
use broker::Spool;
use tempfile::TempDir;
use tests::{rabbitmq::Rabbit, server::free_ports};

use super::service::{Service, Worker, event, publish, until};

const WINDOW: usize = 1024 * 1024;
const LAST: u64 = 40_000;

fn spool(folder: &TempDir) -> Option<Spool> {
    Some(Spool {
        dir: folder.path().join("spool"),
        limit: 1 << 30,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn events_keep_coming_while_the_broker_is_stopped_and_none_is_lost() -> Result<()> {
    let (mut rabbit, folder) = (Rabbit::start()?, TempDir::new()?);
    let service = Service::with_spool(rabbit.url(), "spooled", WINDOW, spool(&folder));
    service.ready().await?;
    let worker = Worker::connect(&rabbit, "spooled").await?;
    worker.bind("spooled.events", "#").await?;
    worker.close().await?;

    let mut lane = service.broker.lane();
    publish(&mut lane, 1..=1_000, 500).await?;
    rabbit.stop()?;
    publish(&mut lane, 1_001..=LAST, 500).await?;
    ensure!(lane.has_room());
    ensure!(lane.confirmed() < LAST);
    ensure!(service.metric("gateway_broker_events_spooled") > 30_000.0);
    ensure!(service.metric("gateway_broker_window_used_bytes") <= 1.25 * WINDOW as f64);

    rabbit.restart()?;
    lane.confirmed_past(LAST).await;
    ensure!(lane.confirmed() == LAST);
    let worker = Worker::connect(&rabbit, "spooled").await?;
    worker.take_all(LAST).await?;
    ensure!(service.metric("gateway_broker_events_total") == LAST as f64);
    ensure!(service.metric("gateway_broker_events_confirmed_total") == LAST as f64);
    service
        .metric_is("gateway_broker_spool_used_bytes", |used| used == 0.0)
        .await?;
    drop(lane);
    service.stop().await?;
    worker.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_left_on_disk_is_published_by_the_next() -> Result<()> {
    let (rabbit, folder) = (Rabbit::shared(), TempDir::new()?);
    let [port] = free_ports()?;
    let nowhere = format!("amqp://127.0.0.1:{port}/%2f");
    let service = Service::with_spool(nowhere, "leftover", WINDOW, spool(&folder));
    let mut lane = service.broker.lane();
    publish(&mut lane, 1..=10_000, 500).await?;
    service
        .metric_is("gateway_broker_events_spooled", |count| count > 5_000.0)
        .await?;
    let spooled = service.metric("gateway_broker_events_spooled");
    service.context.shutdown.cancel();
    let grace = std::time::Duration::from_millis(100);
    ensure!(service.context.tasks.join(grace).await.is_err());
    drop(lane);

    let service = Service::with_spool(rabbit.url(), "leftover", WINDOW, None);
    service.ready().await?;
    let worker = Worker::connect(rabbit, "leftover").await?;
    worker.bind("leftover.events", "#").await?;
    service.stop().await?;
    let service = Service::with_spool(rabbit.url(), "leftover", WINDOW, spool(&folder));
    let mut lane = service.broker.lane();
    lane.publish(99_999, event(99_999, 500)).await?;
    let mut count = 0;
    let taken = worker
        .take_until(|delivery| {
            count += 1;
            delivery.data.first_chunk() == Some(&99_999_u64.to_be_bytes())
        })
        .await?;
    ensure!(count >= spooled as usize, "{count} of {spooled}");
    let before = taken.get(taken.len() - 2).context("one before the last")?;
    ensure!(before.data.first_chunk() == Some(&10_000_u64.to_be_bytes()));
    drop(lane);
    until("an empty folder", || {
        service.metric("gateway_broker_spool_used_bytes") == 0.0
    })
    .await?;
    service.stop().await?;
    worker.close().await
}
