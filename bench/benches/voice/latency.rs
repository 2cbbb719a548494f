//! How long it takes from the wish for a call to its first sound.

use std::time::Duration;

use anyhow::{Result, ensure};
use bench::summary::Summary;
use tokio::time::{self, Instant};
use wire::gateway::v1::{
    VoiceJoinResponse, VoiceLeaveRequest, VoiceLeaveResponse, VoicePlayResponse,
};

use crate::{
    Place,
    stage::{OPUS, Stage},
};

/// How often it is measured.
const ROUNDS: usize = 20;
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(1);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds until the worker reads that the call stands, and until the first sound is heard that is encrypted end to end: of half the
/// calls, and of the slowest.
pub(crate) async fn measure(place: &Place, summary: &mut Summary) -> Result<()> {
    let mut stage = Stage::new(place, 1, true).await?;
    let node = stage.node().await?;
    let guild_id = stage.guilds[0];
    let (mut joins, mut sounds) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let since = Instant::now();
        let join = stage.join(guild_id).await?;
        let play = stage.play(guild_id, OPUS).await?;
        let VoiceJoinResponse { .. } = stage.worker.answer(join).await?;
        joins.push(since.elapsed());
        sounds.push(heard(&stage, since).await?);
        let VoicePlayResponse { .. } = stage.worker.answer(play).await?;
        let leave = VoiceLeaveRequest { guild_id };
        let VoiceLeaveResponse {} = stage.worker.ask("Leave", &leave).await?;
        while stage
            .sim
            .voice()
            .state()
            .clients
            .iter()
            .any(|it| it.connected)
        {
            time::sleep(LOOK).await;
        }
    }
    let millis = |mut all: Vec<Duration>| {
        all.sort_unstable();
        [all[all.len() / 2], all[all.len() - 1]].map(|it| it.as_secs_f64() * 1000.0)
    };
    summary.add("ms from Join to its answer, p50", millis(joins)[0]);
    let [median, most] = millis(sounds);
    summary.at_most("ms from Join to the first sound, p50", median, 500.0);
    summary.add("  of the slowest of 20", most);
    node.process.stop()?;
    stage.end().await
}

async fn heard(stage: &Stage<'_>, since: Instant) -> Result<Duration> {
    loop {
        let clients = stage.sim.voice().state().clients;
        let mut living = clients.iter().filter(|client| client.connected);
        if living.any(|client| client.heard.audio_ms > 0) {
            return Ok(since.elapsed());
        }
        ensure!(since.elapsed() < PATIENCE, "nothing is heard: {clients:#?}");
        time::sleep(LOOK).await;
    }
}
