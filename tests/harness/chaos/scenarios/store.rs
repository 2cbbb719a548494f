//! A state store that is away, hangs or has forgotten everything, while all shards are connected.

use std::time::Duration;

use anyhow::Result;

use crate::chaos::{
    Row, Stage,
    row::Promise,
    trial::{Setup, Trial},
};

/// How long all is well before and after.
const AROUND: Duration = Duration::from_secs(2);

/// Stopped for the whole time.
pub(super) async fn stopped(stage: Stage) -> Result<Row> {
    let setup = Setup::new(&stage);
    let mut trial = Trial::begin(stage, setup).await?;
    trial.wait(AROUND).await?;
    trial.redis.stop()?;
    // Also a connection that breaks meanwhile is resumed.
    trial.wait(trial.part(0.5)).await?;
    trial.sim.drop_connections(Some(0))?;
    trial.wait(trial.part(0.5)).await?;
    trial.redis.restart()?;
    trial.wait(2 * AROUND).await?;
    trial.finish(Promise::default()).await
}

/// Connections stay open, and nothing answers.
pub(super) async fn hangs(stage: Stage) -> Result<Row> {
    let setup = Setup::new(&stage);
    let mut trial = Trial::begin(stage, setup).await?;
    trial.wait(AROUND).await?;
    trial.redis.pause()?;
    trial.wait(trial.part(1.0)).await?;
    trial.redis.resume()?;
    trial.wait(2 * AROUND).await?;
    trial.finish(untouched()).await
}

/// Emptied again and again.
pub(super) async fn flushed(stage: Stage) -> Result<Row> {
    let setup = Setup::new(&stage);
    let mut trial = Trial::begin(stage, setup).await?;
    while trial.goes_on() {
        trial.wait(AROUND).await?;
        trial.redis.flush()?;
        trial.wait(AROUND).await?;
    }
    trial.finish(untouched()).await
}

/// No connection was given up at all.
fn untouched() -> Promise {
    Promise {
        duplicates: Some(0),
        gap: Some(Duration::ZERO),
        ..Promise::default()
    }
}
