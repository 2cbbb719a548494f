//! Replicas that are killed, replaced, added, removed and paused.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use sim::Kind;

use crate::chaos::{
    Row, Stage,
    row::Promise,
    trial::{LEASE, Setup, Trial},
};

/// The longest that a hand-over in good order may leave a shard without a connection.
const HAND_OVER: Duration = Duration::from_secs(1);
/// How long a new replica is left alone.
const SETTLING: Duration = Duration::from_secs(1);

/// SIGKILL, and another replica in the same place.
pub(super) async fn sigkill(stage: Stage) -> Result<Row> {
    let pause = match stage.length.strict {
        true => Duration::from_secs(5),
        false => LEASE,
    };
    let setup = Setup::new(&stage);
    let mut trial = Trial::begin(stage, setup).await?;
    let mut random = Rng::with_seed(4);
    while trial.goes_on() {
        trial.wait(pause).await?;
        let slot = random.choice(trial.fleet.slots()).context("a replica")?;
        trial.fleet.kill(slot)?;
        trial.fleet.start(slot)?;
    }
    let promise = Promise {
        gap: Some(2 * LEASE),
        ..Promise::default()
    };
    trial.finish(promise).await
}

/// One replica after the other is replaced by a new one, as in a deploy.
pub(super) async fn rolling_sigterm(stage: Stage) -> Result<Row> {
    let setup = Setup::new(&stage);
    let replicas = setup.replicas;
    let mut trial = Trial::begin(stage, setup).await?;
    let mut next = 0;
    while trial.goes_on() || next < replicas {
        trial.fleet.start(next + replicas)?;
        trial.wait(SETTLING).await?;
        trial.fleet.terminate(next).await?;
        trial.wait(SETTLING).await?;
        next += 1;
    }
    trial.finish(in_good_order()).await
}

/// One replica, five, and two of them.
pub(super) async fn scale(stage: Stage) -> Result<Row> {
    let setup = Setup {
        replicas: 1,
        ..Setup::new(&stage)
    };
    let mut trial = Trial::begin(stage, setup).await?;
    trial.wait(trial.part(0.1)).await?;
    for slot in 1..5 {
        trial.fleet.start(slot)?;
    }
    trial.wait(trial.part(0.5)).await?;
    for slot in [0, 2, 4] {
        trial.fleet.terminate(slot).await?;
    }
    trial.wait_for_the_end().await?;
    trial.finish(in_good_order()).await
}

/// SIGSTOP for longer than a lease, and SIGCONT. Meanwhile another replica takes the shards; the paused one
/// cannot close its connections, which Discord sees as a session that is resumed while it is connected.
pub(super) async fn paused(stage: Stage) -> Result<Row> {
    let setup = Setup::new(&stage);
    let mut trial = Trial::begin(stage, setup).await?;
    let mut slots = trial.fleet.slots().into_iter().cycle();
    while trial.goes_on() {
        let slot = slots.next().context("a replica")?;
        trial.wait(SETTLING).await?;
        trial.fleet.pause(slot)?;
        trial.wait(LEASE * 5 / 2).await?;
        trial.fleet.resume(slot)?;
        trial.wait(SETTLING).await?;
    }
    let promise = Promise {
        tolerated: &[Kind::ResumeTwice],
        ..Promise::default()
    };
    trial.finish(promise).await
}

/// What holds when every replica leaves in good order.
fn in_good_order() -> Promise {
    Promise {
        duplicates: Some(0),
        gap: Some(HAND_OVER),
        ..Promise::default()
    }
}
