//! Many calls at once: what they take.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bench::summary::Summary;
use tokio::time;

use crate::{
    Place,
    stage::{Node, OPUS, Stage, WAV},
};

/// Calls that play at once.
const CALLS: usize = 100;
/// Those of them whose sound is encoded, in the second turn.
const ENCODED: usize = 20;
/// Calls that are silent.
const IDLE: usize = 100;
/// How long is measured.
const WINDOW: Duration = Duration::from_secs(40);
/// How long everything gets to calm down.
const CALM: Duration = Duration::from_secs(5);

/// What calls take that play.
pub(crate) async fn busy(place: &Place, summary: &mut Summary) -> Result<()> {
    let mut stage = Stage::new(place, CALLS as u32, true).await?;
    let node = stage.node().await?;
    stage.join_all(CALLS).await?;
    stage.play_all(CALLS, OPUS).await?;
    time::sleep(CALM).await;
    let turn = turn(&stage, &node).await?;
    summary.add(
        "CPU ms/s of a call that is passed on",
        turn.cpu / CALLS as f64,
    );
    let cores = "  of a core, for 100 calls";
    summary.at_most(cores, turn.cpu * 100.0 / CALLS as f64 / 1000.0, 1.0);
    summary.at_most("  late frames of 1,000, as heard", turn.late, 1.0);
    summary.at_most("  late frames of 1,000, as sent", turn.sent_late, 1.0);
    summary.add("  pacing error in ms, p99", turn.pacing[0]);
    summary.add("  pacing error in ms, p99.9", turn.pacing[1]);
    stage.play_all(ENCODED, WAV).await?;
    time::sleep(CALM).await;
    let mixed = self::turn(&stage, &node).await?;
    let each = (mixed.cpu - turn.cpu) / ENCODED as f64 + turn.cpu / CALLS as f64;
    summary.add("CPU ms/s of a call that is encoded", each);
    node.process.stop()?;
    stage.end().await
}

/// What a call takes that is silent.
pub(crate) async fn idle(place: &Place, summary: &mut Summary) -> Result<()> {
    let mut stage = Stage::new(place, IDLE as u32 + 1, true).await?;
    let node = stage.node().await?;
    // What the first call takes, all have.
    let first = stage.guilds[IDLE];
    let asked = stage.join(first).await?;
    let wire::gateway::v1::VoiceJoinResponse { .. } = stage.worker.answer(asked).await?;
    time::sleep(CALM).await;
    let before = node.process.resident()?;
    stage.join_all(IDLE).await?;
    time::sleep(CALM).await;
    let (after, used) = (node.process.resident()?, node.process.used()?);
    time::sleep(CALM).await;
    let used = node.process.used()? - used;
    summary.add("RSS in MB with one call", before);
    summary.at_most(
        "RSS in MB of a silent call",
        (after - before) / IDLE as f64,
        1.0,
    );
    let cpu = used.as_secs_f64() * 1000.0 / CALM.as_secs_f64() / IDLE as f64;
    summary.add("CPU ms/s of a silent call", cpu);
    node.process.stop()?;
    stage.end().await
}

/// What was measured in a window.
struct Turn {
    /// CPU time in milliseconds a second.
    cpu: f64,
    /// Late frames of 1,000, by the voice server's clock and by the node's own.
    late: f64,
    sent_late: f64,
    /// The pacing error of 99 and of 999 frames of 1,000, of the worst call.
    pacing: [f64; 2],
}

async fn turn(stage: &Stage<'_>, node: &Node) -> Result<Turn> {
    let heard = || {
        let clients = stage.sim.voice().state().clients;
        let sum = |it: fn(&sim_voice::Heard) -> u64| -> f64 {
            clients.iter().map(|client| it(&client.heard) as f64).sum()
        };
        (sum(|it| it.packets), sum(|it| it.overdue))
    };
    let (used, before) = (node.process.used()?, heard());
    let sent = node.metric("gateway_voice_frames_total").await?;
    let late = node.metric("gateway_voice_frames_late_total").await?;
    time::sleep(WINDOW).await;
    let (used, after) = (node.process.used()? - used, heard());
    let sent = node.metric("gateway_voice_frames_total").await? - sent;
    let late = node.metric("gateway_voice_frames_late_total").await? - late;
    let clients = stage.sim.voice().state().clients;
    let worst = |it: fn(&sim_voice::Heard) -> Option<f64>| {
        let all = clients.iter().filter_map(|client| it(&client.heard));
        all.reduce(f64::max).context("nothing was heard")
    };
    let packets = after.0 - before.0;
    println!(
        "{packets} packets were heard, {} of them late; {sent} were sent, {late} of them late",
        after.1 - before.1
    );
    Ok(Turn {
        cpu: used.as_secs_f64() * 1000.0 / WINDOW.as_secs_f64(),
        late: (after.1 - before.1) * 1000.0 / packets,
        sent_late: late * 1000.0 / sent.max(1.0),
        pacing: [
            worst(|it| it.pacing_p99_ms)?,
            worst(|it| it.pacing_p999_ms)?,
        ],
    })
}
