//! Everything that Discord does to its clients on a bad day, one after the other and under load.

use std::time::Duration;

use anyhow::Result;
use sim::{Faults, Times};

use crate::chaos::{
    Row, Stage,
    row::Promise,
    trial::{Setup, Trial},
};

/// Close codes after which a session goes on.
const RESUMABLE: [u16; 5] = [4000, 4001, 4002, 4005, 4008];
/// Close codes after which a new session has to begin.
const FINAL: [u16; 3] = [4003, 4007, 4009];

/// All of it.
pub(super) async fn misbehaves(stage: Stage) -> Result<Row> {
    let mut setup = Setup::new(&stage);
    // Short, so that missing answers are noticed within the scenario; and patient, since the machine may be busy.
    setup.sim.heartbeat_interval_ms = 2000;
    setup.sim.heartbeat_grace_ms = Some(10_000);
    let pause = Duration::from_secs(stage.length.seconds).div_f64(20.0);
    let mut trial = Trial::begin(stage, setup).await?;
    trial.wait(pause).await?;
    interruptions(&mut trial, pause).await?;
    bad_starts(&mut trial, pause).await?;
    silence(&mut trial).await?;
    lost_sessions(&mut trial, pause).await?;
    trial.finish(Promise::default()).await
}

/// Ends of connections after which the session goes on.
async fn interruptions(trial: &mut Trial, pause: Duration) -> Result<()> {
    trial.sim.reconnect(None)?;
    resumed(trial, pause).await?;
    trial.sim.invalid(None, true)?;
    resumed(trial, pause).await?;
    trial.sim.drop_connections(None)?;
    resumed(trial, pause).await?;
    for code in RESUMABLE {
        trial.sim.close(None, code)?;
        resumed(trial, pause).await?;
    }
    Ok(())
}

/// Connections that do not come about at once.
async fn bad_starts(trial: &mut Trial, pause: Duration) -> Result<()> {
    let bad: [fn(&mut Faults); 5] = [
        |faults| faults.refuse_connections = Times::Next(3),
        |faults| faults.close_before_hello = Times::Next(3),
        |faults| faults.reconnect_before_hello = Times::Next(3),
        |faults| faults.rest_status = Some(503),
        |faults| (faults.rest_status, faults.rest_html) = (Some(520), true),
    ];
    for change in bad {
        trial.sim.change_faults(change);
        trial.sim.drop_connections(None)?;
        resumed(trial, pause).await?;
        trial
            .sim
            .change_faults(|faults| *faults = Faults::default());
    }
    Ok(())
}

/// Connections that look alive.
async fn silence(trial: &mut Trial) -> Result<()> {
    trial.sim.black_hole(Some(0))?;
    trial.sim.black_hole(Some(1))?;
    resumed(trial, Duration::ZERO).await?;
    trial
        .sim
        .change_faults(|faults| faults.black_hole_connections = Times::Next(1));
    trial.sim.drop_connections(Some(2))?;
    resumed(trial, Duration::ZERO).await?;
    let before = trial.sim.state().resumes;
    trial
        .sim
        .change_faults(|faults| faults.withhold_acks = true);
    let shards = u64::from(trial.stage.length.shards);
    until(trial, "resumes after missing ACKs", |state| {
        state.resumes >= before + shards
    })
    .await?;
    trial
        .sim
        .change_faults(|faults| faults.withhold_acks = false);
    resumed(trial, Duration::ZERO).await
}

/// Ends of sessions: each costs the one identify that it has to.
async fn lost_sessions(trial: &mut Trial, pause: Duration) -> Result<()> {
    trial.sim.invalid(Some(0), false)?;
    trial.expect_identifies(1);
    resumed(trial, pause).await?;
    for (shard, code) in (1..).zip(FINAL) {
        trial.sim.close(Some(shard), code)?;
        trial.expect_identifies(1);
        resumed(trial, pause).await?;
    }
    // What was on its way when the connection ended could not come any more: so nothing may be.
    trial.settle().await?;
    trial
        .sim
        .change_faults(|faults| faults.refuse_resume = Times::Next(1));
    trial.sim.reconnect(Some(4))?;
    trial.expect_identifies(1);
    resumed(trial, Duration::ZERO).await?;
    trial.emit()?;
    trial.wait(pause).await
}

/// Waits until all shards are connected again, and then some.
async fn resumed(trial: &mut Trial, pause: Duration) -> Result<()> {
    // What was ordered has to happen first.
    trial.wait(Duration::from_millis(100)).await?;
    until(trial, "all shards", sim::State::is_ready).await?;
    trial.wait(pause).await
}

async fn until(trial: &Trial, what: &str, wanted: impl Fn(&sim::State) -> bool) -> Result<()> {
    let patience = Duration::from_secs(60);
    trial.sim.wait_for(what, patience, wanted).await?;
    Ok(())
}
