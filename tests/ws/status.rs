//! What workers hear of the shards: `GATEWAY_SHARD_STATUS`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use lapin::message::Delivery;
use prost::Message as _;
use sim::{Config, State};
use tests::rabbitmq::Rabbit;
use wire::gateway::v1::{
    Event, SessionStart, ShardReason, ShardState, ShardStatus, Source, event::Data,
};

use super::{
    ledger,
    stage::{PATIENCE, Stage},
    system,
};
use crate::broker::service::Worker;

/// The status that a message carries, after a look at what is around it.
fn status(delivery: &Delivery) -> Result<ShardStatus> {
    let event = Event::decode(delivery.data.as_slice())?;
    ensure!(event.source() == Source::Gateway, "{event:?}");
    let key = format!("{}.GATEWAY_SHARD_STATUS.-.-", event.application_id);
    ensure!(delivery.routing_key.as_str() == key, "{event:?}");
    let id = delivery.properties.message_id().as_ref();
    ensure!(id.is_some_and(|id| id.as_str() == event.id), "{event:?}");
    let Some(Data::GatewayShardStatus(status)) = event.data else {
        anyhow::bail!("no status: {event:?}");
    };
    let shard = event.shard.context("a shard")?;
    ensure!((shard.id, shard.count) == (status.shard_id, status.shard_count));
    ensure!(event.id.starts_with(&format!("{}:", status.replica)));
    ensure!(!status.detail.is_empty(), "{status:?}");
    Ok(*status)
}

/// Takes messages until a shard of a replica has stopped.
async fn until_stopped(rabbit: &Rabbit, prefix: &str) -> Result<Vec<ShardStatus>> {
    let worker = Worker::connect(rabbit, prefix).await?;
    let mut ids = BTreeSet::new();
    let mut all = Vec::new();
    let mut wrong = Ok(());
    worker
        .take_until(|delivery| match status(delivery) {
            Ok(status) => {
                let id = delivery.properties.message_id().clone();
                ids.insert(id.map(|id| id.to_string()));
                let stopped = status.state() == ShardState::Stopped;
                all.push(status);
                stopped
            }
            Err(error) => {
                wrong = Err(error);
                true
            }
        })
        .await?;
    worker.close().await?;
    wrong?;
    ensure!(ids.len() == all.len(), "an id came twice: {all:#?}");
    Ok(all)
}

/// Starts a service whose queue gets the status of its shards alone.
async fn start(stage: &Stage, rabbit: &Rabbit, prefix: &str) -> Result<tests::service::Service> {
    stage
        .sim
        .change_faults(|faults| faults.rest_status = Some(503));
    let service = stage.start()?;
    let connected = || Ok(service.log().contains("check=\"broker\""));
    service.until("the broker", connected).await?;
    let worker = Worker::connect(rabbit, prefix).await?;
    let events = format!("{prefix}.events");
    worker.bind(&events, "*.GATEWAY_SHARD_STATUS.#").await?;
    worker.close().await?;
    stage.sim.change_faults(|faults| faults.rest_status = None);
    let ready = || Ok(stage.sim.is_ready());
    service.until("the shard", ready).await?;
    Ok(service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_sees_a_shard_come_and_go_in_order() -> Result<()> {
    let rabbit = Rabbit::shared();
    let config = Config {
        guilds: 3,
        identify_window_ms: 100,
        ..Config::default()
    };
    let stage = system::stage(rabbit, config, "status").await?;
    let service = start(&stage, rabbit, "status").await?;
    // READY and the guilds: before that there is nothing to take a session up from.
    ledger::until_confirmed(&service, 4).await?;
    stage.sim.close(None, 4000)?;
    let resumed = |state: &State| state.resumes == 1 && state.is_ready();
    stage.sim.wait_for("a resume", PATIENCE, resumed).await?;
    stage.sim.close(None, 4009)?;
    let identified = |state: &State| state.identifies == 2 && state.is_ready();
    let anew = "a new session";
    stage.sim.wait_for(anew, PATIENCE, identified).await?;
    service.terminate()?;
    let all = until_stopped(rabbit, "status").await?;
    let told: Vec<_> = all
        .iter()
        .map(|status| (status.state(), status.reason(), status.session_start()))
        .collect();
    let (identified, resumed) = (SessionStart::Identified, SessionStart::Resumed);
    let none = SessionStart::Unspecified;
    let expected = [
        (ShardState::Connecting, ShardReason::Taken, none),
        (ShardState::Live, ShardReason::Connected, identified),
        (ShardState::Away, ShardReason::Closed, none),
        (ShardState::Connecting, ShardReason::Unspecified, none),
        (ShardState::Live, ShardReason::Connected, resumed),
        (ShardState::Away, ShardReason::SessionLost, none),
        (ShardState::Connecting, ShardReason::Unspecified, none),
        (ShardState::Live, ShardReason::Connected, identified),
        (ShardState::Stopped, ShardReason::Shutdown, none),
    ];
    ensure!(told == expected, "{all:#?}");
    ensure!(all[2].close_code == Some(4000), "{:?}", all[2]);
    ensure!(all[5].close_code == Some(4009), "{:?}", all[5]);
    ensure!(all[2].sequence.is_some(), "{:?}", all[2]);
    ensure!(all[5].sequence.is_none(), "{:?}", all[5]);
    stage.rules_kept()
}
