//! What Discord demands and what it allows decide when the number of shards changes.

use anyhow::{Result, ensure};
use serde_json::json;
use sim::Kind;

use super::scene::{DONE, SWITCHING, Setup, WARMING};

/// Fewer than a shard of the first set has, and more than one of the second has.
const GUILDS_PER_SHARD: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_discord_refuses_for_its_many_guilds_makes_the_number_change() -> Result<()> {
    let mut setup = Setup::new("reshard-required", 2, "auto");
    // What is recommended is no reason by itself.
    setup.set("WS_RESHARD_THRESHOLD", "10");
    let mut scene = setup.start().await?;
    scene.change(&json!({"shards": 4, "max_guilds_per_shard": GUILDS_PER_SHARD}))?;
    scene.events().await?;
    // What happens while a shard has no session at all nobody is told.
    scene.pause().await?;
    ensure!(!scene.has_said(WARMING), "nothing demanded it yet");
    scene.sim.invalid(Some(0), false)?;
    scene.until_said("closed with code 4011").await?;
    scene.until_said(SWITCHING).await?;
    scene.emit()?;
    scene.until_said(DONE).await?;
    let violations = scene.sim.violations();
    let refused = violations.iter().filter(|it| it.kind == Kind::Shard);
    ensure!(refused.count() == 1, "it identified again: {violations:#?}");
    ensure!(violations.len() == 1, "{violations:#?}");
    scene.sim.clear_violations();
    scene.judged(2, 6).await?.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_until_there_are_identifies_for_all_of_the_new_set() -> Result<()> {
    let mut scene = Setup::new("reshard-budget", 2, "auto").start().await?;
    // Ten are kept in reserve, so one is missing, until Discord counts anew.
    scene.change(&json!({"shards": 4, "remaining": 13, "reset_after_ms": 20_000}))?;
    let waits = "not enough identifies left for the new set";
    scene.until_said(waits).await?;
    let postponed = "gateway_ws_reshard_postponed";
    while scene.metric(postponed).await? == 0 {
        scene.events().await?;
    }
    scene.events().await?;
    let state = scene.sim.state();
    ensure!(state.identifies == 2, "{} identifies", state.identifies);
    ensure!(!scene.has_said(WARMING), "it did not wait");
    scene.until_said(DONE).await?;
    ensure!(scene.metric(postponed).await? == 0);
    ensure!(scene.fleet.count_in_logs(waits) == 1, "said once");
    scene.finish(2, 6).await
}
