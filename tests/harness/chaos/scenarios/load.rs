//! Much load, little load, and events in batches.

use std::time::Duration;

use anyhow::Result;

use crate::chaos::{
    Row, Stage,
    row::{Order, Promise},
    trial::{LEASE, Setup, Trial},
};

const MIB: u64 = 1024 * 1024;

/// Presences in batches, while replicas are killed and replaced.
pub(super) async fn batches(stage: Stage) -> Result<Row> {
    let setup = Setup {
        variables: vec![("EVENT_BATCH", "PRESENCE_UPDATE=64/5ms")],
        ..Setup::new(&stage)
    };
    let mut trial = Trial::begin(stage, setup).await?;
    let mut slots = trial.fleet.slots().into_iter().cycle();
    while let Some(slot) = slots.next().filter(|_| trial.goes_on()) {
        trial.wait(2 * LEASE).await?;
        trial.fleet.kill(slot)?;
        trial.fleet.start(slot)?;
    }
    let promise = Promise {
        order: Order::Guild,
        batches: true,
        ..Promise::default()
    };
    trial.finish(promise).await
}

/// As many events as one replica takes from all shards.
pub(super) async fn saturated(stage: Stage) -> Result<Row> {
    let setup = Setup {
        replicas: 1,
        rate: None,
        ..Setup::new(&stage)
    };
    let mut trial = Trial::begin(stage, setup).await?;
    trial.wait_for_the_end().await?;
    // Workers that do not keep up fill the broker's memory. It takes nothing then, and sessions wait without a
    // connection until it does: how long is not ours to promise.
    let promise = Promise {
        duplicates: Some(0),
        memory: 128 * MIB,
        ..Promise::default()
    };
    trial.finish(promise).await
}

/// 1,000 events a second, for the two columns at the end of the table.
pub(super) async fn latency(stage: Stage) -> Result<Row> {
    let setup = Setup {
        replicas: 1,
        rate: Some(stage.length.rate / 2.0),
        ..Setup::new(&stage)
    };
    let mut trial = Trial::begin(stage, setup).await?;
    trial.wait_for_the_end().await?;
    let promise = Promise {
        duplicates: Some(0),
        gap: Some(Duration::ZERO),
        ..Promise::default()
    };
    trial.finish(promise).await
}
