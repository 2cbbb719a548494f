//! Everything that Discord does to its clients on a bad day, one after the other and under load.

use std::{ops::Range, time::Duration};

use anyhow::{Context as _, Result};
use sim::{Faults, Sim, State, Times};

use crate::chaos::{
    Row, Stage,
    row::Promise,
    trial::{Setup, Trial},
};

/// How long a shard may take to be connected again.
const PATIENCE: Duration = Duration::from_secs(120);
/// One for everything that happens to a single one, and some more.
const SHARDS: u32 = 24;
/// Close codes after which a session goes on.
const RESUMABLE: [u16; 5] = [4000, 4001, 4002, 4005, 4008];
/// Close codes after which a new session has to begin.
const FINAL: [u16; 3] = [4003, 4007, 4009];

/// All of it, each on another shard: one that is interrupted again and again waits ever longer, and is right to.
pub(super) async fn misbehaves(stage: Stage) -> Result<Row> {
    let mut setup = Setup::new(&stage);
    (setup.sim.shards, setup.sim.max_concurrency) = (SHARDS, SHARDS);
    setup.sim.guilds = SHARDS * 4;
    // Short, so that missing answers are noticed within the scenario; and patient, since the machine may be busy.
    setup.sim.heartbeat_interval_ms = 2000;
    setup.sim.heartbeat_grace_ms = Some(10_000);
    let pause = Duration::from_secs(stage.length.seconds).div_f64(20.0);
    let mut day = BadDay {
        trial: Trial::begin(stage, setup).await?,
        shards: 0..SHARDS,
        pause,
    };
    day.interruptions().await?;
    day.bad_starts().await?;
    day.lost_sessions().await?;
    day.silence().await?;
    day.trial.finish(Promise::default()).await
}

/// The trial, and whose turn it is.
struct BadDay {
    trial: Trial,
    shards: Range<u32>,
    pause: Duration,
}

impl BadDay {
    /// Ends of connections after which the session goes on.
    async fn interruptions(&mut self) -> Result<()> {
        self.next(|sim, shard| sim.reconnect(shard)).await?;
        self.next(|sim, shard| sim.invalid(shard, true)).await?;
        self.next(Sim::drop_connections).await?;
        for code in RESUMABLE {
            self.next(|sim, shard| sim.close(shard, code)).await?;
        }
        Ok(())
    }

    /// Connections that do not come about at once.
    async fn bad_starts(&mut self) -> Result<()> {
        let bad: [fn(&mut Faults); 6] = [
            |faults| faults.refuse_connections = Times::Next(2),
            |faults| faults.black_hole_connections = Times::Next(1),
            |faults| faults.close_before_hello = Times::Next(2),
            |faults| faults.reconnect_before_hello = Times::Next(2),
            |faults| faults.rest_status = Some(503),
            |faults| (faults.rest_status, faults.rest_html) = (Some(520), true),
        ];
        for change in bad {
            self.trial.sim.change_faults(change);
            self.next(Sim::drop_connections).await?;
            self.ready().await?;
            self.trial
                .sim
                .change_faults(|faults| *faults = Faults::default());
        }
        Ok(())
    }

    /// Connections that look alive.
    async fn silence(&mut self) -> Result<()> {
        for _ in 0..2 {
            self.next(Sim::black_hole).await?;
        }
        self.ready().await?;
        // While events come, a connection without ACKs is taken for a living one.
        self.trial.settle().await?;
        let before = self.trial.sim.state().resumes;
        self.trial
            .sim
            .change_faults(|faults| faults.withhold_acks = true);
        self.until("resumes after missing ACKs", |state| {
            state.resumes >= before + u64::from(SHARDS)
        })
        .await?;
        self.trial
            .sim
            .change_faults(|faults| faults.withhold_acks = false);
        self.trial.emit()
    }

    /// Ends of sessions: each costs the one identify that it has to.
    async fn lost_sessions(&mut self) -> Result<()> {
        self.next(|sim, shard| sim.invalid(shard, false)).await?;
        self.trial.expect_identifies(1);
        for code in FINAL {
            self.next(|sim, shard| sim.close(shard, code)).await?;
            self.trial.expect_identifies(1);
        }
        self.ready().await?;
        // What was on its way when the connection ended could not come any more: so nothing may be.
        self.trial.settle().await?;
        self.trial
            .sim
            .change_faults(|faults| faults.refuse_resume = Times::Next(1));
        self.next(|sim, shard| sim.reconnect(shard)).await?;
        self.trial.expect_identifies(1);
        self.ready().await?;
        self.trial.emit()?;
        self.trial.wait(self.pause).await
    }

    /// Does it to the next shard, as soon as that one is connected.
    async fn next(
        &mut self,
        order: impl Fn(&Sim, Option<u32>) -> Result<usize, sim::Error>,
    ) -> Result<()> {
        let shard = self.shards.next().context("there are enough shards")?;
        self.until("a shard to be connected", |state| {
            let mut own = state.sessions.iter().filter(|it| it.shard[0] == shard);
            own.any(|it| it.connected && it.guilds_complete)
        })
        .await?;
        order(&self.trial.sim, Some(shard))?;
        self.trial.wait(self.pause).await
    }

    /// Waits until all shards are connected again.
    async fn ready(&self) -> Result<()> {
        self.until("all shards", State::is_ready).await
    }

    async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> Result<()> {
        let came = self.trial.sim.wait_for(what, PATIENCE, wanted).await;
        self.trial.with_logs(came)?;
        Ok(())
    }
}
