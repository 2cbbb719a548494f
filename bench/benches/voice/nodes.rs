//! Calls that another node takes over: how long nothing is heard of each, and how far from the right place it goes on.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bench::{store::Store, summary::Summary};
use tokio::time::{self, Instant};
use wire::gateway::v1::{VoiceStatusRequest, VoiceStatusResponse};

use crate::{
    Place,
    stage::{Node, OPUS, Stage},
};

/// Calls of the node that ends.
const CALLS: usize = 20;
/// How long a lease lives.
const LEASE: Duration = Duration::from_secs(5);
/// How long everything gets to calm down.
const CALM: Duration = Duration::from_secs(5);
/// How long all calls are watched.
const WATCH: Duration = Duration::from_secs(20);
/// How often.
const LOOK: Duration = Duration::from_millis(20);

/// How the calls fared.
struct Fared {
    /// How long nothing was heard, in seconds, of each call, the shortest first.
    silent: Vec<f64>,
    /// How much more than the position says was heard, in seconds, at most, and how much less.
    off: [f64; 2],
}

/// One of two nodes dies.
pub(crate) async fn killed(place: &Place, summary: &mut Summary) -> Result<()> {
    let fared = play(place, Node::kill).await?;
    let most = LEASE.as_secs_f64() + 3.0;
    summary.add(
        "s without sound after SIGKILL, p50",
        fared.silent[CALLS / 2],
    );
    summary.at_most(
        "  of the slowest of 20 calls",
        fared.silent[CALLS - 1],
        most,
    );
    summary.add("  of a track that is heard twice, at most", fared.off[0]);
    summary.add("  of a track that is not heard, at most", fared.off[1]);
    Ok(())
}

/// One of two nodes is stopped.
pub(crate) async fn stopped(place: &Place, summary: &mut Summary) -> Result<()> {
    let fared = play(place, Node::terminate).await?;
    summary.add(
        "s without sound after SIGTERM, p50",
        fared.silent[CALLS / 2],
    );
    summary.at_most("  of the slowest of 20 calls", fared.silent[CALLS - 1], 2.0);
    summary.at_most(
        "  of a track that is heard twice, at most",
        fared.off[0],
        0.5,
    );
    summary.at_most("  of a track that is not heard, at most", fared.off[1], 0.5);
    Ok(())
}

async fn play(place: &Place, end: impl FnOnce(&mut Node) -> Result<()>) -> Result<Fared> {
    let store = Store::start().await?;
    let mut stage = Stage::new(place, CALLS as u32, true).await?;
    stage.set("REDIS_URL", &format!("redis://{}", store.address()));
    stage.set("VOICE_LEASE_TTL", &format!("{}s", LEASE.as_secs()));
    let mut first = stage.node().await?;
    stage.join_all(CALLS).await?;
    stage.play_all(CALLS, OPUS).await?;
    let second = stage.node().await?;
    time::sleep(CALM).await;
    let watching = watch(&stage);
    end(&mut first)?;
    let silent = watching.await;
    let mut gaps: Vec<f64> = silent.values().map(Duration::as_secs_f64).collect();
    gaps.sort_unstable_by(f64::total_cmp);
    ensure!(gaps.len() == CALLS, "{} calls were heard", gaps.len());
    let off = positions(&mut stage).await?;
    drop(first);
    second.process.stop()?;
    stage.end().await?;
    Ok(Fared { silent: gaps, off })
}

/// How long nothing was heard of each call at the longest, while all are watched.
async fn watch(stage: &Stage<'_>) -> BTreeMap<u64, Duration> {
    let until = Instant::now() + WATCH;
    let mut newest: BTreeMap<u64, (u64, Instant)> = BTreeMap::new();
    let mut longest: BTreeMap<u64, Duration> = BTreeMap::new();
    while Instant::now() < until {
        let (heard, now) = (heard(stage), Instant::now());
        for (guild_id, audio_ms) in heard {
            let (before, since) = newest.entry(guild_id).or_insert((audio_ms, now));
            let silent = longest.entry(guild_id).or_default();
            *silent = (*silent).max(now - *since);
            if audio_ms > *before {
                (*before, *since) = (audio_ms, now);
            }
        }
        time::sleep(LOOK).await;
    }
    longest
}

/// Milliseconds of sound that were heard of each call.
fn heard(stage: &Stage<'_>) -> BTreeMap<u64, u64> {
    let mut heard = BTreeMap::new();
    for client in stage.sim.voice().state().clients {
        *heard.entry(client.guild_id).or_default() += client.heard.audio_ms;
    }
    heard
}

/// How many seconds more and less than its position says were heard of a track, at most.
async fn positions(stage: &mut Stage<'_>) -> Result<[f64; 2]> {
    let mut off = [0.0_f64; 2];
    for guild_id in stage.guilds.clone() {
        let request = VoiceStatusRequest { guild_id };
        let status: VoiceStatusResponse = stage.worker.ask("Status", &request).await?;
        let heard = heard(stage).remove(&guild_id).context("a call")?;
        let position = status.call.and_then(|call| call.position);
        let position = Duration::try_from(position.context("a track")?)?;
        let more = heard as f64 / 1000.0 - position.as_secs_f64();
        off = [off[0].max(more), off[1].max(-more)];
    }
    Ok(off)
}
